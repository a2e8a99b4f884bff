"""Whether a person wears glasses, seen at the bridge of the nose, where skin has no line."""

from __future__ import annotations

import cv2
import numpy as np

from lib.faces.geometry import LEFT_EYE, RIGHT_EYE

APART = 70.0  # pixels between the eyes, at which they are looked for
THICKEST = 9  # pixels of a bridge, at that size
# Levels from which on a line is a bridge: eleven people without glasses have 17 at most, two with
# rims 34 and 44
WORN = 25.0


def bridge(picture: np.ndarray, landmarks: np.ndarray) -> float:
    """How much a line across the bridge of the nose stands out, in levels. WORN and more, in most
    pictures: the person wears glasses.

    Glasses without rims, or with clear ones, are not told. `picture` (H, W, 3) uint8 RGB,
    `landmarks` (68, 2) in its pixels.
    """
    first, second = landmarks[RIGHT_EYE].mean(0), landmarks[LEFT_EYE].mean(0)
    across = (second - first) * (APART / max(float((second - first) @ (second - first)), 1e-6))
    turn = np.array([[across[0], across[1]], [-across[1], across[0]]])
    matrix = np.hstack([turn, (np.array([APART, APART]) - turn @ ((first + second) / 2))[:, None]])
    small = cv2.warpAffine(picture, matrix, (int(2 * APART), int(2 * APART)),
                           flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    points = landmarks @ turn.T + matrix[:, 2]
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (THICKEST, THICKEST))
    lines = cv2.max(cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, kernel),
                    cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, kernel))
    rows, columns = (slice(max(int(low), 0), max(int(high), 1)) for low, high in (
        (points[27, 1] - 0.12 * APART, points[28, 1]),
        (points[27, 0] - 0.12 * APART, points[27, 0] + 0.12 * APART)))
    part = lines[rows, columns]
    return float(np.median(part.max(0))) if part.size else 0.0
