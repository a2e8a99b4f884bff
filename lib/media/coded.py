"""Frames of a video as they were decoded: parts of them in RGB, and put back, so that what does not
change is never converted."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter

from lib.media.tone import Tone
from lib.types import Frame, Patch, Samples, on_white

UNSPECIFIED, RESERVED = 2, 3  # matrices as ISO/IEC 23091-2 and FFmpeg number them; 0 is RGB itself
LIMITED, FULL = 1, 2  # colour ranges as FFmpeg numbers them
BILINEAR, BICUBIC = 0x02, 0x04
# swscale's default yuv -> rgb path darkens every frame by one level (46 dB against 56); these flags
# take 7 ms at 1080p instead of 1
EXACT = 0x40000 | 0x2000  # ACCURATE_RND, FULL_CHR_H_INT
# pixels: parts begin and end at multiples of it, so that chroma is not cut through, and few sizes
# have to be prepared for
BLOCK = 32
MARGIN = 8  # pixels more that are converted on each side, since chroma is interpolated
PREPARED = 6_000_000  # pixels of pictures that a thread keeps ready, of each kind
# Layouts that can be cut: shifts of the chroma planes across and down. "yuvj" are of the full
# range, in an older way of saying so.
LAYOUTS = {f"yuv{name}{depth}": shifts for name, shifts in (("420p", (1, 1)), ("422p", (1, 0)),
                                                            ("444p", (0, 0)))
           for depth in ("", "10le", "12le")}
# What red and blue count in the brightness, by number of the matrix: BT.709, FCC, BT.601 twice,
# SMPTE 240M, BT.2020
WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114),
           7: (0.212, 0.087), 9: (0.2627, 0.0593)}
# with alpha
LAYOUTS |= {f"yuva{name}": shifts for name, shifts in list((key[3:], value)
                                                           for key, value in LAYOUTS.items())}
LAYOUTS |= {f"yuvj{name}": LAYOUTS[f"yuv{name}"] for name in ("420p", "422p", "444p")}

_own = threading.local()


@dataclass(frozen=True, eq=False)
class Conversion:
    """How the decoded pictures of one video become RGB, upright and with square pixels.

    Where between pixels its colours lie a picture knows, but does not tell, and a new one does not
    know: so what has to lie as they do is made out of one of them.
    """

    matrix: int  # that RGB is calculated with where a picture names none
    size: tuple[int, int]  # (width, height) before it is turned
    # a, b, c, d of x' = a x + c y, y' = b x + d y, each -1, 0 or 1
    turn: tuple[int, int, int, int] = (1, 0, 0, 1)
    exact: bool = True  # False: a level too dark on average, in a tenth of the time
    # of HDR video: how RGB is made SDR, which it is in all but the samples and `raw`
    tone: Tone | None = None
    # whether pictures are transparent somewhere; those in RGB are then seen on white
    transparent: bool = False

    def rgb(self, picture: av.VideoFrame) -> np.ndarray:
        """(H, W, 3) uint8."""
        if self.tone:
            return self.tone.sdr(self.raw(picture))
        if self.transparent and picture.format.is_rgb:
            return on_white(self.rgba(picture))
        return upright(self._reformatted(picture, self.size, "rgb24",
                                         self._flags(picture)).to_ndarray(), self.turn)

    def raw(self, picture: av.VideoFrame) -> np.ndarray:
        """(H, W, 3) uint16, 256 times as much: code values of RGB as they are."""
        return upright(self._reformatted(picture, self.size, "gbrp16le",
                                         self._flags(picture)).to_ndarray(), self.turn)

    def rgba(self, picture: av.VideoFrame) -> np.ndarray:
        """(H, W, 4) uint8, colours as they are, whatever alpha."""
        return upright(self._reformatted(picture, self.size, "rgba",
                                         self._flags(picture)).to_ndarray(), self.turn)

    def _flags(self, picture: av.VideoFrame) -> int:
        scales = self.size != (picture.width, picture.height)
        return (BICUBIC if scales else BILINEAR) | (EXACT if self.exact else 0)

    def cuts(self, picture: av.VideoFrame) -> bool:
        """Whether pixels of a picture are those of its RGB, one by one, so that parts can be taken
        out and put back."""
        across, down = LAYOUTS.get(picture.format.name, (32, 32))
        return (self.size == (picture.width, picture.height) and self.turn == (1, 0, 0, 1)
                and self.exact
                and picture.width % (1 << across) == 0 == picture.height % (1 << down))  # else swscale stretches colours a little

    def part(self, picture: av.VideoFrame, rows: slice, columns: slice, deep: bool) -> np.ndarray:
        """(H, W, 3) of these rows and columns: uint8, or uint16, 256 times as much, as FFmpeg has
        it."""
        if self.tone:
            return self.tone.sdr(self._raw_part(picture, rows, columns, True), deep)
        return self._raw_part(picture, rows, columns, deep)

    def _raw_part(self, picture: av.VideoFrame, rows: slice, columns: slice,
                  deep: bool) -> np.ndarray:
        box = _around(picture, rows, columns)
        cut = self._cut(picture, *box)
        rgb = self._reformatted(cut, (cut.width, cut.height), "gbrp16le" if deep else "rgb24",
                                BILINEAR | EXACT).to_ndarray()
        return rgb[rows.start - box[0].start:rows.stop - box[0].start,
                   columns.start - box[1].start:columns.stop - box[1].start]

    def samples(self, picture: av.VideoFrame) -> Samples | None:
        """None where parts cannot be cut out, or the matrix is none of the usual.

        Where colours lie is not told, so it is taken to be where most videos have it: half a pixel
        that no network sees.
        """
        weights = WEIGHTS.get(self._matrix_of(picture))
        if weights is None or self.tone or not self.cuts(picture):
            return None
        across, down = LAYOUTS[picture.format.name]
        full = range_of(picture) == FULL
        return Samples(planes(picture)[:3], (1 << across, 1 << down),
                       (0.5 * (full and across), 0.5 * down),
                       _rgb_of(*weights, full, picture.format.components[0].bits))

    def patched(self, picture: av.VideoFrame, patches: Sequence[Patch]) -> av.VideoFrame:
        """A copy of `picture` with `patches` in it. Samples of which no pixel changes stay exactly
        as they are."""
        result = copy(picture)
        across, down = LAYOUTS[picture.format.name]
        for patch in patches:
            rows, columns = patch.rows, patch.columns
            if rows.start % (1 << down) or rows.stop % (1 << down) or columns.start % (1 << across) or columns.stop % (1 << across):
                raise ValueError(f"a patch at {rows}, {columns} cuts through colours of "
                                 f"{picture.format.name}")
            # 0, or at least 1 before it is grey
            changed = cv2.convertScaleAbs(cv2.absdiff(patch.pixels, patch.before), alpha=255)
            changed = cv2.compare(cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY), 0, cv2.CMP_GT)
            coarse = cv2.dilate(changed, np.ones((1 << down, 1 << across), np.uint8),
                                anchor=(0, 0))[::1 << down, ::1 << across]
            pixels = patch.pixels
            if self.tone:
                pixels = self.tone.hdr(pixels, self._raw_part(picture, rows, columns, True),
                                       patch.mask)
            new = planes(self._coded(pixels, picture))
            for number, (plane, samples) in enumerate(zip(planes(result)[:3], new[:3], strict=True)):  # transparency stays
                there, top, left = (coarse, rows.start >> down,
                                    columns.start >> across) if number else (changed, rows.start, columns.start)
                part = plane[top:top + len(samples), left:left + samples.shape[1]]
                part[...] = cv2.copyTo(samples, there, np.ascontiguousarray(part))
        return result

    def _coded(self, rgb: np.ndarray, like: av.VideoFrame) -> av.VideoFrame:
        """(H, W, 3) RGB in the layout, matrix and range of `like`."""
        picture = self._sibling(like, rgb.shape[1], rgb.shape[0],
                                "rgb48le" if rgb.dtype == np.uint16 else "rgb24")
        plane = picture.planes[0]
        np.frombuffer(plane, rgb.dtype).reshape(-1, plane.line_size // rgb.itemsize)[:, :3 * rgb.shape[1]] = rgb.reshape(len(rgb), -1)
        return coded(picture, plain(like.format.name), self._matrix_of(like),
                     range_of(like) or LIMITED)

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
        """A picture of that size whose colours lie as those of `picture` do: one of this thread's,
        to be written over."""
        # in two steps: a picture that is as it should be would be returned itself
        def make() -> av.VideoFrame:
            small = _ready("small", (self,), 0,
                           lambda: VideoReformatter().reformat(picture, 16, 16, "rgba", threads=1))
            return VideoReformatter().reformat(small, width, height, layout, threads=1)

        return _ready("siblings", (self, width, height, layout), width * height, make)

    def _matrix_of(self, picture: av.VideoFrame) -> int:
        says_nothing = picture.colorspace in (UNSPECIFIED,
                                              RESERVED) or picture.colorspace == 0 and not picture.format.is_rgb
        return self.matrix if says_nothing else picture.colorspace

    def _reformatted(self, picture: av.VideoFrame, size: tuple[int, int], layout: str,
                     flags: int) -> av.VideoFrame:
        picture.colorspace = self._matrix_of(picture)
        return _reformatter(picture, size, layout).reformat(picture, *size, format=layout,
                                                            interpolation=flags, threads=1)


class CodedFrame(Frame):
    """A frame of a video, whose RGB is calculated when it is asked for, as a whole or in part."""

    def __init__(self, index: int, time: float, coded: av.VideoFrame, conversion: Conversion,
                 stored: av.VideoFrame | None = None):
        """`stored`: as the decoder gave it, where `coded` was made of that."""
        stored = coded if stored is None else stored
        for name, value in (("index", index), ("time", time), ("name", ""), ("coded", coded),
                            ("conversion", conversion), ("stored", stored)):
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
        if not deep and "image" in vars(self) or not self.conversion.cuts(self.coded):
            return super().part(rows, columns, deep)
        known = vars(self).get("_part")  # the last one, of which often a part is asked for
        if known is None or known[2] != deep or not (_within(rows, known[0])
                                                     and _within(columns, known[1])):
            known = rows, columns, deep, self.conversion.part(self.coded, rows, columns, deep)
            object.__setattr__(self, "_part", known)
        top, left = rows.start - known[0].start, columns.start - known[1].start
        return known[3][top:top + rows.stop - rows.start, left:left + columns.stop - columns.start]

    def raw_with(self, seen: np.ndarray | Sequence[Patch]) -> np.ndarray:
        """(H, W, 3) uint16, 256 times as much: code values of HDR video where the frame shows the
        picture `seen`, or patches."""
        tone, code = self.conversion.tone, self.conversion.raw(self.coded)
        if isinstance(seen, np.ndarray):
            return tone.hdr(seen, code)
        whole = code.copy()
        for patch in seen:
            there = whole[patch.rows, patch.columns]
            changed = (patch.pixels != patch.before).any(2)[..., None]
            np.copyto(there, tone.hdr(patch.pixels, code[patch.rows, patch.columns], patch.mask),
                      where=changed)
        return whole

    def with_patches(self, patches: Sequence[Patch], deep: bool = False) -> np.ndarray:
        if deep and self.conversion.tone:  # HDR it stays
            return self.raw_with(patches)
        return super().with_patches(patches, deep)

    def samples(self) -> Samples | None:
        return self.conversion.samples(self.coded)

    def forget(self, most: int = 0) -> None:
        known = vars(self).get("_part")
        if known is not None and known[3].nbytes > most:
            object.__setattr__(self, "_part", None)


def coded(rgb: av.VideoFrame, layout: str, matrix: int, color_range: int) -> av.VideoFrame:
    """A picture in RGB in the layout, matrix and range given, in FFmpeg's names and numbers."""
    rgb.color_range, rgb.colorspace = FULL, matrix
    size = rgb.width, rgb.height
    if color_range == FULL:  # on its direct way swscale moves the colours of the full range by half a level
        deep = layout if layout.endswith("le") else "yuv420p12le" if layout == "nv12" else f"{layout}12le"
        rgb = _reformatter(rgb, size, deep).reformat(rgb, format=deep, dst_color_range=FULL,
                                                     interpolation=BICUBIC | EXACT, threads=1)
    return _reformatter(rgb, size, layout).reformat(rgb, format=layout, src_color_range=FULL,
                                                    dst_color_range=color_range,
                                                    interpolation=BICUBIC | EXACT, threads=1)


