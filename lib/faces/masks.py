"""Masks made from landmarks alone."""

from __future__ import annotations

import cv2
import numpy as np

from lib.faces.geometry import template_matrix

BROWS = slice(17, 27)
EYES = slice(36, 48)
SKIN = [1, 3, 31, 35, 13, 15, 27]  # the outline of nose and cheeks
BROW_HEIGHT = 0.45  # of the distance from the eyes to the brow points, which run through the hairs: above them is as much brow again
SPOT = ((0.22,), (0.13,))  # standard deviations of `middle`, across and down, in sides of the mean face's unit square
# What counts as hair, in deviations of the skin's own colours, which are at least so large in 8-bit Lab
HAIR, LEAST_DEVIATION = 3.0, (10, 4, 4)
SHIFT = 4  # OpenCV draws at 1/16 of a pixel


def hull(landmarks: np.ndarray, size: int) -> np.ndarray:
    """The convex hull of `landmarks` (68, 2) in crop pixels, brows included, as (size, size, 1) float32 in [0, 1], 1 = face.

    The brow points are moved away from the eyes first: a hull through the brows leaves those of the face below visible.
    """
    points = np.asarray(landmarks, np.float64).copy()
    up = points[BROWS].mean(0) - points[EYES].mean(0)
    points[BROWS] += BROW_HEIGHT * up
    outline = cv2.convexHull(np.rint(points * (1 << SHIFT)).astype(np.int32))
    mask = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(mask, outline, 255, cv2.LINE_AA, SHIFT)
    return (mask / np.float32(255))[..., None]


def without_hair(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """`image` (S, S, 3) uint8 RGB with skin where hair hangs over temples and brow; `landmarks` (68, 2) in its pixels.

    Hair is what has other colours than nose and cheeks and is joined to the hull's rim. Eyes and brows are the face's, and so is a
    beard: nothing is looked for below the middle of the nose.
    """
    size, points = image.shape[0], np.asarray(landmarks, np.float32)
    eyes = points[EYES].mean(0)
    apart = float(np.linalg.norm(points[36:42].mean(0) - points[42:48].mean(0)))
    up, down = points[BROWS].mean(0) - eyes, points[33] - eyes
    features = np.zeros((size, size), np.uint8)
    for part in (slice(36, 42), slice(42, 48)):
        cv2.fillConvexPoly(features, cv2.convexHull(points[part].round().astype(np.int32)), 1)
    features = cv2.dilate(features, _round(0.12 * apart))
    for part in (slice(17, 22), slice(22, 27)):
        cv2.polylines(features, [(points[part] + 0.1 * up).round().astype(np.int32)], False, 1, max(1, round(0.16 * apart)))
    cheeks = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(cheeks, cv2.convexHull(points[SKIN].round().astype(np.int32)), 1)
    cheeks = cheeks > features
    if not cheeks.any():
        return image
    lab = cv2.cvtColor(cv2.GaussianBlur(image, (0, 0), 0.3 + 0.006 * size), cv2.COLOR_RGB2LAB).astype(np.float32)
    usual = np.median(lab[cheeks], 0)
    deviation = np.maximum(1.48 * np.median(np.abs(lab[cheeks] - usual), 0), LEAST_DEVIATION)
    other = np.square((lab - usual) / deviation).sum(-1) > HAIR ** 2
    y, x = np.mgrid[:size, :size]
    upper = (x - eyes[0]) * down[0] + (y - eyes[1]) * down[1] < 0.35 * (down @ down)
    face = (hull(landmarks, size)[..., 0] > 0.5).astype(np.uint8)
    inside = cv2.morphologyEx((other & upper & (face > features)).astype(np.uint8), cv2.MORPH_OPEN, _round(0.02 * apart))
    _, parts = cv2.connectedComponents(inside)
    rim = face > cv2.erode(face, _round(0.04 * apart))
    hair = np.isin(parts, np.unique(parts[rim & (inside > 0)])).astype(np.uint8)
    if not hair.any():
        return image
    around = other & upper & (cv2.dilate(face, _round(0.4 * apart)) > face)  # another's face, or this one bent, may be wider there
    hair = cv2.dilate(hair | around, _round(0.1 * apart)) & (1 - features)
    skin = (face & (1 - other) & (1 - hair) & (1 - features)).astype(np.float32)[..., None]
    near = [cv2.GaussianBlur(part, (0, 0), 0.2 * apart) for part in (image * skin, skin)]
    fill = near[0] / (near[1][..., None] + 1e-3)
    share = cv2.GaussianBlur(hair.astype(np.float32), (0, 0), 0.05 * apart)[..., None] * np.minimum(1, 20 * near[1][..., None])
    return np.clip(image + share * (fill - image), 0, 255).astype(np.uint8)


def _round(radius: float) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * max(1, round(radius)) + 1,) * 2)


def middle(size: int, coverage: str) -> np.ndarray:
    """A soft spot, (size, size, 1) float32 with 1 at its top, on nose and cheeks of any face in an aligned crop: mostly skin."""
    matrix = template_matrix(size, coverage)
    scale, centre = matrix[0, 0], matrix @ (0.5, 0.5, 1)
    x, y = np.exp(-0.5 * ((np.arange(size) - centre[:, None]) / (np.array(SPOT) * scale)) ** 2)
    return (x[None] * y[:, None]).astype(np.float32)[..., None]
