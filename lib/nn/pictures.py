"""Filters of pictures in `keras.ops`.

"Planes" are pictures (N, C, H, W): in this order a filter is a product of matrices, the quickest
there is on CPUs and GPUs alike.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from keras import ops

WINDOW, SIGMA = 11, 1.5  # of the Gaussian under which the structures of two pictures are compared
DARK, EVEN = 0.01 ** 2, 0.03 ** 2  # keep quotients of dark or even pictures from meaning much
TINY = 1e-12  # keeps a root's slope finite at 0


def blurred(pictures, sigma: float):
    """(N, H, W, C) under a Gaussian of `sigma` pixels."""
    planes = to_planes(pictures)
    length = min(2 * round(2 * sigma) + 1, 2 * min(planes.shape[2:]) - 1)
    return ops.transpose(blurred_planes(planes, length, sigma, "reflect"), (0, 2, 3, 1))


def resized(pictures, side: int):
    """(N, H, H, C) -> (N, side, side, C)."""
    pixels = pictures.shape[1]
    if pixels == side:
        return pictures
    if pixels % side == 0:  # without strides, Keras fails on JAX
        return ops.average_pool(pictures, pixels // side, pixels // side)
    if side % pixels == 0:
        return ops.repeat(ops.repeat(pictures, side // pixels, 1), side // pixels, 2)
    return ops.image.resize(pictures, (side, side), antialias=True)


def to_planes(pictures):
    """(N, H, W, C) -> (N, C, H, W)."""
    return ops.transpose(pictures, (0, 3, 1, 2))


def halved(planes):
    """(N, C, H, W) -> half the sides; an odd last row or column counts twice."""
    count, channels, height, width = planes.shape
    if height % 2 or width % 2:
        planes = ops.pad(planes, ((0, 0), (0, 0), (0, height % 2), (0, width % 2)), "edge")
    blocks = ops.reshape(planes, (-1, channels, (height + 1) // 2, 2, (width + 1) // 2, 2))
    return ops.mean(blocks, (3, 5))


def blurred_planes(planes, length: int, sigma: float, border: str):
    """(N, C, H, W) under a Gaussian of `length` taps; `border` "reflect" or "edge" as in `np.pad`,
    or "valid", which leaves fewer pixels.
    """
    rows, columns = (ops.convert_to_tensor(_gaussian(side, length, sigma, border))
                     for side in planes.shape[2:])
    return ops.matmul(ops.matmul(rows, planes), ops.transpose(columns))


@cache
def _gaussian(side: int, length: int, sigma: float, border: str) -> np.ndarray:
    """(side, side) float32 that blurs a column of pixels; fewer rows where `border` is "valid"."""
    taps = np.exp(-0.5 * ((np.arange(length) - (length - 1) / 2) / sigma) ** 2)
    matrix = np.eye(side)
    if border != "valid":
        matrix = np.pad(matrix, ((length // 2, (length - 1) // 2), (0, 0)), border)
    rows = len(matrix) - length + 1
    return sum(tap * matrix[number:number + rows]
               for number, tap in enumerate(taps / taps.sum())).astype(np.float32)


def similarity(first, second, length: int, border: str):
    """How alike planes (N, C, H, W) are in light and in structure, place by place; 1: equal."""
    # Less their mean, squares do not drown what is left of them where products are imprecise
    middle = ops.mean(second, (2, 3), keepdims=True)
    first, second = first - middle, second - middle
    products = [first, second, ops.square(first), ops.square(second), first * second]
    means = ops.split(blurred_planes(ops.concatenate(products, 1), length, SIGMA, border), 5, 1)
    mean_first, mean_second, squares_first, squares_second, product = means
    variances = squares_first - ops.square(mean_first) + squares_second - ops.square(mean_second)
    structure = (2 * (product - mean_first * mean_second) + EVEN) / (variances + EVEN)
    mean_first, mean_second = mean_first + middle, mean_second + middle
    light = (2 * mean_first * mean_second + DARK) / (
        ops.square(mean_first) + ops.square(mean_second) + DARK)
    return light, structure
