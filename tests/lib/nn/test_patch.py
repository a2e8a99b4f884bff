"""Translators and patch discriminators: sizes as published, and what each logit sees."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from lib.nn import initial_weights, patch

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("blocks, count", [(9, 11_378_179), (6, 7_837_699)])
def test_translators_are_as_large_as_published(blocks, count):
    assert patch.translator(blocks, 64, "generator").count_params() == count


def test_the_discriminator_is_as_large_as_published():
    network = patch.patch_discriminator(64, "discriminator")
    assert network.count_params() == 2_764_737
    assert network.compute_output_shape((1, 256, 256, 3)) == (1, 30, 30, 1)


@pytest.mark.parametrize("height, width", [(64, 64), (16, 36), (100, 20)])
def test_translators_take_any_multiple_of_4(height, width):
    made = patch.translator(1, 4, "generator").predict_on_batch(RANDOM.uniform(-1, 1, (1, height, width, 3)).astype(np.float32))
    assert made.shape == (1, height, width, 3) and np.abs(made).max() <= 1


@pytest.mark.parametrize("depth, side", [(1, 16), (2, 34), (3, 70)])
def test_a_logit_sees_a_patch(depth, side):
    """What changes the logit in the middle, pixel by pixel. Spectral norm, since that of instances looks at the whole picture."""
    import tensorflow

    network = patch.patch_discriminator(4, "discriminator", depth, spectral=True)
    picture = tensorflow.constant(RANDOM.uniform(-1, 1, (1, 128, 128, 3)), tensorflow.float32)
    with tensorflow.GradientTape() as tape:
        tape.watch(picture)
        logits = network(picture)
        middle = logits[0, logits.shape[1] // 2, logits.shape[2] // 2, 0]
    seen = np.abs(tape.gradient(middle, picture).numpy()[0]).sum(-1) > 0
    assert np.flatnonzero(seen.any(1)).size == np.flatnonzero(seen.any(0)).size == side


def test_instance_norm_evens_out_each_channel_of_each_picture():
    x = RANDOM.normal(3, 5, (2, 16, 16, 4)).astype(np.float32) * np.float32([[[[1, 2, 3, 4]]]])
    normed = np.asarray(patch.InstanceNorm()(x))
    np.testing.assert_allclose(normed.mean((1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(normed.std((1, 2)), 1, atol=1e-4)
    np.testing.assert_allclose(np.asarray(patch.InstanceNorm()(x[1:])), normed[1:], atol=1e-5)


def test_spectral_norm_makes_the_largest_singular_value_1():
    layer = patch.SpectralConv2D(5, 4, use_bias=False, kernel_initializer=keras.initializers.RandomNormal(0.0, 3.0))
    layer.build((None, 4, 4, 3))
    initial_weights.draw({"network": keras.Sequential([keras.Input((4, 4, 3)), layer])}, 1)
    basis = np.eye(48, dtype=np.float32).reshape(48, 4, 4, 3)  # what it makes of these are the rows of its kernel

    def largest(training: bool) -> float:
        return float(np.linalg.svd(np.asarray(layer(basis, training=training)).reshape(48, 5), compute_uv=False)[0])

    first = largest(False)
    assert largest(False) == first, "outside training it stays as it is"
    for _ in range(60):
        largest(True)
    assert abs(largest(False) - 1) < 1e-3 < abs(first - 1)


def test_its_cost_is_what_was_published():
    from lib.training.run.estimate import cost

    counted = cost(patch.translator(6, 64, "g"), 128)
    assert counted.parameters == 7_837_699 and counted.operations / 1e9 == pytest.approx(17.5, rel=0.02)
    assert cost(patch.patch_discriminator(64, "d"), 256).operations / 1e9 == pytest.approx(6.3, rel=0.02)
