"""Which way a head points, from its landmarks."""

from __future__ import annotations

import cv2
import numpy as np

# Where landmarks that move little with the face are on a widely published anthropometric head, in
# centimetres: x to the picture's right, y down, z away from the viewer. The tip of the nose is
# that of another published head, of six points.
HEAD = {17: (-6.826, -6.761, -4.402), 21: (-1.330, -7.122, -6.904),  # brows
        22: (1.330, -7.122, -6.904), 26: (6.826, -6.761, -4.402),
        36: (-5.311, -5.485, -3.988), 39: (-1.790, -5.394, -4.413),  # eyes
        42: (1.790, -5.394, -4.413), 45: (5.311, -5.485, -3.988),
        30: (0, -1.48, -7.17), 31: (-2.006, -1.410, -6.166), 35: (2.006, -1.410, -6.166),  # nose
        48: (-2.774, 2.081, -5.049), 54: (2.774, 2.081, -5.049), 57: (0, 3.116, -6.098),  # mouth
        8: (0, 7.416, -4.070)}  # chin
POINTS = list(HEAD)
SHAPE = np.array(list(HEAD.values())) - np.mean(list(HEAD.values()), axis=0)
WIDTHS = (0.75, 1.35)  # of faces, against the model's
DISTANCE = 6.0  # of the camera, in sizes of the face: so far that perspective hardly counts


def head_rotation(landmarks: np.ndarray) -> np.ndarray:
    """(3, 3) rotation of a head that faces the camera into the one with these `landmarks` (68, 2),
    in pixels.

    "Perspective-n-Point", with a camera of unknown make taken to be far away. A face that is
    narrower than the head of the model would look like one turned away, to either side alike: an
    affine camera, which tells width from turn, says how wide it is and where the search begins.
    Raises ValueError if the points coincide.
    """
    points = np.asarray(landmarks, np.float64)[POINTS]
    middle, size = points.mean(0), np.ptp(points, axis=0).max()
    if not size > 1e-6:
        raise ValueError("the points coincide")
    points = (points - middle) / size
    rows = np.linalg.lstsq(SHAPE, points, rcond=None)[0].T  # (2, 3): the affine camera
    width = _width(rows)
    rows /= (width, 1, 1)

    # Where the search begins, then the search
    u, lengths, vt = np.linalg.svd(rows, full_matrices=False)
    if not lengths.min() > 1e-6:
        raise ValueError("the points lie on a line")
    across = u @ vt
    turn = cv2.Rodrigues(np.vstack([across, np.cross(*across)]))[0]
    camera = np.array([(DISTANCE, 0, 0), (0, DISTANCE, 0), (0, 0, 1)], np.float64)
    away = np.array([[0.0], [0.0], [DISTANCE / lengths.mean()]])
    _, turn, _ = cv2.solvePnP(SHAPE * (width, 1, 1), points, camera, None, turn, away,
                              useExtrinsicGuess=True, flags=cv2.SOLVEPNP_ITERATIVE)
    return cv2.Rodrigues(turn)[0]


def _width(rows: np.ndarray) -> float:
    """How wide the face is, of the model's width.

    With this width the affine camera `rows` (2, 3) has two rows of one length, at right angles.
    """
    (x, y), rest = rows[:, 0], rows[:, 1:]
    by_width = np.array([x * y, x * x - y * y])
    by_rest = np.array([rest[0] @ rest[1], rest[0] @ rest[0] - rest[1] @ rest[1]])
    square = -(by_width @ by_rest) / max(float(by_width @ by_width), 1e-12)  # of 1 / width
    return float(np.clip(1 / np.sqrt(max(square, 1e-6)), *WIDTHS))


def angle_between(first: np.ndarray, second: np.ndarray) -> float:
    """Degrees from one (3, 3) rotation to another, 0 to 180."""
    return float(np.degrees(np.linalg.norm(cv2.Rodrigues(first.T @ second)[0])))


def yaw_pitch_roll(rotation: np.ndarray) -> np.ndarray:
    """(3,) degrees: turned to the picture's right, turned up, tilted clockwise in the picture."""
    forward = rotation @ (0, 0, -1)
    yaw, pitch = np.arctan2(forward[0], -forward[2]), np.arcsin(np.clip(-forward[1], -1, 1))
    right = rotation @ (1, 0, 0)
    return np.degrees([yaw, pitch, np.arctan2(right[1], right[0])])


def turned_pose(pose: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(3,) float32: a pose as `yaw_pitch_roll` has it, where the picture is turned by `matrix`
    (2, 3)."""
    yaw, pitch, roll = np.radians(pose.astype(np.float64))
    forward = np.array([np.sin(yaw) * np.cos(pitch), -np.sin(pitch)]) @ matrix[:, :2].T
    forward /= np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    yaw = np.arctan2(forward[0], np.cos(yaw) * np.cos(pitch))
    roll += np.arctan2(matrix[1, 0], matrix[0, 0])
    return np.degrees([yaw, np.arcsin(np.clip(-forward[1], -1, 1)),
                       (roll + np.pi) % (2 * np.pi) - np.pi]).astype(np.float32)
