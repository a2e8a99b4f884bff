"""SMPTE time codes, such as 01:00:00:10: hours, minutes, seconds and frames of the first frame."""

from __future__ import annotations

import logging
import re
from fractions import Fraction

from lib.files.names import printable

logger = logging.getLogger(__name__)
TIMECODE = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})([:;.])(\d{2,3})")
HELD = ("mov", "mp4", "matroska", "mxf")  # containers that hold one


def carry_timecode(code: str | None, rate: Fraction, frames: int, container: str,
                   name: str) -> str | None:
    """The time code of the video `name`, `frames` frames later; None where it has none, or, which
    is logged, where the container cannot hold it."""
    if code is None:
        return None
    moved = later(code, rate, frames)
    if moved is None or container not in HELD:
        logger.warning("%s: its time code %s cannot be held by %s; .mov, .mp4 and .mkv hold it",
                       name,
                       printable(code), container)
        return None
    return moved


def later(timecode: str, rate: Fraction, frames: int) -> str | None:
    """The time code `frames` frames after `timecode`, at `rate` frames a second; None for no time
    code.

    With a semicolon numbers are left out each minute but the tenth, so that 29.97 frames a second
    keep to the clock (SMPTE ST 12-1).
    """
    match = TIMECODE.fullmatch(timecode.strip())
    if not match:
        return None
    hours, minutes, seconds, separator, frame = match.groups()
    base = max(1, round(rate))
    dropped = base // 15 if separator != ":" and base % 30 == 0 else 0  # numbers a minute
    minute = 60 * int(hours) + int(minutes)
    number = (60 * minute + int(seconds)) * base + int(frame) + frames
    number -= dropped * (minute - minute // 10)
    a_minute, ten_minutes = 60 * base - dropped, 600 * base - 9 * dropped
    tens, remainder = divmod(number % (144 * ten_minutes), ten_minutes)
    number = tens * 600 * base + remainder  # counting those left out
    if dropped:
        number += dropped * (max(0, remainder - dropped) // a_minute)
    seconds, frame = divmod(number, base)
    clock = f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{clock}{separator}{frame:02d}"
