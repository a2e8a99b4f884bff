"""Hair taken off training faces.

A strand that hangs over the temple of one person would be drawn, as a dark patch, on the temple of the other.
"""

from __future__ import annotations

import cv2
import numpy as np

from lib.faces.masks import BROWS, EYES, hull

# Indices into the 68 landmarks
RIGHT_EYE, LEFT_EYE, RIGHT_BROW, LEFT_BROW = slice(36, 42), slice(42, 48), slice(17, 22), slice(22, 27)
NOSE_AND_CHEEKS = [1, 3, 31, 35, 13, 15, 27]
NOSE_TIP = 33

UNLIKE_SKIN = 3.0  # deviations of the colours of nose and cheeks
LEAST_DEVIATION = (10, 4, 4)  # of them, in 8-bit Lab

# In distances between the eyes
EYE_MARGIN, BROW_WIDTH, SPECK, RIM, HAIR_MARGIN, AROUND, SKIN_BLUR, EDGE = 0.12, 0.16, 0.02, 0.04, 0.1, 0.4, 0.2, 0.05


def painted_over(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """`image` (S, S, 3) uint8 RGB with skin where hair hangs over brow and temples; `landmarks` (68, 2) in its pixels.

    Hair is what has other colours than nose and cheeks and is joined to the rim of the face. Eyes and brows are the face's,
    and so is a beard: nothing is looked for below the middle of the nose. Where no hair is found, `image` itself comes back.
    """
    points = np.asarray(landmarks, np.float32)
    between_eyes = float(np.linalg.norm(points[RIGHT_EYE].mean(0) - points[LEFT_EYE].mean(0)))
    features = _eyes_and_brows(points, image.shape[0], between_eyes)
    other = _unlike_skin(image, points, features)
    upper = _above_the_cheeks(points, image.shape[0])
    face = (hull(landmarks, image.shape[0])[..., 0] > 0.5).astype(np.uint8)

    inside = cv2.morphologyEx((other & upper & (face > features)).astype(np.uint8), cv2.MORPH_OPEN, _disc(SPECK * between_eyes))
    _, parts = cv2.connectedComponents(inside)
    rim = face > cv2.erode(face, _disc(RIM * between_eyes))
    hair = np.isin(parts, np.unique(parts[rim & (inside > 0)]))
    if not hair.any():
        return image
    hair |= other & upper & (cv2.dilate(face, _disc(AROUND * between_eyes)) > face)  # this face, bent, may become wider there
    hair = cv2.dilate(hair.astype(np.uint8), _disc(HAIR_MARGIN * between_eyes)) & (1 - features)

    skin = (face & (1 - other) & (1 - hair) & (1 - features)).astype(np.float32)
    colors, near = (cv2.GaussianBlur(part, (0, 0), SKIN_BLUR * between_eyes) for part in (image * skin[..., None], skin))
    near = near[..., None]
    share = cv2.GaussianBlur(hair.astype(np.float32), (0, 0), EDGE * between_eyes)[..., None] * np.minimum(1, 20 * near)
    return np.clip(image + share * (colors / (near + 1e-3) - image), 0, 255).astype(np.uint8)


def _eyes_and_brows(points: np.ndarray, size: int, between_eyes: float) -> np.ndarray:
    """(size, size) uint8, 1 = inside."""
    features = np.zeros((size, size), np.uint8)
    for eye in (RIGHT_EYE, LEFT_EYE):
        cv2.fillConvexPoly(features, cv2.convexHull(points[eye].round().astype(np.int32)), 1)
    features = cv2.dilate(features, _disc(EYE_MARGIN * between_eyes))
    up = 0.1 * (points[BROWS].mean(0) - points[EYES].mean(0))
    for brow in (RIGHT_BROW, LEFT_BROW):
        cv2.polylines(features, [(points[brow] + up).round().astype(np.int32)], False, 1, max(1, round(BROW_WIDTH * between_eyes)))
    return features


def _unlike_skin(image: np.ndarray, points: np.ndarray, features: np.ndarray) -> np.ndarray:
    """(S, S) bool: of other colours than nose and cheeks."""
    skin = np.zeros_like(features)
    cv2.fillConvexPoly(skin, cv2.convexHull(points[NOSE_AND_CHEEKS].round().astype(np.int32)), 1)
    skin = skin > features
    if not skin.any():
        return skin
    lab = cv2.cvtColor(cv2.GaussianBlur(image, (0, 0), 0.3 + 0.006 * image.shape[0]), cv2.COLOR_RGB2LAB).astype(np.float32)
    usual = np.median(lab[skin], 0)
    deviation = np.maximum(1.48 * np.median(np.abs(lab[skin] - usual), 0), LEAST_DEVIATION)
    return np.square((lab - usual) / deviation).sum(-1) > UNLIKE_SKIN ** 2


def _above_the_cheeks(points: np.ndarray, size: int) -> np.ndarray:
    """(size, size) bool: above a line across the face, a third of the way from the eyes to the tip of the nose."""
    eyes = points[EYES].mean(0)
    down = points[NOSE_TIP] - eyes
    y, x = np.mgrid[:size, :size]
    return (x - eyes[0]) * down[0] + (y - eyes[1]) * down[1] < 0.35 * (down @ down)


def _disc(radius: float) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * max(1, round(radius)) + 1,) * 2)
