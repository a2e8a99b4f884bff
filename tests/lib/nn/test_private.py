"""What Keras and TensorFlow do not promise to keep is still there."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from lib.nn import (
    backend,  # noqa: F401  TensorFlow starts silently
    private,
)

import keras  # isort: skip
from keras import layers  # isort: skip


@pytest.fixture
def network() -> keras.Model:
    """A layer, called twice, within a network within another."""
    inner_input = keras.Input((4, 4, 3))
    convolution = layers.Conv2D(3, 3, padding="same", name="convolution")
    inner = keras.Model(inner_input, convolution(convolution(inner_input)), name="inner")
    face = keras.Input((4, 4, 3))
    return keras.Model(face, layers.Flatten()(inner(face)))


@pytest.fixture
def adam(network) -> keras.optimizers.Adam:
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(network.trainable_variables)
    return optimizer


def test_layers_within_layers(network):
    every = private.layers_of(network)
    assert network in every and "convolution" in [layer.name for layer in every]
    assert network not in private.layers_of(network, include_self=False)


def test_calls_of_a_layer(network):
    convolution = next(layer for layer in private.layers_of(network) if layer.name == "convolution")
    assert private.calls_of(convolution) == [((None, 4, 4, 3), (None, 4, 4, 3))] * 2
    assert private.calls_of(layers.Dense(1)) == []


def test_variables_of_an_optimizer_and_their_moments(network, adam):
    kernel, bias = network.trainable_variables
    assert private.variable_index(adam, kernel) == 0 and private.variable_index(adam, bias) == 1
    assert [id(variable) for variable in private.built_variables(adam)] == [id(kernel), id(bias)]
    gradients = [np.full(variable.shape, 2.0, np.float32) for variable in (kernel, bias)]
    adam.apply([keras.ops.convert_to_tensor(gradient) for gradient in gradients])
    mean, square = private.adam_moments(adam, bias)
    np.testing.assert_allclose(np.asarray(keras.ops.convert_to_numpy(mean)), 0.2, rtol=1e-5)
    np.testing.assert_allclose(np.asarray(keras.ops.convert_to_numpy(square)), 0.004, rtol=1e-5)


def test_a_state_of_its_own_is_saved_with_an_optimizer(adam):
    state = keras.Variable(np.float32([1, 2]), trainable=False, name="history")
    count = len(adam.variables)
    private.add_state(adam, state)
    assert len(adam.variables) == count + 1 and any(variable is state for variable in adam.variables)


@pytest.mark.skipif(backend.BACKEND != "tensorflow", reason="of TensorFlow")
def test_gradients_are_not_summed_over_devices(network, adam, monkeypatch):
    """TensorFlow's optimizer asks that method when it applies gradients."""
    asked = []
    private.gather_no_gradients(adam)
    assert adam._all_reduce_sum_gradients is list
    monkeypatch.setattr(adam, "_all_reduce_sum_gradients", lambda pairs: asked.append(1) or list(pairs))
    adam.apply([keras.ops.ones(variable.shape) for variable in network.trainable_variables])
    assert asked


@pytest.mark.skipif(backend.BACKEND != "tensorflow", reason="of TensorFlow")
def test_what_is_done_once_for_all_devices():
    import tensorflow as tf

    strategy, calls = tf.distribute.MirroredStrategy(["/cpu:0"]), []
    strategy.run(lambda: private.merge_replicas(lambda own, value: calls.append((own, value)), strategy, 5))
    (_, value), = calls
    assert (value.values[0] if hasattr(value, "values") else value) == 5


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
def test_where_pytorch_computes():
    assert private.torch_device() in ("cpu", "cuda", "mps")
