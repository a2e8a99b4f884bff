"""Adversarial losses: of a generator, and of a discriminator that tells its pictures from real
ones.

Logits are (N, ...) float32, pictures (N, S, S, 3); all in `keras.ops`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from lib.nn.backend import gradient

DRIFT = 1e-3  # keeps a critic's scores near 0


class Adversarial(NamedTuple):
    """One kind of game. All values are scalars."""

    # logits of real and of generated pictures -> what it minimises
    discriminator: Callable[[Any, Any], Any]
    generator: Callable[[Any], Any]  # logits of generated pictures -> what it minimises
    # logits -> how real they are said to be, on average: 0.5 is undecided; a critic's score has no
    # bounds
    realness: Callable[[Any], Any]


def _mean(values):
    return ops.mean(ops.cast(values, "float32"))


def _probability(logits):
    return _mean(ops.sigmoid(logits))


GAN_LOSSES = {
    # "Least Squares Generative Adversarial Networks", ICCV, 2017
    "least_squares": Adversarial(
        lambda real, fake: (_mean(ops.square(real - 1)) + _mean(ops.square(fake))) / 2,
        lambda fake: _mean(ops.square(fake - 1)), _mean),
    # "Geometric GAN", 2017
    "hinge": Adversarial(lambda real, fake: _mean(ops.relu(1 - real)) + _mean(ops.relu(1 + fake)),
                         lambda fake: -_mean(fake), _probability),
    # "Generative Adversarial Nets", NeurIPS, 2014
    "non_saturating": Adversarial(
        lambda real, fake: _mean(ops.softplus(-real)) + _mean(ops.softplus(fake)),
        lambda fake: _mean(ops.softplus(-fake)), _probability),
    # "Wasserstein GAN", ICML, 2017; it needs `gradient_penalty`
    "wasserstein": Adversarial(
        lambda real, fake: _mean(fake) - _mean(real) + DRIFT * _mean(ops.square(real)),
        lambda fake: -_mean(fake), _mean),
}


def r1(discriminator: Callable[[Any], Any], pictures: Any) -> Any:
    """Mean squared length of the gradient of each picture's logit by its pixels. Of the loss it is
    gamma / 2 times that.

    "Which Training Methods for GANs do actually Converge?", ICML, 2018.
    """
    return ops.mean(_squares(gradient(discriminator, pictures)))


def gradient_penalty(critic: Callable[[Any], Any], real: Any, fake: Any, share: Any) -> Any:
    """How far the slope of a critic is from 1, between real and generated pictures: mean squared;
    `share` (N,) in [0, 1] says where.

    "Improved Training of Wasserstein GANs", NeurIPS, 2017, where it counts ten times.
    """
    share = ops.reshape(share, (-1, 1, 1, 1))
    slopes = ops.sqrt(_squares(gradient(critic, fake + share * (real - fake))) + 1e-12)
    return ops.mean(ops.square(slopes - 1))


def path_lengths(synthesis: Callable[[Any], Any], styles: Any, noise: Any) -> Any:
    """(N,): how much the pictures that `synthesis` makes of `styles` (N, L, D) change with them,
    along normal `noise` (N, S, S, 3).

    "Analyzing and Improving the Image Quality of StyleGAN", CVPR, 2020.
    """
    pixels = noise.shape[1] * noise.shape[2]
    slopes = gradient(lambda styles: ops.sum(synthesis(styles) * noise, (1, 2, 3)) / pixels ** 0.5,
                      styles)
    return ops.sqrt(ops.mean(ops.sum(ops.square(ops.cast(slopes, "float32")), 2), 1) + 1e-12)


def _squares(values):
    """(N, ...) -> (N,) squared lengths."""
    return ops.sum(ops.square(ops.cast(values, "float32")), tuple(range(1, len(values.shape))))
