"""How evenly generated faces change along W."""

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


def path_length(generator: Generator, pairs: int = PAIRS, seen: Callable | None = None) -> float:
    """Perceptual path length in W: the mean, over so many pairs of faces and a random place between each two, of the squared distance of
    what a network sees in two pictures a tiny step apart, by the square of the step. Less is smoother.

    "A Style-Based Generator Architecture for Generative Adversarial Networks", CVPR, 2019. The features are dlib's, in place of VGG's,
    so that its scale is its own. `seen` takes pictures (N, S, S, 3) in [0, 1] and gives arrays (N, ...), those of dlib if None.
    """
    random = np.random.default_rng(0)
    total = 0.0
    seen = seen or _seen

    def apart(one, other):
        here, there = ((generator.synthesis(styles) + 1) / 2 for styles in (one, other))
        return sum(ops.sum(ops.square(left - right)) for left, right in zip(seen(here), seen(there)))

    apart = backend.compiled(apart)
    for _ in progress(range(pairs), "path length", pairs, unit="pair"):
        one, other = generator.sampled[random.integers(len(generator.sampled), size=2)]
        place = np.float32(random.random())
        styles = [generator.styles((one + (place + step) * (other - one))[None].astype(np.float32)) for step in (0, np.float32(EPSILON))]
        total += float(ops.convert_to_numpy(apart(*map(ops.convert_to_tensor, styles)))) / EPSILON ** 2
    return total / pairs


def _seen(pictures) -> list:
    """What `feature_distance` compares: at each of five depths features of length 1 at each place, by the number of places."""
    found = []
    for each in features(pictures):
        each = each * ops.rsqrt(ops.sum(ops.square(each), -1, keepdims=True) + 1e-12)
        found.append(each / np.sqrt(each.shape[1] * each.shape[2] * 5))
    return found