def copy(picture: av.VideoFrame) -> av.VideoFrame:
    """Its planes and colours, in the newer way of saying the range, and nothing of what the decoder
    says of its place in the stream."""
    result = av.VideoFrame(picture.width, picture.height, plain(picture.format.name))
    for plane, from_plane in zip(planes(result), planes(picture), strict=True):
        plane[:] = from_plane
    result.colorspace, result.color_range = picture.colorspace, range_of(picture)
    result.color_primaries, result.color_trc = picture.color_primaries, picture.color_trc
    result.pict_type = PictureType.NONE
    return result


def planes(picture: av.VideoFrame) -> list[np.ndarray]:
    """The samples (H, W) of each plane, uint8 or uint16, as they lie in memory."""
    kind = np.dtype(np.uint16 if picture.format.components[0].bits > 8 else np.uint8)
    return [np.frombuffer(plane, kind).reshape(-1, plane.line_size // kind.itemsize)[:plane.height, :plane.width]
            for plane in picture.planes]


def plain(layout: str) -> str:
    """The layout without its range: "yuvj420p" is "yuv420p" of the full range."""
    return layout.replace("yuvj", "yuv")


def range_of(picture: av.VideoFrame) -> int:
    return FULL if picture.format.name.startswith("yuvj") else picture.color_range


def colours_lie(picture: av.VideoFrame) -> tuple[bool, bool]:
    """Whether colours lie between two pixels, across and down; else on the first of them. Found by
    trying, since it is not told."""
    small = VideoReformatter().reformat(VideoReformatter().reformat(picture, 16, 16, "rgba", threads=1), 16, 16, "yuv444p", threads=1)
    across, down = LAYOUTS.get(picture.format.name, (0, 0))
    between = []
    for axis, halved in ((1, across), (0, down)):
        coarse = VideoReformatter().reformat(small, 16, 16,
                                             plain(picture.format.name)
                                             if picture.format.name in LAYOUTS else "yuv420p",
                                             threads=1)
        levels = 1 << coarse.format.components[0].bits - 8
        for number, plane in enumerate(planes(coarse)):
            plane[:] = 128 * levels
            if number == 2:
                plane[(slice(None), slice(4, None)) if axis else (slice(4, None),)] = 160 * levels
        coarse.colorspace, coarse.color_range = 1, LIMITED
        red = VideoReformatter().reformat(coarse, 16, 16, "rgb24", interpolation=BILINEAR | EXACT,
                                          threads=1).to_ndarray()[..., 0]
        low, at, high = (int((red if axis else red.T)[8, place]) for place in (2, 7, 14))
        between.append(bool(halved) and at - low < 0.4 * (high - low))
    return between[0], between[1]


def upright(image: np.ndarray, turn: tuple[int, int, int, int]) -> np.ndarray:
    """`image` turned and mirrored as `Conversion.turn` says."""
    a, b, c, d = turn
    if a == 0:
        image = cv2.transpose(image)
    if a + c < 0 and b + d < 0:
        return cv2.flip(image, -1)
    if a + c < 0:
        return cv2.flip(image, 1)
    return cv2.flip(image, 0) if b + d < 0 else image


def is_transparent(picture: av.VideoFrame) -> bool:
    """Whether it is transparent somewhere."""
    if not any(component.is_alpha for component in picture.format.components):
        return False
    return bool(VideoReformatter().reformat(picture, format="rgba", threads=1).to_ndarray()[..., 3].min() < 255)


@cache
def _rgb_of(red: float, blue: float, full: bool, bits: int) -> np.ndarray:
    """(3, 4) float32: RGB in levels from 0 to 255 of samples (Y, U, V, 1) of so many bits; ITU-T
    H.273 has the formulas."""
    green = 1 - red - blue
    rgb = np.array([(1, 0, 2 * (1 - red)),
                    (1, -2 * (1 - blue) * blue / green, -2 * (1 - red) * red / green),
                    (1, 2 * (1 - blue), 0)])
    rgb *= np.array([1, 1, 1] if full else [255 / 219, 255 / 224, 255 / 224])
    middle = np.array([0 if full else 16, 128, 128])
    return np.hstack([rgb / (1 << bits - 8), -(rgb @ middle)[:, None]]).astype(np.float32)


def _within(one: slice, other: slice) -> bool:
    return other.start <= one.start and one.stop <= other.stop


def _around(picture: av.VideoFrame, rows: slice, columns: slice) -> tuple[slice, slice]:
    """These rows and columns with MARGIN around them, from and to multiples of BLOCK or the
    picture's edge."""
    return tuple(slice(max(0, (part.start - MARGIN) // BLOCK * BLOCK),
                       min(side, -(-(part.stop + MARGIN) // BLOCK) * BLOCK))
                 for part, side in ((rows, picture.height), (columns, picture.width)))


def _reformatter(picture: av.VideoFrame, size: tuple[int, int], layout: str) -> VideoReformatter:
    """One of this thread's that has done the like before, if there is one: to prepare another takes
    longer than to convert a face."""
    key = picture.width, picture.height, picture.format.name, picture.colorspace, picture.color_range, *size, layout
    return _ready("reformatters", key, picture.width * picture.height, VideoReformatter)


def _ready(kind: str, key: tuple, pixels: int, make: Callable[[], Any]) -> Any:
    """What this thread made for `key`, of so many pixels, before, or makes now; it keeps the last
    ones, of PREPARED together."""
    ready: OrderedDict = _own.__dict__.setdefault(kind, OrderedDict())
    found, _ = ready.pop(key, (None, 0))
    if found is None:
        found = make()
    ready[key] = found, pixels
    while sum(pixels for _, pixels in ready.values()) > PREPARED and len(ready) > 1:
        ready.popitem(last=False)
    return found
