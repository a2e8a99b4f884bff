from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from lib.plugin import MODELS
from lib.training.model.autoencoder import Autoencoder


@MODELS.register
@dataclass
class Little(Autoencoder):
    """32 pixels: the least that learns as the published autoencoders do."""

    coverage = "whole"
    size = 32
    batch = 4

    def encoder(self) -> keras.Model:
        face = keras.Input((32, 32, 3))
        return keras.Model(face, layers.Conv2D(8, 5, strides=4, padding="same", activation="relu")(face))

    def decoder(self) -> keras.Model:
        code = keras.Input((8, 8, 8))
        return keras.Model(code, layers.Conv2DTranspose(3, 5, strides=4, padding="same", activation="sigmoid", dtype="float32")(code))
