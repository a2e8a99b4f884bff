"""What dlib's face recognition network sees in pictures, in `keras.ops`: features at five depths,
with gradients.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from keras import ops

from lib.dlib.recognition import MEAN, SCALE, SIDE, Convolution, blocks, network_file, read
from lib.errors import FaceswapError
from lib.nn.pictures import TINY


def features(faces) -> list:
    """(N, S, S, 3) RGB in [0, 1] -> at five depths (N, H, W, C), from 35 x 35 cells and 32 channels
    to 2 x 2 and 256.

    Raises FaceswapError where the network's package is missing or damaged.
    """
    faces = ops.image.resize(faces, (SIDE, SIDE),
                             antialias=True) if faces.shape[1] != SIDE else faces
    left, depths = iter(_convolutions()), []
    x = ops.relu(_convolved((faces * 255 - ops.convert_to_tensor(MEAN)) * float(SCALE), next(left)))
    x = ops.max_pool(x, 3, 2)
    for _, last, halves in blocks():
        y = _convolved(ops.relu(_convolved(x, next(left))), next(left))
        if halves:  # dlib adds what differs in size as if the smaller went on in zeros
            x = ops.average_pool(x, 2, 2)
            cells = x.shape[1] - y.shape[1]
            x = ops.pad(x, ((0, 0), (0, 0), (0, 0), (0, y.shape[3] - x.shape[3])))
            y = ops.pad(y, ((0, 0), (0, cells), (0, cells), (0, 0)))
        x = ops.relu(x + y)
        if last:
            depths.append(x)
    return depths


def feature_distance(faces, targets):
    """How differently dlib's network sees two batches (N, S, S, 3) RGB in [0, 1]: 0 to 2.

    The mean over five depths of the squared differences of its features, which have a length of 1
    at each place. "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR,
    2018, with dlib's face recognition network, and all channels alike. The embedding at the end,
    by which people are told apart, is not compared: `evaluate` measures with it.
    """
    total, depths = 0.0, list(zip(features(faces), features(targets)))
    for pair in depths:
        seen, expected = (each * ops.rsqrt(ops.sum(ops.square(each), -1, keepdims=True) + TINY)
                          for each in pair)
        total += ops.mean(ops.sum(ops.square(seen - expected), -1))
    return total / len(depths)


@cache
def _convolutions() -> list[Convolution]:
    """Theirs, kernels (kernel, kernel, channels, filters)."""
    path = network_file()
    try:
        convolutions, _ = read(path.read_bytes())
    except (OSError, ValueError) as error:
        raise FaceswapError(f"{path} is damaged ({error}). Reinstall its package.") from error
    return [each._replace(weights=np.ascontiguousarray(each.weights.transpose(2, 3, 1, 0)))
            for each in convolutions]


def _convolved(x, convolution: Convolution):
    weights, bias, stride = convolution
    return ops.conv(x, ops.convert_to_tensor(weights), stride,
                    "same" if stride == 1 else "valid") + ops.convert_to_tensor(bias)
