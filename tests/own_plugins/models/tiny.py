from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from lib.options import option
from lib.plugin import MODELS
from lib.training.model.contract import FaceModel, Losses
from lib.training.model.losses import mean_absolute


@MODELS.register
@dataclass
class Tiny(FaceModel):
    """32 pixels, trained in moments: a plugin of a user's own, which the tests of the command line train."""

    width: int = option(8, "Filters.", low=1)
    size = 32
    coverage = "whole"
    batch = 4
    learning_rate = 1e-3

    def networks(self) -> dict[str, keras.Model]:
        face = keras.Input((32, 32, 3))
        code = layers.Conv2D(self.width, 5, strides=4, padding="same", activation="relu")(face)
        return {"encoder": keras.Model(face, code), "decoder_a": self._decoder(), "decoder_b": self._decoder()}

    def _decoder(self) -> keras.Model:
        code = keras.Input((8, 8, self.width))
        return keras.Model(code, layers.Conv2DTranspose(3, 5, strides=4, padding="same", activation="sigmoid", dtype="float32")(code))

    def losses(self, networks, batch) -> Losses:
        losses = {identity: mean_absolute(networks[f"decoder_{identity}"](networks["encoder"](side.input)), side.target)
                  for identity, side in batch.items()}
        return Losses({"all": losses}, losses)

    def swapper(self, networks, to: str) -> keras.Model:
        face = keras.Input((32, 32, 3))
        return keras.Model(face, networks[f"decoder_{to}"](networks["encoder"](face)))
