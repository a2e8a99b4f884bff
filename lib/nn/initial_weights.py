"""First weights, drawn with NumPy: the same seed begins the same training on every backend."""

from __future__ import annotations

import math
from collections.abc import Mapping

import keras
import numpy as np
from keras import initializers

from lib.nn.blocks import Even
from lib.nn.private import layers_of

# A layer's variable, and the attribute that says how it is drawn. Biases, gains and shifts begin at
# constants
DRAWN = {"kernel": "kernel_initializer", "depthwise_kernel": "depthwise_initializer",
         "pointwise_kernel": "pointwise_initializer", "embeddings": "embeddings_initializer",
         "picture": "picture_initializer", "fixed": "fixed_initializer"}


def draw(networks: Mapping[str, keras.Model], seed: int) -> None:
    """Sets the weights of `networks` as their layers' initializers want them; other kinds of
    initializers keep what they drew.
    """
    for number, network in enumerate(networks.values()):
        random = np.random.default_rng((seed, number))
        for layer in layers_of(network):
            for name, how in DRAWN.items():
                variable, initializer = getattr(layer, name, None), getattr(layer, how, None)
                if isinstance(variable, keras.Variable) and initializer is not None:
                    values = _drawn(initializer, tuple(variable.shape), random)
                    if values is not None:
                        variable.assign(values)


def _drawn(initializer: initializers.Initializer, shape: tuple[int, ...],
           random: np.random.Generator) -> np.ndarray | None:
    """float32 of `shape`; None for a kind that is not known here."""
    if isinstance(initializer, initializers.VarianceScaling):  # Glorot's, He's and LeCun's too
        inner, inputs, outputs = math.prod(shape[:-2]), shape[-2], shape[-1]
        fans = {"fan_in": inner * inputs, "fan_out": inner * outputs,
                "fan_avg": inner * (inputs + outputs) / 2}
        variance = initializer.scale / max(1.0, fans[initializer.mode])
        if initializer.distribution == "uniform":
            return _uniform(shape, math.sqrt(3 * variance), random)
        if initializer.distribution == "truncated_normal":
            return _truncated(shape, math.sqrt(variance) / 0.87962566103423978, random)
        return _normal(shape, 0.0, math.sqrt(variance), random)
    if isinstance(initializer, Even):
        pixels = initializer.block ** 2
        tile = _drawn(initializer.inner, (*shape[:-1], shape[-1] // pixels), random)
        return None if tile is None else np.tile(tile, (1,) * (len(shape) - 1) + (pixels,))
    if isinstance(initializer, initializers.RandomNormal):
        return _normal(shape, initializer.mean, initializer.stddev, random)
    if isinstance(initializer, initializers.TruncatedNormal):
        return initializer.mean + _truncated(shape, initializer.stddev, random)
    if isinstance(initializer, initializers.RandomUniform):
        half = (initializer.maxval - initializer.minval) / 2
        return initializer.minval + half + _uniform(shape, half, random)
    return None


def _uniform(shape: tuple[int, ...], most: float, random: np.random.Generator) -> np.ndarray:
    return (random.random(shape, np.float32) * 2 - 1) * np.float32(most)


def _normal(shape: tuple[int, ...], mean: float, deviation: float,
            random: np.random.Generator) -> np.ndarray:
    return random.standard_normal(shape, np.float32) * np.float32(deviation) + np.float32(mean)


def _truncated(shape: tuple[int, ...], deviation: float, random: np.random.Generator) -> np.ndarray:
    """Normal, what lies beyond two deviations drawn again."""
    values = random.standard_normal(shape, np.float32)
    while (beyond := np.abs(values) > 2).any():
        values[beyond] = random.standard_normal(int(beyond.sum()), np.float32)
    return values * np.float32(deviation)
