"""What `faceswap.py bench` measures, a file for each subject. Each has `measure(options) -> list[Figure]`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured figure. Ratios compare two things timed side by side in the same run."""

    name: str
    value: float
    unit: str
    bar: str = ""  # "at least 0.8": what the project holds itself to
