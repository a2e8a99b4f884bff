"""Detail that noise cannot fake, eyes and mouths that look like B's, and brows that are found in the picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lib.evaluation.detail import PartsOfB, brow_heights, detail
from lib.faces import bending
from lib.faces.geometry import crop_matrix
from lib.facesets.references import reference_faces


@pytest.fixture(scope="module")
def faces(face_folders) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Pictures of both people and landmarks in their pixels."""
    return {identity: [(one.aligned.image, one.aligned.face.landmarks @ one.aligned.matrix[:, :2].T + one.aligned.matrix[:, 2])
                       for one in reference_faces(folder, None, None)] for identity, folder in face_folders.items()}


def blurred(picture: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), 3)


def with_noise(picture: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, 6, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def detail_of(original: np.ndarray, swapped: np.ndarray, points: np.ndarray) -> float:
    return detail(np.stack([original, swapped]), crop_matrix(points, 256), points)


def test_a_picture_has_its_own_detail_and_a_blur_has_little(faces):
    picture, points = faces["a"][0]
    assert detail_of(picture, picture, points) == pytest.approx(1)
    assert detail_of(picture, blurred(picture), points) < 0.3


def test_noise_is_no_detail(faces):
    picture, points = faces["a"][0]
    noisy = with_noise(blurred(picture))
    sharpness = [cv2.Laplacian(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var() for one in (picture, noisy)]
    assert sharpness[1] > 0.5 * sharpness[0], "the measure of before takes it for sharp"
    assert detail_of(picture, noisy, points) < 0.6


def test_detail_does_not_depend_on_the_size_of_the_frame(faces):
    picture, points = faces["a"][0]
    soft = cv2.GaussianBlur(picture, (0, 0), 1)
    twice = [cv2.resize(one, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC) for one in (picture, soft)]
    assert detail_of(*twice, points * 2 + 0.5) == pytest.approx(detail_of(picture, soft, points), abs=0.05)


def test_eyes_and_mouth_of_b_are_told_from_blurs_and_from_another_persons(faces):
    parts = PartsOfB.of(faces["b"])
    own, blur, other = (parts.likeness(picture, points) for picture, points in (
        faces["b"][6], (blurred(faces["b"][6][0]), faces["b"][6][1]), faces["a"][6]))
    for part in "eyes", "mouth":
        assert own[part] > 0.95 and blur[part] < 0.85 and other[part] < 0.85, part


def test_a_few_pictures_tell_nothing_of_b(faces):
    assert PartsOfB.of(faces["b"][:5]) is None


def test_raised_brows_are_higher(faces):
    picture, points = faces["a"][0]
    size = len(picture)
    shape = (points + 0.5) / size
    raised = shape.copy()
    raised[17:27, 1] -= 0.03
    places = np.dstack(np.meshgrid(*[np.arange(size, dtype=np.float32)] * 2)) + bending.spread(bending.bend(raised, shape), size)
    moved = cv2.remap(picture, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    apart = np.linalg.norm(points[36:42].mean(0) - points[42:48].mean(0))
    change = brow_heights(moved, points) - brow_heights(picture, points)
    assert np.abs(change - 0.03 * size / apart).max() < 0.05


def test_a_face_without_brows_has_no_height_of_them(faces):
    picture, points = faces["a"][0]
    assert np.isnan(brow_heights(np.full_like(picture, 160), points)).all()
