from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lib.options import option
from lib.plugin import SCHEDULES, Schedule


@SCHEDULES.register
@dataclass
class Linear(Schedule):
    """Level at first, then straight down to zero at the end of the run.

    Without an end it stays level.
    """

    level: float = option(0.5, "Share of the run before the rate begins to fall.", low=0.0,
                          high=1.0)

    def share(self, iteration: int, done: float | None,
              losses: Sequence[tuple[int, float]]) -> float:
        return 1.0 if done is None else min(1.0, (1 - done) / max(1 - self.level, 1e-9))
