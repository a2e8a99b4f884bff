"""Mean and covariance of the colours."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lib.plugin import COLORS, Color
from lib.swapping.colors import has_skin, skin_colors
from lib.types import Place

# By which colours may be pressed together and spread: a hand or a shadow on one of the faces is no
# skin
BOUNDS = (0.7, 1.3)


@COLORS.register
@dataclass
class Linear(Color):
    """Mean and covariance of the skin's red, green and blue, by the least change.

    "The Linear Monge-Kantorovitch Linear Colour Mapping for Example-Based Colour Transfer", IET
    Visual Media Production, 2007.
    """

    def measure(self, swapped: np.ndarray, original: np.ndarray,
                mask: np.ndarray) -> np.ndarray | None:
        """(3, 4): a matrix of colours, and what is added."""
        if not has_skin(mask):
            return None
        own, target = skin_colors(mask, swapped, original)
        spreads = [np.cov(colors.T) + 1e-5 * np.eye(3) if len(colors) > 1 else np.eye(3)
                   for colors in (own, target)]
        root = _power(spreads[0], 0.5)
        back = _power(spreads[0], -0.5)
        values, axes = np.linalg.eigh(back @ _power(root @ spreads[1] @ root, 0.5) @ back)
        matrix = axes * np.clip(values, *BOUNDS) @ axes.T
        return np.column_stack([matrix, target.mean(0) - matrix @ own.mean(0)]).astype(np.float32)

    def recolor(self, swapped: np.ndarray, measured: np.ndarray, place: Place) -> np.ndarray:
        return np.clip(cv2.transform(swapped, measured), 0, 1)


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """Of a symmetric matrix, positive definite."""
    values, axes = np.linalg.eigh(matrix)
    return axes * np.maximum(values, 1e-9) ** exponent @ axes.T
