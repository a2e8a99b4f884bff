"""The styles whose picture is most like a given face."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from lib.generating.generator import Generator, to_uint8
from lib.nn import backend
from lib.nn.dlib_features import feature_distance
from lib.system.progress import progress

RATE, WARM, COOL = 0.1, 0.05, 0.25  # of Adam; shares of the steps in which it rises, and falls
SHIFT = 0.05  # of w's spread: random shifts that keep the search out of the nearest minimum
SHIFTED = 0.75  # share of the steps with shifts
PIXELS = 1.0  # weight of the mean absolute error; that of features is 1
TO_MEAN = 0.002  # weight of the squared distance of styles from the mean, in deviations


@dataclass(frozen=True)
class Projection:
    """The styles that draw a face best."""

    styles: np.ndarray  # (L, latent) float32
    picture: np.ndarray  # (S, S, 3) uint8 RGB: what the generator draws
    error: float  # mean absolute difference from the face, 8-bit levels
    perceptual: float  # `feature_distance`: 0 the same, 2 opposite


def project(generator: Generator, face: np.ndarray, steps: int) -> Projection:
    """Finds styles for each layer (W+) that draw `face` (S, S, 3) uint8 RGB, from the mean on, with
    fixed noise.

    "Image2StyleGAN: How to Embed Images Into the StyleGAN Latent Space?", ICCV, 2019, with learning
    rate and random shifts of "Analyzing and Improving the Image Quality of StyleGAN", CVPR, 2020,
    and dlib's network instead of VGG.
    """
    target = ops.convert_to_tensor(np.float32(face[None]) / 255)
    spread = float(np.sqrt(np.mean(np.square(generator.samples - generator.mean)))) or 1.0
    mean = ops.convert_to_tensor(generator.mean)

    def loss(styles, shift):
        drawn = (generator.synthesis(styles + shift) + 1) / 2
        difference = feature_distance(drawn, target) + PIXELS * ops.mean(ops.abs(drawn - target))
        return difference + TO_MEAN * ops.mean(ops.square((styles - mean) / spread))

    gradient = backend.compiled(
        lambda styles, shift: backend.gradient(lambda styles: loss(styles, shift), styles))
    styles = keras.Variable(generator.styles(generator.mean[None]))
    adam = keras.optimizers.Adam(RATE)
    random = np.random.default_rng(0)
    for step in progress(range(steps), "project", steps, unit="step"):
        done = step / steps
        adam.learning_rate = _rate(done)
        noise = random.standard_normal(styles.shape, np.float32)
        shift = spread * SHIFT * max(0.0, 1 - done / SHIFTED) ** 2 * noise
        adam.apply([gradient(styles.value, ops.convert_to_tensor(shift))], [styles])
    drawn = generator.synthesis(styles.value)
    distance = feature_distance(ops.clip((drawn + 1) / 2, 0, 1), target)
    picture = to_uint8(ops.convert_to_numpy(drawn))[0]
    error = float(np.mean(np.abs(np.float32(picture) - face)))
    return Projection(ops.convert_to_numpy(styles.value)[0], picture, error,
                      float(ops.convert_to_numpy(distance)))


def _rate(done: float) -> float:
    """The learning rate at a share of the steps: up in a line, down half a cosine wave."""
    down = min(1.0, (1 - done) / COOL)
    return RATE * min(1.0, (done + 1e-3) / WARM) * (0.5 - 0.5 * np.cos(np.pi * down))
