import cv2
import numpy as np
import pytest
from skimage.transform import SimilarityTransform

from lib.faces import geometry
from lib.faces.geometry import (
    COVERAGES,
    INNER,
    MEAN_FACE,
    crop,
    crop_matrix,
    invert,
    similarity_transform,
    transform_points,
    warp,
)
from lib.types import Detection, Face


@pytest.fixture
def landmarks() -> np.ndarray:
    """A frontal face turned by 20 degrees in a frame: the mean face, its 17 jaw points left at the chin."""
    angle, side = np.radians(20), 130.0
    linear = side * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (np.vstack([np.tile([0.5, 1.2], (17, 1)), MEAN_FACE]) @ linear.T + [240, 90]).astype(np.float32)


def test_similarity_transform_is_the_least_squares_one():
    random = np.random.default_rng(1)
    for _ in range(20):
        points, target = random.normal(size=(51, 2)) * 40 + 300, random.normal(size=(51, 2))
        expected = SimilarityTransform.from_estimate(points, target).params[:2]
        assert np.allclose(similarity_transform(points, target), expected, atol=1e-9)


def test_similarity_transform_never_mirrors():
    points = np.random.default_rng(2).normal(size=(51, 2))
    assert np.linalg.det(similarity_transform(points, points * [-1, 1])[:, :2]) > 0


def test_points_that_coincide_are_refused():
    with pytest.raises(ValueError):
        similarity_transform(np.ones((51, 2)), MEAN_FACE)


def test_a_mean_face_fills_its_square_upright(landmarks):
    for coverage, (side, up) in COVERAGES.items():
        inner = transform_points(landmarks[INNER], crop_matrix(landmarks, 256, coverage))
        template = (MEAN_FACE - 0.5 + [0, up]) * 256 / side + 127.5
        assert np.abs(inner - template).max() < 0.01


def test_landmarks_come_back_from_the_crop(landmarks):
    matrix = crop_matrix(landmarks, 256)
    assert np.allclose(transform_points(transform_points(landmarks, matrix), invert(matrix)), landmarks, atol=1e-3)


def test_the_crop_shows_what_its_matrix_says(astronaut, landmarks):
    """A dot drawn in the frame is found where the matrix carries it, to a tenth of a pixel."""
    frame = np.zeros_like(astronaut)
    frame = cv2.circle(frame, (260, 150), 6, (255, 255, 255), -1, cv2.LINE_AA)
    for size in (64, 100, 256, 512):
        face = crop(frame, Face(Detection(np.zeros(4, np.float32), 1.0), landmarks), size)
        weight = face.image[..., 0].astype(float)
        rows, columns = np.indices(weight.shape)
        middle = [(columns * weight).sum() / weight.sum(), (rows * weight).sum() / weight.sum()]
        assert np.abs(transform_points(np.array([[260, 150]]), face.matrix)[0] - middle).max() < 0.1


@pytest.mark.parametrize("shrink", [1.3, 1.8, 2.6, 3.7, 5.0, 7.7])
@pytest.mark.parametrize("centre", [(800, 700), (150, 100)], ids=["inside", "edge"])
def test_shrinking_does_not_alias(hopper, shrink, centre):
    """The crop equals 12 x 12 samples for each of its pixels, inside the frame and across its edge."""
    photo = cv2.resize(hopper, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    angle = 0.4
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / shrink
    matrix = np.hstack([linear, (48 - linear @ centre)[:, None]])
    fine = cv2.warpAffine(photo, geometry.upsampled(matrix, 12), (96 * 12, 96 * 12), borderMode=cv2.BORDER_REPLICATE)
    expected = cv2.resize(fine, (96, 96), interpolation=cv2.INTER_AREA).astype(float)
    assert np.abs(warp(photo, matrix, 96) - expected).mean() < 1.5  # bilinear alone: up to 4.8


@pytest.mark.parametrize("zoom", [0.2, 1, 5, 40])
@pytest.mark.parametrize("place", [-9000, 9000])
def test_a_face_far_outside_the_frame_repeats_its_edge(landmarks, zoom, place):
    frame = np.full((300, 400, 3), (10, 100, 200), np.uint8)
    away = landmarks * np.float32(zoom) + np.float32(place)
    assert (crop(frame, Face(Detection(np.zeros(4, np.float32), 1.0), away), 64).image == frame[0, 0]).all()
