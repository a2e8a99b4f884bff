"""The classic network of the first face swaps."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers, ops

from lib.nn.blocks import downscale, upscale
from lib.options import option
from lib.plugin import MODELS
from lib.training.losses import mean_absolute
from lib.training.model import FaceModel, Losses


@MODELS.register
@dataclass
class Original(FaceModel):
    """The deepfakes autoencoder of 2017, 64 pixels: a first working swap, tests, comparisons; `compact` is there far sooner."""

    coverage: str = option("full", "How much of the head the crop shows.", choices=("half", "full", "whole", "head"))
    size = 64
    batch = 16
    learning_rate = 5e-5

    def networks(self) -> dict[str, keras.Model]:
        return {"encoder": self.encoder(), "decoder_a": self.decoder("a"), "decoder_b": self.decoder("b")}

    def encoder(self) -> keras.Model:
        """(N, 64, 64, 3) RGB in [0, 1] -> (N, 8, 8, 512)."""
        face = x = keras.Input((self.size, self.size, 3))
        for filters in (128, 256, 512, 1024):  # 64 -> 4 pixels
            x = downscale(x, filters)
        x = layers.Dense(1024)(layers.Flatten()(x))
        x = layers.Dense(4 * 4 * 1024)(x)
        return keras.Model(face, upscale(layers.Reshape((4, 4, 1024))(x), 512), name="encoder")

    def decoder(self, identity: str) -> keras.Model:
        """(N, 8, 8, 512) -> (N, 64, 64, 3) RGB in [0, 1]."""
        code = x = keras.Input((8, 8, 512))
        for filters in (256, 128, 64):  # 8 -> 64 pixels
            x = upscale(x, filters)
        face = layers.Conv2D(3, 5, padding="same", activation="sigmoid", dtype="float32")(x)  # less than float32 bands skin
        return keras.Model(code, face, name=f"decoder_{identity}")

    def optimizer(self, group: str, learning_rate: float) -> keras.optimizers.Optimizer:
        return keras.optimizers.Adam(learning_rate, beta_1=0.5, beta_2=0.999)

    def losses(self, networks: dict[str, keras.Model], batch: dict) -> Losses:
        a, b = batch["a"], batch["b"]
        codes = networks["encoder"](ops.concatenate([a.input, b.input]), training=True)
        count = a.input.shape[0]
        found = {"a": mean_absolute(networks["decoder_a"](codes[:count], training=True), a.target),
                 "b": mean_absolute(networks["decoder_b"](codes[count:], training=True), b.target)}
        return Losses({"all": found}, found)

    def swapper(self, networks: dict[str, keras.Model], to: str) -> keras.Model:
        face = keras.Input((self.size, self.size, 3))
        return keras.Model(face, networks[f"decoder_{to}"](networks["encoder"](face)), name=f"swapper_{to}")
