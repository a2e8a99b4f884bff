"""Two swaps of one original, frame against frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lib.evaluation.clip import FEWEST, ClipScores
from lib.evaluation.frames import FrameScores
from lib.evaluation.measures import MEASURES

BLOCK = 12  # frames: neighbours are alike, so whole stretches are drawn
DRAWS = 2000
TOGETHER = 50  # draws worked on at a time
COVERED = (2.5, 97.5)  # per cent

# Of the rows of frames (..., N, K), what is said of them: (...,)
Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Difference:
    """How much larger a measure is in the second swap; `low` and `high` hold that with 95 % confidence."""

    mean: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def differences(first: ClipScores, second: ClipScores) -> dict[str, Difference]:
    """By a measure's key: paired over the frames that both have, with a moving-block bootstrap.

    The difference of the means, also of what is told as a median; of the correlations; of the ratios of sums.
    "The Jackknife and the Bootstrap for General Stationary Observations", Annals of Statistics, 1989.
    """
    others = {scores.index: scores for scores in second.frames}
    pairs = [(scores, others[scores.index]) for scores in first.frames if scores.index in others]
    found = {}
    for measure in MEASURES:
        row, statistic = _of(measure.key)
        rows = [[row(one), row(other)] for one, other in pairs]
        rows = np.array([pair for pair in rows if None not in pair], float)  # (N, 2, K)
        if len(rows) >= FEWEST:
            found[measure.key] = _difference(rows, statistic)
    return found


def _of(key: str) -> tuple[Callable[[FrameScores], list[float] | None], Statistic]:
    """The numbers of a frame that a measure is made of, None of one without, and what it is of many frames."""
    if key in ("eyes_follow", "mouth_follow"):
        column = int(key == "mouth_follow")
        return lambda scores: None if scores.openings is None else scores.openings[:, column].tolist(), _correlation
    if key == "flicker":
        return lambda scores: [scores.originals["change"], scores.values["change"]] if "change" in scores.values else None, _ratio
    if key == "swapped":
        return lambda scores: [100.0 * scores.swapped], _mean
    return lambda scores: [scores.values[key]] if key in scores.values else None, _mean


def _mean(rows: np.ndarray) -> np.ndarray:
    return rows[..., 0].mean(-1)


def _ratio(rows: np.ndarray) -> np.ndarray:
    return rows[..., 1].sum(-1) / np.maximum(rows[..., 0].sum(-1), 1e-9)


def _correlation(rows: np.ndarray) -> np.ndarray:
    apart = rows - rows.mean(-2, keepdims=True)
    return apart.prod(-1).sum(-1) / np.maximum(np.sqrt(np.square(apart).sum(-2).prod(-1)), 1e-12)


def _difference(rows: np.ndarray, statistic: Statistic) -> Difference:
    length = min(BLOCK, len(rows))
    random = np.random.default_rng(0)  # the same clips give the same interval
    starts = random.integers(0, len(rows) - length + 1, (DRAWS, -(-len(rows) // length)))
    drawn = []
    for part in np.array_split(starts, DRAWS // TOGETHER):
        places = (part[..., None] + np.arange(length)).reshape(len(part), -1)[:, :len(rows)]
        drawn.append(_apart(rows[places], statistic))
    low, high = np.percentile(np.concatenate(drawn), COVERED)
    return Difference(float(_apart(rows, statistic)), float(low), float(high))


def _apart(rows: np.ndarray, statistic: Statistic) -> np.ndarray:
    return statistic(rows[..., 1, :]) - statistic(rows[..., 0, :])
