"""Frames of a video as they were decoded: parts of them in RGB, and put back, so that what does not
change is never converted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from lib.media.samples import (
    BICUBIC,
    BILINEAR,
    EXACT,
    FULL,
    LAYOUTS,
    LIMITED,
    RESERVED,
    UNSPECIFIED,
    copy,
    from_rgb,
    kept_ready,
    plain,
    planes,
    range_of,
    reformatter,
    rgb_matrix,
    rows_of,
    upright,
)
from lib.media.tone import Tone
from lib.types import Frame, Patch, Samples, on_white

# Pixels: parts begin and end at multiples of it, so that chroma is not cut through, and few sizes
# have to be prepared for
BLOCK = 32
MARGIN = 8  # pixels more that are converted on each side, since chroma is interpolated
# What red and blue count in the brightness, by number of the matrix: BT.709, FCC, BT.601 twice,
# SMPTE 240M, BT.2020
WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114),
           7: (0.212, 0.087), 9: (0.2627, 0.0593)}


@dataclass(frozen=True, eq=False)
class Conversion:
    """How the decoded pictures of one video become RGB, upright and with square pixels.

    A picture knows where between pixels its chroma lies, but does not tell, and a new one does not
    know: so what has to lie as they do is made out of one of them.
    """

    matrix: int  # that RGB is calculated with where a picture names none
    size: tuple[int, int]  # (width, height) before it is turned
    # a, b, c, d of x' = a x + c y, y' = b x + d y, each -1, 0 or 1
    turn: tuple[int, int, int, int] = (1, 0, 0, 1)
    exact: bool = True  # False: a level too dark on average, in a tenth of the time
    tone: Tone | None = None  # of HDR video: RGB is made SDR, in all but samples and `raw`
    transparent: bool = False  # somewhere; pictures in RGB are then seen on white

    def rgb(self, picture: av.VideoFrame) -> np.ndarray:
        """(H, W, 3) uint8."""
        if self.tone:
            return self.tone.sdr(self.raw(picture))
        if self.transparent and picture.format.is_rgb:
            return on_white(self.rgba(picture))
        return self._whole(picture, "rgb24")

    def raw(self, picture: av.VideoFrame) -> np.ndarray:
        """(H, W, 3) uint16, white 65280: code values of RGB as they are."""
        return self._whole(picture, "gbrp16le")

    def rgba(self, picture: av.VideoFrame) -> np.ndarray:
        """(H, W, 4) uint8, colours as they are, whatever alpha."""
        return self._whole(picture, "rgba")

    def _whole(self, picture: av.VideoFrame, layout: str) -> np.ndarray:
        scales = self.size != (picture.width, picture.height)
        flags = (BICUBIC if scales else BILINEAR) | (EXACT if self.exact else 0)
        image = self._reformatted(picture, self.size, layout, flags).to_ndarray()
        return upright(image, self.turn)

    def cuts(self, picture: av.VideoFrame) -> bool:
        """Whether pixels of a picture are those of its RGB, one by one, so that parts can be taken
        out and put back."""
        across, down = LAYOUTS.get(picture.format.name, (32, 32))
        # Of other sizes swscale stretches colours a little
        is_even = picture.width % (1 << across) == 0 == picture.height % (1 << down)
        is_unchanged = self.size == (picture.width, picture.height) and self.turn == (1, 0, 0, 1)
        return is_even and is_unchanged and self.exact

    def part(self, picture: av.VideoFrame, rows: slice, columns: slice, deep: bool) -> np.ndarray:
        """(H, W, 3) of these rows and columns: uint8, or if `deep` uint16, white 65280."""
        if self.tone:
            return self.tone.sdr(self._raw_part(picture, rows, columns, True), deep)
        return self._raw_part(picture, rows, columns, deep)

    def _raw_part(self, picture: av.VideoFrame, rows: slice, columns: slice,
                  deep: bool) -> np.ndarray:
        top, left = _around(rows, picture.height), _around(columns, picture.width)
        cut = self._cut(picture, top, left)
        rgb = self._reformatted(cut, (cut.width, cut.height), "gbrp16le" if deep else "rgb24",
                                BILINEAR | EXACT).to_ndarray()
        return rgb[_shifted(rows, top.start), _shifted(columns, left.start)]

    def samples(self, picture: av.VideoFrame) -> Samples | None:
        """None where parts cannot be cut out, or the matrix is none of the usual.

        Where chroma lies is taken to be where most videos have it: half a pixel that no network
        sees.
        """
        weights = WEIGHTS.get(self._matrix_of(picture))
        if weights is None or self.tone or not self.cuts(picture):
            return None
        across, down = LAYOUTS[picture.format.name]
        is_full = range_of(picture) == FULL
        return Samples(planes(picture)[:3], (1 << across, 1 << down),
                       (0.5 * (is_full and across), 0.5 * down),
                       rgb_matrix(*weights, is_full, picture.format.components[0].bits))

    def patched(self, picture: av.VideoFrame, patches: Sequence[Patch]) -> av.VideoFrame:
        """A copy of `picture` with `patches` in it. Samples of which no pixel changes stay exactly
        as they are; so does transparency."""
        result = copy(picture)
        across, down = LAYOUTS[picture.format.name]
        for patch in patches:
            rows, columns = patch.rows, patch.columns
            is_cut = ((rows.start | rows.stop) % (1 << down)
                      or (columns.start | columns.stop) % (1 << across))
            if is_cut:
                raise ValueError(f"a patch at {rows}, {columns} cuts through colours of "
                                 f"{picture.format.name}")
            # 0, or at least 1 before it is grey
            changed = cv2.convertScaleAbs(cv2.absdiff(patch.pixels, patch.before), alpha=255)
            grey = cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY)
            changed = cv2.compare(grey, 0, cv2.CMP_GT)  # type: ignore[call-overload]
            block = np.ones((1 << down, 1 << across), np.uint8)
            coarse = cv2.dilate(changed, block, anchor=(0, 0))[::1 << down, ::1 << across]
            pixels = patch.pixels
            if self.tone:
                raw = self._raw_part(picture, rows, columns, True)
                pixels = self.tone.hdr(pixels, raw, patch.mask)
            samples = planes(self._as(picture, pixels))[:3]
            for number, (plane, new) in enumerate(zip(planes(result)[:3], samples, strict=True)):
                mask, top, left = changed, rows.start, columns.start
                if number:
                    mask, top, left = coarse, top >> down, left >> across
                part = plane[top:top + len(new), left:left + new.shape[1]]
                part[...] = cv2.copyTo(new, mask, np.ascontiguousarray(part))
        return result

    def _as(self, picture: av.VideoFrame, rgb: np.ndarray) -> av.VideoFrame:
        """(H, W, 3) RGB in the layout, matrix and range of `picture`."""
        height, width = rgb.shape[:2]
        result = self._sibling(picture, width, height,
                               "rgb48le" if rgb.dtype == np.uint16 else "rgb24")
        rows_of(result.planes[0], rgb.dtype)[:, :3 * width] = rgb.reshape(height, -1)
        return from_rgb(result, plain(picture.format.name), self._matrix_of(picture),
                        range_of(picture) or LIMITED)

    def _cut(self, picture: av.VideoFrame, rows: slice, columns: slice) -> av.VideoFrame:
        """Rows and columns of `picture` that begin at multiples of BLOCK; good until the thread's
        next one of that size."""
        result = self._sibling(picture, columns.stop - columns.start, rows.stop - rows.start,
                               plain(picture.format.name))
        for number, (plane, whole) in enumerate(zip(planes(result), planes(picture), strict=True)):
            across, down = LAYOUTS[picture.format.name] if number in (1, 2) else (0, 0)
            top, left = rows.start >> down, columns.start >> across
            plane[:] = whole[top:top + plane.shape[0], left:left + plane.shape[1]]
        result.colorspace, result.color_range = picture.colorspace, range_of(picture)
        return result

    def _sibling(self, picture: av.VideoFrame, width: int, height: int,
                 layout: str) -> av.VideoFrame:
        """A picture of that size whose chroma lies as that of `picture` does: one of this thread's,
        to be written over."""
        def make_small() -> av.VideoFrame:
            return VideoReformatter().reformat(picture, 16, 16, "rgba", threads=1)

        def make() -> av.VideoFrame:  # in two steps: one that needs no change is returned itself
            small = kept_ready("small", (self,), 0, make_small)
            return VideoReformatter().reformat(small, width, height, layout, threads=1)

        return kept_ready("siblings", (self, width, height, layout), width * height, make)

    def _matrix_of(self, picture: av.VideoFrame) -> int:
        is_wrong = picture.colorspace == 0 and not picture.format.is_rgb
        names_none = is_wrong or picture.colorspace in (UNSPECIFIED, RESERVED)
        return self.matrix if names_none else picture.colorspace

    def _reformatted(self, picture: av.VideoFrame, size: tuple[int, int], layout: str,
                     flags: int) -> av.VideoFrame:
        picture.colorspace = self._matrix_of(picture)
        return reformatter(picture, size, layout).reformat(picture, *size, format=layout,
                                                           interpolation=flags, threads=1)


class CodedFrame(Frame):
    """A frame of a video, whose RGB is calculated when it is asked for, as a whole or in part."""

    coded: av.VideoFrame
    conversion: Conversion
    stored: av.VideoFrame
    _last_part: _Part | None

    def __init__(self, index: int, time: float, coded: av.VideoFrame, conversion: Conversion,
                 stored: av.VideoFrame | None = None):
        """`stored`: as the decoder gave it, where `coded` was made of that."""
        values = {"index": index, "time": time, "name": "", "coded": coded,
                  "conversion": conversion,
                  "stored": coded if stored is None else stored, "_last_part": None}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @cached_property
    def image(self) -> np.ndarray:
        return self.conversion.rgb(self.coded)

    @cached_property
    def rgba(self) -> np.ndarray | None:
        return self.conversion.rgba(self.coded) if self.conversion.transparent else None

    @property
    def is_on_white(self) -> bool:
        return self.conversion.transparent and self.coded.format.is_rgb

    @property
    def size(self) -> tuple[int, int]:
        width, height = self.conversion.size
        return (height, width) if self.conversion.turn[0] == 0 else (width, height)

    @property
    def is_deep(self) -> bool:
        return self.conversion.cuts(self.coded) and self.coded.format.components[0].bits > 8

    def part(self, rows: slice, columns: slice, deep: bool = False) -> np.ndarray:
        is_calculated = not deep and "image" in vars(self)
        if is_calculated or not self.conversion.cuts(self.coded):
            return super().part(rows, columns, deep)
        last = self._last_part  # of which often a part is asked for
        if last is None or last.deep != deep or not last.holds(rows, columns):
            pixels = self.conversion.part(self.coded, rows, columns, deep)
            last = _Part(rows, columns, deep, pixels)
            object.__setattr__(self, "_last_part", last)
        return last.pixels[_shifted(rows, last.rows.start), _shifted(columns, last.columns.start)]

    def raw_with(self, content: np.ndarray | Sequence[Patch]) -> np.ndarray:
        """(H, W, 3) uint16, white 65280: code values of HDR video where the frame shows `content`,
        a picture (H, W, 3) or patches."""
        tone, code = self.conversion.tone, self.conversion.raw(self.coded)
        if isinstance(content, np.ndarray):
            return tone.hdr(content, code)
        result = code.copy()
        for patch in content:
            changed = (patch.pixels != patch.before).any(2)[..., None]
            new = tone.hdr(patch.pixels, code[patch.rows, patch.columns], patch.mask)
            np.copyto(result[patch.rows, patch.columns], new, where=changed)
        return result

    def with_patches(self, patches: Sequence[Patch], deep: bool = False) -> np.ndarray:
        if deep and self.conversion.tone:  # HDR it stays
            return self.raw_with(patches)
        return super().with_patches(patches, deep)

    def samples(self) -> Samples | None:
        return self.conversion.samples(self.coded)

    def forget(self, most: int = 0) -> None:
        if self._last_part is not None and self._last_part.pixels.nbytes > most:
            object.__setattr__(self, "_last_part", None)


@dataclass(frozen=True)
class _Part:
    """A part of a frame that was calculated."""

    rows: slice
    columns: slice
    deep: bool
    pixels: np.ndarray

    def holds(self, rows: slice, columns: slice) -> bool:
        """Whether these rows and columns lie in it."""
        return (self.rows.start <= rows.start and rows.stop <= self.rows.stop
                and self.columns.start <= columns.start and columns.stop <= self.columns.stop)


def _around(part: slice, side: int) -> slice:
    """`part` with MARGIN around it, from and to multiples of BLOCK or the picture's edge."""
    return slice(max(0, (part.start - MARGIN) // BLOCK * BLOCK),
                 min(side, -(-(part.stop + MARGIN) // BLOCK) * BLOCK))


def _shifted(part: slice, origin: int) -> slice:
    return slice(part.start - origin, part.stop - origin)
