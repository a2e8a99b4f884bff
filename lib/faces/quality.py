"""Whether landmarks make sense as those of the face that was found."""

from __future__ import annotations

import numpy as np

from lib.faces.geometry import INNER, MEAN_FACE, similarity_transform, transform_points
from lib.types import Face

# Score of a shape from which on its landmarks are believed
LEAST_SURE = 0.5
SMALLEST_SPREAD = 2.0  # pixels: landmarks closer together than this do not tell where a face is
# Bounds from 460 fits in photographs and footage, of which the worst of true faces (profiles,
# blurred) had 0.11, 0.15, 0.58 and 0.97.
FARTHEST = 0.16  # root mean square of the distance to the mean face, in its widths
OFF_CENTRE = 0.35  # of the middle of the landmarks from that of the box, in sides of the box
# Like FARTHEST, of anything that may be a face at all; points in any order have twice as much or
# more
LEAST_LIKE = 0.3
THINNEST = 0.05  # how broad landmarks are across their longest extent: of profiles, a fifth
OUTERMOST = 1e6  # pixels: no landmark lies farther out
SCALES = (1e-4, 1e4)  # crop pixels that a frame's pixel may become
SIZES = (0.35, 1.6)  # width of the mean face fitted to the landmarks, in sides of the box


def check_landmarks(landmarks: np.ndarray) -> None:
    """Raises ValueError where landmarks (..., 68, 2) are no face's, so that nothing can be computed
    with them.
    """
    if not (np.abs(landmarks) <= OUTERMOST).all():  # NaN neither
        raise ValueError("a landmark is no place in a picture")
    points = landmarks[..., INNER, :].astype(np.float64)
    if (np.ptp(points, axis=-2).max(-1) < SMALLEST_SPREAD).any():
        raise ValueError("its landmarks lie on one spot")
    if (_thinness(points) < THINNEST).any():
        raise ValueError("its landmarks lie on a line")
    if (_mean_face_distance(points, similarity_transform(points, MEAN_FACE)) > LEAST_LIKE).any():
        raise ValueError("its landmarks are no face's")


def check_matrix(matrix: np.ndarray) -> None:
    """Raises ValueError where (..., 2, 3) matrices, frame -> crop pixels, are none of a crop."""
    scales = np.sqrt(np.abs(np.linalg.det(matrix[..., :2].astype(np.float64))))
    within = (scales > SCALES[0]).all() and (scales < SCALES[1]).all()
    if not within or not (np.abs(matrix) < OUTERMOST * SCALES[1]).all():
        raise ValueError("its matrix makes no sense")


def _thinness(points: np.ndarray) -> np.ndarray:
    """How broad a cloud of points (..., K, 2) is across its longest extent, as a share of that."""
    x, y = np.moveaxis(points - points.mean(-2, keepdims=True), -1, 0)
    xx, yy, xy = (x * x).mean(-1), (y * y).mean(-1), (x * y).mean(-1)
    # Of the difference between the variances along and across
    half = np.sqrt((xx - yy) ** 2 / 4 + xy * xy)
    return np.sqrt(np.maximum((xx + yy) / 2 - half, 0) / ((xx + yy) / 2 + half))


def _mean_face_distance(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Root mean square of the distance of points (..., 51, 2) to the mean face, in its widths."""
    return np.sqrt(((transform_points(points, matrix) - MEAN_FACE) ** 2).sum(-1).mean(-1))


def is_face(face: Face) -> bool:
    """Whether the landmarks look like a face, and lie where the detector saw one, of its size."""
    points, box = face.landmarks[INNER].astype(np.float64), face.detection.box
    if not np.isfinite(face.landmarks).all() or np.ptp(points, axis=0).max() < SMALLEST_SPREAD:
        return False
    matrix = similarity_transform(points, MEAN_FACE)
    distance = float(_mean_face_distance(points, matrix))
    side = max(float((box[2:] - box[:2]).mean()), 1e-6)
    off_centre = np.linalg.norm(face.landmarks.mean(0) - (box[:2] + box[2:]) / 2) / side
    size = 1 / max(np.sqrt(abs(np.linalg.det(matrix[:, :2]))) * side, 1e-9)
    return bool(distance <= FARTHEST and off_centre <= OFF_CENTRE and SIZES[0] <= size <= SIZES[1])
