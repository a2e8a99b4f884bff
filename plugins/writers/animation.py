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
GIF_TICK, GIF_LEAST = 10, 2  # milliseconds; the fewest ticks for which viewers show a frame
WIDTH = 480  # pixels of an animation of a video
CLEAR = 255  # of a palette: the colour that is transparent


@WRITERS.register
@dataclass
class Animation(Writer):
    """An animated GIF, WebP, APNG (.png) or AVIF, for clips of some seconds.

    It is kept in memory until the end.
    """

    width: int | None = option(None, "Scale down to this width in pixels. Default: 480, for an "
                                     "animated input its own width.", low=16, high=16384)
    rate: float = option(25.0, "Frames a second where the input is a folder of pictures.", low=0.1,
                         high=50.0)
    quality: int = option(80, "Quality of WebP and AVIF; higher is better and larger.", low=1,
                          high=100)

    def open(self, path: Path, source: FrameSource) -> AnimationSink:
        return AnimationSink(path, source, self.width, self.rate, self.quality)


class AnimationSink(FrameSink):
    """An animation, which appears whole or not at all.

    Frames keep their times, to the tick of the format; GIF leaves out those that would be shown for
    less than GIF_LEAST ticks. Transparency is kept.
    """

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
            images, lengths = self._timed()
            images[0].save(part, self._kind, save_all=True, append_images=images[1:],
                           duration=lengths, **self._settings(images[0]))
            if self.mark:
                self.mark.sign(part, self.path)

    def _timed(self) -> tuple[list[Image.Image], list[int]]:
        """Pictures, and for how many milliseconds each is shown: rounded from the beginning; no
        error adds up."""
        tick, least = (GIF_TICK, GIF_LEAST) if self._kind == "GIF" else (1, 1)
        end = self._times[-1] + (self._last or 1 / self._rate)
        *ticks, end = (round(1000 * (second - self._times[0]) / tick)
                       for second in (*self._times, end))
        chosen: list[int] = []
        for number, start in enumerate(ticks):
            if not chosen or start - ticks[chosen[-1]] >= least:
                chosen.append(number)
        starts = [ticks[number] for number in chosen]
        ends = [*starts[1:], max(end, starts[-1] + least)]
        lengths = [(end - start) * tick for start, end in zip(starts, ends)]
        return [self._images[number] for number in chosen], lengths

    def _settings(self, first: Image.Image) -> dict[str, object]:
        """Pillow's, for the format."""
        xmp = with_xmp(self._kind, self.mark.xmp) if self.mark else {}
        match self._kind:
            case "GIF":
                is_transparent = "transparency" in first.info
                transparent = {"transparency": CLEAR, "disposal": 2} if is_transparent else {}
                comment = {"comment": self.mark.comment()} if self.mark else {}
                return {"loop": 0, "optimize": False} | transparent | comment
            case "PNG":
                return {"loop": 0, "compress_level": 6} | xmp
            case "WEBP":
                return {"loop": 0, "quality": self._quality} | xmp
        return {"quality": self._quality} | xmp


def _with_palette(picture: Image.Image) -> Image.Image:
    """In 256 colours, one of which is transparent where something is."""
    if picture.mode != "RGBA":
        return picture.quantize(256)
    result = picture.convert("RGB").quantize(CLEAR)
    is_clear = picture.getchannel("A").point(lambda alpha: 255 if alpha < 128 else 0)
    result.paste(CLEAR, mask=is_clear)
    result.info["transparency"] = CLEAR
    return result
