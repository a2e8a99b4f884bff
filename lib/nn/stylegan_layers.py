"""Layers of style-based generators and their discriminators. Feature maps are (N, H, W, C).

"A Style-Based Generator Architecture for Generative Adversarial Networks", CVPR, 2019, and
"Analyzing and Improving the Image Quality of StyleGAN", CVPR, 2020.
"""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import layers, ops

SLOPE = 0.2  # of leaky ReLUs
# what goes into one is made larger by this, and comes out as wide as it was: layers do so by way of
# their weights
GAIN = math.sqrt(2)
CLAMP = 256.0  # for float16
GROUP = 4  # pictures whose spread a discriminator sees
FIR = np.float32([1, 3, 3, 1]) / 8  # low-pass filter along one axis
BLUR = np.float32([1, 2, 1]) / 4  # that of 2019
NORMAL = keras.initializers.RandomNormal(0.0, 1.0)


@keras.saving.register_keras_serializable("faceswap")
class Leaky(layers.Layer):
    """Leaky ReLU; in float16, clamped."""

    def call(self, x):
        y = ops.leaky_relu(x, SLOPE)
        return ops.clip(y, -CLAMP, CLAMP) if self.compute_dtype == "float16" else y


@keras.saving.register_keras_serializable("faceswap")
class Resampled(layers.Layer):
    """(N, H, W, C) through a low-pass filter: "up" (2 H, 2 W) or "blur" (H, W)."""

    def __init__(self, how: str, **kwargs):
        super().__init__(**kwargs)
        self.how = how

    def call(self, x):
        return {"up": enlarged, "blur": blurred}[self.how](x)

    def get_config(self):
        return super().get_config() | {"how": self.how}


def leaky(x):
    return Leaky(dtype=x.dtype)(x)


@keras.saving.register_keras_serializable("faceswap")
class EqualDense(layers.Layer):
    """Dense layer with weights of deviation 1 that are scaled as they are used, so that all layers
    learn at one pace.

    "Progressive Growing of GANs for Improved Quality, Stability, and Variation", ICLR, 2018. `rate`
    slows the layer down; `bias` is what it begins with. What comes out is times `gain`.
    """

    def __init__(self, units: int, rate: float = 1.0, bias: float = 0.0, gain: float = 1.0,
                 **kwargs):
        super().__init__(**kwargs)
        self.units, self.rate, self.start, self.gain = units, rate, bias, gain

    def build(self, shape):
        self.kernel_initializer = keras.initializers.RandomNormal(0.0, 1.0 / self.rate)
        self.scale = self.gain * self.rate / math.sqrt(shape[-1])
        self.kernel = self.add_weight(shape=(shape[-1], self.units),
                                      initializer=self.kernel_initializer, name="kernel")
        self.bias = self.add_weight(shape=(self.units,),
                                    initializer=keras.initializers.Constant(self.start / self.rate),
                                    name="bias")

    def call(self, x):
        return ops.matmul(x, self.kernel * self.scale) + self.bias * (self.gain * self.rate)

    def get_config(self):
        return super().get_config() | {"units": self.units, "rate": self.rate, "bias": self.start,
                                       "gain": self.gain}


