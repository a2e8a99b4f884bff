"""A cheap decoder for A, a detailed one for B, on dense connections down."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from lib.nn import blocks
from lib.options import option
from lib.plugin import MODELS
from lib.training.model.autoencoder import Autoencoder

# of what batches look like on average; with Keras's 0.99 hundreds of iterations pass until swaps
# are drawn as in training
MOMENTUM = 0.9
# encoder's filters, code
FEATURES = {"lowmem": (48, 512 + 128), "fair": (64, 1024 + 128), "best": (64, 1536 + 128)}


@MODELS.register
@dataclass
class Dlight(Autoencoder):
    """Sees 128 pixels and draws 128 to 384: much detail for B on mid-range memory.

    The decoder of A is small, and draws next to no detail.
    """

    output: int = option(256, "Side of the face that it draws, pixels; it sees 128.",
                         choices=(128, 256, 384))
    features: str = option("best", "Size of the encoder and the code.",
                           choices=("lowmem", "fair", "best"))
    details: str = option("good", "Build of B's decoder.", choices=("fast", "good"))
    coverage: str = option("full", "How much of the head the crop shows.",
                           choices=("half", "full", "whole", "head"))
    learn_mask: bool = option(False, "Also learn the mask of the face, for convert -M predicted.")
    size = 128
    batch = 8

    @property
    def drawn(self) -> int:
        return self.output

    def networks(self) -> dict[str, keras.Model]:
        return {"encoder": self.encoder(), "decoder_a": self.decoder_a(),
                "decoder_b": self.decoder_b()}

    def encoder(self) -> keras.Model:
        """(N, 128, 128, 3) RGB in [0, 1] -> (N, 4, 4, 1024)."""
        width, code = FEATURES[self.features]
        face = x = keras.Input((self.size, self.size, 3))
        for factor in (0.5, 1, 2, 4, 8):
            x = layers.Concatenate()([blocks.downscale(x, int(factor * width)),
                                      layers.LeakyReLU(0.1)(layers.AveragePooling2D(2)(x))])
        x = layers.Dropout(0.05)(layers.Dense(code)(layers.Flatten()(x)))
        x = layers.Dropout(0.05)(layers.Dense(4 * 4 * 1024)(x))
        return keras.Model(face, layers.Reshape((4, 4, 1024))(x))

    def decoder_a(self) -> keras.Model:
        """(N, 4, 4, 1024) -> (N, output, output, 3 or 4) in [0, 1]."""
        code = keras.Input((4, 4, 1024))
        x = wide = layers.UpSampling2D(self.output // 64, interpolation="bilinear")(code)
        for filters in (256, 128, 64, 32):
            x = blocks.hybrid_upscale(x, filters)
        return keras.Model(code, blocks.picture_and_mask(blocks.picture(x), self._mask(wide)))

    def decoder_b(self) -> keras.Model:
        """The same, with more detail."""
        code = keras.Input((4, 4, 1024))
        if self.details == "fast":
            x = first = blocks.upscale(code, 512, block=self.output // 64)
            for filters in (512, 256, 128, 64):
                x = blocks.fast_upscale(x, filters)
            return keras.Model(code, blocks.picture_and_mask(blocks.picture(x), self._mask(first)))
        first = blocks.hybrid_upscale(code, 512, self.output // 64, slope=None)
        x = blocks.leaky_residual(layers.LeakyReLU(0.2)(first))
        for _ in range(2):
            x = blocks.leaky_residual(x, bias=False)
        x = blocks.leaky_residual(self._sharp(x, 512))
        x = layers.BatchNormalization(momentum=MOMENTUM)(blocks.leaky_residual(x, bias=False))
        x = blocks.leaky_residual(self._sharp(x, 256))
        x = layers.BatchNormalization(momentum=MOMENTUM)(blocks.leaky_residual(self._sharp(x, 128),
                                                                        bias=False))
        drawn = blocks.picture(blocks.hybrid_upscale(x, 64))
        return keras.Model(code, blocks.picture_and_mask(drawn,
                                                  self._mask(layers.LeakyReLU(0.1)(first))
                                                  if self.learn_mask else None))

    @staticmethod
    def _sharp(x, filters: int):
        return layers.LeakyReLU(0.2)(blocks.hybrid_upscale(x, filters, slope=None))

    def _mask(self, x):
        if not self.learn_mask:
            return None
        for filters in (128, 64, 32, 16):
            x = blocks.hybrid_upscale(x, filters)
        return blocks.picture(x, 1)
