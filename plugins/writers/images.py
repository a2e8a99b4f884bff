"""Finished frames as pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lib.media.base import FrameSource
from lib.media.endpoints.sink import PictureSink
from lib.options import option
from lib.plugin import WRITERS, Writer


@WRITERS.register
@dataclass
class Images(Writer):
    """Pictures in a folder, each under the name of its frame."""

    format: str = option("auto", "Format of the pictures. auto keeps that of each input picture "
                                 "where it can be written; for a video it is PNG.",
                         choices=("auto", "png", "jpg", "webp", "tiff", "bmp"))
    mask: str = option("none", "alpha: write the new faces alone, the rest transparent. separate: "
                               "write their masks, too, as NAME_mask.png.",
                       choices=("none", "alpha", "separate"))
    depth: int = option(8, "Bits of a channel: 16 (PNG, TIFF) keeps all of videos of 10 and 12 "
                           "bits and of pictures of 16.", choices=(8, 16))

    def open(self, path: Path, source: FrameSource) -> PictureSink:
        return PictureSink(path, source, None if self.format == "auto" else f".{self.format}",
                           self.mask, self.depth == 16)
