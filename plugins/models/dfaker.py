"""The original's encoder with a sharper decoder."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from lib.nn.blocks import dense_grid, downscale, picture, picture_and_mask, plain_mask, sharp_upscale, upscale
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
    learn_mask: bool = option(False, "Learn where the face is, too: a mask to convert with.")

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
            x = downscale(x, filters)
        return keras.Model(face, upscale(dense_grid(x, 1024, 4, 1024), 512))

    def decoder(self) -> keras.Model:
        """(N, 8, 8, 512) -> (N, output, output, 3 or 4) in [0, 1]."""
        widths = (512, 256, 128) if self.output == 128 else (1024, 512, 256, 128)
        code = x = keras.Input((8, 8, 512))
        for filters in widths:
            x = sharp_upscale(x, filters, first=keras.initializers.RandomNormal(stddev=0.02))
        mask = plain_mask(code, (*widths, 64)) if self.learn_mask else None
        return keras.Model(code, picture_and_mask(picture(upscale(x, 64)), mask))
