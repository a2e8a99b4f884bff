"""Mean absolute differences of two Laplacian pyramids, each level a quarter of the finer one."""

from __future__ import annotations

from dataclasses import dataclass

from keras import ops

from lib.nn.pictures import blurred_planes, halved, to_planes
from lib.plugin import LOSSES, Loss
from lib.training.model.losses import masked

LEVELS = 5  # of the pyramid

@LOSSES.register
@dataclass
class LaplacianPyramid(Loss):
    """Mean absolute differences of two Laplacian pyramids, each level a quarter of the finer one.

    "Optimizing the Latent Space of Generative Networks", ICML, 2018.
    """

    def measure(self, picture, target, weight=None):
        error, total = to_planes(masked(picture - target, weight)), 0.0
        for level in range(LEVELS):
            coarse = blurred_planes(error, 5, 1.0, "edge")
            total += ops.mean(ops.abs(error - coarse)) * 4.0 ** -level
            error = halved(coarse)
        return total + ops.mean(ops.abs(error)) * 4.0 ** -LEVELS
