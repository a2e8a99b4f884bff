"""Leaves the colours of the swapped face as the model made them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.plugin import COLORS, Color
from lib.types import Place


@COLORS.register
@dataclass
class Unchanged(Color):
    """Colours as the model made them, but grey or tinted where the footage is."""

    def measure(self, swapped: np.ndarray, original: np.ndarray, mask: np.ndarray) -> None:
        return None

    def recolor(self, swapped: np.ndarray, measured: np.ndarray, place: Place) -> np.ndarray:
        return swapped
