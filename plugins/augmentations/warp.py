"""The classic warp of the deepfakes autoencoder."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from keras import ops

from lib.options import option
from lib.plugin import AUGMENTATIONS, Augmenter
from lib.training.batches.sampling import enlarged, enlarging, rounded, sampled_linear

GRID = 5  # points a side of the grid that is bent
SPAN = 1.25  # crops that the grid spans: its outermost points lie beyond the crop


@AUGMENTATIONS.register
@dataclass
class Warp(Augmenter):
    """The classic random warp of the input, by a grid of 5 x 5 points."""

    strength: float = option(1.0, "Of the shifts, 1 = classic.", low=0.0, high=3.0)
    changes = "input"
    order = 10
    numbers = ("shifts",)  # (N, 5, 5, 2) pixels

    def draw(self, name, count, size, random):
        return random.normal(0, self.strength * size * 5 / 160, (count, GRID, GRID, 2))

    def on_host(self, picture, numbers):
        if not numbers["shifts"].any():
            return picture
        size, (side, edge) = len(picture), _span(len(picture))
        shifts = cv2.resize(numbers["shifts"], (side, side), interpolation=cv2.INTER_LINEAR)
        shifts = shifts[edge:edge + size, edge:edge + size]
        grid = np.arange(size, dtype=np.float32)
        across, down = grid[None] + shifts[..., 0], grid[:, None] + shifts[..., 1]
        return cv2.remap(picture, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def on_device(self, pictures, numbers):
        size, (side, edge) = pictures.shape[1], _span(pictures.shape[1])
        matrix = enlarging(GRID, side, cv2.INTER_LINEAR, edge)[:size]
        shifts = enlarged(numbers["shifts"], matrix)
        grid = ops.arange(size, dtype="float32")
        x, y = shifts[..., 0] + grid[None, None, :], shifts[..., 1] + grid[None, :, None]
        return rounded(sampled_linear(pictures, ops.arange(ops.shape(pictures)[0]), x, y))


def _span(size: int) -> tuple[int, int]:
    """Side of the grid in pixels, and how much of it lies before the crop."""
    side = round(size * SPAN)
    return side, (side - size) // 2
