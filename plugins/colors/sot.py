"""Distribution of colours, by sliced optimal transport."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.options import option
from lib.plugin import COLORS, Color
from lib.swapping.colors import apply_cube, has_skin, skin_colors, transport
from lib.types import Place


@COLORS.register
@dataclass
class SlicedTransport(Color):
    """The whole distribution of the skin's colours, by sliced transport: softer than iterative.

    "Sliced and Radon Wasserstein Barycenters of Measures", Journal of Mathematical Imaging and
    Vision, 2015.
    """

    steps: int = option(4, "Number of steps.", low=1, high=50)
    directions: int = option(
        12, "Directions in each step, a multiple of 3.", low=3, high=96, step=3)

    def measure(self, swapped: np.ndarray, original: np.ndarray,
                mask: np.ndarray) -> np.ndarray | None:
        """A cube of colours' moves."""
        if not has_skin(mask):
            return None
        random = np.random.default_rng(0)  # the same directions for every face
        steps = np.linalg.qr(random.normal(size=(self.steps, self.directions // 3, 3, 3)))[0]
        return transport(*skin_colors(mask, swapped, original), steps)

    def recolor(self, swapped: np.ndarray, measured: np.ndarray, place: Place) -> np.ndarray:
        return np.clip(apply_cube(measured, swapped), 0, 1)
