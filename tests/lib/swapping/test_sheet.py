"""Sheets to choose settings by show the faces of a film."""

from __future__ import annotations

import numpy as np
import pytest

from lib.faces.geometry import INNER, MEAN_FACE
from lib.media.pictures.contact_sheet import LINE
from lib.sampling import middles
from lib.swapping.sheet import TILE, sheet
from lib.types import Detection, Face


def face_at(x: float, y: float, side: float) -> Face:
    landmarks = np.full((68, 2), (x, y), np.float32)
    landmarks[INNER] = (MEAN_FACE - MEAN_FACE.mean(0)) * side + (x, y)
    return Face(Detection(np.zeros(4, np.float32), 1.0), landmarks)


@pytest.mark.parametrize("count, chosen", [(1, [15]), (3, [11, 15, 18]), (10, [*range(10, 20)]), (20, [*range(10, 20)])])
def test_frames_are_spread_evenly(count, chosen):
    assert middles(range(10, 20), count) == chosen


def test_the_larger_faces_take_turns():
    image = np.zeros((300, 900, 3), np.uint8)
    for number, left in enumerate((0, 300, 600)):
        image[:, left:left + 300, number] = 200
    left, middle, small = face_at(150, 150, 80), face_at(450, 150, 70), face_at(750, 150, 20)
    made = sheet([("as it was", [image] * 3), ("swapped", [image // 2] * 3)], [[middle, small, left]] * 3, ["1", "2", "3"])
    assert made.shape == (2 * TILE + 3 * LINE, 3 * TILE, 3)
    seen = made[2 * LINE:2 * LINE + TILE].reshape(TILE, 3, TILE, 3)[TILE // 3:-TILE // 3, :, TILE // 3:-TILE // 3].mean((0, 2))
    assert (seen.argmax(1) == (0, 1, 0)).all() and seen.max(1) == pytest.approx(200, abs=2)
    assert made[3 * LINE + TILE:].reshape(TILE, 3, TILE, 3).max() <= 101
