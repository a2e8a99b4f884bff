"""What is translated, piece by piece: the contract between the job and those who read and write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from lib.errors import FaceswapError
from lib.media.base import Markable
from lib.training.saved.swapper import LEAST, Translator


@dataclass(frozen=True)
class Piece:
    """What is translated in one go."""

    image: np.ndarray  # (H, W, 3) uint8 RGB, as the network sees it
    write: Callable[[np.ndarray], None]  # takes the same, translated


class Work(ABC):
    """Reads pieces and writes what becomes of them."""

    unit: str  # "picture" or "face"
    writers: int  # threads that write
    sink: Markable
    opened: AbstractContextManager  # within which is written

    @abstractmethod
    def begin(self) -> int:
        """Counts the pieces, without those that an earlier run with the same options wrote."""

    @abstractmethod
    def pieces(self) -> Iterator[Piece]:
        """The pieces, in order. What cannot be read or translated is left out, and noted among the
        failures."""


def check_size(image: np.ndarray, translator: Translator) -> None:
    """Raises FaceswapError where `image` (H, W, 3) is too small or too large to be translated."""
    height, width = image.shape[:2]
    if min(height, width) < LEAST:
        raise FaceswapError(
            f"{width} x {height} pixels are too few: a side needs {LEAST}. Give a larger --size.")
    if height * width > translator.most:
        raise FaceswapError(
            f"there is not enough memory for {width} x {height} pixels. Give a smaller --size.")
