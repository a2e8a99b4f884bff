"""Differences of two swaps are told with the chance that they have."""

from __future__ import annotations

import numpy as np
import pytest

from lib.evaluation.clip import ClipScores, Total
from lib.evaluation.compare import differences
from lib.evaluation.frames import FrameScores
from lib.evaluation.report import comparison


def clip(values: np.ndarray) -> ClipScores:
    frames = [FrameScores(index, True, {"landmark_error": float(value)}) for index, value in enumerate(values)]
    return ClipScores({"landmark_error": Total(float(np.mean(values)))}, frames, len(frames))


def slow(seed: int, count: int = 400) -> np.ndarray:
    """Errors of frames that are like their neighbours."""
    noise = np.random.default_rng(seed).normal(0, 1, count + 8)
    return 3 + np.convolve(noise, np.ones(9) / 3, "valid")


def test_a_clip_against_itself_differs_by_nothing():
    found = differences(clip(slow(1)), clip(slow(1)))["landmark_error"]
    assert (found.mean, found.low, found.high) == (0, 0, 0) and not found.is_clear


def test_a_shift_of_every_frame_is_found_whatever_the_frames_do():
    found = differences(clip(slow(1)), clip(slow(1) + 0.2))["landmark_error"]
    assert found.low == pytest.approx(0.2) and found.is_clear
    said = comparison(clip(slow(1)), clip(slow(1) + 0.2))
    assert "first is better" in said and "+0.200" in said


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Two clips of the same quality: a clear difference is found in about one of twenty."""
    clear = [differences(clip(slow(2 * seed)), clip(slow(2 * seed + 1)))["landmark_error"].is_clear for seed in range(100)]
    assert np.mean(clear) < 0.2


def followed(follows: float, seed: int, count: int = 300) -> ClipScores:
    """A clip whose mouth follows the original's by a correlation of about `follows`, and flickers 1.5 times as much."""
    random = np.random.default_rng(seed)
    original, own = random.normal(0, 1, (2, count))
    mouth = follows * original + np.sqrt(1 - follows ** 2) * own
    return ClipScores({}, [FrameScores(index, True, {"change": 3.0}, {"change": 2.0}, openings=np.array([[0.3, one], [0.3, other]]))
                           for index, (one, other) in enumerate(zip(original, mouth))], count)


def test_what_only_a_whole_clip_has_gets_an_interval_too():
    found = differences(followed(0.6, 1), followed(0.95, 1))
    assert found["mouth_follow"].mean == pytest.approx(0.35, abs=0.08) and found["mouth_follow"].is_clear
    assert found["mouth_follow"].low < 0.35 < found["mouth_follow"].high
    assert found["eyes_follow"].mean == 0 and not found["eyes_follow"].is_clear  # they never move
    slower = followed(0.6, 1)
    for scores in slower.frames:
        scores.values["change"] = 2.0
    assert differences(followed(0.6, 1), slower)["flicker"].high == pytest.approx(-0.5)


def test_only_frames_of_both_count():
    longer, shorter = clip(np.full(30, 2.0)), clip(np.full(30, 5.0))
    del shorter.frames[10:]
    shorter.frames[0].values.clear()
    assert differences(longer, shorter)["landmark_error"].mean == 3
