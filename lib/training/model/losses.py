"""Losses that models use by themselves, and what the plugins in plugins/losses share.

Pictures are (N, H, W, 3) RGB in [0, 1]; `weight` (N, H, W, 1) says where they count, as
`lib.plugin.Loss` describes. All in `keras.ops`.
"""

from __future__ import annotations

from functools import cache

from keras import ops

from lib.nn.pictures import TINY, blurred, similarity, to_planes
from lib.plugin import LOSSES, Loss

BLOCK, BLOCKS = 8, 4  # detail is summed in blocks of 8 pixels; a pattern alike in 4 x 4 is none
FAINT = 1e-3  # detail that is as good as none: it keeps the root smooth


@cache
def loss_named(name: str) -> Loss:
    """The loss plugin called `name`."""
    return LOSSES.create(name)


def mean_absolute(picture, target, weight=None):
    """Mean absolute error."""
    return weighted_mean(ops.abs(picture - target), weight)


def mean_squared(picture, target, weight=None):
    """Mean squared error."""
    return weighted_mean(ops.square(picture - target), weight)


def dssim(picture, target, weight=None, parts: tuple[float, ...] = (11.6,)):
    """Half of 1 less the structural similarity, under windows of the side divided by `parts`."""
    picture, target = to_planes(masked(picture, weight)), to_planes(masked(target, weight))
    side, total = min(picture.shape[2:]), 0.0
    for part in parts:
        light, structure = similarity(picture, target, max(1, int(side / part)), "valid")
        total += ops.mean(1 - light * structure) / 2
    return total / len(parts)


def weighted_mean(error, weight):
    """The mean of `error` (N, H, W, C), weighted by pixel."""
    if weight is None:
        return ops.mean(error)
    return ops.mean(error * weight) / ops.mean(weight)


def masked(picture, weight):
    """`picture`, black where it does not count: for losses that do not go by the pixel."""
    return picture if weight is None else picture * ops.clip(weight, 0, 1)


def detail_difference(picture, target, weight):
    """Mean difference between how much fine detail the two show around a place, wherever exactly
    it lies, times `weight` (N, H, W, 1). H and W are multiples of 32.

    Where a network cannot tell where a hair is, the mean absolute error is least for none at all;
    this one wants as much as there is. The detail is the root of the mean squared Laplacian of the
    brightness, smoothed, over blocks of 8 pixels. What a network draws for it first is no detail:
    chequered single pixels, which the smoothing takes out, and the same pattern in every block,
    which is subtracted. After "EnhanceNet: Single Image Super-Resolution Through Automated Texture
    Synthesis", ICCV, 2017, whose textures are a network's.
    """
    weight = ops.mean(_in_blocks(weight[..., 0]), (3, 6))
    return ops.mean(ops.abs(_detail(picture) - _detail(target)) * weight)


def _detail(picture):
    """(N, H, W, 3) -> (N, H / 32, 4, W / 32, 4)."""
    gray = _smoothed(_smoothed(ops.mean(picture, -1)))
    laplacian = (4 * gray[:, 1:-1, 1:-1] - gray[:, :-2, 1:-1] - gray[:, 2:, 1:-1]
                 - gray[:, 1:-1, :-2] - gray[:, 1:-1, 2:])
    parts = _in_blocks(ops.pad(laplacian, ((0, 0), (3, 3), (3, 3))))
    varied = ops.square(parts - ops.mean(parts, (2, 5), keepdims=True))
    return ops.sqrt(ops.mean(varied, (3, 6)) + FAINT ** 2)


def _in_blocks(values):
    """(N, H, W) -> (N, H / 32, 4, 8, W / 32, 4, 8)."""
    count, height, width = values.shape
    whole = BLOCK * BLOCKS
    return ops.reshape(values, (count, height // whole, BLOCKS, BLOCK, width // whole, BLOCKS,
                                BLOCK))


def _smoothed(values):
    """(N, H, W) -> (N, H - 2, W - 2), by (1, 2, 1) / 4 along both axes."""
    values = (values[:, :-2] + 2 * values[:, 1:-1] + values[:, 2:]) / 4
    return (values[..., :-2] + 2 * values[..., 1:-1] + values[..., 2:]) / 4


def style(picture, target, radius: float):
    """Mean squared differences of each channel's mean and deviation after a blur of `radius`
    pixels.
    """
    mean, variance = ops.moments(blurred(picture, radius), (1, 2))
    target_mean, target_variance = ops.moments(blurred(target, radius), (1, 2))
    return ops.mean(ops.square(mean - target_mean)
                    + ops.square(ops.sqrt(variance + TINY) - ops.sqrt(target_variance + TINY)))
