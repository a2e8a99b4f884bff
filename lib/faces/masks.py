"""Masks made from landmarks alone."""

from __future__ import annotations

import cv2
import numpy as np

from lib.faces.geometry import template_matrix

BROWS = slice(17, 27)
EYES = slice(36, 48)
BROW_HEIGHT = 0.45  # of the distance from the eyes to the brow points, which run through the hairs: above them is as much brow again
SPOT = ((0.22,), (0.13,))  # standard deviations of `middle`, across and down, in sides of the mean face's unit square
SHIFT = 4  # OpenCV draws at 1/16 of a pixel


def with_whole_brows(landmarks: np.ndarray) -> np.ndarray:
    """(68, 2) float64: `landmarks` with the brow points above the brows."""
    points = np.asarray(landmarks, np.float64).copy()
    points[BROWS] += BROW_HEIGHT * (points[BROWS].mean(0) - points[EYES].mean(0))
    return points


def hull(landmarks: np.ndarray, size: int) -> np.ndarray:
    """The convex hull of `landmarks` (68, 2) in crop pixels, brows included, as (size, size, 1) float32 in [0, 1], 1 = face.

    The brow points are moved away from the eyes first: a hull through the brows leaves those of the face below visible.
    """
    outline = cv2.convexHull(np.rint(with_whole_brows(landmarks) * (1 << SHIFT)).astype(np.int32))
    mask = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(mask, outline, 255, cv2.LINE_AA, SHIFT)
    return (mask / np.float32(255))[..., None]


def middle(size: int, coverage: str) -> np.ndarray:
    """A soft spot, (size, size, 1) float32 with 1 at its top, on nose and cheeks of any face in an aligned crop: mostly skin."""
    matrix = template_matrix(size, coverage)
    scale, centre = matrix[0, 0], matrix @ (0.5, 0.5, 1)
    x, y = np.exp(-0.5 * ((np.arange(size) - centre[:, None]) / (np.array(SPOT) * scale)) ** 2)
    return (x[None] * y[:, None]).astype(np.float32)[..., None]
