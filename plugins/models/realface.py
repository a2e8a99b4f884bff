"""Sizes of input and output that have nothing to do with each other."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from lib.nn.blocks import dense_grid, downscale, leaky_residual, picture, picture_and_mask, upscale
from lib.options import option
from lib.plugin import MODELS
from lib.training.model.autoencoder import Autoencoder

SMALLER = 1.5  # A's decoder has so many times fewer filters


@MODELS.register
@dataclass
class Realface(Autoencoder):
    """Sees 64 to 128 pixels and draws 64 to 256: divides memory freely between its parts.

    With dense layers for each person.
    """

    size: int = option(64, "Side of the face that it sees, pixels.", low=64, high=128, step=16)
    output: int = option(128, "Side of the face that it draws, pixels.", low=64, high=256, step=32)
    code: int = option(1536, "Length of B's code.", low=768, high=2048)
    encoder_width: int = option(128, "Filters of the encoder's first convolution.", low=96,
                                high=160)
    decoder_width: int = option(512, "Filters of B's decoder, behind its first stage.", low=512,
                                high=544)
    coverage: str = option("full", "How much of the head the crop shows.",
                           choices=("half", "full", "whole", "head"))
    learn_mask: bool = option(False, "Also learn the mask of the face, for convert -M predicted.")
    batch = 8

    @property
    def drawn(self) -> int:
        return self.output

    def networks(self) -> dict[str, keras.Model]:
        return {"encoder": self.encoder(), "decoder_a": self.decoder_a(),
                "decoder_b": self.decoder_b()}

    def grid(self) -> tuple[int, int, int]:
        """Side of the grid that the code is spread over, how many times it is doubled, and its
        filters.
        """
        fitting = [(self.output // 2 ** stages, stages)
                   for stages in (4, 5) if self.output / 2 ** stages < 10]
        side, stages = min(fitting, key=lambda choice: abs(16 * choice[0] - self.size))
        return side, stages, (1024 - 64 * (side - 4)) // 16 * 16

    def encoder(self) -> keras.Model:
        """(N, S, S, 3) RGB in [0, 1] -> (N, S / 16, S / 16, 8 encoder_width)."""
        face = x = keras.Input((self.size, self.size, 3))
        for number in range(3):
            x = downscale(x, self.encoder_width * 2 ** number, slope=0.2)
            for _ in range(2):
                x = leaky_residual(x)
        return keras.Model(face, downscale(x, 8 * self.encoder_width))

    def decoder_b(self) -> keras.Model:
        """(N, S / 16, S / 16, 8 encoder_width) -> (N, output, output, 3 or 4) in [0, 1]."""
        _, stages, filters = self.grid()
        code, first = self._first(self.code, filters)
        x = leaky_residual(layers.LeakyReLU(0.2)(first), bias=False)
        for number in range(stages - 2):
            x = layers.LeakyReLU(0.2)(upscale(x, self.decoder_width // 2 ** number, slope=None))
            x = leaky_residual(leaky_residual(x, bias=False))
        return self._drawn(code, first, upscale(x, self.decoder_width // 2 ** (stages - 2)))

    def decoder_a(self) -> keras.Model:
        """The same with fewer filters, and plain stages behind the first."""
        _, stages, filters = self.grid()
        code, first = self._first(int(self.code / SMALLER), int(filters / SMALLER))
        x = leaky_residual(layers.LeakyReLU(0.2)(first), bias=False)
        for number in range(stages - 1):
            x = upscale(x, int(self.decoder_width / SMALLER) // 2 ** number)
        return self._drawn(code, first, x)

    def _first(self, length: int, filters: int) -> tuple:
        """A decoder's input, and its first upscaled grid."""
        side = self.size // 16
        code = keras.Input((side, side, 8 * self.encoder_width))
        return code, upscale(dense_grid(code, length, self.grid()[0], filters), filters, slope=None)

    def _drawn(self, code, first, x) -> keras.Model:
        if not self.learn_mask:
            return keras.Model(code, picture(x))
        mask = layers.LeakyReLU(0.1)(first)
        for number in range(self.grid()[1] - 1):
            mask = upscale(mask, 384 // 2 ** number)
        return keras.Model(code, picture_and_mask(picture(x), picture(mask, 1)))
