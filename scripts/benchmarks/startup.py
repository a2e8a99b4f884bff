"""How long a user waits for help, and that nothing heavy is imported on the way."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from lib.command import parsing
from lib.jobs.bench import BenchSettings, Figure
from lib.system.progress import progress

PROGRAM = Path(__file__).resolve().parent.parent.parent / "faceswap.py"
OVERVIEW_SECONDS, COMMAND_SECONDS = 0.15, 0.3


def measure(settings: BenchSettings) -> list[Figure]:
    lines = [["--help"], *([name, "--help"] for name in parsing.commands())]
    seconds: dict[str, list[float]] = {" ".join(line): [] for line in lines}
    bare = []
    # in turn, so that noise meets all alike
    for _ in progress(range(settings.repeats), "startup", settings.repeats, unit="round"):
        bare.append(_time("-c", "pass"))
        for line in lines:
            seconds[" ".join(line)].append(_time(str(PROGRAM), *line))
    figures = [Figure("python alone", statistics.median(bare), "s")]
    for name, times in seconds.items():
        most = OVERVIEW_SECONDS if name == "--help" else COMMAND_SECONDS
        figures.append(Figure(name, statistics.median(times), "s", f"at most {most}"))
    heavy = sum(map(_imports_tensorflow, lines))
    return [*figures, Figure("commands whose help imports TensorFlow", heavy, "", "0")]


def _time(*arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _imports_tensorflow(line: list[str]) -> bool:
    code = (f"import sys; sys.path.insert(0, {str(PROGRAM.parent)!r}); import faceswap\n"
            f"try: faceswap.main({line!r})\n"
            "except SystemExit: pass\nsys.exit('tensorflow' in sys.modules)")
    return subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode != 0
