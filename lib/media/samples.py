"""Samples of decoded pictures: layouts, planes, ranges, and conversion without a level's error."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from typing import Any

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter

UNSPECIFIED, RESERVED = 2, 3  # matrices as ISO/IEC 23091-2 and FFmpeg number them; 0 is RGB itself
LIMITED, FULL = 1, 2  # colour ranges as FFmpeg numbers them
BILINEAR, BICUBIC = 0x02, 0x04
# swscale's default yuv -> rgb path darkens every frame by one level (46 dB against 56); these
# flags,
# ACCURATE_RND and FULL_CHR_H_INT, take 7 ms at 1080p instead of 1
EXACT = 0x40000 | 0x2000
PREPARED = 6_000_000  # pixels of pictures that a thread keeps ready, of each kind
# Layouts that can be cut, also with alpha: shifts of the chroma planes across and down
LAYOUTS = {f"{kind}{chroma}{depth}": shifts for kind in ("yuv", "yuva")
           for chroma, shifts in (("420p", (1, 1)), ("422p", (1, 0)), ("444p", (0, 0)))
           for depth in ("", "10le", "12le")}
# "yuvj" are of the full range, in an older way of saying so
LAYOUTS |= {f"yuvj{chroma}": LAYOUTS[f"yuv{chroma}"] for chroma in ("420p", "422p", "444p")}

_of_thread = threading.local()


def from_rgb(rgb: av.VideoFrame, layout: str, matrix: int, color_range: int) -> av.VideoFrame:
    """A picture in RGB in the layout, matrix and range given, in FFmpeg's names and numbers."""
    rgb.color_range, rgb.colorspace = FULL, matrix
    size = rgb.width, rgb.height
    if color_range == FULL:
        # On its direct way swscale moves the colours of the full range by half a level
        base = "yuv420p" if layout == "nv12" else layout
        deep = base if base.endswith("le") else f"{base}12le"
        rgb = reformatter(rgb, size, deep).reformat(rgb, format=deep, dst_color_range=FULL,
                                                    interpolation=BICUBIC | EXACT, threads=1)
    return reformatter(rgb, size, layout).reformat(
        rgb, format=layout, src_color_range=FULL, dst_color_range=color_range,
        interpolation=BICUBIC | EXACT, threads=1)


def copy(picture: av.VideoFrame) -> av.VideoFrame:
    """Its planes and colours, and nothing of what the decoder says of its place in the stream."""
    result = av.VideoFrame(picture.width, picture.height, plain(picture.format.name))
    for plane, source in zip(planes(result), planes(picture), strict=True):
        plane[:] = source
    result.colorspace, result.color_range = picture.colorspace, range_of(picture)
    result.color_primaries, result.color_trc = picture.color_primaries, picture.color_trc
    result.pict_type = PictureType.NONE
    return result


def planes(picture: av.VideoFrame) -> list[np.ndarray]:
    """The samples (H, W) of each plane, uint8 or uint16, as they lie in memory."""
    kind = np.dtype(np.uint16 if picture.format.components[0].bits > 8 else np.uint8)
    return [rows_of(plane, kind)[:plane.height, :plane.width] for plane in picture.planes]


def rows_of(plane: av.video.plane.VideoPlane, kind: np.dtype) -> np.ndarray:
    """All samples of a plane as rows, with those behind the picture's edge."""
    samples = np.frombuffer(plane, kind)  # type: ignore[call-overload]
    return samples.reshape(-1, plane.line_size // kind.itemsize)


def plain(layout: str) -> str:
    """The layout without its range: "yuvj420p" is "yuv420p" of the full range."""
    return layout.replace("yuvj", "yuv")


def range_of(picture: av.VideoFrame) -> int:
    """Its colour range, `LIMITED` or `FULL`; 0 where it says none."""
    return FULL if picture.format.name.startswith("yuvj") else picture.color_range


def side_data_of(picture: av.VideoFrame, kind: SideData) -> bytes | None:
    """What came with a decoded picture, such as how it is to be turned; None where nothing did."""
    items: Any = picture.side_data
    return next((bytes(item) for item in items if item.type == kind), None)


def chroma_between(picture: av.VideoFrame) -> tuple[bool, bool]:
    """Whether chroma samples lie between two pixels, across and down; else on the first of them.

    Found by trying, since a picture does not tell.
    """
    small = _reformat(_reformat(picture, "rgba"), "yuv444p")
    layout = plain(picture.format.name) if picture.format.name in LAYOUTS else "yuv420p"
    across, down = LAYOUTS.get(picture.format.name, (0, 0))
    between = []
    for axis, is_halved in ((1, across), (0, down)):
        # A step in the red
        coarse = _reformat(small, layout)
        levels = 1 << coarse.format.components[0].bits - 8
        for number, plane in enumerate(planes(coarse)):
            plane[:] = 128 * levels
            if number == 2:
                plane[(slice(None), slice(4, None)) if axis else (slice(4, None),)] = 160 * levels
        coarse.colorspace, coarse.color_range = 1, LIMITED
        rgb = _reformat(coarse, "rgb24", interpolation=BILINEAR | EXACT).to_ndarray()
        red = rgb[..., 0] if axis else rgb[..., 0].T
        low, middle, high = (int(red[8, place]) for place in (2, 7, 14))
        between.append(bool(is_halved) and middle - low < 0.4 * (high - low))
    return between[0], between[1]


def _reformat(picture: av.VideoFrame, layout: str, **options: Any) -> av.VideoFrame:
    return VideoReformatter().reformat(picture, 16, 16, layout, threads=1, **options)


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
    rgba = VideoReformatter().reformat(picture, format="rgba", threads=1).to_ndarray()
    return bool(rgba[..., 3].min() < 255)


@cache
def rgb_matrix(red: float, blue: float, is_full: bool, bits: int) -> np.ndarray:
    """(3, 4) float32: RGB in levels from 0 to 255 of samples (Y, U, V, 1) of so many bits.

    `red`, `blue`: what they count in the brightness. ITU-T H.273 has the formulas.
    """
    green = 1 - red - blue
    rgb = np.array([(1, 0, 2 * (1 - red)),
                    (1, -2 * (1 - blue) * blue / green, -2 * (1 - red) * red / green),
                    (1, 2 * (1 - blue), 0)])
    rgb *= np.array([1, 1, 1] if is_full else [255 / 219, 255 / 224, 255 / 224])
    middle = np.array([0 if is_full else 16, 128, 128])
    return np.hstack([rgb / (1 << bits - 8), -(rgb @ middle)[:, None]]).astype(np.float32)


def reformatter(picture: av.VideoFrame, size: tuple[int, int], layout: str) -> VideoReformatter:
    """One of this thread's that has done the like before, if there is one: to prepare another takes
    longer than to convert a face."""
    key = (picture.width, picture.height, picture.format.name, picture.colorspace,
           picture.color_range, *size, layout)
    return kept_ready("reformatters", key, picture.width * picture.height, VideoReformatter)


def kept_ready(kind: str, key: tuple, pixels: int, make: Callable[[], Any]) -> Any:
    """What this thread made for `key`, of so many pixels, before, or makes now; it keeps the last
    ones, of PREPARED together."""
    ready: OrderedDict = _of_thread.__dict__.setdefault(kind, OrderedDict())
    item, _ = ready.pop(key, (None, 0))
    if item is None:
        item = make()
    ready[key] = item, pixels
    while sum(pixels for _, pixels in ready.values()) > PREPARED and len(ready) > 1:
        ready.popitem(last=False)
    return item
