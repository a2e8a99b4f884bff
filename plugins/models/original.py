"""The classic network of the first face swaps."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from lib.nn.blocks import dense_grid, downscale, picture, picture_and_mask, plain_mask, upscale
from lib.options import option
from lib.plugin import MODELS
from lib.training.model.autoencoder import Autoencoder
from lib.training.model.contract import LossWeights


@MODELS.register
@dataclass
class Original(Autoencoder):
    """The deepfakes autoencoder of 2017, 64 pixels: for tests and comparisons.

    `compact` gives a good swap far sooner.
    """

    coverage: str = option("full", "How much of the head the crop shows.",
                           choices=("half", "full", "whole", "head"))
    low_memory: bool = option(False, "Leave the deepest convolution out, and halve the code: three "
                              "quarters of the weights.")
    learn_mask: bool = option(False, "Also learn the mask of the face, for convert -M predicted.")
    size = 64
    batch = 16
    learning_rate = 5e-5
    loss_weights = LossWeights({"mae": 1.0}, outside=1.0, eyes=0.0, mouth=0.0)

    def encoder(self) -> keras.Model:
        """(N, 64, 64, 3) RGB in [0, 1] -> (N, 8, 8, 512)."""
        face = x = keras.Input((self.size, self.size, 3))
        # 64 -> 4 pixels
        for filters in (128, 256, 512) if self.low_memory else (128, 256, 512, 1024):
            x = downscale(x, filters)
        return keras.Model(face, upscale(dense_grid(x, 512 if self.low_memory else 1024, 4, 1024),
                                         512))

    def decoder(self) -> keras.Model:
        """(N, 8, 8, 512) -> (N, 64, 64, 3 or 4) in [0, 1]."""
        code = x = keras.Input((8, 8, 512))
        for filters in (256, 128, 64):  # 8 -> 64 pixels
            x = upscale(x, filters)
        mask = plain_mask(code, (256, 128, 64)) if self.learn_mask else None
        return keras.Model(code, picture_and_mask(picture(x), mask))

    def optimizer(self, group: str, learning_rate: float) -> keras.optimizers.Optimizer:
        return keras.optimizers.Adam(learning_rate, beta_1=0.5, beta_2=0.999)
