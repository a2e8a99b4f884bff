from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lib.errors import FaceswapError
from lib.faces.geometry import crop_matrix, invert, warp
from lib.faces.masks import ShapedMasker
from lib.onnx.onnx_network import Network
from lib.options import option
from lib.plugin import MASKERS
from lib.types import AlignedFace

COVERAGE = "whole"  # of the crops that the network was trained on
# What is taken off the network's logits: it learnt from some covered faces that nobody labelled,
# which teach it that too much is seen
DOUBT = 0.6


@MASKERS.register
@dataclass
class Occlusion(ShapedMasker):
    """What of a face is seen, without hands, microphones and other covers (`train -t occlusion`).

    Says nothing of where the face ends: join it with the mask of a face, `-M hull*occlusion`.
    """

    tells_covers = True
    flickers = True

    model: Path = option(help="Folder of a model of `train -t occlusion`.")

    def __post_init__(self):
        # absolute, since the alignments file keeps it and may be used from another folder
        self.model = Path(os.path.abspath(self.model))
        description = self.model / "occlusion.toml"
        if not description.is_file():
            raise FaceswapError(f"{self.model} holds no network that finds covers. Train one: "
                                f"faceswap.py train -t occlusion -A FACES -m {self.model}")
        self._network = Network(description)

    def draw(self, aligned: AlignedFace) -> np.ndarray:
        size, side = len(aligned.image), self._network.size
        if aligned.coverage == COVERAGE:
            method = cv2.INTER_AREA if side <= size else cv2.INTER_CUBIC
            picture = cv2.resize(aligned.image, (side, side), interpolation=method)
            seen = self._seen(picture)
            return cv2.resize(seen, (size, size), interpolation=cv2.INTER_LINEAR)[..., None]
        # Another part of the head: over the crop that the network knows, and back
        onto = (crop_matrix(aligned.face.landmarks, side, COVERAGE)
                @ np.vstack([invert(aligned.matrix), [0, 0, 1]]))
        seen = self._seen(warp(aligned.image, onto, side))
        return cv2.warpAffine(seen, invert(onto), (size, size), flags=cv2.INTER_LINEAR,
                              borderMode=cv2.BORDER_REPLICATE)[..., None]

    def made_with(self) -> dict:
        return super().made_with() | {"network": self._network.digest()}

    def _seen(self, picture: np.ndarray) -> np.ndarray:
        """(S, S) float32 in [0, 1] of `picture` (S, S, 3) uint8."""
        logits = self._network([picture])[0, 0]
        return 1 / (1 + np.exp(DOUBT - np.clip(logits, -60, 60)))
