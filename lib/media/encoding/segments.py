"""Stretches of an encoded video, each in a file of its own that is there whole or not at all: what
a killed run had finished stays.

Each is encoded by itself, so that its bytes are the same whichever run makes it. The file holds,
for each packet in the order of decoding, its time in ticks, whether it is a key frame, its size and
its bytes, then a line of JSON, `Description`, and the length of that line; all numbers
little-endian.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import av

from lib.files.reading import parse_json
from lib.files.writing import create, part_beside, publish

PACKET, LENGTH = struct.Struct("<q?I"), struct.Struct("<I")


@dataclass(frozen=True)
class Description:
    """What is known of a segment without its packets."""

    key: str  # of the run that made it: one with other options cannot use it
    size: list[int]  # width, height
    # hexadecimal: what a decoder has to know beforehand, the same for all segments of a video
    extradata: str
    last: int  # index of its last frame in the source

    @property
    def frame_size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.size[0], self.size[1]


@dataclass(frozen=True)
class Packet:
    time: int  # presentation time, ticks
    key: bool  # whether decoding can begin here
    data: bytes


class SegmentWriter:
    """A segment appears under its name with `finish`."""

    def __init__(self, path: Path):
        self._path = path
        self._part = part_beside(path)
        self._file = create(self._part)

    def write(self, packets: Sequence[av.Packet]) -> None:
        for packet in packets:
            self._file.write(PACKET.pack(packet.pts, packet.is_keyframe, packet.size))
            self._file.write(bytes(packet))

    def finish(self, description: Description) -> None:
        line = json.dumps(asdict(description)).encode()
        self._file.write(line + LENGTH.pack(len(line)))
        self._file.close()
        publish(self._part, self._path)

    def drop(self) -> None:
        try:
            self._file.close()
        except OSError:
            pass  # the disk is full: what could not be flushed is thrown away
        self._part.unlink(missing_ok=True)


def describe(path: Path) -> Description | None:
    """The description of the segment at `path`; None where there is none that could be used."""
    try:
        with open(path, "rb") as file:
            end = _end_of_packets(file)
            file.seek(end)
            return Description(**parse_json(file.read(os.path.getsize(path) - LENGTH.size - end)))
    except (OSError, ValueError, TypeError, struct.error):
        return None


def packets(path: Path) -> Iterator[Packet]:
    """In the order of decoding."""
    with open(path, "rb") as file:
        end = _end_of_packets(file)
        file.seek(0)
        while file.tell() < end:
            time, key, size = PACKET.unpack(file.read(PACKET.size))
            yield Packet(time, key, file.read(size))


def times(path: Path) -> list[int]:
    """Of all packets, in the order of decoding, ticks; their bytes are not read."""
    ticks = []
    with open(path, "rb") as file:
        end, place = _end_of_packets(file), 0
        while place < end:
            file.seek(place)
            time, _, size = PACKET.unpack(file.read(PACKET.size))
            ticks.append(time)
            place += PACKET.size + size
    return ticks


def decoding_times(shown: Sequence[int]) -> list[int]:
    """When packets that are shown at the ticks `shown` (in the order of decoding) are to be
    decoded: rising, never after they are shown."""
    ordered = sorted(shown)
    ranks = {time: rank for rank, time in enumerate(ordered)}
    delay = max((place - ranks[time] for place, time in enumerate(shown)), default=0)
    delay = min(delay, len(ordered))
    lead = ordered[0] - ordered[min(delay, len(ordered) - 1)] if ordered else 0
    return ([ordered[place] + lead for place in range(delay)] + ordered)[:len(ordered)]


def _end_of_packets(file: BinaryIO) -> int:
    file.seek(-LENGTH.size, os.SEEK_END)
    place = file.tell()
    return place - LENGTH.unpack(file.read(LENGTH.size))[0]
