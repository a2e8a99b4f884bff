"""The measure of covers itself, on the outlines drawn by eye."""

import numpy as np
import pytest

from lib.plugin import MASKERS, Masker
from tests.plugins.maskers.covers import kept, marked_faces, overlap


class Known(Masker):
    """The outlines that were drawn, moved by some pixels."""

    def __init__(self, marked, moved=0):
        self._marked, self._moved = marked, moved

    def mask(self, aligned):
        return 1 - np.roll(self._marked.cover, self._moved, 1)[..., None].astype(np.float32)


def test_the_outlines_lie_where_the_faces_are_and_the_measure_tells_a_good_mask_from_none(shared):
    faces = list(marked_faces(shared("photos").parent, {"mask", "sunglasses", "hand", "none"}))
    covered = [face for face in faces if overlap(Known(face), face) is not None]
    assert len(faces) >= 20 and len(covered) >= 12
    for face in faces:
        hull = MASKERS.create("hull").mask(face.aligned)[..., 0] > 0.5
        assert (hull & face.face).sum() > 0.45 * (hull | face.face).sum(), face.name
        assert kept(MASKERS.create("hull"), face) == pytest.approx(1, abs=0.02)
    for face in covered:
        assert overlap(Known(face), face) == 1 and overlap(MASKERS.create("hull"), face) < 0.7
        assert overlap(Known(face, 6), face) < 0.95
    assert np.mean([kept(Known(face), face) for face in covered]) < 0.9
