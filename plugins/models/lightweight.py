"""The classic network made light on memory."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from lib.nn.blocks import dense_grid, downscale, picture, picture_and_mask, plain_mask, upscale
from lib.options import option
from lib.plugin import MODELS
from lib.training.model.autoencoder import Autoencoder

DECODER = (512, 256, 128)


@MODELS.register
@dataclass
class Lightweight(Autoencoder):
    """The original with a shallower encoder, 64 pixels: for graphics cards with 2 GB of memory."""

    coverage: str = option("full", "How much of the head the crop shows.",
                           choices=("half", "full", "whole", "head"))
    learn_mask: bool = option(False, "Also learn the mask of the face, for convert -M predicted.")
    size = 64

    def encoder(self) -> keras.Model:
        """(N, 64, 64, 3) RGB in [0, 1] -> (N, 8, 8, 256)."""
        face = x = keras.Input((self.size, self.size, 3))
        for filters in (128, 256, 512):
            x = downscale(x, filters)
        return keras.Model(face, upscale(dense_grid(x, 512, 4, 512), 256))

    def decoder(self) -> keras.Model:
        """(N, 8, 8, 256) -> (N, 64, 64, 3 or 4) in [0, 1]."""
        code = x = keras.Input((8, 8, 256))
        for filters in DECODER:
            x = upscale(x, filters)
        return keras.Model(code, picture_and_mask(picture(x),
                                                  plain_mask(code, DECODER) if self.learn_mask
                                                  else None))
