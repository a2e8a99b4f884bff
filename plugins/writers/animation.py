"""Finished frames as a picture that moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from lib.errors import FaceswapError
from lib.files.writing import disk_errors, make_folder, new_file
from lib.media.base import FrameSink, FrameSource
from lib.media.sink import ANIMATED, check_output, refuse_hdr
from lib.options import option
from lib.plugin import WRITERS, Writer
from lib.types import Frame, Patch

LEAST = 20  # milliseconds that viewers show a frame at least


@WRITERS.register
@dataclass
class Animation(Writer):
    """A GIF or WebP that moves, for clips of some seconds: all of it is kept in memory until the end."""

    width: int = option(480, "Scale down to this many pixels across.", low=16, high=4096)
    rate: float = option(25.0, "Frames a second where the input is a folder of pictures.", low=0.1, high=50.0)
    quality: int = option(80, "Of WebP.", low=1, high=100)

    def open(self, path: Path, source: FrameSource) -> AnimationSink:
        return AnimationSink(path, source, self.width, self.rate, self.quality)


class AnimationSink(FrameSink):
    """The file appears whole or not at all. Frames are shown as long as in the source, though never less than LEAST."""

    def __init__(self, path: Path, source: FrameSource, width: int, rate: float, quality: int):
        self.path = Path(path)
        check_output(self.path, source)
        if self.path.suffix.lower() not in ANIMATED:
            raise FaceswapError(f"{path} does not end like an animation. Choose one of {', '.join(ANIMATED)}.")
        refuse_hdr(source, "an animation")
        self._width, self._quality = width, quality
        self._lasts = 1000 / float(source.rate or rate)
        self._images: list[Image.Image] = []
        self._times: list[float] = []  # milliseconds

    def __enter__(self) -> AnimationSink:
        with disk_errors(self.path):
            make_folder(self.path.parent)
        return self

    def write(self, frame: Frame, image: np.ndarray) -> None:
        picture = Image.fromarray(np.ascontiguousarray(image))
        if picture.width > self._width:
            picture = picture.resize((self._width, max(1, round(picture.height * self._width / picture.width))), Image.Resampling.LANCZOS)
        if self._images and picture.size != self._images[0].size:
            raise FaceswapError(f"{frame.name or f'Frame {frame.index}'} has another shape than the frames before it. Write pictures "
                                "instead: name a folder as the output.")
        self._images.append(picture.quantize(256) if self.path.suffix.lower() == ".gif" else picture)
        self._times.append(1000 * frame.time if frame.time is not None else len(self._times) * self._lasts)

    def patch(self, frame: Frame, patches: Sequence[Patch]) -> None:
        self.write(frame, frame.with_patches(patches))

    def __exit__(self, kind, error, traceback) -> None:
        if kind is not None:
            return
        if not self._images:
            raise FaceswapError(f"{self.path} was not written: there was no frame to write.")
        with disk_errors(self.path), new_file(self.path) as part:
            first, *others = self._images
            told = {"xmp": self.mark.xmp, "comment": self.mark.comment()} if self.mark else {}  # each format takes what it knows
            first.save(part, self.path.suffix[1:].upper(), save_all=True, append_images=others, loop=0, quality=self._quality,
                       duration=[max(LEAST, round(end - begin)) for begin, end in
                                 zip(self._times, [*self._times[1:], self._times[-1] + self._lasts])], **told)
            if self.mark:
                self.mark.sign(part, self.path)
