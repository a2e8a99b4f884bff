"""Distribution of colours, by turns along three axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.options import option
from lib.plugin import COLORS, Color
from lib.swapping.colors import apply_cube, has_skin, skin_colors, transport
from lib.types import Place


@COLORS.register
@dataclass
class Iterative(Color):
    """The whole distribution of the skin's colours, fitted along three axes, turned each time.

    "Automated colour grading using colour distribution transfer", Computer Vision and Image
    Understanding, 2007.
    """

    iterations: int = option(8, "Number of fits, each along other axes.", low=1, high=50)

    def measure(self, swapped: np.ndarray, original: np.ndarray,
                mask: np.ndarray) -> np.ndarray | None:
        """A cube of colours' moves."""
        if not has_skin(mask):
            return None
        random = np.random.default_rng(0)  # the same axes for every face
        turns = [np.linalg.qr(random.normal(size=(3, 3)))[0] for _ in range(self.iterations - 1)]
        return transport(*skin_colors(mask, swapped, original),
                         [axes[None] for axes in (np.eye(3), *turns)])

    def recolor(self, swapped: np.ndarray, measured: np.ndarray, place: Place) -> np.ndarray:
        return np.clip(apply_cube(measured, swapped), 0, 1)