@keras.saving.register_keras_serializable("faceswap")
class EqualConv2D(layers.Layer):
    """Likewise a convolution; with `scale` "up" or "down" it makes the picture twice or half as
    large, through the low-pass FIR.
    """

    def __init__(self, filters: int, kernel: int = 3, scale: str | None = None,
                 use_bias: bool = True, gain: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.side, self.resampled = filters, kernel, scale
        self.use_bias, self.gain = use_bias, gain

    def build(self, shape):
        self.kernel_initializer = NORMAL
        self.kernel = self.add_weight(shape=(self.side, self.side, shape[-1], self.filters),
                                      initializer=NORMAL, name="kernel")
        self.scale = self.gain / math.sqrt(self.side ** 2 * shape[-1])
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")

    def call(self, x):
        y = convolved(x, self.kernel * self.scale, self.resampled)
        return y + self.bias * self.gain if self.use_bias else y

    def get_config(self):
        return super().get_config() | {"filters": self.filters, "kernel": self.side,
                                       "scale": self.resampled, "use_bias": self.use_bias,
                                       "gain": self.gain}


@keras.saving.register_keras_serializable("faceswap")
class ModulatedConv2D(layers.Layer):
    """A convolution whose input channels are weighed by a style, and whose effective kernels then
    have length 1 (demodulation).

    Called with a feature map (N, H, W, C) and float32 styles w (N, D). The kernel is shared by the
    batch: to weigh what goes in and what comes out is the same as to weigh it for each picture.
    """

    def __init__(self, filters: int, kernel: int = 3, scale: str | None = None,
                 demodulate: bool = True, gain: float = 1.0, **kwargs):
        super().__init__(autocast=False, **kwargs)  # styles stay float32
        self.filters, self.side, self.resampled = filters, kernel, scale
        self.demodulate, self.gain = demodulate, gain

    def build(self, shapes):
        channels = shapes[0][-1]
        self.kernel_initializer = NORMAL
        self.kernel = self.add_weight(shape=(self.side, self.side, channels, self.filters),
                                      initializer=NORMAL, name="kernel")
        self.style = EqualDense(channels, bias=1.0, dtype="float32", name="style")
        self.style.build(shapes[1])

    def call(self, inputs):
        x, w = inputs
        styles, kernel = self.style(w), ops.convert_to_tensor(self.kernel)
        if self.demodulate:
            # keeps half precision from overflowing; the result is the same
            kernel = kernel / math.sqrt(math.prod(kernel.shape[:3]))
            after = demodulation(kernel, styles) * self.gain
        else:
            styles = styles * (self.gain / math.sqrt(kernel.shape[2]))
        y = convolved(x * ops.cast(styles, x.dtype)[:, None, None], ops.cast(kernel, x.dtype),
                      self.resampled)
        return y * ops.cast(after, y.dtype)[:, None, None] if self.demodulate else y

    def get_config(self):
        return super().get_config() | {"filters": self.filters, "kernel": self.side,
                                       "scale": self.resampled, "demodulate": self.demodulate,
                                       "gain": self.gain}


def demodulation(kernel, styles):
    """(N, F): by what the output channels of a kernel (K, K, C, F) weighed by styles (N, C) are
    multiplied so that each has length 1.
    """
    return ops.rsqrt(ops.matmul(ops.square(styles), ops.sum(ops.square(kernel), (0, 1))) + 1e-8)


def convolved(x, kernel, scale: str | None = None):
    """`x` (N, H, W, C) with a kernel (K, K, C, F), K odd: of the same side, or "up" twice, or
    "down" half as large.
    """
    side = kernel.shape[0]
    if scale is None:
        return ops.conv(x, kernel, 1, "same")
    # a transposed convolution takes a quarter of the work of one of the larger picture
    if scale == "up":
        kernel = ops.transpose(ops.flip(kernel, (0, 1)), (0, 1, 3, 2))
        return filtered(ops.conv_transpose(x, kernel, 2, "valid"), 2 * FIR, 2 - side // 2)
    return ops.conv(filtered(x, FIR, (side + 1) // 2), kernel, 2, "valid")


def filtered(x, taps: np.ndarray, edge: int):
    """`x` convolved along both axes with `taps`, with so many zeros around it.

    A processor does that ten times as fast by a depthwise convolution as by adding what is shifted,
    or as by one with strides.
    """
    kernel = np.repeat(np.outer(taps, taps)[:, :, None, None], x.shape[-1], 2)
    x = ops.pad(x, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    return ops.depthwise_conv(x, ops.cast(kernel, x.dtype), 1, "valid")


def enlarged(x):
    """(N, H, W, C) -> (N, 2 H, 2 W, C) through the FIR; at the border there are zeros beyond."""
    _, height, width, channels = x.shape
    spread = ops.pad(x[:, :, None, :, None], ((0, 0), (0, 0), (0, 1), (0, 0), (0, 1), (0, 0)))
    x = ops.reshape(spread, (-1, 2 * height, 2 * width, channels))
    return filtered(x, 2 * FIR, 2)[:, :-1, :-1]


def blurred(x):
    """(N, H, W, C) through [1, 2, 1] along both axes."""
    return filtered(x, BLUR, 1)


@keras.saving.register_keras_serializable("faceswap")
class Noise(layers.Layer):
    """Adds a picture of noise, as strong as is learnt: one strength for all channels, or, `each`,
    for every one; times `gain`.

    In training the noise is new for every picture; else it is always the same.
    """

    def __init__(self, each: bool = False, gain: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.each, self.gain, self.seeds = each, gain, keras.random.SeedGenerator()
        self.fixed_initializer = NORMAL

    def build(self, shape):
        self.strength = self.add_weight(shape=(shape[-1] if self.each else 1,), initializer="zeros",
                                        name="strength")
        self.fixed = self.add_weight(shape=(1, *shape[1:3], 1), initializer=NORMAL, trainable=False,
                                     name="fixed")

    def call(self, x, training: bool = False):
        noise = self.fixed
        if training:
            noise = keras.random.normal((ops.shape(x)[0], *x.shape[1:3], 1), dtype=x.dtype,
                                        seed=self.seeds)
        return x + ops.cast(noise, x.dtype) * (self.strength * self.gain)

    def get_config(self):
        return super().get_config() | {"each": self.each, "gain": self.gain}


@keras.saving.register_keras_serializable("faceswap")
class Bias(layers.Layer):
    """Adds a number to each channel, times `gain`."""

    def __init__(self, gain: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.gain = gain

    def build(self, shape):
        self.bias = self.add_weight(shape=(shape[-1],), initializer="zeros", name="bias")

    def call(self, x):
        return x + self.bias * self.gain

    def get_config(self):
        return super().get_config() | {"gain": self.gain}


@keras.saving.register_keras_serializable("faceswap")
class Constant(layers.Layer):
    """(N, ...) -> (N, 4, 4, C): the learnt picture that every face begins with."""

    def __init__(self, filters: int, ones: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.ones = filters, ones
        self.picture_initializer = keras.initializers.Ones() if ones else NORMAL

    def build(self, shape):
        self.picture = self.add_weight(shape=(1, 4, 4, self.filters),
                                       initializer=self.picture_initializer, name="picture")

    def call(self, like):
        return ops.tile(ops.cast(self.picture, self.compute_dtype), (ops.shape(like)[0], 1, 1, 1))

    def get_config(self):
        return super().get_config() | {"filters": self.filters, "ones": self.ones}


@keras.saving.register_keras_serializable("faceswap")
class AdaIN(layers.Layer):
    """Channels of mean 0 and deviation 1, then stretched and shifted by float32 styles w (N, D), as
    the design of 2019 has it.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def build(self, shapes):
        self.channels = shapes[0][-1]
        self.style = EqualDense(2 * self.channels, dtype="float32", name="style")
        self.style.build(shapes[1])

    def call(self, inputs):
        x, w = inputs
        wide = ops.cast(x, "float32")
        apart = wide - ops.mean(wide, (1, 2), keepdims=True)
        even = apart * ops.rsqrt(ops.mean(ops.square(apart), (1, 2), keepdims=True) + 1e-8)
        gain, shift = ops.split(self.style(w)[:, None, None], 2, -1)
        return ops.cast(even * (1 + gain) + shift, x.dtype)


@keras.saving.register_keras_serializable("faceswap")
class Spread(layers.Layer):
    """One more channel: how much the pictures of a group, every N / GROUP-th of the batch, differ
    on average (minibatch deviation).
    """

    def call(self, x):
        count = x.shape[0] if x.shape[0] else ops.shape(x)[0]
        height, width, channels = x.shape[1:]
        size = math.gcd(GROUP, count) if isinstance(count, int) else 1
        groups = ops.reshape(ops.cast(x, "float32"), (size, -1, height, width, channels))
        apart = groups - ops.mean(groups, 0, keepdims=True)
        deviation = ops.mean(ops.sqrt(ops.mean(ops.square(apart), 0) + 1e-8), (1, 2, 3))
        plane = ops.reshape(ops.tile(deviation, (size,)), (-1, 1, 1, 1))
        return ops.concatenate([x, ops.cast(ops.tile(plane, (1, height, width, 1)), x.dtype)], -1)


@keras.saving.register_keras_serializable("faceswap")
class Unit(layers.Layer):
    """(N, D) whose numbers have a mean square of 1."""

    def call(self, z):
        return z * ops.rsqrt(ops.mean(ops.square(z), 1, keepdims=True) + 1e-8)


@keras.saving.register_keras_serializable("faceswap")
class MeanStyle(layers.Layer):
    """Passes styles w (N, D) on, and remembers their running mean, (D,)."""

    KEPT = 0.998

    def build(self, shape):
        self.mean = self.add_weight(shape=(shape[-1],), initializer="zeros", trainable=False,
                                    name="mean")

    def call(self, w, training: bool = False):
        if training:
            batch = ops.mean(ops.cast(ops.stop_gradient(w), "float32"), 0)
            self.mean.assign(self.mean * self.KEPT + batch * (1 - self.KEPT))
        return w
