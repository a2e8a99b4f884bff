"""A decoder for B that is larger than A's."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers
from keras.initializers import RandomNormal

from lib.nn import blocks
from lib.options import option
from lib.plugin import MODELS
from lib.training.model.autoencoder import Autoencoder

START = RandomNormal(stddev=0.02)


@MODELS.register
@dataclass
class Unbalanced(Autoencoder):
    """A deep decoder for B, a small one for A, 64 to 512 pixels: most detail for B.

    A's decoder only guides the encoder.
    """

    size: int = option(128, "Side of the face, pixels.", low=64, high=512, step=64)
    code: int = option(1024, "Length of the code.", low=512, high=2048)
    encoder_width: int = option(128, "Filters of the encoder's first convolution.", low=64,
                                high=512)
    width_a: int = option(384, "Filters of the first stage of A's decoder.", low=64, high=1024)
    width_b: int = option(512, "Filters of the first stage of B's decoder.", low=64, high=1024)
    low_memory: bool = option(False, "Code 512, widths 320 and 384, and plain stages for B, "
                              "whatever the options say.")
    coverage: str = option("full", "How much of the head the crop shows.",
                           choices=("half", "full", "whole", "head"))
    learn_mask: bool = option(False, "Also learn the mask of the face, for convert -M predicted.")
    batch = 8

    def networks(self) -> dict[str, keras.Model]:
        return {"encoder": self.encoder(), "decoder_a": self.decoder("a"),
                "decoder_b": self.decoder("b")}

    def encoder(self) -> keras.Model:
        """(N, S, S, 3) RGB in [0, 1] -> (N, S / 16, S / 16, 512)."""
        face = x = keras.Input((self.size, self.size, 3))
        width = self.encoder_width
        for filters in (width, 2 * width):
            x = layers.Conv2D(filters, 5, strides=2, padding="same", kernel_initializer=START)(x)
            x = layers.LeakyReLU(0.1)(blocks.JointNorm()(x))
        for factor in (4, 6, 8):
            x = blocks.downscale(x, factor * width, start=START)
        return keras.Model(face, blocks.dense_grid(x, 512 if self.low_memory else self.code,
                                            self.size // 16, self.grid_filters, start=START))

    @property
    def grid_filters(self) -> int:
        return 384 if self.low_memory else 512

    def decoder(self, identity: str) -> keras.Model:
        """(N, S / 16, S / 16, 512) -> (N, S, S, 3 or 4) in [0, 1]."""
        code = keras.Input((self.size // 16, self.size // 16, self.grid_filters))
        x, widths = self._guide(code) if identity == "a" else self._detailed(code)
        mask = blocks.plain_mask(code, widths) if self.learn_mask else None
        return keras.Model(code, blocks.picture_and_mask(blocks.picture(x, start=START), mask))

    def _guide(self, x) -> tuple:
        """A's: plain stages, with whole channels left out at random."""
        width = 320 if self.low_memory else self.width_a
        for lost in (0.25, 0.15 if self.low_memory else 0.25):
            x = layers.SpatialDropout2D(lost)(blocks.upscale(x, width, 5, start=START))
        for divisor in (2, 4):
            x = blocks.upscale(x, width // divisor, 5, start=START)
        return x, (width, width, width // 2, width // 4)

    def _detailed(self, x) -> tuple:
        """B's."""
        if self.low_memory:
            widths = (384, 192, 96, 48)
            for filters in widths:
                x = blocks.upscale(x, filters, 5, start=START)
            return x, widths
        widths = (self.width_b, self.width_b, self.width_b // 2, self.width_b // 4)
        for filters in widths[:3]:
            x = blocks.sharp_upscale(x, filters, kernel=5, start=START, first=START)
        return blocks.upscale(x, widths[3], 5, start=START), widths
