"""One decoder for both people, who differ in a part of the code."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers, ops

from lib.nn.blocks import dense_grid, downscale, picture, picture_and_mask, plain_mask, upscale
from lib.options import option
from lib.plugin import MODELS
from lib.training.model.autoencoder import Autoencoder

DECODER = (512, 256, 128, 64)


@MODELS.register
@dataclass
class Iae(Autoencoder):
    """Shared encoder and decoder, 64 pixels: both people share light and expression.

    Each person has layers of the code of their own.
    """

    coverage: str = option("full", "How much of the head the crop shows.",
                           choices=("half", "full", "whole", "head"))
    learn_mask: bool = option(False, "Also learn the mask of the face, for convert -M predicted.")
    size = 64

    def networks(self) -> dict[str, keras.Model]:
        return {"encoder": self.encoder(), "inter_a": self.inter(), "inter_b": self.inter(),
                "inter_both": self.inter(), "decoder": self.decoder()}

    def encoder(self) -> keras.Model:
        """(N, 64, 64, 3) RGB in [0, 1] -> (N, 16384)."""
        face = x = keras.Input((self.size, self.size, 3))
        for filters in (128, 256, 512, 1024):
            x = downscale(x, filters)
        return keras.Model(face, layers.Flatten()(x))

    def inter(self) -> keras.Model:
        """(N, 16384) -> (N, 4, 4, 512), half of the code."""
        code = keras.Input((4 * 4 * 1024,))
        return keras.Model(code, dense_grid(code, 1024, 4, 512))

    def decoder(self) -> keras.Model:
        """(N, 4, 4, 1024) -> (N, 64, 64, 3 or 4) in [0, 1]."""
        code = x = keras.Input((4, 4, 1024))
        for filters in DECODER:
            x = upscale(x, filters)
        return keras.Model(code, picture_and_mask(picture(x),
                                                  plain_mask(code, DECODER) if self.learn_mask
                                                  else None))

    def decode(self, networks, code, identity, training=False):
        halves = [networks[name](code, training=training)
                  for name in (f"inter_{identity}", "inter_both")]
        return networks["decoder"](ops.concatenate(halves, -1), training=training)
