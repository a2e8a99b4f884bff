"""What of a picture is face, and what is hair over it; found by colour, near the landmarks."""

from __future__ import annotations

import cv2
import numpy as np

from lib.faces.geometry import LEFT_EYE, RIGHT_EYE
from lib.faces.masks import inner_skin

RIGHT_BROW, LEFT_BROW, NOSE, OUTER_LIPS = slice(17, 22), slice(22, 27), slice(27, 36), slice(48, 60)
LEAST_DEVIATION = (10.0, 3.0, 3.0)  # of skin's colours, 8-bit Lab
UNLIKE = 4.0  # deviations from which on a darker colour is not skin's
SMOOTHED = 1.5 / 160  # sigma, of the face's size
# And pixels around them, of 160
FEATURES = ((RIGHT_EYE, 8), (LEFT_EYE, 8), (OUTER_LIPS, 6), (RIGHT_BROW, 8), (LEFT_BROW, 8),
            (NOSE, 8))
HEIGHTS = np.array((-4, 0, 4, 8, 12, 16)) / 160  # of the face's size, above the brow landmarks


def face_size(points: np.ndarray) -> float:
    """Pixels: about the side of the mean face's unit square, of landmarks (68, 2) in a crop."""
    return 1.36 * float(np.linalg.norm(points[36] - points[45])) + 1e-6


def skin_colors(lab: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median and deviation (3,) of the colours of cheeks and nose, of `lab` (S, S, 3) float32 8-bit
    Lab."""
    inside = inner_skin(points, len(lab))[..., 0] > 0.5
    if not inside.any():
        return np.float32([128, 128, 128]), np.float32([255, 255, 255])
    usual = np.median(lab[inside], 0)
    return usual, np.maximum(1.48 * np.median(np.abs(lab[inside] - usual), 0), LEAST_DEVIATION)


def skin_mask(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(S, S) uint8: 255 = face, 0 = dark and unlike skin, such as hair over forehead and temples.
    Eyes, brows, nose and mouth are face.

    `picture` (S, S, 3) uint8 RGB, `points` (68, 2) in its pixels.
    """
    size = face_size(points)
    lab = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2LAB), (0, 0),
                           max(SMOOTHED * size, 0.5)).astype(np.float32)
    usual, deviation = skin_colors(lab, points)
    unlike = (np.square((lab - usual) / deviation).sum(-1) > UNLIKE ** 2) & (lab[..., 0] < usual[0])
    keep = np.zeros(picture.shape[:2], np.uint8)
    for part, margin in FEATURES:
        keep |= cv2.dilate(filled_hull(points[part], len(picture)), disc(margin / 160 * size))
    keep |= cv2.dilate(filled_hull(points[27:], len(picture)), disc(4 / 160 * size))
    mask = np.where(unlike & (keep == 0), 0, 255).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return cv2.erode(mask, np.ones((5, 5), np.uint8))


def brow_offsets(picture: np.ndarray, points: np.ndarray) -> float:
    """How far above the brow landmarks the picture is darkest, in pixels."""
    lightness = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)[..., 0]
    upwards = points[27] - points[30]
    size = face_size(points)
    heights = HEIGHTS * size
    upwards = upwards / (np.linalg.norm(upwards) + 1e-6)
    brow = points[17:27][[1, 2, 3, 6, 7, 8]]
    dark = []
    for height in heights:
        x, y = np.clip(brow + upwards * height, 0, len(picture) - 1).astype(int).T
        dark.append(np.median(lightness[y, x]))
    return float(heights[int(np.argmin(dark))])


def filled_hull(points: np.ndarray, height: int, width: int | None = None) -> np.ndarray:
    """(H, W) uint8: 255 inside the convex hull of `points` (K, 2), pixels; square for one length."""
    mask = np.zeros((height, width or height), np.uint8)
    outline = cv2.convexHull(np.round(points * 16).astype(np.int32))
    cv2.fillConvexPoly(mask, outline, 255, cv2.LINE_AA, 4)
    return mask


def disc(radius: float) -> np.ndarray:
    """(D, D) uint8: a disc of `radius` pixels to grow masks by."""
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * max(1, round(radius)) + 1,) * 2)
