"""Losses, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lib.training import backend  # noqa: F401  TensorFlow starts silently
from lib.training.losses import detail_apart, mean_absolute


def picture(rows: list[list[float]]) -> np.ndarray:
    """(1, H, W, 1) float32."""
    return np.array(rows, np.float32)[None, ..., None]


def test_mean_absolute():
    assert float(mean_absolute(picture([[0, 1], [0.5, 0.5]]), picture([[0, 0], [1, 0.25]]))) == pytest.approx((0 + 1 + 0.5 + 0.25) / 4)


def test_mean_absolute_with_a_weight():
    error = picture([[0, 1], [0.5, 0.25]])
    weight = picture([[9, 1], [2, 0]])
    assert float(mean_absolute(error, np.zeros_like(error), weight)) == pytest.approx((0 * 9 + 1 * 1 + 0.5 * 2 + 0.25 * 0) / 12)


def test_a_weight_of_one_changes_nothing_in_colour():
    random = np.random.default_rng(0)
    one, other = random.random((2, 3, 8, 8, 3), np.float32)
    assert float(mean_absolute(one, other, np.ones((3, 8, 8, 1), np.float32))) == pytest.approx(float(mean_absolute(one, other)))


def test_gradients_are_finite_even_where_nothing_is_wrong():
    import tensorflow as tf

    random = np.random.default_rng(0)
    target, weight = random.random((2, 16, 16, 3), np.float32), random.random((2, 16, 16, 1), np.float32)
    for start in (target, random.random(target.shape, np.float32)):
        found = tf.Variable(start)
        with tf.GradientTape() as tape:
            value = mean_absolute(found, target, weight)
        gradient = tape.gradient(value, found).numpy()
        assert np.isfinite(gradient).all()
        assert (np.abs(gradient).max() > 0) == (start is not target)


def wave(pixels: float, amplitude: float, start: float = 0.0) -> np.ndarray:
    """(1, 128, 128, 3) float32: grey, with upright stripes of so many pixels."""
    stripes = 0.5 + amplitude * np.sin(2 * np.pi * (np.arange(128) + start) / pixels)
    return np.broadcast_to(stripes[None, None, :, None], (1, 128, 128, 3)).astype(np.float32)


def inner() -> np.ndarray:
    """(1, 128, 128, 1) float32: all but the rim, beyond which nothing is known."""
    weight = np.zeros((1, 128, 128, 1), np.float32)
    weight[:, 32:-32, 32:-32] = 1
    return weight


def apart(picture: np.ndarray, target: np.ndarray, weight: np.ndarray) -> float:
    return float(detail_apart(picture, target, weight / weight.mean()))


def test_detail_counts_as_much_of_it_as_is_there():
    turn = 2 * np.pi / 6.4  # a pixel's; five waves are four blocks
    gain = np.cos(turn / 2) ** 4 * (2 - 2 * np.cos(turn))  # of two smoothings and the Laplacian
    found = apart(wave(6.4, 0.2), wave(6.4, 0.05), inner())
    assert found == pytest.approx(gain * (0.2 - 0.05) / np.sqrt(2), rel=0.02)


def test_detail_that_lies_elsewhere_is_as_good():
    one, other = wave(6.4, 0.2), wave(6.4, 0.2, start=3)
    assert float(mean_absolute(one, other)) > 0.1
    assert apart(one, other, inner()) < 2e-3


@pytest.mark.parametrize("pixels", [2, 4, 8])
def test_what_is_alike_in_every_block_is_no_detail(pixels):
    pattern = wave(pixels, 0.2, start=0.5)
    assert float(mean_absolute(pattern, np.full_like(pattern, 0.5))) > 0.1
    assert apart(pattern, np.full_like(pattern, 0.5), inner()) < 1e-4


def test_detail_counts_where_the_weight_is():
    picture, weight = wave(6.4, 0.2).copy(), inner()
    picture[:, :, 60:] = 0.5
    weight[:, :, :64] = 0
    assert apart(picture, np.full_like(picture, 0.5), weight) < 1e-4
    assert apart(picture, np.full_like(picture, 0.5), inner()) > 0.01


def test_the_gradient_of_the_detail_is_finite_where_there_is_none():
    import tensorflow as tf

    found = tf.Variable(np.full((1, 128, 128, 3), 0.5, np.float32))
    with tf.GradientTape() as tape:
        value = detail_apart(found, wave(6.4, 0.2), inner())
    assert float(value) > 0 and np.isfinite(tape.gradient(value, found).numpy()).all()
