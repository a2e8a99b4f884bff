"""Writes protocol buffers: the wire format alone, which is enough for the few messages of a format
that we need."""

from __future__ import annotations

import struct
from collections.abc import Iterator


def field(number: int, value: int | float | bytes) -> bytes:
    """One field of a message: an integer that is not negative, a double, or bytes (a string, a
    message, packed numbers)."""
    if isinstance(value, int):
        return bytes(_varint(number << 3)) + bytes(_varint(value))
    if isinstance(value, float):
        return bytes(_varint(number << 3 | 1)) + struct.pack("<d", value)
    return bytes(_varint(number << 3 | 2)) + bytes(_varint(len(value))) + value


def single(number: int, value: float) -> bytes:
    """A field of single precision; what is too large for it becomes infinite."""
    try:
        packed = struct.pack("<f", value)
    except OverflowError:
        packed = struct.pack("<f", float("inf") if value > 0 else float("-inf"))
    return bytes(_varint(number << 3 | 5)) + packed


def _varint(value: int) -> Iterator[int]:
    """Seven bits a byte, lowest first; all but the last have the eighth set."""
    assert value >= 0
    while value > 127:
        yield value & 127 | 128
        value >>= 7
    yield value
