"""Losses of networks that work against each other, against values by hand, on every backend that is installed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lib.nn import backend
from lib.training.model.adversarial import DRIFT, GAN_LOSSES, gradient_penalty, path_lengths, r1

from keras import ops  # isort: skip
from tests.backends import answer_of  # isort: skip

REAL, FAKE = np.float32([[0.3], [-1.2]]), np.float32([[0.8], [2.0]])
RANDOM = np.random.default_rng(0)
WEIGHTS = RANDOM.normal(size=(4, 4, 3)).astype(np.float32)
PICTURES, OTHERS = RANDOM.normal(size=(2, 2, 4, 4, 3)).astype(np.float32)
NOISE, STYLES = RANDOM.normal(size=(2, 4, 4, 3)).astype(np.float32), RANDOM.normal(size=(2, 3, 5)).astype(np.float32)
DRAWS = RANDOM.normal(size=(3, 5, 48)).astype(np.float32)  # what each number of each layer's style adds to the pixels


def softplus(x):
    return np.log1p(np.exp(x))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


BY_HAND = {
    "least_squares": ((0.7 ** 2 + 2.2 ** 2 + 0.8 ** 2 + 2 ** 2) / 4, (0.2 ** 2 + 1) / 2, (0.3 - 1.2) / 2),
    "hinge": ((0.7 + 2.2) / 2 + (1.8 + 3) / 2, -1.4, sigmoid(REAL).mean()),
    "non_saturating": (softplus(-REAL).mean() + softplus(FAKE).mean(), softplus(-FAKE).mean(), sigmoid(REAL).mean()),
    "wasserstein": (1.4 + 0.45 + DRIFT * (0.09 + 1.44) / 2, -1.4, -0.45),
}


def found() -> dict[str, list]:
    """Everything that is compared below, as this process's backend has it."""
    tensor = ops.convert_to_tensor
    real, fake, pictures, others, weights = map(tensor, (REAL, FAKE, PICTURES, OTHERS, WEIGHTS))

    def scored(by):
        return lambda seen: ops.sum(by * seen, (1, 2, 3))

    def drawn(styles):
        return ops.reshape(ops.einsum("nld,ldp->np", styles, tensor(DRAWS)), (-1, 4, 4, 3))

    values = {name: [game.discriminator(real, fake), game.generator(fake), game.realness(real)] for name, game in GAN_LOSSES.items()}
    values["r1"] = [r1(scored(weights), pictures), r1(lambda seen: ops.sum(seen ** 2, (1, 2, 3)) / 2, pictures)]
    values["slope of r1"] = backend.gradient(lambda by: r1(scored(by), pictures), weights)
    unit = weights / ops.sqrt(ops.sum(weights ** 2))
    share = tensor(np.float32([0.2, 0.9]))
    values["penalty"] = [gradient_penalty(scored(length * unit), pictures, others, share) for length in (1.0, 3.0)]
    values["penalty where"] = [gradient_penalty(lambda seen: ops.sum(seen ** 2, (1, 2, 3)) / 2, pictures, others, share)]
    values["lengths"] = path_lengths(drawn, tensor(STYLES), tensor(NOISE))
    return {name: [np.asarray(ops.convert_to_numpy(one)).tolist() for one in value] for name, value in values.items()}


@pytest.fixture(scope="module", params=["tensorflow", "jax", "torch"])
def values(request) -> dict[str, list]:
    return found() if request.param == backend.BACKEND else answer_of(__file__, request.param, {})


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_each_game_is_as_by_hand(values, name):
    np.testing.assert_allclose(values[name], BY_HAND[name], rtol=1e-5)


def test_r1_is_the_squared_slope(values):
    np.testing.assert_allclose(values["r1"], [(WEIGHTS ** 2).sum(), (PICTURES ** 2).sum((1, 2, 3)).mean()], rtol=1e-5)


def test_r1_can_be_minimised(values):
    np.testing.assert_allclose(values["slope of r1"], 2 * WEIGHTS, rtol=1e-5)


def test_the_penalty_is_how_far_the_slope_is_from_1(values):
    np.testing.assert_allclose(values["penalty"], [0, 4], atol=1e-5)


def test_the_slope_is_taken_between_real_and_generated_pictures(values):
    share = np.reshape([0.2, 0.9], (2, 1, 1, 1))
    slopes = np.sqrt(((share * PICTURES + (1 - share) * OTHERS) ** 2).sum((1, 2, 3)))
    np.testing.assert_allclose(values["penalty where"], [((slopes - 1) ** 2).mean()], rtol=1e-5)


def test_path_lengths_of_a_linear_map_are_known(values):
    slopes = np.einsum("ldp,np->nld", DRAWS, NOISE.reshape(2, -1)) / 4  # the root of 4 x 4 pixels
    np.testing.assert_allclose(values["lengths"], np.sqrt((slopes ** 2).sum(2).mean(1)), rtol=1e-5)


if __name__ == "__main__":
    print(json.dumps(found()))
