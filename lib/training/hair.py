"""Hair taken off training faces.

A strand that hangs over the temple of one person would be drawn, as a dark patch, on the temple of the other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import cv2
import numpy as np

from lib.faces.geometry import LEFT_EYE, MIRRORED, RIGHT_EYE
from lib.faces.masks import BROWS, EYES, hull

# Indices into the 68 landmarks
RIGHT_BROW, LEFT_BROW = slice(17, 22), slice(22, 27)
NOSE_AND_CHEEKS = [1, 3, 31, 35, 13, 15, 27]
NOSE_TIP = 33

UNLIKE_SKIN, BARE = 3.0, 2.2  # deviations of the colours of nose and cheeks: hair is further away, the skin over a bare brow nearer
LEAST_DEVIATION = (10, 4, 4)  # of them, in 8-bit Lab

# In distances between the eyes
EYE_MARGIN, BROW_WIDTH, SPECK, RIM, HAIR_MARGIN, AROUND, SKIN_BLUR, EDGE = 0.12, 0.16, 0.02, 0.04, 0.1, 0.4, 0.2, 0.05


def hidden_brow_points(images: Sequence[np.ndarray], landmarks: Sequence[np.ndarray]) -> list[int]:
    """Indices of the brow landmarks over which hair hangs in most `images` of one person, while their counterparts are bare.

    `images` (S, S, 3) uint8 RGB, `landmarks` (68, 2) in their pixels.
    """
    above = []
    for image, points in zip(images, landmarks):
        points = np.asarray(points, np.float32)
        between_eyes = _between_eyes(points)
        unlike = _unlike_skin(image, points, _eyes_and_brows(points, image.shape[0], between_eyes))
        places = points[BROWS] + BROW_WIDTH * between_eyes * _up(points)
        x, y = np.clip(places.round().astype(int), 0, image.shape[0] - 1).T
        above.append(unlike[y, x])
    usual = np.zeros(68)
    usual[BROWS] = np.median(above, axis=0)
    return [index for index in range(BROWS.start, BROWS.stop) if usual[index] > UNLIKE_SKIN and usual[MIRRORED[index]] < BARE]


def painted_over(image: np.ndarray, landmarks: np.ndarray, hidden: Collection[int] = ()) -> np.ndarray:
    """`image` (S, S, 3) uint8 RGB with skin where hair hangs over brow and temples; `landmarks` (68, 2) in its pixels.

    Hair is what has other colours than nose and cheeks and is joined to the rim of the face. Eyes and brows are the face's,
    and so is a beard: nothing is looked for below the middle of the nose. Where no hair is found, `image` itself comes back.
    Around the brow landmarks `hidden`, the other brow's mirror image is drawn.
    """
    points = np.asarray(landmarks, np.float32)
    size, between_eyes = image.shape[0], _between_eyes(points)
    features = _eyes_and_brows(points, size, between_eyes)
    other = _unlike_skin(image, points, features) > UNLIKE_SKIN
    upper = _above_the_cheeks(points, size)
    face = (hull(landmarks, size)[..., 0] > 0.5).astype(np.uint8)

    inside = cv2.morphologyEx((other & upper & (face > features)).astype(np.uint8), cv2.MORPH_OPEN, _disc(SPECK * between_eyes))
    _, parts = cv2.connectedComponents(inside)
    rim = face > cv2.erode(face, _disc(RIM * between_eyes))
    hair = np.isin(parts, np.unique(parts[rim & (inside > 0)]))
    if not hair.any() and not hidden:
        return image
    hair |= other & upper & (cv2.dilate(face, _disc(AROUND * between_eyes)) > face)  # this face, bent, may become wider there
    hair = cv2.dilate(hair.astype(np.uint8), _disc(HAIR_MARGIN * between_eyes)) & (1 - features)
    hair |= _around_brow(points, hidden, size, between_eyes)

    skin = (face & (1 - other) & (1 - hair) & (1 - features)).astype(np.float32)
    colors, near = (cv2.GaussianBlur(part, (0, 0), SKIN_BLUR * between_eyes) for part in (image * skin[..., None], skin))
    near = near[..., None]
    colors /= near + 1e-3
    share = cv2.GaussianBlur(hair.astype(np.float32), (0, 0), EDGE * between_eyes)[..., None] * np.minimum(1, 20 * near)
    painted = image + share * (colors - image)
    darkness = np.minimum(image.sum(-1) / (colors.sum(-1) + 1) - 1, 0)  # of brows, against the skin around them
    for brow, eye in ((RIGHT_BROW, RIGHT_EYE), (LEFT_BROW, LEFT_EYE)):
        here = [index for index in hidden if brow.start <= index < brow.stop]
        if here:
            donor = _around_brow(points, MIRRORED[here], size, between_eyes) & (1 - hair)
            donor = cv2.GaussianBlur(donor.astype(np.float32), (0, 0), EDGE * between_eyes)
            painted += share * colors * _mirrored(darkness * donor, points, brow, eye)[..., None]
    return np.clip(painted, 0, 255).astype(np.uint8)


def _between_eyes(points: np.ndarray) -> float:
    return float(np.linalg.norm(points[RIGHT_EYE].mean(0) - points[LEFT_EYE].mean(0)))


def _up(points: np.ndarray) -> np.ndarray:
    """(2,): from the eyes to the brows, of length 1."""
    up = points[BROWS].mean(0) - points[EYES].mean(0)
    return up / max(float(np.linalg.norm(up)), 1e-6)


def _around_brow(points: np.ndarray, which: Collection[int], size: int, between_eyes: float) -> np.ndarray:
    """(size, size) uint8, 1 = on the brow at those landmarks, or a brow's height above it, but not at an eye."""
    around = np.zeros((size, size), np.uint8)
    places = points + 0.75 * BROW_WIDTH * between_eyes * _up(points)
    cv2.polylines(around, [places[list(which)].round().astype(np.int32)], False, 1, max(1, round(2.5 * BROW_WIDTH * between_eyes)))
    return around & (1 - _eyes(points, size, between_eyes))


