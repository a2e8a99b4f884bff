"""Losses between pictures (N, H, W, 3) in [0, 1], in `keras.ops`. `weight` (N, H, W, 1), if given, says where they count."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from keras import ops

from lib.nn.dlib_features import features

BLOCK, BLOCKS = 8, 4  # detail is summed up over blocks of so many pixels; a pattern that is the same in 4 x 4 of them is none
FAINT = 1e-3  # detail that is as good as none: it keeps the root smooth
WINDOW, SIGMA = 11, 1.5  # of the Gaussian under which the structures of two pictures are compared
DARK, EVEN = 0.01 ** 2, 0.03 ** 2  # keep quotients of what is dark or even from meaning much
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # exponents of the scales of MS-SSIM, the finest first
UNLIKE = 1e-4  # a scale's likeness counts as at least this: roots have no slope at 0
LEVELS = 5  # of the Laplacian pyramid
FLAT = 0.0026  # the square of an edge that is as good as none
TINY = 1e-12  # keeps a root's slope finite at 0
LUMA = (0.299, 0.587, 0.114)


def mean_absolute(picture, target, weight=None):
    """Mean absolute error."""
    return _mean(ops.abs(picture - target), weight)


def mean_squared(picture, target, weight=None):
    """Mean squared error."""
    return _mean(ops.square(picture - target), weight)


def log_cosh(picture, target, weight=None):
    """Mean logarithm of the hyperbolic cosine of the error: half its square where it is small, its size where large."""
    error = ops.abs(picture - target)
    return _mean(error + ops.softplus(-2 * error) - float(np.log(2)), weight)


def largest(picture, target, weight=None):
    """The largest error of each channel (the L-infinity norm), on average."""
    return ops.mean(ops.max(ops.abs(_shown(picture - target, weight)), (1, 2)))


def ssim(picture, target, weight=None):
    """1 less the structural similarity, 0 to 2.

    "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE Transactions on Image Processing, 2004.
    """
    light, structure = _similarity(_planes(picture), _planes(target), WINDOW, "reflect")
    return _mean(1 - light * structure, None if weight is None else _planes(weight))


def dssim(picture, target, weight=None):
    """Half of 1 less the structural similarity under a window of a twelfth of the side, where that fits in."""
    return _dssim(picture, target, weight, (11.6,))


def dssim_at_two_scales(picture, target, weight=None):
    """The mean of `dssim` under two windows, of a twelfth and a twenty-fourth of the side."""
    return _dssim(picture, target, weight, (11.6, 23.2))


def ms_ssim(picture, target, weight=None):
    """1 less the product of the structural similarities at five scales, each half as large as the one before.

    "Multiscale structural similarity for image quality assessment", Asilomar Conference, 2003.
    """
    picture, target = (_planes(_shown(each, weight)) for each in (picture, target))
    product = 1.0
    for exponent in SCALES:
        part = min(picture.shape[2:]) // 16
        length = WINDOW if part >= WINDOW else max(3, part - 1 + part % 2)
        light, structure = _similarity(picture, target, length, "reflect")
        if exponent is SCALES[-1]:
            structure = light * structure
        product = product * ops.maximum(ops.mean(structure, (2, 3)), UNLIKE) ** exponent
        picture, target = _halved(picture), _halved(target)
    return 1 - ops.mean(product)


def derivatives(picture, target, weight=None):
    """Half of the mean squared differences between the first and second derivatives of the two, over pixels."""
    error = ops.pad(picture - target, ((0, 0), (1, 1), (1, 1), (0, 0)), "symmetric")
    here, left, right = error[:, 1:-1, 1:-1], error[:, 1:-1, :-2], error[:, 1:-1, 2:]
    above, below = error[:, :-2, 1:-1], error[:, 2:, 1:-1]
    corners = error[:, 2:, 2:] + error[:, :-2, :-2] - error[:, 2:, :-2] - error[:, :-2, 2:]
    parts = ((right - left) / 2, (below - above) / 2, left + right - 2 * here, above + below - 2 * here, corners / 2)
    return _mean(sum(ops.square(part) for part in parts) / 2, weight)


def laplacian(picture, target, weight=None):
    """Mean absolute differences between the levels of two Laplacian pyramids, each a quarter as important as the finer one.

    "Optimizing the Latent Space of Generative Networks", ICML, 2018.
    """
    error, total = _planes(_shown(picture - target, weight)), 0.0
    for level in range(LEVELS):
        coarse = _blurred(error, 5, 1.0, "edge")
        total += ops.mean(ops.abs(error - coarse)) * 4.0 ** -level
        error = _halved(coarse)
    return total + ops.mean(ops.abs(error)) * 4.0 ** -LEVELS


def frequency(picture, target, weight=None):
    """Mean squared difference of the spectra, each frequency weighed by how far it is off.

    "Focal Frequency Loss for Image Reconstruction and Synthesis", ICCV, 2021.
    """
    error = _planes(_shown(picture - target, weight))
    real, imaginary = ops.fft2((error, ops.zeros_like(error)))
    squared = (ops.square(real) + ops.square(imaginary)) / (error.shape[2] * error.shape[3])
    off = ops.sqrt(ops.stop_gradient(squared))
    return ops.mean(ops.clip(off / ops.maximum(ops.max(off, (2, 3), keepdims=True), 1e-6), 0, 1) * squared)


def gmsd(picture, target, weight=None):
    """The standard deviation, over places, of how alike the strengths of the edges are.

    "Gradient Magnitude Similarity Deviation: A Highly Efficient Perceptual Image Quality Index", IEEE Transactions on Image
    Processing, 2014.
    """
    one, other = (_edges(_halved(ops.sum(_planes(_shown(each, weight)) * ops.reshape(ops.convert_to_tensor(LUMA), (3, 1, 1)), 1,
                                         keepdims=True))) for each in (picture, target))
    alike = (2 * one * other + FLAT) / (ops.square(one) + ops.square(other) + FLAT)
    return ops.mean(ops.sqrt(ops.var(alike, (1, 2, 3)) + TINY))


def perceptual(picture, target, weight=None):
    """How differently a network sees the two that tells people apart by their faces: 0 to 2, on average over five depths of it.

    At each depth, the squared differences of its features, which have a length of 1 at each place. "The Unreasonable Effectiveness of
    Deep Features as a Perceptual Metric", CVPR, 2018, with dlib's face recognition network, and all channels alike. Not compared is the
    embedding at the end, by which people are told apart: `evaluate` measures with it.
    """
    picture, target = (features(_shown(each, weight)) for each in (picture, target))
    total = 0.0
    for one, other in zip(picture, target):
        one, other = (each * ops.rsqrt(ops.sum(ops.square(each), -1, keepdims=True) + TINY) for each in (one, other))
        total += ops.mean(ops.sum(ops.square(one - other), -1))
    return total / len(picture)


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


def style(picture, target, radius: float):
    """Squared differences of the means and the deviations of each channel, of what is left after a blur of so many pixels, on average."""
    moments = [ops.moments(blurred(each, radius), (1, 2)) for each in (picture, target)]
    (mean, variance), (wanted_mean, wanted_variance) = moments
    return ops.mean(ops.square(mean - wanted_mean) + ops.square(ops.sqrt(variance + TINY) - ops.sqrt(wanted_variance + TINY)))


def blurred(picture, sigma: float):
    """(N, H, W, C) under a Gaussian."""
    planes = _planes(picture)
    return ops.transpose(_blurred(planes, min(2 * round(2 * sigma) + 1, 2 * min(planes.shape[2:]) - 1), sigma, "reflect"), (0, 2, 3, 1))


def resized(pictures, side: int):
    """(N, H, H, C) -> (N, side, side, C)."""
    pixels = pictures.shape[1]
    if pixels == side:
        return pictures
    if pixels % side == 0:
        return ops.average_pool(pictures, pixels // side, pixels // side)  # without strides, Keras fails on JAX
    if side % pixels == 0:
        return ops.repeat(ops.repeat(pictures, side // pixels, 1), side // pixels, 2)
    return ops.image.resize(pictures, (side, side), antialias=True)


def _mean(error, weight):
    return ops.mean(error) if weight is None else ops.mean(error * weight) / ops.mean(weight)


def _shown(picture, weight):
    """`picture`, black where it does not count: for losses that do not go by the pixel."""
    return picture if weight is None else picture * ops.clip(weight, 0, 1)


def _planes(picture):
    """(N, H, W, C) -> (N, C, H, W), in which a filter is a product of matrices: the quickest there is on a CPU and a GPU alike."""
    return ops.transpose(picture, (0, 3, 1, 2))


def _halved(planes):
    """(N, C, H, W) -> half the sides, the last row and column once more where they are odd."""
    count, channels, height, width = planes.shape
    planes = ops.pad(planes, ((0, 0), (0, 0), (0, height % 2), (0, width % 2)), "edge") if height % 2 or width % 2 else planes
    return ops.mean(ops.reshape(planes, (-1, channels, (height + 1) // 2, 2, (width + 1) // 2, 2)), (3, 5))


@cache
def _gaussian(side: int, length: int, sigma: float, border: str) -> np.ndarray:
    """(side, side) float32, by which a column of so many numbers is multiplied to be blurred; fewer rows where `border` is "valid"."""
    taps = np.exp(-0.5 * ((np.arange(length) - (length - 1) / 2) / sigma) ** 2)
    matrix = np.eye(side)
    if border != "valid":
        matrix = np.pad(matrix, ((length // 2, (length - 1) // 2), (0, 0)), border)
    rows = len(matrix) - length + 1
    return sum(tap * matrix[number:number + rows] for number, tap in enumerate(taps / taps.sum())).astype(np.float32)


def _blurred(planes, length: int, sigma: float, border: str):
    """(N, C, H, W), under a Gaussian of so many taps; `border`: "reflect" and "edge" as of `np.pad`, or "valid"."""
    rows, columns = (ops.convert_to_tensor(_gaussian(side, length, sigma, border)) for side in planes.shape[2:])
    return ops.matmul(ops.matmul(rows, planes), ops.transpose(columns))


def _similarity(one, other, length: int, border: str):
    """How alike two (N, C, H, W) are in light and in structure, place by place."""
    middle = ops.mean(other, (2, 3), keepdims=True)  # less it, squares do not drown what is left of them where products are imprecise
    one, other = one - middle, other - middle
    stack = ops.concatenate([one, other, ops.square(one), ops.square(other), one * other], 1)
    mean_one, mean_other, one, other, both = ops.split(_blurred(stack, length, SIGMA, border), 5, 1)
    variances = one - ops.square(mean_one) + other - ops.square(mean_other)
    structure = (2 * (both - mean_one * mean_other) + EVEN) / (variances + EVEN)
    mean_one, mean_other = mean_one + middle, mean_other + middle
    return (2 * mean_one * mean_other + DARK) / (ops.square(mean_one) + ops.square(mean_other) + DARK), structure


def _dssim(picture, target, weight, parts: tuple[float, ...]):
    picture, target = (_planes(_shown(each, weight)) for each in (picture, target))
    side, total = min(picture.shape[2:]), 0.0
    for part in parts:
        light, structure = _similarity(picture, target, max(1, int(side / part)), "valid")
        total += ops.mean(1 - light * structure) / 2
    return total / len(parts)


def _edges(planes):
    """(N, 1, H, W) -> strengths of its edges by Prewitt's filters (N, 1, H - 2, W - 2)."""
    across = planes[..., 2:] - planes[..., :-2]
    down = planes[:, :, 2:] - planes[:, :, :-2]
    across = (across[:, :, :-2] + across[:, :, 1:-1] + across[:, :, 2:]) / 3
    down = (down[..., :-2] + down[..., 1:-1] + down[..., 2:]) / 3
    return ops.sqrt(ops.square(across) + ops.square(down) + TINY)


LOSSES: dict[str, Callable[..., Any]] = {
    "mae": mean_absolute, "mse": mean_squared, "logcosh": log_cosh, "linf": largest, "ssim": ssim, "ms_ssim": ms_ssim, "dssim": dssim,
    "dssim2": dssim_at_two_scales, "gradient": derivatives, "laplacian": laplacian, "frequency": frequency, "gmsd": gmsd,
    "perceptual": perceptual}
