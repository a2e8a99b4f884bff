"""The mean face, its landmarks, and the region and pose that are read from points in space."""

import cv2
import numpy as np
import pytest

from lib.faces.geometry import INNER, MEAN_FACE, similarity_transform, transform_points
from lib.faces.pose import yaw_pitch_roll
from lib.mesh.points import POINTS, Region, _shape, fitted, landmarks_of
from lib.plugin import ALIGNERS, DETECTORS


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    return np.linalg.multi_dot([cv2.Rodrigues(np.radians(axis))[0] for axis in
                                (np.array([0, 0, roll]), np.array([0, -yaw, 0]), np.array([-pitch, 0, 0]))])


def test_the_mean_face_has_the_landmarks_of_the_mean_face():
    points = landmarks_of(_shape().mean)[INNER, :2]
    moved = transform_points(points, similarity_transform(points, MEAN_FACE))
    assert np.linalg.norm(moved - MEAN_FACE, axis=1).mean() < 0.03  # of its width


@pytest.mark.parametrize("count", [POINTS, 68])
@pytest.mark.parametrize("angles", [(0, 0, 0), (50, 0, 0), (-30, 20, 0), (10, -15, 70), (0, 0, 175)])
def test_a_head_that_turns_keeps_the_size_of_its_region(count, angles):
    mean = _shape().mean if count == POINTS else landmarks_of(_shape().mean)
    region, turn = fitted(300 * mean @ rotation(*angles).T + [400, 250, 7])
    np.testing.assert_allclose(turn, rotation(*angles), atol=1e-6)
    yaw, pitch, roll = yaw_pitch_roll(turn)
    assert roll == pytest.approx(angles[2], abs=1)
    if not roll:
        np.testing.assert_allclose((yaw, pitch), angles[:2], atol=2)
    assert region.side == pytest.approx(300) and np.allclose(region.centre, (400, 250))


def test_a_region_is_upright_in_its_own_pixels():
    region = Region(np.array([120.0, 80.0]), 64, np.radians(30))
    along = transform_points(np.array([[120, 80], [120 + 32 * np.cos(region.angle), 80 + 32 * np.sin(region.angle)]]),
                             region.matrix(192))
    np.testing.assert_allclose(along, [[95.5, 95.5], [191.5, 95.5]])


def test_irises_lie_within_the_eyes_and_are_as_large_as_irises_are(astronaut):
    box = DETECTORS.create("hog").detect([astronaut])[0][0].box
    (face,), = ALIGNERS.create("mesh").fit([astronaut], [box[None]])
    eyes = np.linalg.norm(face.landmarks[36] - face.landmarks[45])
    assert face.shape.score > 0.99 and abs(face.shape.pose).max() < 25
    for (x, y, radius), eye in zip(face.shape.irises, (face.landmarks[36:42], face.landmarks[42:48])):
        assert cv2.pointPolygonTest(eye.astype(np.float32), (float(x), float(y)), False) > 0
        assert 0.05 < radius / eyes < 0.09  # 11.7 mm across, of 90 mm


def test_half_of_the_box_makes_no_difference_and_a_picture_without_a_face_has_a_low_score(astronaut):
    box = DETECTORS.create("hog").detect([astronaut])[0][0].box
    aligner, side = ALIGNERS.create("mesh"), box[2] - box[0]
    boxes = np.stack([box, box + side * np.float32([-0.1, -0.1, 0.1, 0.1]), box + np.float32(0.1) * side])
    (first, *others), = aligner.fit([astronaut], [boxes])
    eyes = np.linalg.norm(first.landmarks[36] - first.landmarks[45])
    for other in others:
        assert np.linalg.norm(first.landmarks - other.landmarks, axis=1).mean() < 0.03 * eyes
    (nothing,), = aligner.fit([astronaut], [np.float32([[20, 380, 120, 480]])])
    assert nothing.shape.score < 0.1
