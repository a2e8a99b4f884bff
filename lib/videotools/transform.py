"""Scales, turns and mirrors whole videos; times, sound and all else stay."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

from lib.errors import FaceswapError, UsageError
from lib.videotools import encoders, ffmpeg
from lib.videotools.encoders import Encoding
from lib.videotools.inputs import Video
from lib.videotools.outputs import Expected, Output, Result

SIZE = re.compile(r"(\d{1,6})x(\d{1,6})|(\d{1,6})p|(\d{1,6}(?:\.\d{1,6})?)%")
LARGEST_SIDE = 16384  # pixels
TURNS = {0: [], 90: ["transpose=1"], 180: ["hflip", "vflip"], 270: ["transpose=2"]}  # clockwise


def scale(path: Path, target: Path, size: str, encoding: Encoding, dry_run: bool = False) -> Result:
    """Writes the video at `path` in another size: "1280x720", "720p" or "50%"."""
    video, output = Video(path), Output.of(target, [path], dry_run)
    width, height = parse_size(size, video.source.size)
    filters = [f"scale={width}:{height}:flags=lanczos+{encoders.EXACT}", "setsar=1"]
    return _encode_whole(video, output, encoding, filters, (width, height), "scale")


def parse_size(text: str, size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) that `text` means for a video of `size`.

    Where one number is given, the aspect is kept and sides are even. Raises UsageError.
    """
    match = SIZE.fullmatch(text.strip().lower())
    if not match:
        raise UsageError(f"--size must be like 1280x720, 720p or 50%, not {text!r}.")
    width, height, lines, percent = match.groups()
    if width:
        scaled = int(width), int(height)
    else:
        factor = Fraction(int(lines), size[1]) if lines else Fraction(percent) / 100
        scaled = tuple(max(2, 2 * round(side * factor / 2)) for side in size)
        if lines and int(lines) % 2 == 0:
            scaled = scaled[0], int(lines)
    if not all(2 <= side <= LARGEST_SIDE for side in scaled):
        raise UsageError(f"--size {text} would make {scaled[0]}x{scaled[1]} pixels; sides of 2 to "
                         f"{LARGEST_SIDE} can be made.")
    return scaled


def rotate(path: Path, target: Path, turn: int, mirror: bool, copy: bool, encoding: Encoding,
           dry_run: bool = False) -> Result:
    """Turns the video at `path` by 0, 90, 180 or 270 degrees clockwise, then mirrors it.

    With `copy` nothing is encoded: a tag tells players how to turn it.
    """
    video, output = Video(path), Output.of(target, [path], dry_run)
    size = video.source.size[::-1] if turn in (90, 270) else video.source.size
    if copy:
        return _rotate_by_tag(video, output, turn, mirror, size)
    filters = [*TURNS[turn], *["hflip"] * mirror]
    return _encode_whole(video, output, encoding, filters, size, "rotate")


def _rotate_by_tag(video: Video, output: Output, turn: int, mirror: bool,
                   size: tuple[int, int]) -> Result:
    if output.container not in ("mp4", "mov"):
        raise FaceswapError(f"{output.path.suffix} has no tag for turned video. Choose .mp4 or "
                            ".mov, or leave out --copy.")
    if mirror:
        raise FaceswapError("Most players do not know the tag for mirrored video. Leave out "
                            "--copy.")
    a, b, c, d = video.source.turn
    if a * d - b * c < 0:
        raise FaceswapError(f"{video.path} is mirrored by its tag already. Leave out --copy.")
    clockwise = {(1, 0): 0, (0, 1): 90, (-1, 0): 180, (0, -1): 270}[a, b]
    angle = str(-(clockwise + turn) % 360)
    arguments = ffmpeg.input_arguments(video.file, "-display_rotation:v:0", angle)
    arguments += [*video.keep_times(), "-map", f"0:{video.stream}", "-c:v", "copy"]
    arguments += video.copy_streams(0, output.container)
    return output.make(arguments, "rotate", Expected(size, video.seconds, len(video.sound)),
                       [video])


def _encode_whole(video: Video, output: Output, encoding: Encoding, filters: list[str],
                  size: tuple[int, int], what: str) -> Result:
    encoding = encoding.on_this_machine()
    arguments = ffmpeg.input_arguments(video.file, *encoding.decoder_arguments())
    arguments += video.keep_times()
    arguments += encode_arguments(video, output, encoding, filters, size)
    return output.make(arguments, what, Expected(size, video.seconds, len(video.sound)), [video])


def encode_arguments(video: Video, output: Output, encoding: Encoding, filters: list[str],
                     size: tuple[int, int], copy_sound: bool = True,
                     keep_interlaced: bool = False) -> list[str]:
    """Arguments that encode the pictures of input 0, changed by `filters` to `size`, and take over
    all else; `keep_interlaced`: as two fields where they are so."""
    source, container = video.source, output.container
    keep_interlaced = keep_interlaced and source.interlaced
    fields = ("tff" if source.top_first else "bff") if keep_interlaced else None
    coder, layout = encoding.encoder_arguments(container, source.layout, size, fields,
                                               source.transparent)
    if ((source.size != size or source.pixel_aspect != 1)
            and not any(item.startswith("scale") for item in filters)):
        square = f"scale={source.size[0]}:{source.size[1]}:flags=lanczos+{encoders.EXACT}"
        filters = [square, "setsar=1", *filters]
    if video.is_rgb:
        filters = [*filters, *encoders.from_rgb(layout, size, None)]
    elif source.colours.assumed_matrix(size) != source.matrix and source.matrix in encoders.NAMES:
        # untagged, and the new size would mislead players
        filters = [*filters, f"setparams=colorspace={encoders.NAMES[source.matrix]}"]
    chain = [*video.unify(keep_interlaced), *filters, f"format={layout}",
             *encoding.upload_filters()]
    return ["-map", f"0:{video.stream}", "-vf", ",".join(chain), *coder,
            *encoders.timing_arguments(container, source.time_base, video.steady_rate),
            *video.copy_streams(0, container, copy_sound)]
