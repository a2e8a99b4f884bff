from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lib.options import option
from lib.plugin import SCHEDULES, Schedule


@SCHEDULES.register
@dataclass
class Step(Schedule):
    """Falls by a factor every so many iterations."""

    every: int = option(20_000, "Iterations between two falls.", low=1)
    factor: float = option(0.5, "Factor of the rate at each fall.", low=0.0, high=1.0)

    def share(self, iteration: int, done: float | None,
              losses: Sequence[tuple[int, float]]) -> float:
        return self.factor ** (iteration // self.every)
