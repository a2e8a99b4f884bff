"""`faceswap.py bench`: the project's figures, measured on this machine."""

from __future__ import annotations

import importlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lib.errors import DONE
from lib.options import option
from lib.settings import Settings


@dataclass(kw_only=True)
class Bench(Settings):
    """Measure speed, as ratios of things timed side by side in one run.

    bench startup    the help of every command
    bench extract    finding and aligning faces
    bench detectors  what each detector finds in photographs counted by hand, and its time
    bench train      iterations a second, against a bare loop of the same network
    bench convert    setting faces into frames
    """

    what: str = option(help="What to measure.", positional=True, choices=("startup", "extract", "detectors", "train", "convert"))
    input: Path | None = option(None, "A video to measure on, or for bench train a folder of faces or a packed set. By default made of "
                                      "portraits.", short="-i")
    model: str = option("compact", "The kind of model that bench train measures.", short="-t", plugin="models")
    batch: int | None = option(None, "Faces of each person in a batch of bench train; by default what suits the model.", short="-b", low=1)
    repeats: int = option(5, "How often each is timed; the median counts.", low=1)
    json: bool = option(False, "Print one JSON object a figure.")


def run(options: Bench) -> int:
    figures = importlib.import_module(f"scripts.benchmarks.{options.what}").measure(options)
    for figure in figures:
        if options.json:
            print(json.dumps(asdict(figure), ensure_ascii=False))
        else:
            print(f"{figure.name:44} {figure.value:10.3g} {figure.unit:12} {figure.bar}".rstrip())
    return DONE
