from __future__ import annotations

import importlib
import json
from dataclasses import asdict

from lib.errors import DONE
from lib.jobs.bench import BenchSettings


def run(settings: BenchSettings) -> int:
    for figure in importlib.import_module(f"scripts.benchmarks.{settings.what}").measure(settings):
        if settings.json:
            print(json.dumps(asdict(figure), ensure_ascii=False))
        else:
            print(f"{figure.name:44} {figure.value:10.3g} {figure.unit:12} {figure.bar}".rstrip())
    return DONE
