"""A few damaged files of each kind: each is read, or refused in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CASES = {"models": 12, "onnx": 8}
KINDS = (
    "pictures",
    "faces",
    "stores",
    "packed",
    "models",
    "json",
    "toml",
    "options",
    "pickles",
    "onnx",
    "addresses",
    "videos",
)

if not hasattr(os, "fork"):
    pytest.skip("cases are run in forked processes", allow_module_level=True)


def fuzz(*words: str | int) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *map(str, words)], cwd=ROOT, capture_output=True, text=True
    )


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_read_or_refused(kind):
    if kind == "onnx":
        pytest.importorskip("onnxruntime")
    count = CASES.get(kind, 25)
    done = fuzz(kind, count, 5000)
    assert done.returncode == 0 and f"{count} cases" in done.stdout, done.stdout + done.stderr


def test_every_kind_is_here():
    from tests.fuzz.kinds import KINDS as known

    assert set(known) == set(KINDS)


def test_usage():
    done = fuzz("nothing", 5)
    assert done.returncode == 2 and "Kinds: all, pictures" in done.stdout


def test_faults_of_every_sort_are_found():
    """Traceback, crash, hang, memory and a changed file beside."""
    from tests.fuzz import running
    from tests.fuzz.running import Kind, run

    class Faulty(Kind):
        memory = 500_000_000

        def make(self, chance, folder):
            (folder / "way").write_text(str(chance.randrange(1 << 30)))

        def use(self, folder):
            from lib.errors import FaceswapError

            way = int((folder / "way").read_text()) % 8
            if way == 0:
                raise FaceswapError("as it should be")
            if way == 1:
                raise FaceswapError("a word " * 5000)
            if way == 2:
                raise KeyError("x")
            if way == 3:
                os.kill(os.getpid(), 9)
            if way == 4:
                bytearray(1 << 40)
            if way == 5:
                while True:
                    pass
            if way == 6:
                (folder.parent / "beside" / "file").write_text("else")

    before, running.SECONDS = running.SECONDS, 0.5
    try:
        outcome = run(lambda folder: Faulty(folder), range(40))
    finally:
        running.SECONDS = before
    found = " ".join(outcome.faults)
    assert outcome.cases == 40 and outcome.refused
    for words in "too long", "KeyError", "crash: SIGKILL", "memory", "hang", "something else was changed":
        assert words in found, found
