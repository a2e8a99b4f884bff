"""Losses between pictures (N, H, W, 3) in [0, 1], in `keras.ops`."""

from __future__ import annotations

from keras import ops


def mean_absolute(picture, target, weight=None):
    """Mean absolute error; `weight` (N, H, W, 1), if given, says where it counts."""
    error = ops.abs(picture - target)
    if weight is None:
        return ops.mean(error)
    return ops.mean(error * weight) / ops.mean(weight)


def gradient_difference(picture, target, weight):
    """Mean absolute error of the differences between neighbouring pixels, which keeps edges sharp.

    "Deep Multi-Scale Video Prediction Beyond Mean Square Error", ICLR 2016, with exponent 1 on signed differences.
    """
    error = picture - target
    across = ops.abs(error[:, :, 1:] - error[:, :, :-1])
    down = ops.abs(error[:, 1:] - error[:, :-1])
    return (ops.mean(across * weight[:, :, 1:]) + ops.mean(down * weight[:, 1:])) / ops.mean(weight)
