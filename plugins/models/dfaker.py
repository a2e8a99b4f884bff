"""The original's encoder with a sharper decoder."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from lib.nn import blocks
from lib.options import option
from lib.plugin import MODELS
from lib.training.model.autoencoder import Autoencoder


@MODELS.register
@dataclass
class Dfaker(Autoencoder):
    """Sees 64 or 128 pixels and draws twice as many: sharper than original for a little more.

    With residual blocks.
    """

    output: int = option(128, "Side of the face that it draws, pixels; it sees half as many.",
                         choices=(128, 256))
    coverage: str = option("full", "How much of the head the crop shows.",
                           choices=("half", "full", "whole", "head"))
    learn_mask: bool = option(False, "Also learn the mask of the face, for convert -M predicted.")

    @property
    def size(self) -> int:
        return self.output // 2

    @property
    def drawn(self) -> int:
        return self.output

    def encoder(self) -> keras.Model:
        """(N, S, S, 3) RGB in [0, 1] -> (N, 8, 8, 512)."""
        face = x = keras.Input((self.size, self.size, 3))
        for filters in (128, 256, 512, 1024):
            x = blocks.downscale(x, filters)
        return keras.Model(face, blocks.upscale(blocks.dense_grid(x, 1024, 4, 1024), 512))

    def decoder(self) -> keras.Model:
        """(N, 8, 8, 512) -> (N, output, output, 3 or 4) in [0, 1]."""
        widths = (512, 256, 128) if self.output == 128 else (1024, 512, 256, 128)
        code = x = keras.Input((8, 8, 512))
        for filters in widths:
            x = blocks.sharp_upscale(x, filters, first=keras.initializers.RandomNormal(stddev=0.02))
        mask = blocks.plain_mask(code, (*widths, 64)) if self.learn_mask else None
        return keras.Model(code, blocks.picture_and_mask(blocks.picture(blocks.upscale(x, 64)),
                                                         mask))
