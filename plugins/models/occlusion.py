"""Learns what covers a face, for the masker of the same name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from lib.nn.blocks import DepthToSpace
from lib.nn.onnx_export import onnx_of
from lib.options import option
from lib.plugin import MODELS
from lib.sampling import evenly
from lib.training.batches.augmentation import Augmentation
from lib.training.batches.chance import draw
from lib.training.model.contract import FaceModel, Losses
from lib.training.watch import preview

NAME = "seer"  # of the network
# How little a face counts where the network is sure that something covers it, though nobody said
# so: its answer to this power
DOUBT = 3.0
# At least so much it counts all the same, less by the second number times the overlap of covers
TRUSTS, LEAST_TRUST = (1.2, 2.0), 0.1
ASSUMED = 2.0  # logit of a face before anything is learnt: it is seen
MOMENTUM = 0.98  # of the means and variances by which features are normed
OVERLAP = 0.5  # weight of the loss of the overlap
SHOWN = 8  # faces in the preview, with covers and without
DESCRIPTION = """\
# Which pixels of a face are seen. Coverage of the crop: whole. Written by faceswap.py train.
[network]
file = "occlusion.onnx"
size = {size}

[mask]
values = "logits"
face = [0]
"""


@MODELS.register
@dataclass
class Occlusion(FaceModel):
    """Learns what covers a face: hands, microphones, masks. For `mask -M occlusion`.

    Learns from -A alone. Covers that are made by chance, or cut out of pictures (--covers), are set
    over its faces, so that it is known what they hide; what users drew or painted (--labels) is
    learnt, too. Faces that are covered already, and that nobody labelled, count the less the surer
    the network becomes, much as in "Generalized Cross Entropy Loss for Training Deep Neural
    Networks with Noisy Labels", NeurIPS, 2018. The network is small: a few milliseconds a face on
    one core.
    """

    size: int = option(128, "Side of the face that the network sees, pixels.",
                       choices=(96, 128, 160))
    width: int = option(16, "Filters in the first stage.", low=4, high=64)
    coverage = "whole"
    identities = ("a",)
    swaps = False
    finds_covers = True
    batch = 24
    learning_rate = 3e-3
    decays = True
    averaged = 0.998
    augmentation = Augmentation(rotation=12.0, scale=0.1, shift=0.04, flip=True)

    def networks(self) -> dict[str, keras.Model]:
        """(N, size, size, 3) RGB in [0, 1] -> (N, size, size, 1): above 0 where the face is seen.

        "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI, 2015.
        """
        width = self.width
        face = keras.Input((self.size, self.size, 3))
        x = _conv(face, width, kernel=4, stride=2)
        skips = [x := _residual(x)]
        for filters in (2 * width, 4 * width, 6 * width):
            x = _residual(_conv(x, filters, stride=2))
            skips.append(x)
        x = _residual(x)
        for filters, skip in zip((4 * width, 2 * width, width), skips[-2::-1]):
            x = layers.UpSampling2D(2)(_conv(x, filters, kernel=1))
            x = _residual(_conv(layers.Concatenate()([x, skip]), filters))
        logits = layers.Conv2D(4, 3, padding="same", dtype="float32",
                               bias_initializer=keras.initializers.Constant(ASSUMED))(x)
        return {NAME: keras.Model(face, DepthToSpace(2, dtype="float32")(logits), name=NAME)}

    def losses(self, networks: dict[str, keras.Model], batch: dict) -> Losses:
        """`regions` are what is seen, where that counts, and where it is known for sure."""
        seen, counts, known = ops.split(batch["a"].regions, 3, -1)
        logits = networks[NAME](batch["a"].input, training=True)
        says = ops.sigmoid(logits)
        wrong = seen * ops.softplus(-logits) + (1 - seen) * ops.softplus(logits)
        covered, told = counts * (1 - seen), counts * seen * (1 - says)
        both = ops.sum(covered * (1 - says))
        found = (both + 1) / (ops.sum(covered) + ops.sum(told) + 1)
        # What nobody labelled is taken for a face; the better the network is, only as far as it
        # agrees
        least = ops.clip(TRUSTS[0] - TRUSTS[1] * found, LEAST_TRUST, 1.0)
        agreed = ops.stop_gradient(least + (1 - least) * ops.power(says, DOUBT))
        trust = known + (1 - known) * agreed
        pixels = ops.sum(counts * trust * wrong) / ops.sum(counts)
        overlap = 1 - (both + 1) / (ops.sum(covered) + ops.sum(trust * told) + 1)
        kept = ops.sum(counts * seen * says) / ops.sum(counts * seen)
        return Losses({"all": {"pixels": pixels, "overlap": OVERLAP * overlap}},
                      dict(zip(preview.COVERS, (found, kept))))

    def exports(self, networks: dict[str, keras.Model]) -> dict[str, bytes]:
        return {"occlusion.onnx": onnx_of(networks[NAME]),
                "occlusion.toml": DESCRIPTION.format(size=self.size).encode()}

    def viewer(self, networks: dict[str, keras.Model], faces: dict) -> Callable[[], np.ndarray]:
        """Faces with covers, what is covered, and what the network says; and faces as they are."""
        held = faces["a"]
        chosen = evenly(range(len(held)), SHOWN)
        random = np.random.default_rng(0)
        side = held.side(draw(chosen, self.augmentation, self.size, len(held), 0, random),
                         self.augmentation.augmenters)
        covered, plain = (pictures.astype(np.float32) / 255
                          for pictures in (side.input, held.uncovered(chosen)))
        truth = side.regions[..., :1].astype(np.float32) / 255

        def told(pictures: np.ndarray) -> Any:
            logits = networks[NAME].predict_on_batch(pictures)
            return _marked(pictures, 1 / (1 + np.exp(-logits)))

        return lambda: preview.columns([
            ("covers", covered), ("truth", _marked(covered, truth)), ("found", told(covered)),
            ("as they are", plain), ("found", told(plain))])


def _marked(pictures: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(N, S, S, 3) in [0, 1]: what is not `seen` (N, S, S, 1) in red."""
    red = np.float32([1, 0, 0])
    return pictures + 0.65 * (1 - seen) * (red - pictures)


def _normed(x: Any, filters: int, kernel: int = 3, stride: int = 1) -> Any:
    x = layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=False,
                      kernel_initializer="he_uniform")(x)
    return layers.BatchNormalization(momentum=MOMENTUM)(x)


def _conv(x: Any, filters: int, kernel: int = 3, stride: int = 1) -> Any:
    return layers.ReLU()(_normed(x, filters, kernel, stride))


def _residual(x: Any) -> Any:
    filters = x.shape[-1]
    return layers.ReLU()(layers.Add()([x, _normed(_conv(x, filters), filters)]))
