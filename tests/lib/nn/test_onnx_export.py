"""Keras networks as ONNX files."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from lib.nn import backend
from lib.nn.onnx_export import onnx_of
from lib.plugin import MODELS

import keras  # isort: skip
from keras import layers  # isort: skip


@pytest.fixture(scope="module", autouse=True)
def float32():
    backend.set_up("float32", 1)


@pytest.mark.parametrize("size", [96, 128])
def test_the_file_computes_what_keras_computes(size):
    network = MODELS.create("occlusion", size=size, width=4).networks()["seer"]
    random = np.random.default_rng(0)
    for variable in network.weights:
        if variable.name != "kernel":  # means, variances and shifts begin at 0 and 1
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
    faces = random.random((2, size, size, 3), np.float32)
    expected = network.predict_on_batch(faces)
    session = onnxruntime.InferenceSession(onnx_of(network))
    answer, = session.run(None, {"face": faces.transpose(0, 3, 1, 2)})
    assert np.abs(answer.transpose(0, 2, 3, 1) - expected).max() < 1e-5 * np.ptp(expected)


def test_layers_without_onnx_are_refused():
    picture = keras.Input((8, 8, 3))
    with pytest.raises(TypeError, match="LayerNormalization"):
        onnx_of(keras.Model(picture, layers.LayerNormalization()(picture)))
    with pytest.raises(TypeError, match="activation"):
        onnx_of(keras.Model(picture, layers.Conv2D(2, 3, activation="tanh")(picture)))
