"""Our default network: small, quick to a good swap on any hardware."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from lib.faces.geometry import MEAN_FACE, template_matrix, transform_points
from lib.nn.blocks import DepthToSpace, Even, SpaceToDepth, relu_upscale, residual
from lib.options import option
from lib.plugin import MODELS
from lib.training.batches.augmentation import Augmentation
from lib.training.model.compact_losses import CompactLosses

STEM = 4  # the networks work on a grid of 4 x 4 pixels, where a convolution costs a sixteenth
MOST_FILTERS = 160

# An eye opens and shuts within a pixel or two, which coarse grids lose: eyes have a way of their
# own into the code and out of it.
EYES_OF_MEAN = slice(36 - 17, 48 - 17)
EYE_MARGIN = 0.08  # of the face's size, around the mean face's eyes
EYE_FILTERS = 16


@MODELS.register
@dataclass
class Compact(CompactLosses):
    """The default: small residual autoencoder, 64 to 256 pixels, a good swap soonest.

    Learns the mask too. The code that both identities share also has to tell where the landmarks
    are, which makes eyes and mouth of one person move those of the other within minutes; the eyes
    have a short way into the code and out of it. The networks see every face with its colours at
    the same mean and spread, and what they draw gets those of the face that went in: so it comes in
    the scene's light, whatever light B was filmed in. A quarter of the training is the swap itself:
    a face of one person goes in, one of the other's, bent to stand like it, is wanted.
    """

    size: int = option(128, "Side of the face, pixels.", choices=(64, 96, 128, 160, 192, 256))
    coverage: str = option("full", "How much of the head the crop shows.",
                           choices=("half", "full", "whole", "head"))
    width: int = option(48, "Filters in the first stage; each deeper stage doubles them, up to "
                        "160.", low=8, high=512)
    upscale: int = option(2, "How many times larger it draws a face than it sees it.",
                          choices=(1, 2))
    latent: int = option(256, "Length of the code that both identities share.", low=16, high=4096)
    earlier = {"upscale": 1}
    batch = 8
    learning_rate = 2e-3
    decays = True
    averaged = 0.999
    # Crops stand where the landmarks put them in training and in convert alike: a third of the
    # classic warp and small moves are enough, and three minutes then do what a quarter of an hour
    # did with the classic ones.
    augmentation = Augmentation(warp=0.3, rotation=2.0, scale=0.02, shift=0.015, light=0.3,
                                blur=0.01, paint_hair=True, retarget=0.5, crossed=0.5)

    @property
    def drawn(self) -> int:
        return self.size * self.upscale

    def networks(self) -> dict[str, keras.Model]:
        return {"encoder": self.encoder(), "decoder_a": self.decoder("a"),
                "decoder_b": self.decoder("b"), "landmarks": self.landmarks()}

    def stages(self) -> list[tuple[int, int]]:
        """(side of the grid, filters), from the finest to the coarsest."""
        stages = [(self.size // STEM, self.width)]
        while stages[-1][0] > 4 and stages[-1][0] % 2 == 0:
            grid, filters = stages[-1]
            stages.append((grid // 2, max(self.width, min(2 * filters, MOST_FILTERS))))
        return stages

    def encoder(self) -> keras.Model:
        """(N, size, size, 3) RGB of even colours -> (N, latent)."""
        face = keras.Input((self.size, self.size, 3))
        x = SpaceToDepth(STEM)(face)
        for number, (_, filters) in enumerate(self.stages()):
            x = layers.Conv2D(filters, 3, strides=min(number + 1, 2), padding="same",
                              activation="relu", kernel_initializer="he_uniform")(x)
            x = residual(x)
            if number == 0:
                eyes = layers.Cropping2D(self.around_eyes())(x)
        codes = [layers.Dense(self.latent)(layers.Flatten()(each)) for each in (x, eyes)]
        return keras.Model(face, layers.Add()(codes), name="encoder")

    def decoder(self, identity: str) -> keras.Model:
        """(N, latent) -> (N, drawn, drawn, 4): RGB of even colours, and the mask less 0.5."""
        *finer, (grid, filters) = self.stages()
        code = keras.Input((self.latent,))
        x = layers.Dense(grid * grid * filters, activation="relu")(code)
        x = layers.Reshape((grid, grid, filters))(x)
        for grid, filters in reversed(finer):
            x = relu_upscale(x, filters)
            if grid == self.size // STEM:
                x = layers.Add()([x, self._eyes(code, filters)])
            x = residual(x)
        x = relu_upscale(x, 32)
        block = 2 * self.upscale
        # less than float32 bands skin
        drawn = layers.Conv2D(4 * block ** 2, 3, padding="same",
                              kernel_initializer=Even(keras.initializers.VarianceScaling(0.1),
                                                      block), dtype="float32")(x)
        return keras.Model(code, DepthToSpace(block, dtype="float32")(drawn),
                           name=f"decoder_{identity}")

    def around_eyes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Cells (above, below), (left, right) of a band of the finest grid that holds both eyes of
        any aligned face.
        """
        grid = self.size // STEM
        matrix = template_matrix(grid, self.coverage)
        eyes, margin = transform_points(MEAN_FACE[EYES_OF_MEAN], matrix), EYE_MARGIN * matrix[0, 0]
        left, top = np.floor(eyes.min(0) - margin).clip(0).astype(int).tolist()
        right, bottom = np.floor(eyes.max(0) + margin).clip(max=grid - 1).astype(int).tolist()
        return (top, grid - 1 - bottom), (left, grid - 1 - right)

    def landmarks(self) -> keras.Model:
        """(N, latent) -> (N, 68, 2) x, y in [0, 1] of the crop's side."""
        code = keras.Input((self.latent,))
        points = layers.Reshape((68, 2), dtype="float32")(layers.Dense(136, dtype="float32")(code))
        return keras.Model(code, layers.Rescaling(1.0, 0.5, dtype="float32")(points),
                           name="landmarks")

    def _eyes(self, code, filters: int):
        """(N, latent) -> (N, grid, grid, filters): what the code says of the eyes, without the way
        through the coarse grids.
        """
        around = self.around_eyes()
        height, width = (self.size // STEM - sum(cells) for cells in around)
        x = layers.Dense(height * width * EYE_FILTERS, activation="relu")(code)
        x = layers.Conv2D(filters, 1)(layers.Reshape((height, width, EYE_FILTERS))(x))
        return layers.ZeroPadding2D(around)(x)
