"""Mean and spread of the colours in Lab."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lib.plugin import COLORS, Color
from lib.swapping.colors import average_down, has_skin, statistics
from lib.types import Place

NEAR = 0.08  # of the crop's side: how far around a place its tint is taken from
COARSER = 2  # the tint is calculated on a grid of half of this side


@COLORS.register
@dataclass
class Reinhard(Color):
    """Mean and spread of the skin's colours, in Lab.

    "Color Transfer between Images", IEEE Computer Graphics and Applications, 2001. The ratio of
    spreads is bounded: a shadow, a hand or a beard on one of the two faces would else flatten every
    colour, and make-up on the old face would blacken the eyes and lips of the new one. What is left
    of the tint is then taken from around each place, since light may come in one colour from the
    left and in another from the right.
    """

    def measure(self, swapped: np.ndarray, original: np.ndarray,
                mask: np.ndarray) -> np.ndarray | None:
        """(G, G + 1, 3): what is added to Lab on a grid, and in the last column what it is
        multiplied by before."""
        if not has_skin(mask):
            return None
        small, *pictures = average_down(mask, swapped, original)
        own, target = (cv2.cvtColor(picture, cv2.COLOR_RGB2LAB) for picture in pictures)
        (mean, spread), (target_mean, target_spread) = (statistics(picture, small)
                                                        for picture in (own, target))
        ratio = np.clip(target_spread / np.maximum(spread, 1e-3), 0.8, 1.0)
        moved = target_mean - mean * ratio
        tint = _around(target - (own * ratio + moved), small) * np.float32([0, 1, 1]) + moved
        return np.concatenate([tint, np.broadcast_to(ratio, (len(tint), 1, 3))], 1)

    def recolor(self, swapped: np.ndarray, measured: np.ndarray, place: Place) -> np.ndarray:
        lab = cv2.cvtColor(swapped, cv2.COLOR_RGB2LAB)
        lab = cv2.transform(lab, np.diag(measured[0, -1]))  # a tenth of what NumPy takes
        lab += place.of(np.ascontiguousarray(measured[:, :-1]))
        recolored = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
        return np.clip(recolored, 0, 1, out=recolored)


def _around(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mean of `values` (S, S, C) where `mask` (S, S) is set, around each place: so smooth that a
    grid of half of the side holds it."""
    side = max(1, mask.shape[0] // COARSER)

    def blurred(picture: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA),
                                (0, 0), NEAR * side)

    return blurred(values * mask[..., None]) / (blurred(mask)[..., None] + 1e-3)
