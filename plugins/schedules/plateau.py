from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lib.options import option
from lib.plugin import SCHEDULES, Schedule


@SCHEDULES.register
@dataclass
class Plateau(Schedule):
    """Falls by a factor whenever the loss has got no better for a while."""

    patience: int = option(5_000, "Iterations without a better loss before the rate falls.", low=1)
    factor: float = option(0.5, "Factor of the rate at each fall.", low=0.0, high=1.0)
    better: float = option(0.005, "Share by which the loss must fall to count as better.", low=0.0,
                           high=1.0)
    least: float = option(0.01, "Lowest rate, as a share of the first.", low=0.0,
                          high=1.0)

    def __post_init__(self):
        self._looked_at, self._now, self._best, self._since = 0, 1.0, float("inf"), 0

    def share(self, iteration: int, done: float | None,
              losses: Sequence[tuple[int, float]]) -> float:
        if len(losses) < self._looked_at:  # another run's
            self.__post_init__()
        for when, loss in losses[self._looked_at:]:
            if loss < self._best * (1 - self.better):
                self._best, self._since = loss, when
            elif when - self._since >= self.patience:
                self._now, self._since = max(self.least, self._now * self.factor), when
        self._looked_at = len(losses)
        return self._now
