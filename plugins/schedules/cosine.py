from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lib.options import option
from lib.plugin import SCHEDULES, Schedule


@SCHEDULES.register
@dataclass
class Cosine(Schedule):
    """Level at first, then down half a cosine to the end of the run.

    Without an end: slowly down, with the square root of the iterations.

    "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR, 2017, without restarts.
    """

    level: float = option(0.3, "Share of the run before the rate begins to fall.", low=0.0,
                          high=1.0)
    end: float = option(0.02, "Share of the rate at the end.", low=0.0, high=1.0)
    long: int = option(10_000, "In a run without an end: iterations before the rate begins to "
                       "fall.", low=1)

    def share(self, iteration: int, done: float | None,
              losses: Sequence[tuple[int, float]]) -> float:
        if done is None:
            return math.sqrt(min(1.0, self.long / (iteration + 1)))
        falling = min(1.0, max(0.0, (done - self.level) / max(1 - self.level, 1e-9)))
        return max(self.end, 0.5 * (1 + math.cos(math.pi * falling)))
