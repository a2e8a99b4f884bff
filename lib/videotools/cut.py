"""Cuts a piece out of a video, exact to the frame."""

from __future__ import annotations

import logging
import math
from fractions import Fraction
from pathlib import Path

from lib.errors import FaceswapError
from lib.media.frame_range import parse_frame_range
from lib.videotools import encoders, ffmpeg
from lib.videotools.encoders import Encoding
from lib.videotools.inputs import Video
from lib.videotools.outputs import Expected, Output, Result
from lib.videotools.transform import encode_arguments

logger = logging.getLogger(__name__)
COPY_SLACK = 8  # frames that copying may keep beyond the piece, since others are decoded from them


def cut(path: Path, target: Path, begin: str | None, end: str | None, encoding: Encoding | None,
        keep_interlaced: bool = False, dry_run: bool = False) -> Result:
    """Writes the frames from the time `begin` to before `end` ("1:10", None: the video's own).

    Without an `encoding` they are copied, from the key frame before `begin` on.
    """
    video, output = Video(path), Output.of(target, [path], dry_run)
    source, times = video.source, video.ticks

    # Frames of the piece
    frames = parse_frame_range(source, begin, end, None)
    start = frames.start if encoding else source.key_before(frames.start)
    stop = len(times) if frames.stop is None else min(frames.stop, len(times))
    if start != frames.start:
        logger.info("The piece begins at the key frame before, %.3f s earlier.",
                    (times[frames.start] - times[start]) * source.time_base)
    video.skipped_frames = round((times[start] - times[0]) * source.time_base * video.steady_rate)
    seconds = [(time - times[start]) * source.time_base for time in times[start:stop]]

    # Where it lies on ffmpeg's clock
    seek = _microseconds(times[start] * source.time_base - video.clock_start)
    limits = ["-ss", f"{seek / 1_000_000:.6f}"]
    if stop < len(times):
        after = _microseconds(times[stop] * source.time_base - video.clock_start)
        limits += ["-t", f"{(after - seek) / 1_000_000:.6f}"]

    slack = 0 if encoding else COPY_SLACK
    expected = Expected(source.size, seconds, len(video.sound), slack)
    if encoding:
        arguments = _encode(video, output, limits, encoding.on_this_machine(), keep_interlaced)
    else:
        arguments = _copy(video, output, limits)
    return output.make(arguments, "cut", expected, [video])


def _encode(video: Video, output: Output, limits: list[str], encoding: Encoding,
            keep_interlaced: bool) -> list[str]:
    # Without an index only reading from the beginning leads to a time
    seeks = not video.source.origin and video.source.ticks() is not None
    arguments = ffmpeg.input_arguments(video.file, *(limits if seeks else ()),
                                       *encoding.decoder_arguments())
    arguments += video.attachments_input(1) + (limits if not seeks else [])
    return arguments + encode_arguments(video, output, encoding, [], video.source.size,
                                        copy_sound=False, keep_interlaced=keep_interlaced)


def _copy(video: Video, output: Output, limits: list[str]) -> list[str]:
    encoders.check_holds(output.path, output.container, video.codec)
    if video.is_stitched:
        raise FaceswapError(f"The clock of {video.path} jumps, so that no piece of it can be "
                            "copied exactly. Leave out --copy.")
    arguments = [*ffmpeg.input_arguments(video.file, *limits), *video.attachments_input(1),
                 "-map", f"0:{video.stream}", "-c:v", "copy",
                 *video.copy_streams(0, output.container)]
    return arguments + ["-avoid_negative_ts", "disabled"] * (output.container in ("mp4", "mov"))


def _microseconds(second: Fraction) -> int:
    return math.floor(second * 1_000_000)
