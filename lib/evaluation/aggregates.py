"""How what is measured in frames becomes one number for a clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lib.evaluation.frames import FrameScores

# Aggregated by the median frame; others by the mean
MEDIANS = ("distance_a", "distance_b", "cosine_a", "cosine_b", "sharpness", "detail", "parts_eyes",
           "parts_mouth")
# Of all frames; others are of swapped frames alone, since unswapped ones are perfect
ALL_FRAMES = ("retrieved", "flicker", "jitter", "swapped", "found")
FEWEST = 10  # frames that a correlation needs
STILL = 0.01  # deviation of openings, gaze and heights of brows, below which it is noise
FOLLOWED = {"brows_follow": "brows", "gaze_follows": "gaze",
            "gaze_height_follows": "gaze_height"}


class Aggregate(NamedTuple):
    """How one measure is aggregated."""

    numbers: Callable[[FrameScores], Sequence[float] | None]  # of a frame; None where it has none
    combine: Callable[[np.ndarray], np.ndarray]  # (..., N, K) numbers of N frames -> (...)
    is_meaningful: Callable[[np.ndarray], bool] = lambda rows: len(rows) > 0  # (N, K)

    def rows(self, frames: Sequence[FrameScores]) -> np.ndarray:
        """(N, K): the numbers of the frames that have them."""
        numbers = (self.numbers(scores) for scores in frames)
        return np.array([row for row in numbers if row is not None], float)


def aggregate_of(key: str) -> Aggregate:
    """The aggregate of the measure `key`."""
    if key in ("eyes_follow", "mouth_follow"):
        column = int(key == "mouth_follow")
        return Aggregate(lambda scores: None if scores.openings is None
                         else scores.openings[:, column].tolist(), _correlation, _moves)
    if key in FOLLOWED:
        return Aggregate(lambda scores: scores.followed.get(FOLLOWED[key]), _correlation, _moves)
    if key == "flicker":
        return Aggregate(lambda scores: [scores.originals["change"], scores.values["change"]]
                         if "change" in scores.values else None, _ratio,
                         lambda rows: len(rows) > 0 and rows[:, 0].sum() > 0)
    if key == "swapped":
        return Aggregate(lambda scores: [100.0 * scores.swapped], _mean)
    return Aggregate(lambda scores: [scores.values[key]] if key in scores.values else None,
                     _median if key in MEDIANS else _mean)


def _moves(rows: np.ndarray) -> bool:
    return len(rows) >= FEWEST and rows[:, 0].std() > STILL


def _mean(rows: np.ndarray) -> np.ndarray:
    return rows[..., 0].mean(-1)


def _median(rows: np.ndarray) -> np.ndarray:
    return np.median(rows[..., 0], -1)


def _ratio(rows: np.ndarray) -> np.ndarray:
    return rows[..., 1].sum(-1) / np.maximum(rows[..., 0].sum(-1), 1e-9)


def _correlation(rows: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(-2, keepdims=True)
    scale = np.sqrt(np.square(centred).sum(-2).prod(-1))
    return centred.prod(-1).sum(-1) / np.maximum(scale, 1e-12)
