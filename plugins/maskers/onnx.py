from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lib.faces.masks import ShapedMasker
from lib.onnx.description import Table
from lib.onnx.onnx_network import Network
from lib.options import option
from lib.plugin import MASKERS
from lib.types import AlignedFace

VALUES = ("logits", "probabilities", "labels")


@MASKERS.register
@dataclass
class Onnx(ShapedMasker):
    """A segmentation network of your own (ONNX), described by a TOML file (docs/onnx.md)."""

    flickers = True

    network: Path = option(help="The TOML file that describes the network (docs/onnx.md).")

    def __post_init__(self):
        # absolute, since the alignments file keeps it and may be used from another folder
        self.network = Path(os.path.abspath(self.network))
        self._network = Network(self.network)
        table = self._network.table("mask")
        self._values = table.choice("values", VALUES, "logits")
        self._face = table.take("face", _classes, "a list of the classes that are face, whole "
                                "numbers from 0")
        table.finish()
        self._check(table)

    def draw(self, aligned: AlignedFace) -> np.ndarray:
        size, side = len(aligned.image), self._network.size
        method = cv2.INTER_AREA if side < size else cv2.INTER_CUBIC
        picture = cv2.resize(aligned.image, (side, side), interpolation=method)
        mask = self._probability(self._network([picture]))[0]
        method = cv2.INTER_AREA if len(mask) > size else cv2.INTER_LINEAR
        mask = cv2.resize(mask, (size, size), interpolation=method)
        return np.nan_to_num(mask)[..., None]

    def made_with(self) -> dict:
        return super().made_with() | {"files": self._network.digest()}

    def _probability(self, answer: np.ndarray) -> np.ndarray:
        """(N, h, w) float32 in [0, 1]: how likely a pixel is face.

        `answer` is the network's, (N, C, h, w), or (N, h, w, C) for the layout nhwc.
        """
        if self._values == "labels":
            labels = answer.reshape(len(answer), *[side for side in answer.shape[1:] if side != 1])
            return np.isin(labels, self._face).astype(np.float32)
        classes = answer if self._network.layout == "nchw" else answer.transpose(0, 3, 1, 2)
        if self._values == "logits" and classes.shape[1] == 1:
            classes = 1 / (1 + np.exp(-np.clip(classes, -60, 60)))
        elif self._values == "logits":
            classes = np.exp(classes - classes.max(1, keepdims=True))
            classes /= classes.sum(1, keepdims=True)
        return np.clip(classes[:, self._face].sum(1), 0, 1).astype(np.float32)

    def _check(self, table: Table) -> None:
        """Raises FaceswapError where the network's answer to a black picture is not what the file
        says.
        """
        answer = self._network([np.zeros((self._network.size, self._network.size, 3), np.uint8)])
        sides = ", ".join(map(str, ("N", *answer.shape[1:])))
        shape = f"the network's output has the shape ({sides})"
        if self._values == "labels":
            if len([side for side in answer.shape[1:] if side != 1]) != 2:
                raise table.wrong("values", f"is labels, one for each pixel, but {shape}")
            return
        if answer.ndim != 4:
            raise table.wrong("values", f"is {self._values}, a picture for each class, but {shape}")
        count = answer.shape[1 if self._network.layout == "nchw" else 3]
        if max(self._face) >= count:
            raise table.wrong("face", f"names class {max(self._face)}, but {shape}: classes 0 to "
                              f"{count - 1}")


def _classes(value: object) -> list[int]:
    if not isinstance(value, list) or not value:
        raise ValueError
    if any(type(number) is not int or number < 0 for number in value):
        raise ValueError
    return sorted(set(value))
