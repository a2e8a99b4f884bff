"""The eyelids of a swapped face go where those of the original are, and nothing else moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lib.faces import geometry
from lib.plugin import ALIGNERS, DETECTORS
from lib.swapping.composite import crop_face, network_input
from lib.swapping.eyes import EyesFollow
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


def test_a_face_without_eyes_passes(face):
    flat = replace(face, image=np.full_like(face.image, 0.5))
    (moved,) = EyesFollow(ALIGNERS.create("dlib68"))([flat])
    np.testing.assert_allclose(moved.image, 0.5, atol=1e-3)
