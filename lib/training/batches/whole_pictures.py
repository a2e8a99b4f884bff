"""Whole pictures to train on, of faces or anything else."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from lib.errors import FaceswapError
from lib.faces.geometry import MEAN_FACE
from lib.media.pictures import picture_file
from lib.media.pictures.picture_source import list_pictures
from lib.system import device
from lib.training.batches.faces import Faces

# side of a square, in those of what a model sees of it: "Unpaired Image-to-Image Translation ...",
# ICCV, 2017
LOADED = 286 / 256


def read_squares(folder: Path, size: int) -> list[np.ndarray]:
    """The middle square of every picture in a folder, (S, S, 3) uint8 RGB, a little larger than the
    `size` that a model sees.

    Raises FaceswapError where there is none, or one cannot be read.
    """
    side = round(size * LOADED)
    if not folder.is_dir():
        raise FaceswapError(f"{folder} is no folder. --whole-pictures takes folders of pictures.")
    files = list_pictures(folder)
    with ThreadPoolExecutor(device.cores()) as pool:
        return list(pool.map(lambda file: _square(picture_file.read(file), side), files))


def _square(picture: np.ndarray, side: int) -> np.ndarray:
    height, width = picture.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    middle = np.ascontiguousarray(picture[top:top + short, left:left + short])
    return cv2.resize(middle, (side, side), interpolation=cv2.INTER_AREA if short > side
                      else cv2.INTER_CUBIC)


class Pictures(Faces):
    """Squares in place of faces: augmentation moves the window that the model sees about them. The
    landmarks mean nothing.
    """

    def __init__(self, squares: Sequence[np.ndarray], size: int):
        side = len(squares[0])
        whole = np.resize(MEAN_FACE, (68, 2)) * side
        super().__init__(squares, [whole] * len(squares), "full", side, "full")
        self.size = self.drawn = size
        margin = (side - size) / 2
        self.matrix = self.region_matrix = np.array([[1.0, 0, -margin], [0, 1.0, -margin]])
        self.shapes = (self.landmarks - margin + 0.5) / size
