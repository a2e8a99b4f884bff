"""Parts of a source as they are named on the command line: from one time to another, and ranges of frames."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lib.errors import FaceswapError, UsageError
from lib.media.base import FrameSource
from lib.types import Shard

TIME = re.compile(r"(?:(?:(\d{1,9}):)?(\d{1,9}):)?(\d{1,9}(?:\.\d*)?)")
RANGE = re.compile(r"(\d{1,12})(?:-(\d{1,12})?)?")


@dataclass(frozen=True)
class Stretch:
    """Frames `start` to `stop` - 1 of a source, and those among them that `ranges` are about."""

    start: int = 0
    stop: int | None = None  # None: to the end, wherever that is
    ranges: tuple[tuple[int, int | None], ...] | None = None  # first frame, and the one after the last; None: all

    def concerns(self, index: int) -> bool:
        """Whether frame `index` is in one of the ranges."""
        return self.ranges is None or any(first <= index and (after is None or index < after) for first, after in self.ranges)

    def indices(self, source: FrameSource) -> list[int] | None:
        """Of all frames that are concerned; None where that is the whole source."""
        if self == Stretch():
            return None
        stop = source.count if self.stop is None else self.stop
        if stop is None:  # how long it is only reading tells, so that no frame can be left out beforehand
            return None
        return [index for index in range(self.start, stop) if self.concerns(index)]


def stretch_of(source: FrameSource, begin: str | None, end: str | None, frames: str | None) -> Stretch:
    """What --from `begin`, --to `end` and --frames `frames` choose of `source`.

    Times are seconds, MM:SS or HH:MM:SS, with decimals, of the source's own clock from its beginning; the frame shown at the end is not
    taken. Frames are counted from 1, as the names of written pictures are: "10-50,90-100", "7", "200-". Raises UsageError where they
    cannot be understood, FaceswapError where they choose no frame.
    """
    moments = {flag: _seconds(flag, text) for flag, text in (("--from", begin), ("--to", end)) if text is not None}
    if moments and source.rate is None:
        raise UsageError(f"{next(iter(moments))} is for videos; {source.path.name} has pictures, which are chosen by --frames.")
    start, stop = (source.index_at(moments[flag]) if flag in moments else None for flag in ("--from", "--to"))
    if start is not None and stop is not None and stop <= start:
        raise UsageError(f"--to {end} is not after --from {begin}, or no frame lies between them.")
    if stop == 0 or source.count is not None and (start or 0) >= source.count:
        where = "before the first frame" if stop == 0 else f"after the last frame; there are {source.count} frames"
        raise FaceswapError(f"{'--to ' + end if stop == 0 else '--from ' + begin} is {where}.")
    ranges = None if frames is None else _ranges(frames)
    if ranges and source.count is not None and min(ranges)[0] >= source.count:
        raise FaceswapError(f"--frames {frames}: {source.path.name} has {source.count} frames.")
    return Stretch(start or 0, stop, ranges)


def shard_of(text: str | None) -> Shard | None:
    """The part that --shard `text` ("3/16") means; None for None. Raises UsageError."""
    if text is None:
        return None
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and len(text) < 20 and 1 <= int(number) <= int(count)):
        raise UsageError(f"--shard must be a part and how many there are, such as 3/16, not {text!r}.")
    return Shard(int(number), int(count))


def _seconds(flag: str, text: str) -> float:
    if not (match := TIME.fullmatch(text.strip())):
        raise UsageError(f"{flag} must be a time such as 70, 01:10 or 00:01:10.5, not {text!r}.")
    hours, minutes, seconds = match.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds)


def _ranges(text: str) -> tuple[tuple[int, int | None], ...]:
    ranges = []
    for part in text.replace(",", " ").split():
        match = RANGE.fullmatch(part)
        first, last = (int(match[1]), match[2]) if match else (0, None)
        last = first if match and "-" not in part else int(last) if last else None
        if first < 1 or last is not None and last < first:
            raise UsageError(f"--frames must be ranges of frames counted from 1, such as 10-50,90-100, not {part!r}.")
        ranges.append((first - 1, last))
    if not ranges:
        raise UsageError("--frames must be ranges of frames counted from 1, such as 10-50,90-100.")
    return tuple(ranges)
