"""Finished frames as pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lib.media.base import FrameSource
from lib.media.sink import PictureSink
from lib.options import option
from lib.plugin import WRITERS, Writer


@WRITERS.register
@dataclass
class Images(Writer):
    """Pictures in a folder, each under the name of its frame."""

    format: str = option("auto", "Format of the pictures; auto keeps each picture's own where it can, and takes PNG for a video.",
                         choices=("auto", "png", "jpg", "webp", "tiff", "bmp"))

    def open(self, path: Path, source: FrameSource) -> PictureSink:
        return PictureSink(path, source, None if self.format == "auto" else f".{self.format}")
