"""DeepFaceLab's first network of 128 pixels."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from lib.nn.blocks import dense_grid, downscale, picture, picture_and_mask, plain_mask, upscale
from lib.options import option
from lib.plugin import MODELS
from lib.training.model.autoencoder import Autoencoder


@MODELS.register
@dataclass
class DflH128(Autoencoder):
    """The original at 128 pixels, of half of the face."""

    coverage: str = option("half", "How much of the head the crop shows.",
                           choices=("half", "full", "whole", "head"))
    low_memory: bool = option(False, "Half the code and the filters: under half of the weights.")
    learn_mask: bool = option(False, "Also learn the mask of the face, for convert -M predicted.")
    size = 128

    @property
    def width(self) -> int:
        return 256 if self.low_memory else 512

    def encoder(self) -> keras.Model:
        """(N, 128, 128, 3) RGB in [0, 1] -> (N, 16, 16, width)."""
        face = x = keras.Input((self.size, self.size, 3))
        for filters in (128, 256, 512, 1024):
            x = downscale(x, filters)
        return keras.Model(face, upscale(dense_grid(x, self.width, 8, self.width), self.width))

    def decoder(self) -> keras.Model:
        """(N, 16, 16, width) -> (N, 128, 128, 3 or 4) in [0, 1]."""
        widths = (self.width, self.width // 2, self.width // 4)
        code = x = keras.Input((16, 16, self.width))
        for filters in widths:
            x = upscale(x, filters)
        return keras.Model(code, picture_and_mask(picture(x),
                                                  plain_mask(code, widths) if self.learn_mask
                                                  else None))
