"""Two swaps of one original, frame against frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lib.evaluation.aggregates import ALL_FRAMES, aggregate_of
from lib.evaluation.clip import ClipScores

# Neighbouring frames are alike, so blocks of frames are drawn: of BLOCK frames, in short clips of
# an eighth of the clip
BLOCK, BLOCKS = 12, 8
FEWEST_FRAMES = 24  # with fewer, chance cannot be told from difference
DRAWS = 2000
BATCH = 50  # draws worked on at a time
PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True)
class Difference:
    """A measure of two swaps over the frames that both have, and its 95 % confidence interval.

    `low` and `high` are None of too few frames.
    """

    first: float
    second: float
    low: float | None = None
    high: float | None = None

    @property
    def value(self) -> float:
        """How much larger the second is."""
        return self.second - self.first

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class Compared:
    """A second swap of the same original, and how it differs from the first."""

    clip: ClipScores
    differences: dict[str, Difference]  # by a measure's key


def differences(first: ClipScores, second: ClipScores) -> dict[str, Difference]:
    """The difference in each measure that both have, over the frames that both swapped, with a
    moving-block bootstrap.

    "The Jackknife and the Bootstrap for General Stationary Observations", Annals of Statistics,
    1989.
    """
    by_index = {scores.index: scores for scores in second.frames}
    pairs = [(scores, by_index[scores.index]) for scores in first.frames
             if scores.index in by_index]
    both_swapped = [pair for pair in pairs if pair[0].swapped and pair[1].swapped]
    result = {}
    for key in (key for key in first.totals if key in second.totals):
        aggregate = aggregate_of(key)
        rows = [[aggregate.numbers(scores) for scores in pair]
                for pair in (pairs if key in ALL_FRAMES else both_swapped)]
        rows = np.array([pair for pair in rows if None not in pair], float)  # (N, 2, K)
        if len(rows):
            result[key] = _difference(rows, aggregate.combine)
    return result


def _difference(rows: np.ndarray, combine: Callable[[np.ndarray], np.ndarray]) -> Difference:
    """The difference of `rows` (N, 2, K), whose interval is that of random blocks of frames."""
    values = combine(rows[:, 0]), combine(rows[:, 1])
    if len(rows) < FEWEST_FRAMES:
        return Difference(*map(float, values))
    length = min(BLOCK, len(rows) // BLOCKS)
    random = np.random.default_rng(0)  # the same clips give the same interval
    starts = random.integers(0, len(rows) - length + 1, (DRAWS, -(-len(rows) // length)))
    drawn = []
    for part in np.array_split(starts, DRAWS // BATCH):
        places = (part[..., None] + np.arange(length)).reshape(len(part), -1)[:, :len(rows)]
        sample = rows[places]  # (draws, N, 2, K)
        drawn.append(combine(sample[..., 1, :]) - combine(sample[..., 0, :]))
    return Difference(*map(float, (*values, *np.percentile(np.concatenate(drawn), PERCENTILES))))
