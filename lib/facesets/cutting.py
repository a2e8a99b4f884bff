"""How aligned faces are cut out of frames, and where they are written."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from lib.faces.geometry import DEFAULT_COVERAGE, DEFAULT_SIZE, crop
from lib.facesets.folder import FaceFolder, Origin
from lib.media.base import FrameSource
from lib.types import AlignedFace, Face, Frame

MORE = 5  # faces that a picture may have shown before it changed, at least one of them where there were more than now


@dataclass(frozen=True)
class Cut:
    """Size in pixels and coverage of the face pictures; without a `sink` they are not written."""

    sink: FaceFolder | None = None
    size: int = DEFAULT_SIZE
    coverage: str = DEFAULT_COVERAGE

    def crop(self, image: np.ndarray, face: Face) -> AlignedFace:
        return crop(image, face, self.size, self.coverage)

    def write(self, source: FrameSource, frame: Frame, number: int, aligned: AlignedFace) -> None:
        """Writes the `number`-th face of `frame`, of which everything but the image is needed."""
        self.sink.write(aligned, self.origin(source, frame.index, number, frame.name, frame.time), self.coverage)

    def take_away(self, source: FrameSource, frame: Frame, but: set[int]) -> None:
        """Takes away the faces that were written of `frame` when its picture showed something else: all `but` those of these numbers."""
        for number in range(max(but, default=-1) + MORE):
            if number not in but and (file := self.sink.find(self.origin(source, frame.index, number, frame.name))):
                file.unlink()

    def origin(self, source: FrameSource, frame: int, number: int, name: str, time: float | None = None) -> Origin:
        return Origin(os.path.abspath(source.path), frame, number, name, time)
