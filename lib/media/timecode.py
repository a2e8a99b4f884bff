"""SMPTE time codes, such as 01:00:00:10: hours, minutes, seconds and frames of the first frame of a
film."""

from __future__ import annotations

import re
from fractions import Fraction

TIMECODE = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})([:;.])(\d{2,3})")
HELD = ("mov", "mp4", "matroska", "mxf")  # containers that hold one


def later(timecode: str, rate: Fraction, frames: int) -> str | None:
    """The time code `frames` frames after `timecode`, at `rate` frames a second; None where it is
    none. With a semicolon numbers are left out each minute but the tenth, so that 29.97 frames a
    second keep to the clock (SMPTE ST 12-1)."""
    match = TIMECODE.fullmatch(timecode.strip())
    if not match:
        return None
    hours, minutes, seconds, separator, frame = match.groups()
    base = max(1, round(rate))
    dropped = base // 15 if separator != ":" and base % 30 == 0 else 0
    minute = 60 * int(hours) + int(minutes)
    number = (60 * minute + int(seconds)) * base + int(frame) - dropped * (minute - minute // 10) + frames
    a_minute, ten = 60 * base - dropped, 600 * base - 9 * dropped
    tens, rest = divmod(number % (144 * ten), ten)
    if dropped:
        number = tens * 600 * base + rest + dropped * (max(0, rest - dropped) // a_minute)
    else:
        number = tens * ten + rest
    seconds, frame = divmod(number, base)
    return f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{separator}{frame:02d}"
