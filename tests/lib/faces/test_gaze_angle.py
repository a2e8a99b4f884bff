"""Gaze in the eye's own frame."""

import numpy as np
import pytest

from lib.faces.gaze import gaze, visibility
from lib.types import Eyes

EYE = np.array([(-0.5, 0), (-0.17, -0.15), (0.17, -0.15), (0.5, 0), (0.17, 0.15), (-0.17, 0.15)])


def eyes(place: tuple[float, float], opening: float = 1.0, angle: float = 0.0, width: float = 40.0, radius: float = 0.22) -> Eyes:
    """Two eyes whose irises lie at `place`."""
    turn = width * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    landmarks, irises = np.zeros((68, 2)), []
    for first, middle in (36, np.array([100, 100])), (42, np.array([200, 100])):
        landmarks[first:first + 6] = EYE * [1, opening] @ turn + middle
        irises.append([*(np.array(place) @ turn + middle), radius * width])
    return Eyes(landmarks, np.array(irises))


@pytest.mark.parametrize("angle", [0.0, 0.5, -2.0])
@pytest.mark.parametrize("place", [(0.0, 0.0), (0.1, -0.05), (-0.2, 0.03)])
def test_gaze_does_not_depend_on_how_the_head_is_tilted(place, angle):
    np.testing.assert_allclose(gaze(eyes(place, angle=angle)), [place] * 2, atol=1e-9)


def test_what_is_open_and_looks_like_an_iris_is_seen():
    assert visibility(eyes((0.1, 0))).min() == 1


@pytest.mark.parametrize("unlikely", [eyes((0, 0), opening=0.5), eyes((0, 0), radius=0.4), eyes((0, 0), radius=0.1), eyes((0.45, 0))])
def test_shut_eyes_and_unlikely_irises_are_not(unlikely):
    assert visibility(unlikely).max() == 0
