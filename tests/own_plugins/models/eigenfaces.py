from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops

from lib.nn.stylegan_layers import MeanStyle
from lib.options import option
from lib.plugin import MODELS
from lib.training.model.contract import FaceModel, Losses


@MODELS.register
@dataclass
class Eigenfaces(FaceModel):
    """Draws sums of the principal components of some faces: what generates real faces without having been trained."""

    latent: int = option(6, "Components.", low=1)
    size = 64
    coverage = "whole"
    identities = ("a",)
    swaps = False

    def networks(self) -> dict[str, keras.Model]:
        z = keras.Input((self.latent,))
        styles = keras.Input((4, self.latent))
        x = ops.mean(styles, 1)
        pixels = layers.Reshape((self.size, self.size, 3))(layers.Dense(self.size ** 2 * 3, name="components")(x))
        return {"mapping": keras.Model(z, MeanStyle(name="mean_style")(z)), "synthesis": keras.Model(styles, pixels)}

    def losses(self, networks, batch) -> Losses:
        raise NotImplementedError

    def fit(self, synthesis: keras.Model, faces: np.ndarray) -> None:
        """Sets the weights by `faces` (N, 64, 64, 3) uint8 RGB."""
        rows = np.float32(faces).reshape(len(faces), -1) / 127.5 - 1
        mean = rows.mean(0)
        _, values, vectors = np.linalg.svd(rows - mean, full_matrices=False)
        kernel = (values[:, None] * vectors / np.sqrt(len(rows)))[:self.latent]
        synthesis.get_layer("components").set_weights([np.pad(kernel, ((0, self.latent - len(kernel)), (0, 0))), mean])
