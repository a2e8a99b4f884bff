"""Whether landmarks make sense as those of the face that was found."""

from __future__ import annotations

import numpy as np

from lib.faces.geometry import INNER, MEAN_FACE, similarity_transform, transform_points
from lib.types import Face

SMALLEST_SPREAD = 2.0  # pixels: landmarks closer together than this do not tell where a face is
# Bounds from 460 fits in photographs and footage, of which the worst of true faces (profiles, blurred) had 0.11, 0.15, 0.58 and 0.97.
FARTHEST = 0.16  # root mean square of the distance to the mean face, in its widths
OFF_CENTRE = 0.35  # of the middle of the landmarks from that of the box, in sides of the box
SIZES = (0.35, 1.6)  # width of the mean face fitted to the landmarks, in sides of the box


def is_face(face: Face) -> bool:
    """Whether the landmarks look like a face at all, and are where the detector saw one and of its size."""
    points, box = face.landmarks[INNER].astype(np.float64), face.detection.box
    if not np.isfinite(face.landmarks).all() or np.ptp(points, axis=0).max() < SMALLEST_SPREAD:
        return False
    matrix = similarity_transform(points, MEAN_FACE)
    apart = np.sqrt(((transform_points(points, matrix) - MEAN_FACE) ** 2).sum(1).mean())
    side = max(float((box[2:] - box[:2]).mean()), 1e-6)
    off = np.linalg.norm(face.landmarks.mean(0) - (box[:2] + box[2:]) / 2) / side
    size = 1 / max(np.sqrt(abs(np.linalg.det(matrix[:, :2]))) * side, 1e-9)
    return bool(apart <= FARTHEST and off <= OFF_CENTRE and SIZES[0] <= size <= SIZES[1])
