"""Heads of known pose: turned by numbers, seen by a far camera, narrow and wide."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lib.faces.pose import POINTS, SHAPE, angle_between, head_rotation, turned_pose, yaw_pitch_roll


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """(3, 3): turned to the right, raised, tilted clockwise, degrees; x right, y down, z away."""
    (sy, sp, sr), (cy, cp, cr) = (turn(np.radians((yaw, pitch, roll))) for turn in (np.sin, np.cos))
    turned = np.array([(cy, 0, -sy), (0, 1, 0), (sy, 0, cy)])
    raised = np.array([(1, 0, 0), (0, cp, sp), (0, -sp, cp)])
    tilted = np.array([(cr, -sr, 0), (sr, cr, 0), (0, 0, 1)])
    return tilted @ turned @ raised


def seen(turn: np.ndarray, width: float = 1.0, size: float = 12.0) -> np.ndarray:
    """(68, 2) landmarks of the model's head so turned, by a camera without perspective; `width` makes it narrower."""
    landmarks = np.zeros((68, 2))
    landmarks[POINTS] = 300 + size * (SHAPE * (width, 1, 1) @ turn.T)[:, :2]
    return landmarks


@pytest.mark.parametrize("width", [0.85, 1.0, 1.15])
@pytest.mark.parametrize("angles", [(0, 0, 0), (25, 0, 0), (-40, 5, 0), (0, 15, 0), (10, -12, 30), (-3, 0, -90)], ids=str)
def test_a_turned_head_is_found_whatever_its_width(angles, width):
    found = head_rotation(seen(rotation(*angles), width))
    assert angle_between(found, rotation(*angles)) < 3
    if not angles[2]:
        assert yaw_pitch_roll(found) == pytest.approx(angles, abs=3)


def test_a_narrow_face_to_the_front_does_not_look_turned():
    noise = np.random.default_rng(0)
    yaw = [yaw_pitch_roll(head_rotation(seen(np.eye(3), 0.85) + noise.normal(0, 0.5, (68, 2))))[0] for _ in range(50)]
    assert np.abs(yaw).max() < 4


def test_points_without_a_face_are_refused():
    with pytest.raises(ValueError, match="coincide"):
        head_rotation(np.full((68, 2), 5.0))
    with pytest.raises(ValueError, match="line"):
        head_rotation(np.repeat(np.arange(68.0)[:, None], 2, 1) * (1, 0))


@pytest.mark.parametrize("angle", [0, 90, 180, -45])
def test_a_pose_in_a_picture_that_is_turned(angle):
    """As that of the head whose rotation is turned with the picture."""
    head = cv2.Rodrigues(np.radians([12.0, 25, 8]))[0]
    turn = cv2.Rodrigues(np.radians([0.0, 0, angle]))[0]
    matrix = np.hstack([3 * turn[:2, :2], [[5], [7]]])
    expected = yaw_pitch_roll(turn @ head)
    difference = turned_pose(yaw_pitch_roll(head), matrix) - expected
    # a roll is read off the axis through the ears, which leans when the head is turned
    np.testing.assert_allclose(difference[:2], 0, atol=1e-3)
    assert abs((difference[2] + 180) % 360 - 180) < 12
