"""Networks that translate pictures, and those that tell patches of made ones from real ones.
Feature maps are (N, H, W, C).
"""

from __future__ import annotations

import keras
from keras import layers, ops

SMALL = keras.initializers.RandomNormal(0.0, 0.02)  # as all of their weights begin
SLOPE = 0.2


@keras.saving.register_keras_serializable("faceswap")
class InstanceNorm(layers.Layer):
    """Mean 0 and deviation 1 of each picture's channels, without gain and shift.

    "Instance Normalization: The Missing Ingredient for Fast Stylization", 2016.
    """

    def call(self, x):
        wide = ops.cast(x, "float32")
        mean = ops.mean(wide, (1, 2), keepdims=True)
        apart = wide - mean
        return ops.cast(apart * ops.rsqrt(ops.mean(ops.square(apart), (1, 2), keepdims=True)
                                          + 1e-5), x.dtype)


@keras.saving.register_keras_serializable("faceswap")
class SpectralConv2D(layers.Conv2D):
    """A convolution whose largest singular value is 1.

    "Spectral Normalization for Generative Adversarial Networks", ICLR, 2018: one step of the power
    iteration in each training call.
    """

    def build(self, shape):
        super().build(shape)
        self.direction = self.add_weight(shape=(1, self.filters), initializer="ones",
                                         trainable=False, name="direction")

    def call(self, x, training: bool = False):
        matrix = ops.reshape(ops.cast(self.kernel, "float32"), (-1, self.filters))
        fixed = ops.stop_gradient(matrix)
        left = _unit(ops.matmul(ops.cast(self.direction, "float32"), ops.transpose(fixed)))
        right = _unit(ops.matmul(left, fixed))
        if training:
            self.direction.assign(right)
        largest = ops.matmul(ops.matmul(left, matrix), ops.transpose(right))
        kernel = ops.cast(self.kernel / ops.cast(largest[0, 0], self.kernel.dtype), x.dtype)
        y = ops.conv(x, kernel, self.strides, self.padding)
        return y + ops.cast(self.bias, x.dtype) if self.use_bias else y

    def save_own_variables(self, store):
        # a convolution saves its kernel and bias alone
        layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store):
        layers.Layer.load_own_variables(self, store)


def _unit(vector):
    return vector / (ops.norm(vector) + 1e-12)


def reflected(x, width: int):
    """`x` with so many pixels more on each side, its mirror image."""
    return ops.pad(x, ((0, 0), (width, width), (width, width), (0, 0)), "reflect")


def translator(blocks: int, filters: int, name: str) -> keras.Model:
    """(N, H, W, 3) in [-1, 1] -> the same; H and W are multiples of 4.

    "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV, 2016, as "Unpaired
    Image-to-Image Translation using Cycle-Consistent Adversarial Networks", ICCV, 2017, has it.
    """
    picture = keras.Input((None, None, 3))
    x = _normed(layers.Conv2D(filters, 7, kernel_initializer=SMALL)(reflected(picture, 3)))
    for factor in (2, 4):
        x = layers.ZeroPadding2D(1)(x)
        x = _normed(layers.Conv2D(factor * filters, 3, strides=2, kernel_initializer=SMALL)(x))
    for _ in range(blocks):
        y = _normed(layers.Conv2D(4 * filters, 3, kernel_initializer=SMALL)(reflected(x, 1)))
        y = layers.Conv2D(4 * filters, 3, kernel_initializer=SMALL)(reflected(y, 1))
        x = x + InstanceNorm()(y)
    for factor in (2, 1):
        x = layers.Conv2DTranspose(factor * filters, 3, strides=2, padding="same",
                                   kernel_initializer=SMALL)(x)
        x = _normed(x)
    x = layers.Conv2D(3, 7, kernel_initializer=SMALL,
                      dtype="float32")(reflected(ops.cast(x, "float32"), 3))
    return keras.Model(picture, ops.tanh(x), name=name)


def _normed(x):
    return ops.relu(InstanceNorm()(x))


def patch_discriminator(filters: int, name: str, depth: int = 3,
                        spectral: bool = False) -> keras.Model:
    """(N, H, W, 3) in [-1, 1] -> (N, H', W', 1) float32 logits, each of a patch: `depth` 1, 2 and 3
    make them of 16, 34 and 70 pixels.

    "Image-to-Image Translation with Conditional Adversarial Networks", CVPR, 2017. Normed by
    instance, or `spectral`ly.
    """
    def convolved(x, filters, strides):
        kind = SpectralConv2D if spectral else layers.Conv2D
        return kind(filters, 4, strides=strides,
                    kernel_initializer=SMALL)(layers.ZeroPadding2D(1)(x))

    picture = keras.Input((None, None, 3))
    x = ops.leaky_relu(convolved(picture, filters, 2), SLOPE)
    for number in range(1, depth + 1):
        x = convolved(x, filters * min(2 ** number, 8), 1 if number == depth else 2)
        x = ops.leaky_relu(x if spectral else InstanceNorm()(x), SLOPE)
    logits = ops.cast(convolved(x, 1, 1), "float32")
    return keras.Model(picture, logits, name=name)
