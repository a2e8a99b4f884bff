"""The styles whose picture is most like a given face."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from lib.generating.generator import Generator, as_bytes
from lib.nn import backend
from lib.nn.dlib_features import feature_distance
from lib.system.progress import progress

RATE, WARM, COOL = 0.1, 0.05, 0.25  # of Adam; shares of the steps in which it rises, and falls
STRAY, STRAYS = 0.05, 0.75  # of w's spread: random shifts that keep the search from the nearest hollow; share of the steps with such
PIXELS = 1.0  # weight of the mean absolute error, beside that of features
TO_MEAN = 0.002  # weight of how far styles are from the mean, in deviations, squared


@dataclass(frozen=True)
class Projection:
    """What was found for a face."""

    styles: np.ndarray  # (L, latent) float32
    picture: np.ndarray  # (S, S, 3) uint8 RGB: what the generator draws of them
    error: float  # mean absolute difference from the face, levels of 0 to 255
    perceptual: float  # as `feature_distance` tells it


def project(generator: Generator, face: np.ndarray, steps: int) -> Projection:
    """Searches the styles of each layer (W+) that draw `face` (S, S, 3) uint8 RGB, in so many steps, from the mean on; noise is fixed.

    "Image2StyleGAN: How to Embed Images Into the StyleGAN Latent Space?", ICCV, 2019, with the course of learning rate and random shifts
    of "Analyzing and Improving the Image Quality of StyleGAN", CVPR, 2020; dlib's network stands for VGG.
    """
    wanted = ops.convert_to_tensor(np.float32(face[None]) / 255)
    spread = float(np.sqrt(np.mean(np.square(generator.sampled - generator.mean)))) or 1.0
    mean = ops.convert_to_tensor(generator.mean)

    def cost(styles, stray):
        drawn = (generator.synthesis(styles + stray) + 1) / 2
        apart = feature_distance(drawn, wanted) + PIXELS * ops.mean(ops.abs(drawn - wanted))
        return apart + TO_MEAN * ops.mean(ops.square((styles - mean) / spread))

    slope = backend.compiled(lambda styles, stray: backend.gradient(lambda styles: cost(styles, stray), styles))
    styles = keras.Variable(generator.styles(generator.mean[None]))
    adam = keras.optimizers.Adam(RATE)
    random = np.random.default_rng(0)
    for step in progress(range(steps), "project", steps, unit="step"):
        done = step / steps
        adam.learning_rate = _rate(done)
        stray = spread * STRAY * max(0.0, 1 - done / STRAYS) ** 2 * random.standard_normal(styles.shape, np.float32)
        adam.apply([slope(styles.value, ops.convert_to_tensor(stray))], [styles])
    drawn = generator.synthesis(styles.value)
    alike = feature_distance(ops.clip((drawn + 1) / 2, 0, 1), wanted)
    picture = as_bytes(ops.convert_to_numpy(drawn))[0]
    return Projection(ops.convert_to_numpy(styles.value)[0], picture, float(np.mean(np.abs(np.float32(picture) - face))),
                      float(ops.convert_to_numpy(alike)))


def _rate(done: float) -> float:
    """The learning rate at a share of the steps: up in a line, down half a wave of a cosine."""
    down = min(1.0, (1 - done) / COOL)
    return RATE * min(1.0, (done + 1e-3) / WARM) * (0.5 - 0.5 * np.cos(np.pi * down))
