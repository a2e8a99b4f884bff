"""Two swaps of one original, frame against frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lib.evaluation.clip import EVERY_FRAME, FOLLOWED, MEDIANS, ClipScores
from lib.evaluation.frames import FrameScores
from lib.evaluation.measures import MEASURES

BLOCK, BLOCKS = 12, 8  # frames: neighbours are alike, so whole stretches are drawn; of fewer frames, so many shorter ones
FEWEST_FRAMES = 24  # with fewer there is no telling what is chance
DRAWS = 2000
TOGETHER = 50  # draws worked on at a time
COVERED = (2.5, 97.5)  # per cent

# Of the rows of frames (..., N, K), what is said of them: (...,)
Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Difference:
    """A measure of two swaps over the frames that both have, and how much larger it is in the second.

    `low` and `high` hold that with 95 % confidence; None of too few frames.
    """

    first: float
    second: float
    low: float | None = None
    high: float | None = None

    @property
    def value(self) -> float:
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
    """By a measure's key, each as `clip.totals` has it: paired over the frames in which both swapped, with a moving-block bootstrap.

    "The Jackknife and the Bootstrap for General Stationary Observations", Annals of Statistics, 1989.
    """
    others = {scores.index: scores for scores in second.frames}
    pairs = [(scores, others[scores.index]) for scores in first.frames if scores.index in others]
    both = [pair for pair in pairs if pair[0].swapped and pair[1].swapped]
    found = {}
    for measure in MEASURES:
        if measure.key not in first.totals or measure.key not in second.totals:
            continue
        row, statistic = _of(measure.key)
        rows = [[row(one), row(other)] for one, other in (pairs if measure.key in EVERY_FRAME else both)]
        rows = np.array([pair for pair in rows if None not in pair], float)  # (N, 2, K)
        if len(rows):
            found[measure.key] = _difference(rows, statistic)
    return found


def _of(key: str) -> tuple[Callable[[FrameScores], Sequence[float] | None], Statistic]:
    """The numbers of a frame that a measure is made of, None of one without, and what it is of many frames."""
    if key in ("eyes_follow", "mouth_follow"):
        column = int(key == "mouth_follow")
        return lambda scores: None if scores.openings is None else scores.openings[:, column].tolist(), _correlation
    if key in FOLLOWED:
        return lambda scores: scores.followed.get(FOLLOWED[key]), _correlation
    if key == "flicker":
        return lambda scores: [scores.originals["change"], scores.values["change"]] if "change" in scores.values else None, _ratio
    if key == "swapped":
        return lambda scores: [100.0 * scores.swapped], _mean
    return lambda scores: [scores.values[key]] if key in scores.values else None, _median if key in MEDIANS else _mean


def _mean(rows: np.ndarray) -> np.ndarray:
    return rows[..., 0].mean(-1)


def _ratio(rows: np.ndarray) -> np.ndarray:
    return rows[..., 1].sum(-1) / np.maximum(rows[..., 0].sum(-1), 1e-9)


def _correlation(rows: np.ndarray) -> np.ndarray:
    apart = rows - rows.mean(-2, keepdims=True)
    return apart.prod(-1).sum(-1) / np.maximum(np.sqrt(np.square(apart).sum(-2).prod(-1)), 1e-12)


def _median(rows: np.ndarray) -> np.ndarray:
    return np.median(rows[..., 0], -1)


def _difference(rows: np.ndarray, statistic: Statistic) -> Difference:
    values = statistic(rows[:, 0]), statistic(rows[:, 1])
    if len(rows) < FEWEST_FRAMES:
        return Difference(*map(float, values))
    length = min(BLOCK, len(rows) // BLOCKS)
    random = np.random.default_rng(0)  # the same clips give the same interval
    starts = random.integers(0, len(rows) - length + 1, (DRAWS, -(-len(rows) // length)))
    drawn = []
    for part in np.array_split(starts, DRAWS // TOGETHER):
        places = (part[..., None] + np.arange(length)).reshape(len(part), -1)[:, :len(rows)]
        some = rows[places]  # (draws, N, 2, K)
        drawn.append(statistic(some[..., 1, :]) - statistic(some[..., 0, :]))
    return Difference(*map(float, (*values, *np.percentile(np.concatenate(drawn), COVERED))))
