"""What videos say of their colours: matrix, range, primaries and transfer, and HDR10's screens."""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
from av.sidedata.sidedata import Type as SideData

from lib.media.samples import UNSPECIFIED, side_data_of

BT709, BT601 = 1, 6  # matrices as ISO/IEC 23091-2 and FFmpeg number them


@dataclass(frozen=True)
class Colours:
    """What a video says of its colours, in FFmpeg's numbers."""

    matrix: int = UNSPECIFIED
    range: int = 0
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    def assumed_matrix(self, size: tuple[int, int]) -> int:
        """The matrix to calculate with: where none is named, what players assume from the size."""
        if self.matrix in (UNSPECIFIED, 0, 3):
            return BT709 if size[0] >= 1280 or size[1] > 576 else BT601
        return self.matrix

    def tag(self, target: av.VideoFrame | av.VideoCodecContext) -> None:
        """Makes a frame or an encoder say so."""
        target.colorspace, target.color_range = self.matrix, self.range
        target.color_primaries, target.color_trc = self.primaries, self.transfer


@dataclass(frozen=True)
class Hdr:
    """What an HDR10 video says of the screen that it was made on, and of its light."""

    primaries: tuple[tuple[float, float], ...]  # x, y of red, green, blue and white
    luminance: tuple[float, float]  # of the screen, least and most, candela a square metre
    # "most of a pixel,most of a frame's average", candela a square metre; "0,0": unknown
    light: str

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Hdr | None:
        """As `frame` tells it, or None."""
        screen = side_data_of(frame, SideData.MASTERING_DISPLAY_METADATA)
        if screen is None:
            return None
        numbers = np.frombuffer(screen[:80], np.int32).reshape(10, 2).astype(float)
        display = numbers[:, 0] / np.maximum(numbers[:, 1], 1)
        primaries = tuple(zip(display[0:8:2].tolist(), display[1:8:2].tolist()))
        levels = side_data_of(frame, SideData.CONTENT_LIGHT_LEVEL)
        light = ",".join(map(str, np.frombuffer(levels[:8], np.uint32))) if levels else "0,0"
        return cls(primaries, (float(display[8]), float(display[9])), light)

    @property
    def x265(self) -> str:
        """As x265 takes it: units of 1/50000, and of 1/10000 candela a square metre."""
        red, green, blue, white = (f"({round(x * 50000)},{round(y * 50000)})"
                                   for x, y in self.primaries)
        least, most = (round(value * 10000) for value in self.luminance)
        return f"G{green}B{blue}R{red}WP{white}L({most},{least})"

    @property
    def svt(self) -> str:
        """As SVT-AV1 takes it."""
        red, green, blue, white = (f"({x:.5f},{y:.5f})" for x, y in self.primaries)
        least, most = self.luminance
        return f"G{green}B{blue}R{red}WP{white}L({most:.4f},{least:.4f})"
