"""Blocks of networks."""

from __future__ import annotations

import numpy as np
import pytest

from lib.nn import backend  # noqa: F401  TensorFlow starts silently


@pytest.mark.parametrize("block", [2, 4])
def test_pixels_of_a_block_begin_alike(block):
    import keras
    from keras import layers

    from lib.nn.blocks import DepthToSpace, Even

    kernel = Even(keras.initializers.VarianceScaling(1.0, seed=1), block)
    picture = keras.Input((8, 8, 5))
    network = keras.Model(picture, DepthToSpace(block)(layers.Conv2D(3 * block ** 2, 3, padding="same", kernel_initializer=kernel)(picture)))
    drawn = network.predict_on_batch(np.random.default_rng(0).random((2, 8, 8, 5), np.float32))
    blocks = drawn.reshape(2, 8, block, 8, block, 3)
    np.testing.assert_allclose(blocks, np.broadcast_to(blocks[:, :, :1, :, :1], blocks.shape), atol=1e-6)
    assert drawn.std() > 0.1 and np.ptp(blocks[:, :, 0, :, 0], axis=-1).max() > 0.1, "places and colours differ"
    again = keras.initializers.deserialize(keras.initializers.serialize(kernel))
    np.testing.assert_array_equal(np.asarray(again((3, 3, 5, 3 * block ** 2))), np.asarray(kernel((3, 3, 5, 3 * block ** 2))))
