"""Runs part of a test on another of Keras's backends, which takes a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


def answer_of(script: str, backend: str, given: dict[str, Any]) -> Any:
    """What `script` prints as JSON in its last line, when it gets `given` as JSON; the test is skipped where the backend is missing."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    done = subprocess.run([sys.executable, script, json.dumps(given)], cwd=ROOT, capture_output=True, text=True, env=os.environ | {
        "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT),
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={given.get('devices', 1)}"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
