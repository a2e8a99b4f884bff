"""Colours set by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.options import option
from lib.plugin import COLORS, Color
from lib.types import Place


@COLORS.register
@dataclass
class Manual(Color):
    """Brightness, contrast and colour balance set by hand, the same in every frame."""

    brightness: float = option(
        0.0, "Added to every channel, as a share of the full range.", low=-1.0, high=1.0)
    contrast: float = option(
        0.0, "Contrast around mid grey: 0.2 is a fifth more, -0.2 a fifth less.", low=-1.0,
        high=4.0)
    red: float = option(0.0, "Added to red.", low=-1.0, high=1.0)
    green: float = option(0.0, "Added to green.", low=-1.0, high=1.0)
    blue: float = option(0.0, "Added to blue.", low=-1.0, high=1.0)

    def measure(self, swapped: np.ndarray, original: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Nothing: (0,)."""
        return np.zeros(0, np.float32)

    def recolor(self, swapped: np.ndarray, measured: np.ndarray, place: Place) -> np.ndarray:
        balance = np.float32((self.red, self.green, self.blue))
        added = np.float32(self.brightness - self.contrast / 2) + balance
        return np.clip(swapped * np.float32(1 + self.contrast) + added, 0, 1)
