"""Which way a head points, from its landmarks."""

from __future__ import annotations

import cv2
import numpy as np

# Landmarks that stand still when the face moves, and where they are on a widely published generic head: nose tip, chin, outer
# corners of the eyes, corners of the mouth; x to the picture's right, y down, z away from the viewer
RIGID = [30, 8, 36, 45, 48, 54]
HEAD = np.array([(0, 0, 0), (0, 330, 65), (-225, -170, 135), (225, -170, 135), (-150, 150, 125), (150, 150, 125)], np.float64)
DISTANCE = 6.0  # of the camera, in sizes of the face: so far that perspective hardly counts


def head_rotation(landmarks: np.ndarray) -> np.ndarray:
    """(3, 3) rotation of a head that faces the camera into the one whose `landmarks` (68, 2), in pixels, are given.

    "Perspective-n-Point" from six points, with a camera of unknown make taken to be far away. Raises ValueError if the points
    coincide.
    """
    points = np.asarray(landmarks, np.float64)[RIGID]
    middle, size = points.mean(0), np.ptp(points, axis=0).max()
    if not size > 1e-6:
        raise ValueError("the points coincide")
    camera = np.array([(DISTANCE, 0, 0), (0, DISTANCE, 0), (0, 0, 1)], np.float64)
    _, turn, _ = cv2.solvePnP(HEAD, (points - middle) / size, camera, None, flags=cv2.SOLVEPNP_SQPNP)
    return cv2.Rodrigues(turn)[0]


def angle_between(one: np.ndarray, other: np.ndarray) -> float:
    """Degrees from one (3, 3) rotation to another, 0 to 180."""
    return float(np.degrees(np.linalg.norm(cv2.Rodrigues(one.T @ other)[0])))


def yaw_pitch_roll(rotation: np.ndarray) -> np.ndarray:
    """(3,) degrees: the head turned to the picture's right, up, and tilted clockwise in the picture."""
    forward = rotation @ (0, 0, -1)
    yaw, pitch = np.arctan2(forward[0], -forward[2]), np.arcsin(np.clip(-forward[1], -1, 1))
    right = rotation @ (1, 0, 0)
    return np.degrees([yaw, pitch, np.arctan2(right[1], right[0])])
