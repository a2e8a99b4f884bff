"""A face drawn anew, larger or clearer, by a network of the user's own between the model and the
frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lib.onnx.description import Table
from lib.onnx.onnx_network import Network
from lib.swapping.pipeline import Network as Swapping

# Of the answer: what is black and what is white
VALUES = {"unit": (0.0, 1.0), "signed": (-1.0, 1.0), "bytes": (0.0, 255.0)}


class Enhancer:
    """An ONNX network from square pictures to square pictures, which a TOML file describes
    (docs/onnx.md, [picture]).

    Raises FaceswapError, which names the file and the key, where the description and the network
    make no sense together.
    """

    def __init__(self, path: Path):
        self._network = Network(path)
        table = self._network.table("picture")
        self._black, self._white = VALUES[table.choice("values", tuple(VALUES), "unit")]
        table.finish()
        self.drawn = self._check(table)  # side of what it draws

    def __call__(self, faces: np.ndarray) -> np.ndarray:
        """(N, S, S, 3) float32 RGB in [0, 1] -> (N, drawn, drawn, 3) likewise."""
        side = self._network.size
        kind = cv2.INTER_AREA if side < faces.shape[1] else cv2.INTER_CUBIC
        resized = [cv2.resize(face, (side, side), interpolation=kind) for face in faces]
        inputs = [cv2.convertScaleAbs(np.clip(face, 0, 1), alpha=255) for face in resized]
        answer = self._network(inputs)
        answer = answer.transpose(0, 2, 3, 1) if self._network.layout == "nchw" else answer
        answer = answer[..., ::-1] if self._network.bgr else answer
        pictures = (answer.astype(np.float32) - self._black) / (self._white - self._black)
        return np.clip(pictures, 0, 1)

    def digest(self) -> str:
        return self._network.digest()

    def _check(self, table: Table) -> int:
        answer = self._network([np.zeros((self._network.size, self._network.size, 3), np.uint8)])
        sides = answer.shape[1:] if self._network.layout == "nhwc" else (
            *answer.shape[2:], *answer.shape[1:2])
        if answer.ndim != 4 or sides[0] != sides[1] or sides[2] != 3:
            shape = ", ".join(map(str, ("N", *answer.shape[1:])))
            raise table.wrong("values", "is about a square picture in three colours, but the "
                              f"network's output has the shape ({shape})")
        return int(sides[0])


@dataclass(frozen=True)
class Enhanced:
    """A network that swaps, whose faces an enhancer draws anew; of what it draws `strength` counts,
    0 to 1."""

    network: Swapping
    enhancer: Enhancer
    strength: float = 1.0

    @property
    def size(self) -> int:
        return self.network.size

    @property
    def drawn(self) -> int:
        return max(self.network.drawn, self.enhancer.drawn)

    @property
    def coverage(self) -> str:
        return self.network.coverage

    def __call__(self, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        images, masks = self.network(faces)
        side = (self.drawn, self.drawn)
        plain, clear = (np.stack([cv2.resize(image, side, interpolation=cv2.INTER_CUBIC)
                                  for image in pictures])
                        for pictures in (images, self.enhancer(images)))
        if masks is not None:
            masks = np.stack([cv2.resize(mask, side, interpolation=cv2.INTER_LINEAR)[..., None]
                              for mask in masks])
        return np.clip(plain + np.float32(self.strength) * (clear - plain), 0, 1), masks
