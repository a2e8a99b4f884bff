"""Sampling of pictures on the device as OpenCV does it, in `keras.ops`."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from keras import ops

CUBIC = -0.75  # OpenCV's parameter of cubic interpolation


def rounded(picture):
    """As a picture of whole numbers from 0 to 255 would be."""
    return ops.clip(ops.round(picture), 0.0, 255.0)


def sampled_cubic(images, index, x, y):
    """Pixels at x and y (N, H, W) of the images (M, T, T, C) at `index` (N,): (N, H, W, C).

    Beyond the image there is its edge.
    """
    return _sampled(images, index, x, y, _cubic_weights, zeros=False)


def sampled_linear(images, index, x, y, zeros: bool = False):
    """Likewise, interpolated linearly; beyond the image there is its edge, or 0 with `zeros`."""
    return _sampled(images, index, x, y, lambda part: {0: 1 - part, 1: part}, zeros)


def _cubic_weights(part):
    def far(distance):
        return ((CUBIC * distance - 5 * CUBIC) * distance + 8 * CUBIC) * distance - 4 * CUBIC

    def near(distance):
        return ((CUBIC + 2) * distance - (CUBIC + 3)) * distance * distance + 1

    before, here, after = far(part + 1), near(part), near(1 - part)
    return {-1: before, 0: here, 1: after, 2: 1 - before - here - after}


def _sampled(images, index, x, y, weights, zeros: bool):
    """Sums the pixels around x and y; `weights(fraction)` gives those along one axis, by their
    distance from the pixel at the left or above.
    """
    count, side, channels = images.shape[0], images.shape[1], images.shape[3]
    flat = ops.reshape(images, (count * side * side, channels))
    left, top = ops.floor(x), ops.floor(y)
    across, down = weights(x - left), weights(y - top)
    left, top = ops.cast(left, "int32"), ops.cast(top, "int32")
    start = ops.cast(index, "int32")[:, None, None] * (side * side)
    total = 0.0
    for below, vertical in down.items():
        row = top + below
        for beside, horizontal in across.items():
            column = left + beside
            place = start + ops.clip(row, 0, side - 1) * side + ops.clip(column, 0, side - 1)
            weight = vertical * horizontal
            if zeros:
                inside = (row >= 0) & (row < side) & (column >= 0) & (column < side)
                weight = ops.where(inside, weight, 0.0)
            total = total + weight[..., None] * ops.cast(ops.take(flat, place, 0), "float32")
    return total


@cache
def enlarging(coarse: int, size: int, kind: int, cut: int = 0) -> np.ndarray:
    """(size - 2 cut, coarse): how OpenCV interpolates `size` numbers out of a few, without `cut` of
    them at either end.
    """
    enlarged = cv2.resize(np.eye(coarse, dtype=np.float32), (coarse, size), interpolation=kind)
    return enlarged[cut:size - cut]


def enlarged(coarse, matrix: np.ndarray):
    """(N, G, G, C) -> (N, S, S, C), interpolated along both axes by `matrix` (S, G)."""
    matrix = ops.convert_to_tensor(matrix)
    return ops.einsum("hg,ngkc,wk->nhwc", matrix, coarse, matrix)
