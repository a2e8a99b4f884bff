"""The eyelids of a swapped face go where those of the original are, and nothing else moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lib.faces import geometry
from lib.plugin import ALIGNERS, DETECTORS
from lib.swapping.composite import crop_face, network_input
from lib.swapping.eyes import EyesFollow, _squeeze
from lib.types import Face, Frame, SwappedFace

SIZE = 128


@pytest.fixture(scope="module")
def face(astronaut) -> SwappedFace:
    """The astronaut's face, put there as if a model had drawn it."""
    found = DETECTORS.create("hog").detect([astronaut])[0][0]
    landmarks = ALIGNERS.create("dlib68").align([astronaut], [found.box[None]])[0][0]
    aligned = crop_face(Frame(0, astronaut), Face(found, landmarks), SIZE, "full")
    return SwappedFace(aligned, network_input(aligned, SIZE), np.ones((SIZE, SIZE, 1), np.float32))


def wanting(face: SwappedFace, opening: float) -> SwappedFace:
    """`face`, whose original has its eyes open by `opening` times as far."""
    landmarks = face.aligned.face.landmarks.copy()
    for eye in geometry.RIGHT_EYE, geometry.LEFT_EYE:
        line = landmarks[eye][[0, 3]].mean(0)
        landmarks[eye] = line + (landmarks[eye] - line) * (1, opening)
    return replace(face, aligned=replace(face.aligned, face=replace(face.aligned.face, landmarks=landmarks)))


def openings(face: SwappedFace) -> np.ndarray:
    return geometry.eye_openings(EyesFollow(ALIGNERS.create("dlib68")).landmarks([face])[0])


@pytest.mark.parametrize("opening", [0.5, 0.8, 1.25])
def test_eyes_open_as_far_as_the_originals(face, opening):
    (moved,) = EyesFollow(ALIGNERS.create("dlib68"))([wanting(face, opening)])
    before, after, wanted = openings(face), openings(moved), opening * geometry.eye_openings(face.aligned.face.landmarks)
    assert (np.abs(after - wanted) < 0.6 * np.abs(before - wanted)).all()


def test_eyes_that_are_right_stay(face):
    (moved,) = EyesFollow(ALIGNERS.create("dlib68"))([face])
    assert np.abs(moved.image - face.image).mean() < 0.002


def test_nothing_but_the_surroundings_of_the_eyes_moves(face):
    (moved,) = EyesFollow(ALIGNERS.create("dlib68"))([wanting(face, 0.4)])
    changed = np.abs(moved.image - face.image).max(-1) > 0
    y, x = np.nonzero(changed)
    matrix = geometry.upsampled(face.aligned.matrix, SIZE / len(face.aligned.image))
    points = geometry.transform_points(face.aligned.face.landmarks, matrix)
    width = np.linalg.norm(points[39] - points[36])
    apart = np.linalg.norm(np.stack([x, y], 1)[:, None] - points[36:48], axis=2).min(1)
    assert changed.any() and apart.max() < 2 * width
    assert np.array_equal(moved.mask, face.mask)


def test_beside_an_eye_nothing_moves():
    """The change is as large from corner to corner and ends soon beyond."""
    ramp = np.repeat(np.linspace(0, 1, SIZE, dtype=np.float32)[:, None, None], SIZE, 1).repeat(3, 2)
    eye = np.float32([(48, 64), (58, 56), (70, 56), (80, 64), (70, 72), (58, 72)])
    moved = ramp.copy()
    _squeeze(moved, ramp, eye, 2.0)
    shift = np.abs(moved - ramp)[58]
    assert shift[64].min() > 0.02 and shift[50].min() > 0.65 * shift[64].max() and shift[[34, 94]].max() < 0.05 * shift[64].max()


def test_a_face_without_eyes_passes(face):
    flat = replace(face, image=np.full_like(face.image, 0.5))
    (moved,) = EyesFollow(ALIGNERS.create("dlib68"))([flat])
    np.testing.assert_allclose(moved.image, 0.5, atol=1e-3)
