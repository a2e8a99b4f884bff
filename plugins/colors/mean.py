"""Mean of the colours in Lab."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lib.plugin import COLORS, Color
from lib.swapping.colors import average_down, has_skin, statistics
from lib.types import Place


@COLORS.register
@dataclass
class Mean(Color):
    """Mean of the skin's colours, in Lab: contrast and tints stay the model's own."""

    def measure(self, swapped: np.ndarray, original: np.ndarray,
                mask: np.ndarray) -> np.ndarray | None:
        """(3,): what is added in Lab."""
        if not has_skin(mask):
            return None
        small, *pictures = average_down(mask, swapped, original)
        own, target = (statistics(cv2.cvtColor(picture, cv2.COLOR_RGB2LAB), small)[0]
                       for picture in pictures)
        return target - own

    def recolor(self, swapped: np.ndarray, measured: np.ndarray, place: Place) -> np.ndarray:
        recolored = cv2.cvtColor(cv2.cvtColor(swapped, cv2.COLOR_RGB2LAB) + measured,
                                 cv2.COLOR_LAB2RGB)
        return np.clip(recolored, 0, 1, out=recolored)
