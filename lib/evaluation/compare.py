"""Two swaps of one original, frame against frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.evaluation.clip import ClipScores
from lib.evaluation.measures import MEASURES

BLOCK = 12  # frames: neighbours are alike, so whole stretches are drawn
DRAWS = 2000
COVERED = (2.5, 97.5)  # per cent


@dataclass(frozen=True)
class Difference:
    """How much a measure's mean over the frames is larger in the second swap; `low` and `high` hold it with 95 % confidence."""

    mean: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def differences(first: ClipScores, second: ClipScores) -> dict[str, Difference]:
    """By a measure's key, for those that single frames have: paired differences with a moving-block bootstrap.

    "The Jackknife and the Bootstrap for General Stationary Observations", Annals of Statistics, 1989.
    """
    others = {scores.index: scores for scores in second.frames}
    found = {}
    for measure in MEASURES:
        apart = [others[scores.index].values[measure.key] - scores.values[measure.key] for scores in first.frames
                 if scores.index in others and measure.key in scores.values and measure.key in others[scores.index].values]
        if len(apart) > 1:
            found[measure.key] = _difference(np.array(apart))
    return found


def _difference(apart: np.ndarray) -> Difference:
    length = min(BLOCK, len(apart))
    random = np.random.default_rng(0)  # the same clips give the same interval
    starts = random.integers(0, len(apart) - length + 1, (DRAWS, -(-len(apart) // length)))
    drawn = apart[(starts[..., None] + np.arange(length)).reshape(DRAWS, -1)[:, :len(apart)]]
    low, high = np.percentile(drawn.mean(1), COVERED)
    return Difference(float(apart.mean()), float(low), float(high))
