"""What the benchmarks take and give. They themselves lie in scripts/benchmarks, a file for each
subject.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lib.options import option
from lib.settings import Settings


@dataclass(kw_only=True)
class BenchSettings(Settings):
    """Measure the speed of this machine, as ratios of things timed side by side in one run.

    bench startup    the help of every command
    bench extract    finding and aligning faces
    bench detectors  what each detector finds in photographs counted by hand, and its time
    bench train      iterations a second, against a bare loop of the same network
    bench convert    setting faces into frames
    """

    what: str = option(help="What to measure.", positional=True,
                       choices=("startup", "extract", "detectors", "train", "convert"))
    input: Path | None = option(None, "Video to measure on; for bench train a folder of faces or a "
                                "packed set. Default: made of portraits.", short="-i")
    repeats: int = option(5, "How often each is timed; the median counts.", low=1)
    json: bool = option(False, "Print one JSON object a figure.")

    model: str = option("compact", "Model to measure.", short="-t", plugin="models",
                        group="bench train")
    batch: int | None = option(None, "Faces of each person in a batch. Default: the model's.",
                               short="-b", low=1, group="bench train")


@dataclass(frozen=True)
class Figure:
    """One measured figure. Ratios compare two things timed side by side in the same run."""

    name: str
    value: float
    unit: str
    bar: str = ""  # "at least 0.8": what the project holds itself to
