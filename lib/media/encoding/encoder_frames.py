"""Frames as an encoder takes them: samples that do not change are never converted."""

from __future__ import annotations

from collections.abc import Sequence

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from lib.media.coded import CodedFrame
from lib.media.encoding.codecs import YUV, VideoEncoding
from lib.media.samples import BICUBIC, EXACT, FULL, LIMITED, from_rgb, rows_of
from lib.types import Frame, Patch, with_alpha


class EncoderFrames:
    """Makes frames of `size` (width, height) for one encoder."""

    def __init__(self, encoding: VideoEncoding, size: tuple[int, int]):
        self._encoding = encoding
        self._layout, self._colours = encoding.layout(size), encoding.colours(size)
        self._is_yuv = self._layout.startswith(YUV)
        self._reformatter = VideoReformatter()

    def make(self, frame: Frame, content: np.ndarray | Sequence[Patch]) -> av.VideoFrame:
        """`frame` showing `content`: a picture (H, W, 3) RGB, or patches in it.

        Where that can be done the patches are set into what was decoded.
        """
        picture = self._of_samples(frame, content) if self._is_yuv else None
        if picture is None:
            if not isinstance(content, np.ndarray):
                content = frame.with_patches(content)
            picture = self._of_rgb(frame, content)
        if self._is_yuv:
            self._colours.tag(picture)
        return picture

    def _of_samples(self, frame: Frame,
                    content: np.ndarray | Sequence[Patch]) -> av.VideoFrame | None:
        """Out of what was decoded; None where that cannot be done."""
        if not isinstance(frame, CodedFrame):
            return None
        if not isinstance(content, np.ndarray) and frame.conversion.cuts(frame.coded):
            return self._with_patches(frame, content)
        return self._of_hdr(frame.raw_with(content)) if frame.conversion.tone else None

    def _with_patches(self, frame: CodedFrame, patches: Sequence[Patch]) -> av.VideoFrame:
        picture = frame.stored if self._encoding.keeps_fields else frame.coded
        picture = frame.conversion.patched(picture, patches)
        if picture.format.name == self._layout:
            return picture
        matrix = self._colours.assumed_matrix(frame.size)
        color_range = picture.color_range or LIMITED
        return self._reformatter.reformat(
            picture, format=self._layout, src_colorspace=matrix, dst_colorspace=matrix,
            src_color_range=color_range, dst_color_range=color_range,
            interpolation=BICUBIC | EXACT, threads=1)

    def _of_hdr(self, code: np.ndarray) -> av.VideoFrame:
        """`code`: (H, W, 3) uint16, see `CodedFrame.raw_with`."""
        height, width = code.shape[:2]
        picture = av.VideoFrame(width, height, "rgb48le")
        rows = rows_of(picture.planes[0], code.dtype)
        rows[:, :3 * width] = code.reshape(height, -1)
        return self._coded(picture)

    def _of_rgb(self, frame: Frame, image: np.ndarray) -> av.VideoFrame:
        kind = "rgb24"
        if self._encoding.transparent and frame.rgba is not None:
            image, kind = with_alpha(frame, image), "rgba"
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=kind)
        if self._is_yuv:
            return self._coded(picture)
        picture.color_range = FULL
        return self._reformatter.reformat(picture, format=self._layout, threads=1)

    def _coded(self, picture: av.VideoFrame) -> av.VideoFrame:
        matrix = self._colours.assumed_matrix((picture.width, picture.height))
        return from_rgb(picture, self._layout, matrix, self._colours.range or LIMITED)
