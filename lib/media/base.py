"""Sources and sinks of frames, whatever lies behind them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lib.files.names import printable
from lib.types import Frame, Patch, Shard

if TYPE_CHECKING:
    from lib.provenance.marking import Mark

PQ, HLG = 16, 18  # transfer of HDR video, as ISO/IEC 23091-2 and FFmpeg number it
LARGE = 6_000_000  # pixels of frames that are handled sparingly: 4K
NEARBY_FRAMES = 30  # of a video: those no farther apart are decoded in one go, since finding a frame costs about as much


class FrameSource(ABC):
    """Iterates `Frame`s in presentation order; each iteration starts at the beginning."""

    path: Path
    size: tuple[int, int] | None  # (width, height) as shown; None where pictures differ
    rate: Fraction | None  # frames/s, the average of a video with a variable rate; None for pictures
    count: int | None  # number of frames, or None where only reading tells
    hdr_coded: tuple[int, int] | None = None  # primaries and transfer (`PQ`, `HLG`) of HDR video
    files: Sequence[Path] = ()  # the file of each picture, in order; none where frames lie in a video or are made

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]: ...

    @abstractmethod
    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Frames `start` to `stop` - 1 without decoding more than is needed to get there."""

    @property
    def names(self) -> list[str]:
        """The name of each picture, in order; none of a video."""
        return [printable(file.name) for file in self.files]

    def index_at(self, seconds: float) -> int:
        """The first frame that is shown `seconds` after the beginning or later. For videos; past the last frame where there is none."""
        return math.ceil(seconds * (self.rate or 25))

    def at(self, wanted: Sequence[int]) -> Iterator[Frame]:
        """The frames of these indices, which ascend; those that cannot be read are left out."""
        near = 1 if self.rate is None else NEARBY_FRAMES
        stretches: list[list[int]] = []
        for index in wanted:
            if stretches and index - stretches[-1][-1] <= near:
                stretches[-1].append(index)
            else:
                stretches.append([index])
        for stretch in stretches:
            inside = set(stretch)
            yield from (frame for frame in self.frames(stretch[0], stretch[-1] + 1) if frame.index in inside)

    @property
    def losses(self) -> list[str]:
        """What could not be read in the last iteration, a sentence each: "photo.jpg: truncated"."""
        return []


class FrameSink(ABC):
    """Takes frames in order. A context manager: leaving it without an error puts the result under its final name."""

    mark: Mark | None = None  # with which what is written is marked as synthetic
    missing_parts: int = 0  # parts that other runs have still to write before the result can be put together

    def missing(self, key: str, start: int = 0, stop: int | None = None, shard: Shard | None = None,
                again: Collection[int] = ()) -> list[tuple[int, int | None]]:
        """The stretches of frames `start` to `stop` - 1 of the source (None: to its end) that are to be written, of `shard` alone if
        there is one: those that an earlier run with the same `key` has not written already, and the frames `again`. Asked within the context, before the first
        frame is written; where it is not asked, nothing of earlier runs is used. `key` stands for all that the frames depend on."""
        return [(start, stop)]

    deep: bool = False  # whether it keeps more than 8 bits of a frame that has them
    aligned: bool = False  # whether it needs `Patch.aligned`

    @abstractmethod
    def write(self, frame: Frame, image: np.ndarray) -> None:
        """`image` (H, W, 3) uint8 RGB becomes the picture of `frame`, whose time or name it keeps."""

    @abstractmethod
    def patch(self, frame: Frame, patches: Sequence[Patch]) -> None:
        """The same, of the frame as it is with `patches` in it."""

    @abstractmethod
    def __enter__(self) -> FrameSink: ...

    @abstractmethod
    def __exit__(self, kind, error, traceback) -> None: ...
