"""Opens video files: which stream is meant, how its pictures stand, and why a file cannot be
read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import Flags
from av.sidedata.sidedata import Type as SideData

from lib.errors import FaceswapError
from lib.media.animated import SEQUENCE
from lib.media.opening import check_video, open_container
from lib.media.samples import side_data_of
from lib.media.video.stitching import may_jump

LARGEST = 32768  # pixels of a side
# Codecs that show a frame without a time when the next one is decoded
ONE_LATE = ("mpeg1video", "mpeg2video")


@contextmanager
def open_video(path: Path) -> Iterator[tuple[av.container.InputContainer,
                                             av.video.stream.VideoStream]]:
    """The container at `path` and its video stream. Raises FaceswapError where either is
    missing."""
    try:
        container = open_container(path)
    except av.error.FFmpegError as error:
        raise FaceswapError(_problem(path, error)) from error
    with container:
        stream = pick_stream(container)
        if stream is None:
            content = "only sound" if container.streams.audio else "no pictures"
            raise FaceswapError(f"{path} holds {content}, no video. Choose another file.")
        context = stream.codec_context
        if context is None:
            raise FaceswapError(f"{path}: there is no decoder for its video. Convert it to H.264 "
                                "first.")
        check_video(path, *square_pixels((context.width, context.height),
                                         stream.sample_aspect_ratio))
        if container.format.name == "avi" or lacks_times(container, stream):
            # FFmpeg guesses missing times wrongly at jumps, and where B-frames are packed
            container.flags &= ~Flags.gen_pts.value  # type: ignore[operator]
        yield container, stream


def pick_stream(container: av.container.InputContainer) -> av.video.stream.VideoStream | None:
    """The video stream that is meant: the first, or, of an animated AVIF, its sequence."""
    videos = [stream for stream in container.streams.video
              if not stream.disposition & av.stream.Disposition.attached_pic]
    if container.metadata.get("major_brand") == SEQUENCE:
        return max(videos, key=lambda stream: stream.frames, default=None)
    return next(iter(videos), None)


def lacks_times(container: av.container.InputContainer,
                stream: av.video.stream.VideoStream) -> bool:
    """Whether some pictures may have no time, but it is known when they are shown."""
    return may_jump(container) and stream.codec_context.name in ONE_LATE


def indexed_count(stream: av.video.stream.VideoStream) -> int | None:
    """Frames in the file's index that no edit list hides; None where there is no full index."""
    index = stream.index_entries
    if stream.frames == 0 or len(index) != stream.frames:
        return None
    return sum(not entry.is_discard for entry in index)


def display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """How the stored picture is turned and mirrored: a, b, c, d of x' = a x + c y, y' = b x + d y,
    each -1, 0 or 1."""
    data = side_data_of(frame, SideData.DISPLAYMATRIX)
    if data is None:
        return 1, 0, 0, 1
    numbers = np.frombuffer(data, np.int32)
    a, b, _, c, d = map(int, np.sign(numbers[:5]))
    is_turned = abs(int(numbers[0])) < abs(int(numbers[1]))
    return (0, b, c, 0) if is_turned else (a, 0, 0, d)


def square_pixels(stored: tuple[int, int], aspect: Fraction | None) -> tuple[int, int]:
    """(width, height) at which a picture `stored` with pixels of that aspect looks right."""
    is_usual = aspect and Fraction(1, 8) <= aspect <= 8
    width = round(stored[0] * aspect) if is_usual else stored[0]
    return (width, stored[1]) if 0 < width <= LARGEST else stored


def _problem(path: Path, error: av.error.FFmpegError) -> str:
    """Why `path` cannot be opened."""
    if not path.exists():
        return f"{path} does not exist. Check the name."
    if path.is_dir():
        return f"{path} is a folder, not a video."
    if path.stat().st_size == 0:
        return f"{path} is empty (0 bytes). Get a whole copy of the video."
    if not os.access(path, os.R_OK):
        return f"{path} may not be read. Change its permissions."
    if _lacks_index(path):
        return (f"{path} was cut off before its index was written, so nothing of it can be read. "
                "Get a whole copy of the video.")
    return (f"{path} is not a video that can be read ({error.strerror}). Name a video, a picture "
            "or a folder of pictures.")


def _lacks_index(path: Path) -> bool:
    """Whether this is an MP4 or MOV file without its `moov` box."""
    with open(path, "rb") as file:
        size, position = path.stat().st_size, 0
        if file.read(8)[4:] != b"ftyp":
            return False
        while position + 8 <= size:
            file.seek(position)
            header = file.read(16)
            if header[4:8] == b"moov":
                return False
            length = int.from_bytes(header[:4], "big")
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            if length < 8:
                break
            position += length
    return True
