"""Where eyes look: how far each iris lies from the middle of its eye."""

from __future__ import annotations

import cv2
import numpy as np

from lib.faces.geometry import LEFT_EYE, RIGHT_EYE, eye_openings
from lib.types import Eyes

# Height by width of an eye, as the iris network sees it, that is shut, and that is surely not
SHUT, OPEN = 0.18, 0.28
# Radius by the eye's width, and distance of the iris from the eye's middle, likewise: what they may
# be at most, and from where on they are surely wrong
RADII = (0.12, 0.16), (0.30, 0.36)
FARTHEST = 0.30, 0.40
# By which share an iris is darker than the white, where it is one
CONTRAST = 0.04, 0.12
EYES = RIGHT_EYE, LEFT_EYE
SHIFT = 4  # bits of a fraction in OpenCV's drawing


def gaze(eyes: Eyes) -> np.ndarray:
    """(2, 2): how far the right and the left iris lie from the middle between the corners of their
    eye, to the picture's right along the eye and down across it, in widths of the eye."""
    first, last, width = _corners(eyes.landmarks)
    along = (last - first) / width
    across = along[:, ::-1] * [-1, 1]
    apart = eyes.irises[:, :2] - (first + last) / 2
    return np.stack([(apart * along).sum(1), (apart * across).sum(1)], 1) / width


def visibility(eyes: Eyes) -> np.ndarray:
    """(2,) from 0 to 1: how surely the gaze of each eye can be told."""
    return np.minimum(openness(eyes), iris_likeness(eyes))


def openness(eyes: Eyes) -> np.ndarray:
    """(2,): 0 of an eye that is shut or nearly so, 1 of one that is surely not."""
    return ramp(eye_openings(eyes.landmarks), SHUT, OPEN)


def iris_likeness(eyes: Eyes) -> np.ndarray:
    """(2,): 0 of what is no iris by its size or its place in the eye, 1 of what may be one."""
    radii = eyes.irises[:, 2] / _corners(eyes.landmarks)[2][:, 0]
    return np.min([ramp(radii, *RADII[0]), 1 - ramp(radii, *RADII[1]),
                   1 - ramp(np.linalg.norm(gaze(eyes), axis=1), *FARTHEST)], 0)


def iris_contrast(picture: np.ndarray, eyes: Eyes) -> np.ndarray:
    """(2,) from 0 to 1: whether each iris is darker than what else is seen between the lids of
    `picture` (H, W, 3) uint8 RGB, as it is not behind a reflection."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    contrasts = []
    for part, (x, y, radius) in zip(EYES, eyes.irises):
        inside, iris, surroundings = np.zeros((3, *grey.shape), np.uint8)
        cv2.fillConvexPoly(inside, cv2.convexHull(_fixed(eyes.landmarks[part])), 1, shift=SHIFT)
        centre = _fixed(np.array([x, y])).tolist()
        cv2.circle(iris, centre, round(0.8 * radius * (1 << SHIFT)), 1, -1, shift=SHIFT)
        cv2.circle(surroundings, centre, round(1.1 * radius * (1 << SHIFT)), 1, -1, shift=SHIFT)
        dark, light = grey[(inside & iris) > 0], grey[(inside & ~surroundings) > 0]
        contrasts.append(1 - dark.mean() / max(light.mean(), 1)
                         if len(dark) > 3 and len(light) > 3 else 0)
    return ramp(np.array(contrasts), *CONTRAST)


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.rint(points * (1 << SHIFT)).astype(np.int32)


def _corners(landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The left and the right corner of each eye as the picture has it, (2, 2) each, and the widths
    (2, 1)."""
    eyes = np.stack([landmarks[RIGHT_EYE], landmarks[LEFT_EYE]]).astype(np.float64)
    width = np.linalg.norm(eyes[:, 3] - eyes[:, 0], axis=1, keepdims=True)
    return eyes[:, 0], eyes[:, 3], np.maximum(width, 1e-6)


def ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, without a bend between."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)
