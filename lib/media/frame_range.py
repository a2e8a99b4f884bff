"""Parts of a source as the command line names them: from one time to another, and ranges of
frames."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lib.errors import FaceswapError, UsageError
from lib.media.base import FrameSource
from lib.types import Shard

TIME = re.compile(r"(?:(?:(\d{1,9}):)?(\d{1,9}):)?(\d{1,9}(?:\.\d*)?)")
RANGE = re.compile(r"(\d{1,12})(?:-(\d{1,12})?)?")
RANGES_HELP = "--frames must be ranges of frames counted from 1, such as 10-50,90-100"


@dataclass(frozen=True)
class FrameRange:
    """Frames `start` to `stop` - 1 of a source, counted from 0, and the `ranges` chosen in them."""

    start: int = 0
    stop: int | None = None  # None: to the end
    ranges: tuple[tuple[int, int | None], ...] | None = None  # (first, after the last); None: all

    def includes(self, index: int) -> bool:
        """Whether frame `index` is in one of the ranges."""
        return self.ranges is None or any(first <= index and (after is None or index < after)
                                          for first, after in self.ranges)

    def indices(self, source: FrameSource) -> list[int] | None:
        """Of all chosen frames; None for the whole source, or where its length is not known."""
        stop = source.count if self.stop is None else self.stop
        if self == FrameRange() or stop is None:
            return None
        return [index for index in range(self.start, stop) if self.includes(index)]


def parse_frame_range(source: FrameSource, begin: str | None, end: str | None,
                      frames: str | None) -> FrameRange:
    """What --from `begin`, --to `end` and --frames `frames` choose of `source`.

    Times are seconds, MM:SS or HH:MM:SS, with decimals, from the beginning of the source; the frame
    shown at the end is left out. Frames are counted from 1, as in the names of written pictures:
    "10-50,90-100", "7", "200-". Raises UsageError where they cannot be understood, FaceswapError
    where they choose no frame.
    """
    times = {"--from": begin, "--to": end}
    seconds = {flag: _seconds(flag, text) for flag, text in times.items() if text is not None}
    if seconds and source.rate is None:
        raise UsageError(f"{next(iter(seconds))} is for videos; {source.path.name} has pictures, "
                         "which are chosen by --frames.")
    start = source.index_at(seconds["--from"]) if "--from" in seconds else None
    stop = source.index_at(seconds["--to"]) if "--to" in seconds else None
    if start is not None and stop is not None and stop <= start:
        raise UsageError(f"--to {end} is not after --from {begin}, or no frame lies between them.")
    if stop == 0:
        raise FaceswapError(f"--to {end} is before the first frame.")
    if source.count is not None and (start or 0) >= source.count:
        raise FaceswapError(f"--from {begin} is after the last frame; there are {source.count} "
                            "frames.")
    ranges = None if frames is None else _parse_ranges(frames)
    if ranges and source.count is not None and min(ranges)[0] >= source.count:
        raise FaceswapError(f"--frames {frames}: {source.path.name} has {source.count} frames.")
    return FrameRange(start or 0, stop, ranges)


def parse_shard(text: str | None) -> Shard | None:
    """The part that --shard `text` ("3/16") means; None for None. Raises UsageError."""
    if text is None:
        return None
    number, slash, count = text.partition("/")
    is_valid = slash and number.isdecimal() and count.isdecimal() and len(text) < 20
    if not (is_valid and 1 <= int(number) <= int(count)):
        raise UsageError("--shard must be PART/PARTS, such as 3/16, not "
                         f"{text!r}.")
    return Shard(int(number), int(count))


def _seconds(flag: str, text: str) -> float:
    if not (match := TIME.fullmatch(text.strip())):
        raise UsageError(f"{flag} must be a time such as 70, 01:10 or 00:01:10.5, not {text!r}.")
    hours, minutes, seconds = match.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds)


def _parse_ranges(text: str) -> tuple[tuple[int, int | None], ...]:
    """(first, after the last), counted from 0."""
    ranges = []
    for part in text.replace(",", " ").split():
        match = RANGE.fullmatch(part)
        first, last = (int(match[1]), match[2]) if match else (0, None)
        last = first if match and "-" not in part else int(last) if last else None
        if first < 1 or last is not None and last < first:
            raise UsageError(f"{RANGES_HELP}, not {part!r}.")
        ranges.append((first - 1, last))
    if not ranges:
        raise UsageError(f"{RANGES_HELP}.")
    return tuple(ranges)
