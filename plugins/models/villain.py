"""A deep residual encoder."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers
from keras.initializers import RandomNormal

from lib.nn import blocks
from lib.options import option
from lib.plugin import MODELS
from lib.training.model.autoencoder import Autoencoder

WIDTHS = (512, 256, 128)
START = RandomNormal(stddev=0.02)


@MODELS.register
@dataclass
class Villain(Autoencoder):
    """A deep residual encoder, 128 pixels: the most texture, for large graphics cards."""

    size: int = option(128, "Side of the face, pixels; 64 takes a quarter of the time.",
                       choices=(64, 128))
    coverage: str = option("full", "How much of the head the crop shows.",
                           choices=("half", "full", "whole", "head"))
    low_memory: bool = option(False, "Half the residual blocks of the encoder, and half the code.")
    learn_mask: bool = option(False, "Also learn the mask of the face, for convert -M predicted.")
    batch = 8

    def encoder(self) -> keras.Model:
        """(N, S, S, 3) RGB in [0, 1] -> (N, S / 8, S / 8, 512)."""
        face = keras.Input((self.size, self.size, 3))
        first = layers.Conv2D(128, 5, strides=2, padding="same", kernel_initializer=START)(face)
        x = layers.LeakyReLU(0.2)(first)
        for _ in range(8 if self.low_memory else 16):
            x = blocks.leaky_residual(x, START)
        x = layers.Add()([x, layers.LeakyReLU(0.1)(first)])
        for _ in range(2):
            x = blocks.DepthToSpace(2)(blocks.downscale(x, 128, start=START))
        x = self._separable(blocks.downscale(x, 128, start=START), 256)
        x = blocks.downscale(x, 512, start=START)
        if not self.low_memory:
            x = self._separable(x, 1024)
        code = blocks.dense_grid(x, 512 if self.low_memory else 1024, self.size // 16, 1024,
                                 start=START)
        return keras.Model(face, blocks.upscale(code, 512, start=START))

    def decoder(self) -> keras.Model:
        """(N, S / 8, S / 8, 512) -> (N, S, S, 3 or 4) in [0, 1]."""
        code = x = keras.Input((self.size // 8, self.size // 8, 512))
        for filters in WIDTHS:
            x = blocks.sharp_upscale(x, filters, start=START, first=START)
        mask = blocks.plain_mask(code, WIDTHS) if self.learn_mask else None
        return keras.Model(code, blocks.picture_and_mask(blocks.picture(x, start=START), mask))

    @staticmethod
    def _separable(x, filters: int):
        return layers.SeparableConv2D(filters, 5, strides=2, padding="same", activation="relu",
                                      depthwise_initializer=START, pointwise_initializer=START)(x)
