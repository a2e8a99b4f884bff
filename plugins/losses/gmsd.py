"""The standard deviation, over places, of how alike the strengths of the edges are."""

from __future__ import annotations

from dataclasses import dataclass

from keras import ops

from lib.nn.pictures import TINY, halved, to_planes
from lib.plugin import LOSSES, Loss
from lib.training.model.losses import masked

FLAT = 0.0026  # the square of an edge that is as good as none
LUMA = (0.299, 0.587, 0.114)

@LOSSES.register
@dataclass
class GradientMagnitude(Loss):
    """The standard deviation, over places, of how alike the strengths of the edges are.

    "Gradient Magnitude Similarity Deviation: A Highly Efficient Perceptual Image Quality Index",
    IEEE Transactions on Image Processing, 2014.
    """

    def measure(self, picture, target, weight=None):
        drawn, real = (_edges(halved(_gray(masked(shown, weight)))) for shown in (picture, target))
        alike = (2 * drawn * real + FLAT) / (ops.square(drawn) + ops.square(real) + FLAT)
        return ops.mean(ops.sqrt(ops.var(alike, (1, 2, 3)) + TINY))


def _gray(picture):
    """(N, H, W, 3) -> (N, 1, H, W)."""
    luma = ops.reshape(ops.convert_to_tensor(LUMA), (3, 1, 1))
    return ops.sum(to_planes(picture) * luma, 1, keepdims=True)


def _edges(planes):
    """(N, 1, H, W) -> strengths of its edges by Prewitt's filters (N, 1, H - 2, W - 2)."""
    across = planes[..., 2:] - planes[..., :-2]
    down = planes[:, :, 2:] - planes[:, :, :-2]
    across = (across[:, :, :-2] + across[:, :, 1:-1] + across[:, :, 2:]) / 3
    down = (down[..., :-2] + down[..., 1:-1] + down[..., 2:]) / 3
    return ops.sqrt(ops.square(across) + ops.square(down) + TINY)
