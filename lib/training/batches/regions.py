"""Where face, eyes and mouth are in a crop."""

from __future__ import annotations

import cv2
import numpy as np

from lib.faces.masks import SHIFT, with_whole_brows

EYES = (slice(36, 42), slice(42, 48))
MOUTH = slice(48, 60)
LIPS = slice(48, 68)
MARGIN = 0.03  # around eyes and mouth, as a share of the crop's side


def region_map(landmarks: np.ndarray, size: int) -> np.ndarray:
    """(68, 2) crop pixels -> (size, size, 3) uint8: face, eyes, mouth, 255 = inside."""
    face, eyes, mouth = np.zeros((3, size, size), np.uint8)
    _fill_hull(face, with_whole_brows(landmarks))
    margin = max(1, round(size * MARGIN))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    for canvas, parts in ((eyes, EYES), (mouth, (MOUTH,))):
        for part in parts:
            _fill_hull(canvas, landmarks[part])
        points = np.concatenate([landmarks[part] for part in parts])
        corners = points.min(0) - margin - 2, points.max(0) + margin + 3
        (left, top), (right, bottom) = np.clip(corners, 0, size).astype(int)
        if right > left and bottom > top:  # on the crop
            area = canvas[top:bottom, left:right]
            area[...] = cv2.dilate(area, kernel)
    return cv2.merge([face, eyes, mouth])


def _fill_hull(canvas: np.ndarray, points: np.ndarray) -> None:
    """Fills the hull of `points` (K, 2), at 1/16 of a pixel."""
    fine = np.rint(points * (1 << SHIFT)).astype(np.int32)
    cv2.fillConvexPoly(canvas, cv2.convexHull(fine), 255, cv2.LINE_AA, SHIFT)
