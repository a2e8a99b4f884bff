"""Mean and spread of the colours in Lab."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lib.plugin import COLORS, Color

NEAR = 0.08  # of the crop's side: how far around a place its tint is taken from
MEASURED = 128  # pixels: side of what a larger crop is averaged down to, for all but the colours that come out
COARSER = 4  # the tint is calculated on a grid of a quarter of this side
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
        size = lab.shape[0]
        mask, small, original = _averaged(mask, lab, original)
        wanted = cv2.cvtColor(original, cv2.COLOR_RGB2LAB)
        (mean, spread), (wanted_mean, wanted_spread) = _statistics(small, mask), _statistics(wanted, mask)
        ratio = np.clip(wanted_spread / np.maximum(spread, 1e-3), 0.8, 1.0)
        moved = wanted_mean - mean * ratio
        tint = _around(wanted - (small * ratio + moved), mask) * np.float32([0, 1, 1]) + moved
        lab *= ratio
        lab += cv2.resize(tint, (size, size), interpolation=cv2.INTER_LINEAR)
        recolored = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
        return np.clip(recolored, 0, 1, out=recolored)


def _averaged(mask: np.ndarray, *pictures: np.ndarray) -> list[np.ndarray]:
    """`mask` (S, S, 1) and `pictures` (S, S, 3), these where it is set, averaged down to at most MEASURED pixels; the mask as (S, S)."""
    size = mask.shape[0]
    if size <= MEASURED:
        return [mask[..., 0], *pictures]
    small, *others = (cv2.resize(picture, (MEASURED, MEASURED), interpolation=cv2.INTER_AREA)
                      for picture in (mask[..., 0], *(picture * mask for picture in pictures)))
    return [small, *(picture / np.maximum(small, 1e-6)[..., None] for picture in others)]


def _around(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mean of `values` (S, S, C) where `mask` (S, S) is set, around each place: so smooth that a grid of a quarter of the side holds it."""
    side = max(1, mask.shape[0] // COARSER)

    def blurred(picture: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), (0, 0), NEAR * side)

    return blurred(values * mask[..., None]) / (blurred(mask)[..., None] + 1e-3)


def _statistics(lab: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, (3,) float32 each, of the pixels of `lab` weighted by `mask`."""
    inside = mask > 0
    pixels, weights = lab[inside], mask[inside]
    weights = weights / weights.sum()
    mean = weights @ pixels
    return mean, np.sqrt(weights @ (pixels - mean) ** 2)
