"""Mean and spread of the colours in Lab."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lib.plugin import COLORS, Color

LEAST_SKIN = 0.002  # share of the crop below which statistics mean nothing: a face turned away or cut by the frame


@COLORS.register
@dataclass
class Reinhard(Color):
    """Mean and spread of the skin's colours, in Lab. "Color Transfer between Images", IEEE Computer Graphics and Applications, 2001.

    The ratio of spreads is bounded: a shadow, a hand or a beard on one of the two faces would else flatten every colour, and
    make-up on the old face would blacken the eyes and lips of the new one.
    """

    def recolor(self, swapped: np.ndarray, original: np.ndarray, mask: np.ndarray) -> np.ndarray:
        if mask.sum() < LEAST_SKIN * mask.size:
            return swapped
        lab = cv2.cvtColor(swapped, cv2.COLOR_RGB2LAB)
        mean, spread = _statistics(lab, mask)
        wanted_mean, wanted_spread = _statistics(cv2.cvtColor(original, cv2.COLOR_RGB2LAB), mask)
        ratio = np.clip(wanted_spread / np.maximum(spread, 1e-3), 0.8, 1.0)
        lab = lab * ratio + (wanted_mean - mean * ratio)
        return np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)


def _statistics(lab: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, (3,) float32 each, of the pixels of `lab` weighted by `mask`."""
    pixels, weights = lab.reshape(-1, 3), mask.reshape(-1)
    weights = weights / weights.sum()
    mean = weights @ pixels
    return mean, np.sqrt(weights @ (pixels - mean) ** 2)
