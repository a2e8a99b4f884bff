"""How smoothly generated faces change along W."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from keras import ops

from lib.generating.generator import Generator
from lib.nn import backend
from lib.nn.dlib_features import features
from lib.system.progress import progress

EPSILON = 1e-4  # of the way from one w to another
PAIRS = 64


def path_length(generator: Generator, pairs: int = PAIRS, features_of: Callable | None = None
                ) -> float:
    """Perceptual path length in W, lower for smoother: mean over random places between `pairs` of
    faces of the squared feature distance of two pictures a tiny step apart, by the step squared.

    "A Style-Based Generator Architecture for Generative Adversarial Networks", CVPR, 2019, with
    features of dlib's network instead of VGG's, so that the scale differs. `features_of` takes
    pictures (N, S, S, 3) RGB in [0, 1] and gives arrays (N, ...).
    """
    random = np.random.default_rng(0)
    total = 0.0
    features_of = features_of or _features

    def squared_distance(styles, next_styles):
        first, second = (features_of((generator.synthesis(part) + 1) / 2)
                         for part in (styles, next_styles))
        return sum(ops.sum(ops.square(left - right)) for left, right in zip(first, second))

    squared_distance = backend.compiled(squared_distance)
    for _ in progress(range(pairs), "path length", pairs, unit="pair"):
        start, end = generator.samples[random.integers(len(generator.samples), size=2)]
        place = np.float32(random.random())
        w = [start + share * (end - start) for share in (place, place + np.float32(EPSILON))]
        styles = [ops.convert_to_tensor(generator.styles(np.float32(part[None]))) for part in w]
        total += float(ops.convert_to_numpy(squared_distance(*styles))) / EPSILON ** 2
    return total / pairs


def _features(pictures) -> list:
    """What `feature_distance` compares: at each of five depths features of unit length at each
    place, divided by the number of places."""
    normalised = []
    for maps in features(pictures):
        maps = maps * ops.rsqrt(ops.sum(ops.square(maps), -1, keepdims=True) + 1e-12)
        normalised.append(maps / np.sqrt(maps.shape[1] * maps.shape[2] * 5))
    return normalised