def _mirrored(picture: np.ndarray, points: np.ndarray, brow: slice, eye: slice) -> np.ndarray:
    """`picture` with the other side of the face where `brow` and `eye` are."""
    here = np.concatenate([points[brow], points[eye]])
    there = points[np.concatenate([MIRRORED[brow], MIRRORED[eye]])]
    matrix = np.linalg.lstsq(np.column_stack([here, np.ones(len(here))]), there, rcond=None)[0].T
    return cv2.warpAffine(picture, matrix, picture.shape[1::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def _eyes_and_brows(points: np.ndarray, size: int, between_eyes: float) -> np.ndarray:
    """(size, size) uint8, 1 = inside."""
    features = _eyes(points, size, between_eyes)
    up = 0.1 * (points[BROWS].mean(0) - points[EYES].mean(0))
    for brow in (RIGHT_BROW, LEFT_BROW):
        cv2.polylines(features, [(points[brow] + up).round().astype(np.int32)], False, 1, max(1, round(BROW_WIDTH * between_eyes)))
    return features


def _eyes(points: np.ndarray, size: int, between_eyes: float) -> np.ndarray:
    """(size, size) uint8, 1 = at an eye."""
    eyes = np.zeros((size, size), np.uint8)
    for eye in (RIGHT_EYE, LEFT_EYE):
        cv2.fillConvexPoly(eyes, cv2.convexHull(points[eye].round().astype(np.int32)), 1)
    return cv2.dilate(eyes, _disc(EYE_MARGIN * between_eyes))


def _unlike_skin(image: np.ndarray, points: np.ndarray, features: np.ndarray) -> np.ndarray:
    """(S, S) float32: how far a place's colour is from those of nose and cheeks, in their deviations."""
    skin = np.zeros_like(features)
    cv2.fillConvexPoly(skin, cv2.convexHull(points[NOSE_AND_CHEEKS].round().astype(np.int32)), 1)
    skin = skin > features
    if not skin.any():
        return np.zeros(image.shape[:2], np.float32)
    lab = cv2.cvtColor(cv2.GaussianBlur(image, (0, 0), 0.3 + 0.006 * image.shape[0]), cv2.COLOR_RGB2LAB).astype(np.float32)
    usual = np.median(lab[skin], 0)
    deviation = np.maximum(1.48 * np.median(np.abs(lab[skin] - usual), 0), LEAST_DEVIATION)
    return np.sqrt(np.square((lab - usual) / deviation).sum(-1))


def _above_the_cheeks(points: np.ndarray, size: int) -> np.ndarray:
    """(size, size) bool: above a line across the face, a third of the way from the eyes to the tip of the nose."""
    eyes = points[EYES].mean(0)
    down = points[NOSE_TIP] - eyes
    y, x = np.mgrid[:size, :size]
    return (x - eyes[0]) * down[0] + (y - eyes[1]) * down[1] < 0.35 * (down @ down)


def _disc(radius: float) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * max(1, round(radius)) + 1,) * 2)
