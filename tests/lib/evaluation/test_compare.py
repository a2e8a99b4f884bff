"""Differences of two swaps are told with the chance that they have."""

from __future__ import annotations

import numpy as np
import pytest

from lib.evaluation.clip import ClipScores, Total, totals
from lib.evaluation.compare import differences
from lib.evaluation.frames import FrameScores
from lib.evaluation.reports.swap_report import comparison


def clip(values: np.ndarray) -> ClipScores:
    frames = [FrameScores(index, True, values={"landmark_error": float(value)}) for index, value in enumerate(values)]
    return ClipScores({"landmark_error": Total(float(np.mean(values)))}, frames, len(frames))


def slow(seed: int, count: int = 400) -> np.ndarray:
    """Errors of frames that are like their neighbours."""
    noise = np.random.default_rng(seed).normal(0, 1, count + 8)
    return 3 + np.convolve(noise, np.ones(9) / 3, "valid")


def test_a_clip_against_itself_differs_by_nothing():
    found = differences(clip(slow(1)), clip(slow(1)))["landmark_error"]
    assert (found.value, found.low, found.high) == (0, 0, 0) and not found.is_clear


def test_a_shift_of_every_frame_is_found_whatever_the_frames_do():
    found = differences(clip(slow(1)), clip(slow(1) + 0.2))["landmark_error"]
    assert found.low == pytest.approx(0.2) and found.is_clear
    said = comparison(differences(clip(slow(1)), clip(slow(1) + 0.2)))
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
    frames = [FrameScores(index, True, values={"change": 3.0}, originals={"change": 2.0}, openings=np.array([[0.3, one], [0.3, other]]))
              for index, (one, other) in enumerate(zip(original, mouth))]
    return ClipScores(totals(frames), frames, count)


def test_what_only_a_whole_clip_has_gets_an_interval_too():
    found = differences(followed(0.6, 1), followed(0.95, 1))
    assert found["mouth_follow"].value == pytest.approx(0.35, abs=0.08) and found["mouth_follow"].is_clear
    assert found["mouth_follow"].low < 0.35 < found["mouth_follow"].high
    assert "eyes_follow" not in found  # they never move
    slower = followed(0.6, 1)
    for scores in slower.frames:
        scores.values["change"] = 2.0
    slower = ClipScores(totals(slower.frames), slower.frames, slower.frame_count)
    assert differences(followed(0.6, 1), slower)["flicker"].high == pytest.approx(-0.5)


def test_only_frames_of_both_count():
    longer, shorter = clip(np.arange(60.0)), clip(np.arange(60.0) + 5)
    del shorter.frames[40:]
    shorter.frames[0].values.clear()
    shorter.frames[1].swapped = longer.frames[2].swapped = False
    found = differences(longer, shorter)["landmark_error"]
    assert (found.first, found.value) == (np.mean(np.arange(3, 40)), 5)


def test_a_difference_is_that_of_the_numbers_beside_it():
    """Sharpness is told as a median: a few wild frames change neither the numbers nor their difference."""
    def sharp(values: np.ndarray) -> ClipScores:
        frames = [FrameScores(index, True, values={"sharpness": float(value)}) for index, value in enumerate(values)]
        return ClipScores(totals(frames), frames, len(frames))

    first, second = sharp(np.linspace(0.5, 0.6, 61)), sharp(np.where(np.arange(61) < 5, 40.0, np.linspace(0.6, 0.7, 61)))
    found = differences(first, second)["sharpness"]
    assert (found.first, found.second) == (first.totals["sharpness"].value, second.totals["sharpness"].value)
    assert found.value < 0.2 and found.is_clear


def test_few_frames_get_no_verdict():
    found = differences(clip(np.full(23, 2.0)), clip(np.full(23, 5.0)))["landmark_error"]
    assert (found.value, found.low, found.is_clear) == (3, None, False)
    assert "too few frames" in comparison(differences(clip(np.full(23, 2.0)), clip(np.full(23, 5.0))))
    assert differences(clip(np.full(24, 2.0)), clip(np.full(24, 5.0)))["landmark_error"].is_clear
