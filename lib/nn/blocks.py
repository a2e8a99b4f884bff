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
        return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)),
                           (-1, height // block, width // block, block * block * channels))

    def get_config(self):
        return super().get_config() | {"block": self.block}


@keras.saving.register_keras_serializable("faceswap")
class DepthToSpace(layers.Layer):
    """(N, H, W, block * block * C) -> (N, H * block, W * block, C), the sub-pixel convolution's
    shuffle.

    "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
    Neural Network", CVPR 2016. Channel index = (row offset * block + column offset) * C + c.
    """

    def __init__(self, block: int = 2, **kwargs):
        super().__init__(**kwargs)
        self.block = block

    def call(self, x):
        _, height, width, channels = x.shape
        block = self.block
        x = ops.reshape(x, (-1, height, width, block, block, channels // block ** 2))
        return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)),
                           (-1, height * block, width * block, channels // block ** 2))

    def get_config(self):
        return super().get_config() | {"block": self.block}


@keras.saving.register_keras_serializable("faceswap")
class Even(keras.initializers.Initializer):
    """For the convolution before a `DepthToSpace` of `block`: the pixels of a block begin alike, so
    that no grid is there to unlearn.

    "Checkerboard artifact free sub-pixel convolution: A note on sub-pixel convolution, resize
    convolution and convolution resize", 2017.
    """

    def __init__(self, inner: keras.initializers.Initializer, block: int = 2):
        self.inner, self.block = inner, block

    def __call__(self, shape, dtype=None):
        """(..., block * block * C), the same C kernels for each pixel of a block, as `inner` makes
        them.
        """
        *rest, filters = shape
        return ops.tile(self.inner((*rest, filters // self.block ** 2), dtype=dtype),
                        (1,) * len(rest) + (self.block ** 2,))

    def get_config(self):
        return {"one": keras.initializers.serialize(self.inner), "block": self.block}

    @classmethod
    def from_config(cls, config):
        return cls(keras.initializers.deserialize(config["one"]), config["block"])


@keras.saving.register_keras_serializable("faceswap")
class JointNorm(layers.Layer):
    """Mean 0 and deviation 1 over places and channels together, times one gain, plus one shift."""

    def build(self, shape):
        self.gamma = self.add_weight(shape=(1,), initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=(1,), initializer="zeros", name="beta")

    def call(self, x):
        even = ops.cast(x, "float32")
        axes = tuple(range(1, len(x.shape)))
        mean = ops.mean(even, axes, keepdims=True)
        even = (even - mean) / (ops.sqrt(ops.mean(ops.square(even - mean), axes, keepdims=True)
                                         + 1e-12) + 1e-3)
        return ops.cast(even * self.gamma + self.beta, x.dtype)


@keras.saving.register_keras_serializable("faceswap")
class Restyled(layers.Layer):
    """A feature map (N, H, W, C) with the mean and deviation of each channel of each picture
    replaced by shifts and gains (N, C).

    "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", ICCV, 2017.
    """

    def call(self, inputs):
        x, gain, shift = (ops.cast(each, "float32") for each in inputs)
        mean = ops.mean(x, (1, 2), keepdims=True)
        even = (x - mean) / (ops.sqrt(ops.mean(ops.square(x - mean), (1, 2), keepdims=True) + 1e-12)
                             + 1e-3)
        return ops.cast(even * gain[:, None, None] + shift[:, None, None], inputs[0].dtype)


def evened(x, norm: str):
    """`x` (N, ..., C) after the normalisation "instance" (over all but N), "layer" or "rms" (over
    C); "none" leaves it.
    """
    if norm == "none":
        return x
    return {"instance": JointNorm, "layer": layers.LayerNormalization,
            "rms": layers.RMSNormalization}[norm]()(x)


def downscale(x, filters: int, kernel: int = 5, slope: float = 0.1, start="he_uniform"):
    """Strided convolution and leaky ReLU: half the side, `filters` channels."""
    x = layers.Conv2D(filters, kernel, strides=2, padding="same", kernel_initializer=start)(x)
    return layers.LeakyReLU(slope)(x)


def upscale(x, filters: int, kernel: int = 3, slope: float | None = 0.1, block: int = 2,
            start="he_uniform"):
    """Sub-pixel upscaling: `block` times the side, `filters` channels; without the leaky ReLU where
    `slope` is None.
    """
    x = layers.Conv2D(block ** 2 * filters, kernel, padding="same", kernel_initializer=start)(x)
    return DepthToSpace(block)(x if slope is None else layers.LeakyReLU(slope)(x))


def relu_upscale(x, filters: int):
    """Sub-pixel upscaling behind a ReLU."""
    x = layers.Conv2D(4 * filters, 3, padding="same", activation="relu",
                      kernel_initializer="he_uniform")(x)
    return DepthToSpace(2)(x)


def sharp_upscale(x, filters: int, residuals: int = 1, kernel: int = 3, start="he_uniform",
                  first="he_uniform"):
    """Sub-pixel upscaling with its leaky ReLU behind the shuffle, then residual blocks."""
    x = layers.LeakyReLU(0.2)(upscale(x, filters, kernel, slope=None, start=start))
    for _ in range(residuals):
        x = leaky_residual(x, first)
    return x


def leaky_residual(x, start="he_uniform", bias: bool = True):
    """Two 3x3 convolutions around a shortcut, with leaky ReLUs; the second starts small."""
    filters = x.shape[-1]
    small = keras.initializers.VarianceScaling(0.2, "fan_in", "uniform")
    y = layers.Conv2D(filters, 3, padding="same", use_bias=bias, kernel_initializer=start)(x)
    y = layers.Conv2D(filters, 3, padding="same", use_bias=bias,
                      kernel_initializer=small)(layers.LeakyReLU(0.2)(y))
    return layers.LeakyReLU(0.2)(layers.Add()([x, y]))


def hybrid_upscale(x, filters: int, block: int = 2, slope: float | None = 0.1):
    """Half of the channels by sub-pixel upscaling, the others by a convolution that is then made
    larger bilinearly.
    """
    half = filters - filters // 2
    smooth = layers.Conv2D(half, 3, padding="same", kernel_initializer="he_uniform")(x)
    return layers.Concatenate()([upscale(x, half, slope=slope, block=block),
                                 layers.UpSampling2D(block, interpolation="bilinear")(smooth)])


def fast_upscale(x, filters: int):
    """The sum of sub-pixel upscaling and of a convolution that is then made larger bilinearly."""
    smooth = layers.Conv2D(filters, 3, padding="same", kernel_initializer="he_uniform")(x)
    return layers.Add()([layers.UpSampling2D(2, interpolation="bilinear")(smooth),
                         upscale(x, filters)])


def resize_upscale(x, filters: int):
    """The sum of a bilinear enlargement that is then convolved, and of a transposed convolution;
    then a leaky ReLU.
    """
    smooth = layers.UpSampling2D(2, interpolation="bilinear")(x)
    smooth = layers.Conv2D(filters, 3, padding="same", kernel_initializer="he_uniform")(smooth)
    sharp = layers.Conv2DTranspose(filters, 3, strides=2, padding="same",
                                   kernel_initializer="he_uniform")(x)
    return layers.LeakyReLU(0.2)(layers.Add()([smooth, sharp]))


def smooth_upscale(x, filters: int):
    """A bilinear enlargement and two convolutions, each with a leaky ReLU."""
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    for _ in range(2):
        x = layers.LeakyReLU(0.2)(layers.Conv2D(filters, 3, padding="same",
                                                kernel_initializer="he_uniform")(x))
    return x


def dense_grid(x, length: int, side: int, filters: int, start="glorot_uniform"):
    """Flattened to so many numbers, and these spread over a grid (N, side, side, filters), both
    linearly.
    """
    x = layers.Dense(length, kernel_initializer=start)(layers.Flatten()(x))
    return layers.Reshape((side, side, filters))(layers.Dense(side * side * filters,
                                                              kernel_initializer=start)(x))


def picture(x, channels: int = 3, kernel: int = 5, start="he_uniform"):
    """(N, H, W, channels) in [0, 1], in float32: less bands skin."""
    return layers.Conv2D(channels, kernel, padding="same", activation="sigmoid",
                         kernel_initializer=start, dtype="float32")(x)


def picture_and_mask(drawn, mask):
    """(N, H, W, 3), and (N, H, W, 1) or None -> (N, H, W, 3 or 4)."""
    return drawn if mask is None else layers.Concatenate(dtype="float32")([drawn, mask])


def plain_mask(code, filters, kernel: int = 5):
    """A way of its own from a code to a mask, of plain upscaling."""
    x = code
    for count in filters:
        x = upscale(x, count)
    return picture(x, 1, kernel)


def residual(x, scale: float = 0.2):
    """Two 3x3 convolutions around a shortcut; the second starts small, so that a deep stack begins
    as the identity.
    """
    filters = x.shape[-1]
    y = layers.Conv2D(filters, 3, padding="same", activation="relu",
                      kernel_initializer="he_uniform")(x)
    small = keras.initializers.VarianceScaling(scale, "fan_in", "uniform")
    y = layers.Conv2D(filters, 3, padding="same", kernel_initializer=small)(y)
    return layers.ReLU()(layers.Add()([x, y]))
