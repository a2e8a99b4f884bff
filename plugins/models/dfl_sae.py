"""DeepFaceLab's styled autoencoder, in both of its ways."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers, ops

from lib.nn import blocks
from lib.options import option
from lib.plugin import MODELS
from lib.training.model.autoencoder import Autoencoder


@MODELS.register
@dataclass
class DflSae(Autoencoder):
    """The first SAE, 64 to 256 pixels; `sae` is its successor.

    df keeps B's likeness, liae copes with faces and light that differ more.
    """

    size: int = option(128, "Side of the face, pixels.", low=64, high=256, step=16)
    architecture: str = option("df", "df: a decoder for each; liae: one decoder, and layers of the "
                               "code for B.", choices=("df", "liae"))
    code: int = option(0, "Length of the code; 0 means 512 for df and 256 for liae.", low=0,
                       high=1024)
    encoder_width: int = option(42, "A third of the filters of the encoder's first convolution.",
                                low=21, high=85)
    decoder_width: int = option(21, "A twenty-fourth of the filters of the decoder's first stage.",
                                low=10, high=85)
    multiscale: bool = option(False, "Also learn to draw the face at a quarter and half of its "
                              "size.")
    coverage: str = option("full", "How much of the head the crop shows.",
                           choices=("half", "full", "whole", "head"))
    learn_mask: bool = option(False, "Also learn the mask of the face, for convert -M predicted.")

    @property
    def length(self) -> int:
        return self.code or (512 if self.architecture == "df" else 256)

    def networks(self) -> dict[str, keras.Model]:
        if self.architecture == "df":
            return super().networks()
        return {"encoder": self.encoder(), "inter_both": self.inter(), "inter_b": self.inter(),
                "decoder": self.decoder()}

    def encoder(self) -> keras.Model:
        """(N, S, S, 3) RGB in [0, 1] -> (N, S / 8, S / 8, code) of df; (N, what Downs leave) of
        liae.
        """
        face = x = keras.Input((self.size, self.size, 3))
        for factor in (1, 2, 4, 8):
            x = blocks.downscale(x, factor * 3 * self.encoder_width)
        if self.architecture == "liae":
            return keras.Model(face, layers.Flatten()(x))
        return keras.Model(face, blocks.upscale(blocks.dense_grid(x, self.length, self.size // 16,
                                                                  self.length), self.length))

    def inter(self) -> keras.Model:
        """What the encoder of liae leaves -> (N, S / 8, S / 8, 2 code)."""
        grid = self.size // 16
        x = left = keras.Input((grid * grid * 24 * self.encoder_width,))
        return keras.Model(left, blocks.upscale(blocks.dense_grid(x, self.length, grid,
                                                                  2 * self.length),
                                                2 * self.length))

    def decoder(self) -> keras.Model:
        """The code -> (N, S, S, 3 or 4) in [0, 1]; before it, where asked for, a quarter and half
        as large.
        """
        side = self.size // 8
        code = x = keras.Input((side, side, self.length * (1 if self.architecture == "df" else 4)))
        stages = []
        for factor in (8, 4, 2):
            x = blocks.sharp_upscale(x, factor * 3 * self.decoder_width, residuals=2)
            stages.append(x)
        mask = blocks.plain_mask(code, [factor * self.decoder_width
                                 for factor in (8, 4, 2)]) if self.learn_mask else None
        drawn = blocks.picture_and_mask(blocks.picture(x), mask)
        return keras.Model(code, [*map(blocks.picture, stages[:2]), drawn] if self.multiscale
                           else drawn)

    def decode(self, networks, code, identity, training=False):
        if self.architecture == "df":
            return super().decode(networks, code, identity, training)
        shared = networks["inter_both"](code, training=training)
        own = networks["inter_b"](code, training=training) if identity == "b" else shared
        return networks["decoder"](ops.concatenate([own, shared], -1), training=training)
