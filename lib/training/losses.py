"""Losses between pictures (N, H, W, 3) in [0, 1], in `keras.ops`."""

from __future__ import annotations

from keras import ops


def mean_absolute(picture, target, weight=None):
    """Mean absolute error; `weight` (N, H, W, 1), if given, says where it counts."""
    error = ops.abs(picture - target)
    if weight is None:
        return ops.mean(error)
    return ops.mean(error * weight) / ops.mean(weight)
