"""The contracts: sources and sinks of frames, whatever lies behind them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Protocol

import numpy as np

from lib.files.names import printable
from lib.types import Frame, Patch, Shard

PQ, HLG = 16, 18  # transfers of HDR video, as ISO/IEC 23091-2 and FFmpeg number them
LARGE = 6_000_000  # pixels: larger frames, as of 4K, are handled sparingly
NEARBY_FRAMES = 30  # of a video: decoded in one go, since finding a frame costs about as much


class FrameSource(ABC):
    """Iterates `Frame`s in presentation order; each iteration starts at the beginning."""

    path: Path
    size: tuple[int, int] | None  # (width, height) as shown; None where pictures differ
    # frames/s, the average of a video with a variable rate; None for pictures
    rate: Fraction | None
    count: int | None  # number of frames, or None where only reading tells
    hdr_coded: tuple[int, int] | None = None  # primaries and transfer (`PQ`, `HLG`) of HDR video
    files: Sequence[Path] = ()  # of pictures, one for each frame; () of a video
    moves: bool = False  # whether it is an animated picture
    last_length: float | None = None  # seconds that the last frame is shown, where the file says so

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    @abstractmethod
    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Frames `start` to `stop` - 1, without decoding more than is needed to get there."""

    @property
    def names(self) -> list[str]:
        """Names of the pictures, in order, as their frames have them; [] of a video."""
        return [printable(file.name) for file in self.files]

    def at(self, indices: Sequence[int]) -> Iterator[Frame]:
        """The frames of these rising indices; those that cannot be read are left out."""
        near = 1 if self.rate is None else NEARBY_FRAMES
        groups: list[list[int]] = []
        for index in indices:
            if groups and index - groups[-1][-1] <= near:
                groups[-1].append(index)
            else:
                groups.append([index])
        for group in groups:
            chosen = set(group)
            frames = self.frames(group[0], group[-1] + 1)
            yield from (frame for frame in frames if frame.index in chosen)

    def index_at(self, seconds: float) -> int:
        """The first frame shown `seconds` after the beginning or later; past the last one where
        there is none. Not of pictures, which have no times."""
        return ceil(seconds * (self.rate or 25))

    @property
    def losses(self) -> list[str]:
        """What could not be read in the last iteration, a sentence each: "photo.jpg: truncated"."""
        return []


class Mark(Protocol):
    """Marks what is written as synthetic. Safe to be used from several threads."""

    xmp: bytes  # the XMP packet that says so
    # endings of files that were written unsigned, since their format has no place
    unmarked_endings: set[str]

    def comment(self) -> str:
        """What a video's metadata say to people."""

    def signed(self, data: bytes, path: Path, original: Path | None) -> bytes:
        """`data`, the file that becomes `path`, signed where its format can be."""

    def sign(self, part: Path, path: Path) -> None:
        """Signs the finished file `part`, which becomes `path`, in its place."""


class Markable(Protocol):
    """Writes what is made, and marks it."""

    mark: Mark | None  # None: it is not marked


class FrameSink(ABC):
    """Takes frames in order. A context manager: leaving it without an error finishes the output."""

    mark: Mark | None = None
    missing_parts: int = 0  # that other runs have still to write before the output can be finished
    deep: bool = False  # whether it keeps more than 8 bits of a frame that has them
    aligned: bool = False  # whether it needs `Patch.aligned`

    def missing(self, key: str, start: int = 0, stop: int | None = None, shard: Shard | None = None,
                again: Collection[int] = ()) -> list[tuple[int, int | None]]:
        """(first, after the last) of the frames `start` to `stop` - 1 (None: the end) to write.

        Left out is what an earlier run with the same `key` wrote, except the frames `again`, and
        what is not of `shard`. `key` stands for all that the frames depend on. Ask within the
        context, before the first frame is written; otherwise nothing of earlier runs is used.
        """
        return [(start, stop)]

    @abstractmethod
    def write(self, frame: Frame, image: np.ndarray) -> None:
        """`image` (H, W, 3) uint8 RGB becomes the picture of `frame`, and keeps its time or
        name."""

    @abstractmethod
    def patch(self, frame: Frame, patches: Sequence[Patch]) -> None:
        """Writes `frame` with `patches` in it."""

    @abstractmethod
    def __enter__(self) -> FrameSink: ...

    @abstractmethod
    def __exit__(self, kind: object, error: object, traceback: object) -> None: ...
