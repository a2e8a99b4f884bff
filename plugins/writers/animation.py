"""Finished frames as a picture that moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.Image import SAVE_ALL

from lib.errors import FaceswapError
from lib.files.writing import disk_errors, make_folder, new_file
from lib.media.base import FrameSink, FrameSource
from lib.media.endpoints.sink import check_output, refuse_hdr
from lib.media.pictures.metadata import with_xmp
from lib.options import option
from lib.plugin import WRITERS, Writer
from lib.types import Frame, Patch, with_alpha

KINDS = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG", ".apng": "PNG", ".avif": "AVIF"}  # Pillow's
# milliseconds of a tick of GIF; the fewest ticks for which viewers show a frame
HUNDREDTHS, LEAST = 10, 2
WIDTH = 480  # pixels of what is made of videos


@WRITERS.register
@dataclass
class Animation(Writer):
    """A GIF, WebP, APNG (.png) or AVIF that moves, for clips of some seconds: it is kept in memory
    until the end."""

    width: int | None = option(None, "Scale down to this many pixels across; by default 480, and "
                                     "of an input of this kind as wide as it is.", low=16,
                               high=16384)
    rate: float = option(25.0, "Frames a second where the input is a folder of pictures.", low=0.1,
                         high=50.0)
    quality: int = option(80, "Of WebP and AVIF.", low=1, high=100)

    def open(self, path: Path, source: FrameSource) -> AnimationSink:
        return AnimationSink(path, source, self.width, self.rate, self.quality)


class AnimationSink(FrameSink):
    """The file appears whole or not at all. Frames are shown when they are in the source, to the
    tick of the format; GIF leaves out those that would be shown for less than LEAST ticks. What is
    transparent stays so."""

    def __init__(self, path: Path, source: FrameSource, width: int | None, rate: float,
                 quality: int):
        self.path = Path(path)
        check_output(self.path, source)
        if self.path.suffix.lower() not in KINDS:
            raise FaceswapError(f"{path} does not end like an animation. Choose one of "
                                f"{', '.join(KINDS)}.")
        Image.init()  # so that Pillow knows what it writes
        self._kind = KINDS[self.path.suffix.lower()]
        if self._kind not in SAVE_ALL:
            raise FaceswapError(f"This Pillow writes no {self._kind} that moves. Choose another "
                                "ending, or update it: pip install -U pillow.")
        refuse_hdr(source, "an animation")
        self._width = width or (None if source.moves else WIDTH)
        self._quality = quality
        self._rate = float(source.rate or rate)
        self._last = source.last_length
        self._images: list[Image.Image] = []
        self._times: list[float] = []  # seconds

    def __enter__(self) -> AnimationSink:
        with disk_errors(self.path):
            make_folder(self.path.parent)
        return self

    def write(self, frame: Frame, image: np.ndarray) -> None:
        image = image if frame.rgba is None else with_alpha(frame, image)
        image = image if image.dtype == np.uint8 else (image >> 8).astype(np.uint8)
        picture = Image.fromarray(np.ascontiguousarray(image))
        if self._width and picture.width > self._width:
            height = max(1, round(picture.height * self._width / picture.width))
            picture = picture.resize((self._width, height), Image.Resampling.LANCZOS)
        if self._images and picture.size != self._images[0].size:
            raise FaceswapError(f"{frame.name or f'Frame {frame.index + 1}'} has another shape "
                                "than the frames before it. Write pictures instead: name a folder "
                                "as the output.")
        self._images.append(_with_palette(picture) if self._kind == "GIF" else picture)
        self._times.append(frame.time if frame.time is not None else len(self._times) / self._rate)

    def patch(self, frame: Frame, patches: Sequence[Patch]) -> None:
        self.write(frame, frame.with_patches(patches))

    def __exit__(self, kind, error, traceback) -> None:
        if kind is not None:
            return
        if not self._images:
            raise FaceswapError(f"{self.path} was not written: there was no frame to write.")
        with disk_errors(self.path), new_file(self.path) as part:
            (first, *others), lengths = self._shown()
            first.save(part, self._kind, save_all=True, append_images=others, duration=lengths,
                       **self._settings(first))
            if self.mark:
                self.mark.sign(part, self.path)

    def _shown(self) -> tuple[list[Image.Image], list[int]]:
        """Pictures, and for how many milliseconds each is shown: rounded from the beginning; no
        error adds up."""
        tick, least = (HUNDREDTHS, LEAST) if self._kind == "GIF" else (1, 1)
        end = self._times[-1] + (self._last or 1 / self._rate)
        *ticks, end = (round(1000 * (second - self._times[0]) / tick)
                       for second in (*self._times, end))
        kept: list[int] = []
        for number, at in enumerate(ticks):
            if not kept or at - ticks[kept[-1]] >= least:
                kept.append(number)
        ends = [*(ticks[number] for number in kept[1:]), max(end, ticks[kept[-1]] + least)]
        lengths = [(after - ticks[number]) * tick for number, after in zip(kept, ends)]
        return [self._images[number] for number in kept], lengths

    def _settings(self, first: Image.Image) -> dict[str, object]:
        match self._kind:
            case "GIF":
                transparent = {"transparency": CLEAR,
                               "disposal": 2} if "transparency" in first.info else {}
                comment = {"comment": self.mark.comment()} if self.mark else {}
                return {"loop": 0, "optimize": False} | transparent | comment
            case "PNG":
                return {"loop": 0, "compress_level": 6} | (with_xmp("PNG", self.mark.xmp)
                                                           if self.mark else {})
            case "WEBP":
                return {"loop": 0, "quality": self._quality} | ({"xmp": self.mark.xmp} if self.mark else {})
        return {"quality": self._quality} | ({"xmp": self.mark.xmp} if self.mark else {})


CLEAR = 255  # of a palette: the colour that is transparent


def _with_palette(picture: Image.Image) -> Image.Image:
    """In 256 colours, one of which is transparent where something is."""
    if picture.mode != "RGBA":
        return picture.quantize(256)
    made = picture.convert("RGB").quantize(CLEAR)
    made.paste(CLEAR, mask=picture.getchannel("A").point(lambda alpha: 255 if alpha < 128 else 0))
    made.info["transparency"] = CLEAR
    return made
