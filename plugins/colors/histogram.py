"""Distribution of each channel."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lib.plugin import COLORS, Color
from lib.swapping.colors import QUANTILES, has_skin, skin_colors
from lib.types import Place

LEVELS = 64  # of a curve
STEEPEST = 2.0  # slope of a curve: steeper ones show grain and bands


@COLORS.register
@dataclass
class Histogram(Color):
    """Distribution of red, green and blue in the skin, each by itself: fits shadows and lights."""

    def measure(self, swapped: np.ndarray, original: np.ndarray,
                mask: np.ndarray) -> np.ndarray | None:
        """(LEVELS, 3): what each level of a channel becomes."""
        if not has_skin(mask):
            return None
        own, target = (np.quantile(colors, QUANTILES, axis=0)
                       for colors in skin_colors(mask, swapped, original))
        return np.stack([_curve(*each) for each in zip(own.T, target.T)], 1)

    def recolor(self, swapped: np.ndarray, measured: np.ndarray, place: Place) -> np.ndarray:
        places = np.clip(swapped, 0, 1) * np.float32(LEVELS - 1)
        zeros = np.zeros(swapped.shape[:2], np.float32)
        channels = [cv2.remap(np.ascontiguousarray(curve[None], np.float32), place, zeros,
                              cv2.INTER_LINEAR)
                    for curve, place in zip(measured.T, cv2.split(places))]
        return np.clip(cv2.merge(channels), 0, 1)


def _curve(own: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(LEVELS,) float32: what levels become when the quantiles `own` become `target`; beyond both
    ends all move alike."""
    levels = np.linspace(0, 1, LEVELS)
    curve = levels + np.interp(levels, own + np.arange(len(own)) * 1e-9, target - own)
    steps = np.clip(np.diff(curve), 0, STEEPEST / (LEVELS - 1))
    bounded = np.concatenate([[0], np.cumsum(steps)])
    # The median goes where it is to go
    at = int(np.clip(round(own[len(own) // 2] * (LEVELS - 1)), 0, LEVELS - 1))
    return (bounded + curve[at] - bounded[at]).astype(np.float32)
