"""Parts of the networks of DeepFaceLab's SAEHD and AMP. Convolutions with a stride see two pixels
beyond each edge.
"""

from __future__ import annotations

import keras
from keras import layers, ops

from lib.nn.blocks import DepthToSpace, picture

START = "glorot_uniform"


@keras.saving.register_keras_serializable("faceswap")
def times_cosine(x):
    """x cos x."""
    return x * ops.cos(x)


@keras.saving.register_keras_serializable("faceswap")
class RootMeanSquare(layers.Layer):
    """(N, C) divided by the root of its mean square."""

    def call(self, x):
        wide = ops.cast(x, "float32")
        return ops.cast(wide * ops.rsqrt(ops.mean(ops.square(wide), -1, keepdims=True) + 1e-6),
                        x.dtype)


@keras.saving.register_keras_serializable("faceswap")
class Mixed(layers.Layer):
    """Two (N, H, W, C) -> one, of which a share of the channels is the first's: in training so many
    at random, else the first ones.
    """

    def __init__(self, in_training: float, share: float, **kwargs):
        super().__init__(**kwargs)
        self.in_training, self.share = in_training, share
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, pair, training: bool = False):
        first_face, second_face = pair
        count, channels = ops.shape(first_face)[0], first_face.shape[-1]
        if training:
            order = ops.argsort(keras.random.uniform((count, channels), seed=self.seed_generator))
            chosen = ops.argsort(order) < int(channels * self.in_training)
            return ops.where(chosen[:, None, None], first_face, second_face)
        first = int(channels * self.share)
        return ops.concatenate([first_face[..., :first], second_face[..., first:]], -1)

    def get_config(self):
        return super().get_config() | {"in_training": self.in_training, "share": self.share}


class Blocks:
    """Blocks of one kind: with leaky ReLUs, or with `cosine` x cos x in their place."""

    def __init__(self, cosine: bool = False):
        self.cosine = cosine

    def bent(self, x, slope: float):
        return layers.Activation(times_cosine)(x) if self.cosine else layers.LeakyReLU(slope)(x)

    def down(self, x, filters: int):
        x = layers.Conv2D(filters, 5, strides=2,
                          kernel_initializer=START)(layers.ZeroPadding2D(2)(x))
        return self.bent(x, 0.1)

    def up(self, x, filters: int):
        return DepthToSpace(2)(self.bent(layers.Conv2D(4 * filters, 3, padding="same",
                                                       kernel_initializer=START)(x), 0.1))

    def residual(self, x):
        filters = x.shape[-1]
        y = self.bent(layers.Conv2D(filters, 3, padding="same", kernel_initializer=START)(x), 0.2)
        return self.bent(layers.Add()([layers.Conv2D(filters, 3, padding="same",
                                                     kernel_initializer=START)(y), x]), 0.2)

    def encoded(self, face, width: int, deep: bool):
        """(N, S, S, 3) -> (N, 8 width (S / 16)^2), or of a `deep` one (N, 8 width (S / 32)^2)."""
        x = self.down(face, width)
        if deep:
            x = self.residual(x)
        for factor in (2, 4, 8, 8) if deep else (2, 4, 8):
            x = self.down(x, factor * width)
        return layers.Flatten()(self.residual(x) if deep else x)

    def drawn(self, code, width: int, mask_width: int, deep: bool, doubled: bool):
        """(N, H, W, C) -> (N, 8 H, 8 W, 4) RGB and mask in [0, 1]; twice as large where `deep`, and
        again where `doubled`.
        """
        factors = (8, 8, 4, 2) if deep else (8, 4, 2)
        x = mask = code
        for factor in factors:
            x = self.residual(self.up(x, factor * width))
        for factor in (*factors, 1) if doubled else factors:
            mask = self.up(mask, factor * mask_width)
        if doubled:  # four pixels at a time: top left, top right, bottom left, bottom right
            heads = [layers.Conv2D(3, kernel, padding="same", kernel_initializer=START,
                                   dtype="float32")(x) for kernel in (1, 3, 3, 3)]
            shuffled = DepthToSpace(2, dtype="float32")(layers.Concatenate(dtype="float32")(heads))
            face = layers.Activation("sigmoid", dtype="float32")(shuffled)
        else:
            face = picture(x, 3, 1, START)
        return layers.Concatenate(dtype="float32")([face, picture(mask, 1, 1, START)])


def code_discriminator(side: int, channels: int) -> keras.Model:
    """A code of df, (N, side, side, channels) -> (N, H, W, 1), how much it looks like B's, before
    the sigmoid.
    """
    code = x = keras.Input((side, side, channels))
    for number in range(1 + side // 8):
        x = layers.Conv2D(256 * 2 ** number, 4 if number == 0 else 3, strides=2, padding="same")(x)
        x = layers.LeakyReLU(0.1)(x)
    return keras.Model(code, layers.Conv2D(1, 1, dtype="float32")(x))
