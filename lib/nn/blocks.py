"""Layers that several models share. Feature maps are (N, H, W, C)."""

from __future__ import annotations

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("faceswap")
class SpaceToDepth(layers.Layer):
    """(N, H, W, C) -> (N, H / block, W / block, block * block * C)."""

    def __init__(self, block: int = 2, **kwargs):
        super().__init__(**kwargs)
        self.block = block

    def call(self, x):
        _, height, width, channels = x.shape
        block = self.block
        x = ops.reshape(x, (-1, height // block, block, width // block, block, channels))
        return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, height // block, width // block, block * block * channels))

    def get_config(self):
        return super().get_config() | {"block": self.block}


@keras.saving.register_keras_serializable("faceswap")
class DepthToSpace(layers.Layer):
    """(N, H, W, block * block * C) -> (N, H * block, W * block, C), the sub-pixel convolution's shuffle.

    "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network", CVPR 2016.
    Channel index = (row offset * block + column offset) * C + c.
    """

    def __init__(self, block: int = 2, **kwargs):
        super().__init__(**kwargs)
        self.block = block

    def call(self, x):
        _, height, width, channels = x.shape
        block = self.block
        x = ops.reshape(x, (-1, height, width, block, block, channels // block ** 2))
        return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, height * block, width * block, channels // block ** 2))

    def get_config(self):
        return super().get_config() | {"block": self.block}


@keras.saving.register_keras_serializable("faceswap")
class Even(keras.initializers.Initializer):
    """For the convolution before a `DepthToSpace` of `block`: the pixels of a block begin alike, so that no grid is there to unlearn.

    "Checkerboard artifact free sub-pixel convolution: A note on sub-pixel convolution, resize convolution and convolution resize", 2017.
    """

    def __init__(self, one: keras.initializers.Initializer, block: int = 2):
        self.one, self.block = one, block

    def __call__(self, shape, dtype=None):
        """(..., block * block * C), the same C kernels for each pixel of a block, as `one` makes them."""
        *rest, filters = shape
        return ops.tile(self.one((*rest, filters // self.block ** 2), dtype=dtype), (1,) * len(rest) + (self.block ** 2,))

    def get_config(self):
        return {"one": keras.initializers.serialize(self.one), "block": self.block}

    @classmethod
    def from_config(cls, config):
        return cls(keras.initializers.deserialize(config["one"]), config["block"])


def downscale(x, filters: int, kernel: int = 5, slope: float = 0.1):
    """Strided convolution and leaky ReLU: half the side, `filters` channels."""
    x = layers.Conv2D(filters, kernel, strides=2, padding="same", kernel_initializer="he_uniform")(x)
    return layers.LeakyReLU(slope)(x)


def upscale(x, filters: int, kernel: int = 3, slope: float = 0.1):
    """Sub-pixel upscaling: twice the side, `filters` channels."""
    x = layers.Conv2D(4 * filters, kernel, padding="same", kernel_initializer="he_uniform")(x)
    return DepthToSpace(2)(layers.LeakyReLU(slope)(x))


def residual(x, scale: float = 0.2):
    """Two 3x3 convolutions around a shortcut; the second starts small, so that a deep stack begins as the identity."""
    filters = x.shape[-1]
    y = layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_uniform")(x)
    small = keras.initializers.VarianceScaling(scale, "fan_in", "uniform")
    y = layers.Conv2D(filters, 3, padding="same", kernel_initializer=small)(y)
    return layers.ReLU()(layers.Add()([x, y]))
