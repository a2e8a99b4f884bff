"""Frames of pictures that have more than 8 bits a channel, or transparency."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from lib.media.pictures.deep import for_frame, for_picture
from lib.media.tone import Tone
from lib.types import Frame, Patch, as_bytes, as_deep


class TransparentPicture(Frame):
    """A picture that is transparent somewhere."""

    _rgba: np.ndarray

    def __init__(self, index: int, image: np.ndarray, name: str, rgba: np.ndarray):
        """`image`: (H, W, 3) uint8 RGB, as it is seen on white; `rgba`: (H, W, 4) uint8."""
        super().__init__(index, image, name)
        object.__setattr__(self, "_rgba", rgba)

    @property
    def rgba(self) -> np.ndarray:
        return self._rgba


class DeepPicture(Frame):
    """A picture of 16 bits a channel."""

    full: np.ndarray
    _rgba: np.ndarray | None

    def __init__(self, index: int, full: np.ndarray, name: str, rgba: np.ndarray | None = None):
        """`full`: (H, W, 3) uint16 RGB up to 65535, as it is seen on white; `rgba`: (H, W, 4),
        where it is transparent."""
        values = {"index": index, "full": full, "name": name, "time": None, "_rgba": rgba}
        for attribute, value in values.items():
            object.__setattr__(self, attribute, value)

    @property
    def rgba(self) -> np.ndarray | None:
        return self._rgba

    @cached_property
    def image(self) -> np.ndarray:
        return as_bytes(for_frame(self.full))

    @property
    def size(self) -> tuple[int, int]:
        return self.full.shape[1::-1]

    @property
    def is_deep(self) -> bool:
        return True

    def part(self, rows: slice, columns: slice, deep: bool = False) -> np.ndarray:
        return for_frame(self.full[rows, columns]) if deep else self.image[rows, columns]


def with_patches(frame: Frame, patches: Sequence[Patch]) -> np.ndarray:
    """(H, W, 3) uint16 up to 65535: the frame, exactly as it is where no patch changes it."""
    if not isinstance(frame, DeepPicture):
        return for_picture(frame.with_patches(patches, True))
    image = frame.full.copy()
    for patch in patches:
        part = image[patch.rows, patch.columns]
        np.copyto(part, for_picture(as_deep(patch.pixels)), where=patch.pixels != patch.before)
    return image


def as_sdr(image: np.ndarray, tone: Tone) -> np.ndarray:
    """(H, W, 3) uint8 of a frame of HDR video (H, W, 3) uint16, up to 65535, as pictures have
    it."""
    return tone.sdr(for_frame(image))
