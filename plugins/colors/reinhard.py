"""Mean and spread of the colours in Lab."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lib.plugin import COLORS, Color

NEAR = 0.08  # of the crop's side: how far around a place its tint is taken from
LEAST_SKIN = 0.002  # share of the crop below which statistics mean nothing: a face turned away or cut by the frame


@COLORS.register
@dataclass
class Reinhard(Color):
    """Mean and spread of the skin's colours, in Lab. "Color Transfer between Images", IEEE Computer Graphics and Applications, 2001.

    The ratio of spreads is bounded: a shadow, a hand or a beard on one of the two faces would else flatten every colour, and
    make-up on the old face would blacken the eyes and lips of the new one. What is left of the tint is then taken from around each
    place, since light may come in one colour from the left and in another from the right.
    """

    def recolor(self, swapped: np.ndarray, original: np.ndarray, mask: np.ndarray) -> np.ndarray:
        if mask.sum() < LEAST_SKIN * mask.size:
            return swapped
        lab = cv2.cvtColor(swapped, cv2.COLOR_RGB2LAB)
        mean, spread = _statistics(lab, mask)
        wanted = cv2.cvtColor(original, cv2.COLOR_RGB2LAB)
        wanted_mean, wanted_spread = _statistics(wanted, mask)
        ratio = np.clip(wanted_spread / np.maximum(spread, 1e-3), 0.8, 1.0)
        lab = lab * ratio + (wanted_mean - mean * ratio)
        lab[..., 1:] += _around(wanted[..., 1:] - lab[..., 1:], mask)
        return np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)


def _around(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mean of `values` (S, S, C) where `mask` (S, S, 1) is set, around each place."""
    sigma = NEAR * mask.shape[0]
    near, weight = cv2.GaussianBlur(values * mask, (0, 0), sigma), cv2.GaussianBlur(mask, (0, 0), sigma)
    return near / (weight[..., None] + 1e-3)


def _statistics(lab: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, (3,) float32 each, of the pixels of `lab` weighted by `mask`."""
    pixels, weights = lab.reshape(-1, 3), mask.reshape(-1)
    weights = weights / weights.sum()
    mean = weights @ pixels
    return mean, np.sqrt(weights @ (pixels - mean) ** 2)
