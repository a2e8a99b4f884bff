"""Makes a thumbnail of a video, or a sheet of frames."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from lib.errors import FaceswapError, UsageError
from lib.files.names import same_path
from lib.files.writing import disk_errors, write_bytes
from lib.media.frame_range import parse_frame_range
from lib.media.opening import open_picture
from lib.media.pictures import picture_file
from lib.media.pictures.picture_frames import as_sdr
from lib.videotools import encoders, ffmpeg
from lib.videotools.inputs import Video
from lib.videotools.outputs import Result, check_size, tell_lost_marks
from lib.videotools.transform import parse_size

TILES = re.compile(r"([1-9]\d?)x([1-9]\d?)")
TILE_WIDTH = 320  # pixels
LONG = 1000  # frames: of longer videos, only key frames are searched for a telling one
ENCODERS = {".png": ["-c:v", "png"], ".jpg": ["-c:v", "mjpeg", "-q:v", "2"],
            ".webp": ["-c:v", "libwebp", "-quality", "90"]}


@dataclass(frozen=True)
class _Selection:
    """Which frames are shown, and how large."""

    size: tuple[int, int]  # of one frame
    filters: tuple[str, ...]
    seek: tuple[str, ...] = ()  # arguments before the input
    across: int = 1  # frames side by side
    down: int = 1
    frames: int = 1


def thumbnail(path: Path, target: Path, at: str | None = None, tiles: str | None = None,
              size: str | None = None, dry_run: bool = False) -> Result:
    """Writes the frame `at` a time, a telling frame, or a sheet of `tiles` ("4x3") as a picture."""
    video = Video(path)
    ending = {".jpeg": ".jpg"}.get(target.suffix.lower(), target.suffix.lower())
    if ending not in ENCODERS or target.is_dir():
        raise FaceswapError(f"{target}: thumbnails are written as .png, .jpg or .webp. Choose one "
                            "of these endings.")
    if same_path(target, video.path):
        raise FaceswapError(f"{target} is the input. Choose another output.")
    if tiles and at:
        raise UsageError("--tiles takes frames from the whole video, and --at one. Leave one of "
                         "them out.")
    selection = _tiles(video, tiles, size) if tiles else _one_frame(video, at, size)

    # HDR is written as 16-bit PNG, and made SDR afterwards
    tone, (width, height) = video.source.tone, selection.size
    sheet = width * selection.across, height * selection.down
    filters = [*video.unify(), *selection.filters,
               *encoders.to_rgb(video.source, "rgb48" if tone else "rgb24"),
               f"scale={width}:{height}:flags=lanczos+{encoders.EXACT}"]
    if tiles:
        filters += ["format=gbrp16le"] * (tone is not None)
        filters.append(f"tile={selection.across}x{selection.down}")
    filters += [encoders.JPEG_LAYOUT] * (ending == ".jpg" and not tone)
    arguments = [*ffmpeg.input_arguments(video.file, "-noautorotate", *selection.seek),
                 "-map", f"0:{video.stream}", "-vf", ",".join(filters), "-frames:v", "1",
                 "-fps_mode", "passthrough", *ENCODERS[".png" if tone else ending],
                 "-f", "image2", "-update", "1"]
    if dry_run:
        return Result(target, command=ffmpeg.command_line([*arguments, f"file:{target}"]))

    with ffmpeg.output_file(target) as part:
        ffmpeg.run([*arguments, f"file:{part}"], "make a thumbnail")
        with open_picture(part) as picture:
            check_size(picture.size, sheet)
        if tone:
            image = as_sdr(picture_file.pixels(part).image, tone)
            with disk_errors(target):
                write_bytes(part, picture_file.encoded(image, ending))
    tell_lost_marks([video.path], target)
    return Result(target, selection.frames, sheet)


def _tiles(video: Video, tiles: str, size: str | None) -> _Selection:
    """Frames evenly spread over the video."""
    match = TILES.fullmatch(tiles.strip().lower())
    if not match:
        raise UsageError(f"--tiles must be columns x rows, such as 4x3, not {tiles!r}.")
    across, down = int(match[1]), int(match[2])
    total = len(video.ticks)
    count = min(across * down, total)
    indices = sorted({round((number + 0.5) * total / count - 0.5) for number in range(count)})
    select = "select=" + "+".join(f"eq(n\\,{index})" for index in indices)
    shown = parse_size(size, video.source.size) if size else _at_most(video.source.size, TILE_WIDTH)
    across = min(across, count)
    return _Selection(shown, (select,), (), across, min(down, -(-count // across)), count)


def _one_frame(video: Video, at: str | None, size: str | None) -> _Selection:
    shown = parse_size(size, video.source.size) if size else video.source.size
    if at is None:  # of each hundred frames, the one that is most like all of them
        is_long = len(video.ticks) > LONG
        return _Selection(shown, ("thumbnail=100",), ("-skip_frame", "nokey") if is_long else ())
    try:
        index = parse_frame_range(video.source, at, None, None).start
    except FaceswapError as error:
        raise type(error)(str(error).replace("--from", "--at")) from None
    if index >= len(video.ticks):
        raise FaceswapError(f"--at {at} is after the last frame of {video.path} that can be read.")
    if video.is_stitched:  # no time leads to a place in such a file
        return _Selection(shown, (f"select=eq(n\\,{index})",), ("-ss", "0.000000"))
    second = (video.ticks[index] - Fraction(1, 2)) * video.source.time_base - video.clock_start
    seek = int(max(Fraction(0), second) * 1_000_000) / 1_000_000
    return _Selection(shown, (), ("-ss", f"{seek:.6f}"))


def _at_most(size: tuple[int, int], width: int) -> tuple[int, int]:
    """`size`, scaled down to `width` where it is wider."""
    return (width, max(2, 2 * round(size[1] * width / size[0] / 2))) if size[0] > width else size
