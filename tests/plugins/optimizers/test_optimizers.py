"""Every optimizer, and what any of them can be made to do besides."""

from __future__ import annotations

import numpy as np
import pytest

from lib.nn import backend  # noqa: F401  TensorFlow starts silently
from lib.plugin import OPTIMIZERS

import keras  # isort: skip

from lib.nn.optimizers import AdaBelief, extended  # isort: skip

START = np.float32([3.0, -2.0, 1.0, -1.5])
TARGET = np.float32([0.5, 0.5, -0.5, -0.5])


def minimised(optimizer: keras.optimizers.Optimizer, steps: int, slope: float = 1.0) -> np.ndarray:
    """Where `steps` on the way down a bowl around TARGET lead from START."""
    variable = keras.Variable(START, name="kernel")
    optimizer.build([variable])
    for _ in range(steps):
        optimizer.apply([slope * (variable - TARGET)], [variable])
    return np.asarray(variable.value)


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_each_finds_its_way_down(name):
    made = OPTIMIZERS.create(name).make(0.05)
    assert isinstance(made, keras.optimizers.Optimizer) and float(made.learning_rate) == pytest.approx(0.05)
    assert np.abs(minimised(made, 300) - TARGET).max() < 0.1
    assert np.abs(minimised(OPTIMIZERS.create(name).make(0.05), 3) - START).max() < 0.5, "no faster than its rate lets it"


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_each_is_made_anew_from_its_description(name):
    made = OPTIMIZERS.create(name).make(0.01)
    again = type(made).from_config(made.get_config())
    np.testing.assert_allclose(minimised(made, 5), minimised(again, 5))


def test_adabelief_as_its_paper_has_it():
    rate, one, two, epsilon = 0.1, 0.9, 0.999, 1e-14
    place, mean, spread = START.astype(float), np.zeros(4), np.zeros(4)
    for step in range(1, 6):
        gradient = place - TARGET
        mean = one * mean + (1 - one) * gradient
        spread = two * spread + (1 - two) * (gradient - mean) ** 2 + epsilon
        place = place - rate * (mean / (1 - one ** step)) / (np.sqrt(spread / (1 - two ** step)) + epsilon)
    np.testing.assert_allclose(minimised(AdaBelief(rate, one, two, epsilon), 5), place, rtol=1e-4)


def test_weights_decay_and_biases_do_not():
    """What decays goes to zero where nothing pulls it anywhere."""
    for name in ("adamw", "lion", "adabelief"):
        made = extended(OPTIMIZERS.create(name, weight_decay=0.5).make(0.1), percentile=50)
        kernel, bias = keras.Variable(START, name="kernel"), keras.Variable(START, name="bias")
        made.build([kernel, bias])
        made.apply([kernel * 0, bias * 0], [kernel, bias])
        assert np.abs(np.asarray(kernel.value)).sum() < 0.99 * np.abs(START).sum(), name
        np.testing.assert_array_equal(np.asarray(bias.value), START)


def test_gradients_are_clipped_by_the_norms_before_them():
    made = extended(keras.optimizers.SGD(1.0), percentile=50)
    variable = keras.Variable(np.zeros(2, np.float32), name="kernel")
    made.build([variable])
    moved = []
    for norm in (1.0, 1.0, 1.0, 100.0, 0.5):
        before = np.asarray(variable.value)
        made.apply([keras.ops.convert_to_tensor(np.float32([0.6, 0.8]) * norm)], [variable])
        moved.append(np.linalg.norm(np.asarray(variable.value) - before))
    np.testing.assert_allclose(moved, [1, 1, 1, 1, 0.5], rtol=1e-5)


def test_learning_rate_dropout_moves_some_of_the_weights():
    made = extended(keras.optimizers.SGD(1.0), kept=0.25, seed=3)
    variable = keras.Variable(np.zeros(10_000, np.float32), name="kernel")
    made.build([variable])
    made.apply([keras.ops.ones(10_000)], [variable])
    first = np.asarray(variable.value)
    assert set(first.tolist()) == {0.0, -1.0} and (first != 0).mean() == pytest.approx(0.25, abs=0.02)
    made.apply([keras.ops.ones(10_000)], [variable])
    assert ((np.asarray(variable.value) - first != 0) != (first != 0)).any(), "others each time"


def test_without_either_an_optimizer_stays_as_it_is():
    made = keras.optimizers.Adam(1e-3)
    assert extended(made) is made
