"""Where eyes look: how far each iris lies from the middle of its eye."""

from __future__ import annotations

import numpy as np

from lib.faces.geometry import LEFT_EYE, RIGHT_EYE, eye_openings
from lib.types import Eyes

# Height by width of an eye, as the iris network sees it, that is shut, and that is surely not
SHUT, OPEN = 0.18, 0.28
# Radius by the eye's width, and distance of the iris from the eye's middle, likewise: what they may
# be at most, and from where on they are surely wrong
RADII = (0.12, 0.16), (0.30, 0.36)
FARTHEST = 0.30, 0.40


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
