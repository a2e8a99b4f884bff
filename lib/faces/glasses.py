"""Whether a person wears glasses, seen at the bridge of the nose, where skin has no line."""

from __future__ import annotations

import cv2
import numpy as np

from lib.faces.geometry import LEFT_EYE, RIGHT_EYE

EYE_DISTANCE = 70.0  # pixels between the eyes, at which glasses are looked for
MARGIN = 0.12  # around the bridge, in distances between the eyes
THICKEST = 9  # pixels of a bridge, at that size
# Levels from which on a line is a bridge: eleven people without glasses have 17 at most, two with
# rims 34 and 44
WORN = 25.0


def bridge(picture: np.ndarray, landmarks: np.ndarray) -> float:
    """How much a line across the bridge of the nose stands out, in levels.

    WORN and more, in most pictures: the person wears glasses. Glasses without rims, or with clear
    ones, are not seen. `picture` (H, W, 3) uint8 RGB, `landmarks` (68, 2) in its pixels.
    """
    first, second = landmarks[RIGHT_EYE].mean(0), landmarks[LEFT_EYE].mean(0)
    # The part of the face around the nose, upright and of one size
    across = (second - first) * (EYE_DISTANCE / max(float((second - first) @ (second - first)),
                                                    1e-6))
    turn = np.array([[across[0], across[1]], [-across[1], across[0]]])
    shift = np.array([EYE_DISTANCE] * 2) - turn @ ((first + second) / 2)
    matrix = np.hstack([turn, shift[:, None]])
    small = cv2.warpAffine(picture, matrix, (int(2 * EYE_DISTANCE),) * 2,
                           flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    # Thin lines at its bridge, darker or lighter than skin
    points = landmarks @ turn.T + matrix[:, 2]
    gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (THICKEST, THICKEST))
    lines = cv2.max(cv2.morphologyEx(gray, cv2.MORPH_BLACKHAT, kernel),
                    cv2.morphologyEx(gray, cv2.MORPH_TOPHAT, kernel))
    margin = MARGIN * EYE_DISTANCE
    (x, y), below = points[27], points[28, 1]
    rows, columns = (slice(max(int(low), 0), max(int(high), 1))
                     for low, high in ((y - margin, below), (x - margin, x + margin)))
    part = lines[rows, columns]
    return float(np.median(part.max(0))) if part.size else 0.0
