"""What is said of a swap: a blur is never praised."""

from __future__ import annotations

import pytest

from lib.evaluation.verdict import verdict

GOOD = {"distance_b": 0.38, "detail": 0.8, "parts_eyes": 0.97, "parts_mouth": 0.96, "mouth_follow": 0.95, "eyes_follow": 0.95,
        "landmark_error": 3.0, "sharpness": 0.7}


def test_a_good_swap_is_called_good_and_is_to_be_looked_at():
    assert verdict(GOOD, 0.6).startswith("Good") and "Look at it yourself" in verdict(GOOD, 0.6)


@pytest.mark.parametrize("fault, words", [
    ({"detail": 0.4}, "blur"), ({"detail": 0.6}, "soft"), ({"parts_eyes": 0.44}, "the eyes do not look like"),
    ({"parts_mouth": 0.7}, "the mouth does not look like"), ({"parts_eyes": 0.5, "parts_mouth": 0.5}, "eyes and mouth do not look like"),
    ({"distance_b": 0.7}, "not take it for B"), ({"mouth_follow": 0.3}, "mouth does not follow"), ({"landmark_error": 8}, "not where")])
def test_each_fault_is_named(fault, words):
    assert words in verdict(GOOD | fault, 0.6) and verdict(GOOD | fault, 0.6).startswith("Not good yet")


def test_the_demo_of_before_was_no_good():
    """Mouth .96, eyes .96, "sharpness" .68, which was added noise."""
    said = verdict({"distance_b": 0.5, "mouth_follow": 0.96, "eyes_follow": 0.96, "sharpness": 0.68, "detail": 0.42, "parts_eyes": 0.44,
                    "parts_mouth": 0.73}, 0.6)
    assert "blur" in said and "Good" not in said


def test_without_pictures_of_b_nothing_is_praised():
    assert "--reference" in verdict({"landmark_error": 2.0}, 0.6)
