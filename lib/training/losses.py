"""Losses between pictures (N, H, W, 3) in [0, 1], in `keras.ops`."""

from __future__ import annotations

from keras import ops

BLOCK, BLOCKS = 8, 4  # detail is summed up over blocks of so many pixels; a pattern that is the same in 4 x 4 of them is none
FAINT = 1e-3  # detail that is as good as none: it keeps the root smooth


def mean_absolute(picture, target, weight=None):
    """Mean absolute error; `weight` (N, H, W, 1), if given, says where it counts."""
    error = ops.abs(picture - target)
    if weight is None:
        return ops.mean(error)
    return ops.mean(error * weight) / ops.mean(weight)


def detail_apart(picture, target, weight):
    """Mean difference between how much fine detail the two show around a place, wherever exactly it lies, times `weight` (N, H, W, 1).

    Where a network cannot tell where a hair is, the mean absolute error is least for none at all; this one wants as much as there is.
    The detail is the root of the mean squared Laplacian of the brightness, smoothed, over blocks of 8 pixels. What a network draws for
    it first is no detail: chequered single pixels, which the smoothing takes out, and the same pattern in every block, which is
    subtracted. H and W are multiples of 32.
    After "EnhanceNet: Single Image Super-Resolution Through Automated Texture Synthesis", ICCV, 2017, whose textures are a network's.
    """
    weight = ops.mean(_in_blocks(weight[..., 0]), (3, 6))
    return ops.mean(ops.abs(_detail(picture) - _detail(target)) * weight)


def _detail(picture):
    """(N, H, W, 3) -> (N, H / 32, 4, W / 32, 4)."""
    gray = _smoothed(_smoothed(ops.mean(picture, -1)))
    laplacian = 4 * gray[:, 1:-1, 1:-1] - gray[:, :-2, 1:-1] - gray[:, 2:, 1:-1] - gray[:, 1:-1, :-2] - gray[:, 1:-1, 2:]
    parts = _in_blocks(ops.pad(laplacian, ((0, 0), (3, 3), (3, 3))))
    return ops.sqrt(ops.mean(ops.square(parts - ops.mean(parts, (2, 5), keepdims=True)), (3, 6)) + FAINT ** 2)


def _in_blocks(values):
    """(N, H, W) -> (N, H / 32, 4, 8, W / 32, 4, 8)."""
    count, height, width = values.shape
    whole = BLOCK * BLOCKS
    return ops.reshape(values, (count, height // whole, BLOCKS, BLOCK, width // whole, BLOCKS, BLOCK))


def _smoothed(values):
    """(N, H, W) -> (N, H - 2, W - 2), by (1, 2, 1) / 4 both ways."""
    values = (values[:, :-2] + 2 * values[:, 1:-1] + values[:, 2:]) / 4
    return (values[..., :-2] + 2 * values[..., 1:-1] + values[..., 2:]) / 4
