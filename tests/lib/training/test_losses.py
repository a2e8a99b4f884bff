"""Losses, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lib.training import backend  # noqa: F401  TensorFlow starts silently
from lib.training.losses import mean_absolute


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
