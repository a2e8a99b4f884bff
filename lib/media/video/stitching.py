"""One clock for files whose own clock jumps, such as joined transport streams, by the rules of the
ffmpeg command."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import av

from lib.media.opening import open_container, packets_of

MAY_JUMP = 0x0200  # AVFMT_TS_DISCONT: formats whose clock may jump
FAR = 10_000_000  # microseconds from where a packet was expected: ffmpeg's -dts_delta_threshold
BACK = 100_000  # microseconds that a packet may lie before the last one of its stream


def may_jump(container: av.container.InputContainer) -> bool:
    """Whether the clock of files of this format may jump."""
    return bool(container.format.flags & MAY_JUMP)


@dataclass
class Jumps:
    """What has to be added to the times of packets from some places of a file on."""

    # by stream: (byte in the file, microseconds), rising bytes
    steps: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(self.steps.values())

    @property
    def count(self) -> int:
        """How often the clock jumps."""
        return max(map(len, self.steps.values()), default=0)

    def moved(self, packets: Iterable[av.Packet]) -> Iterator[av.Packet]:
        """`packets`, as they come from some place of the file on, on the one clock."""
        # by stream: where its last packet lay that began with a header of the container
        places: dict[int, int] = {}
        for packet in packets:
            index = packet.stream_index
            places[index] = packet.pos if packet.pos is not None else places.get(index, 0)
            steps = self.steps.get(index)
            if steps and (number := bisect_right(steps, (places[index], 1 << 62))):
                _add(packet, steps[number - 1][1])
            yield packet


class Stitcher:
    """Finds the jumps of a file that is read from its beginning, packet by packet."""

    def __init__(self) -> None:
        self.jumps = Jumps()
        self._offset = 0  # microseconds
        # by stream: where its last packet lay, as in `Jumps.moved`
        self._places: dict[int, int] = {}
        self._last: int | None = None  # decoding time of the last packet of all, microseconds
        self._dts: dict[int, int] = {}  # of the last packet of each stream
        self._next: dict[int, int] = {}  # and when its next one is expected
        self.sound_end = 0.0  # second at which what was read of the sound ends

    def move(self, packet: av.Packet) -> None:
        """Puts `packet` on the one clock. Packets of sound and pictures must all be given, in the
        order of the file."""
        if not packet.size:  # tells decoders that this is the end
            return
        index, stream = packet.stream_index, packet.stream
        if stream.type in ("video", "audio") and packet.dts is not None:
            self._look_for_jump(index, _microseconds(packet.dts, packet) + self._offset)
        self._places[index] = packet.pos if packet.pos is not None else self._places.get(index, 0)
        if self._offset:
            steps = self.jumps.steps.setdefault(index, [])
            if not steps or steps[-1][1] != self._offset:
                steps.append((self._places[index] + (packet.pos is None), self._offset))
            _add(packet, self._offset)
        if stream.type in ("video", "audio"):
            self._expect(packet, index)

    def _look_for_jump(self, index: int, dts: int) -> None:
        expected = self._next.get(index)
        if expected is not None:
            delta = dts - expected
            jumps = abs(delta) > FAR or dts + BACK < self._dts[index]
        else:
            delta = dts - self._last if self._last is not None else 0
            jumps = abs(delta) > FAR
        if jumps:
            self._offset -= delta
            dts -= delta
        self._last = dts

    def _expect(self, packet: av.Packet, index: int) -> None:
        context, rate = packet.stream.codec_context, getattr(packet.stream, "average_rate", None)
        if packet.dts is not None:
            now = _microseconds(packet.dts, packet)
        elif index in self._next:
            now = self._next[index]
        else:
            now = _microseconds(packet.pts, packet) if packet.pts is not None else 0
        self._dts[index] = now
        if packet.stream.type == "audio" and context is not None and context.sample_rate:
            length = 1_000_000 * (context.frame_size or 0) // context.sample_rate
        elif packet.duration:
            length = _microseconds(packet.duration, packet)
        else:
            length = round(1_000_000 / rate) if rate else 0
        self._next[index] = now + length
        if packet.stream.type == "audio":
            self.sound_end = max(self.sound_end, self._next[index] / 1_000_000)


def jumps_in(path: Path) -> Jumps:
    """Where the clock of the file at `path` jumps; its packets are read where its format admits
    jumps."""
    stitcher = Stitcher()
    with open_container(path) as container:
        if may_jump(container):
            with suppress(av.error.FFmpegError):  # where it is damaged it ends
                for packet in packets_of(container):
                    stitcher.move(packet)
    return stitcher.jumps


def _microseconds(ticks: int, packet: av.Packet) -> int:
    return round(ticks * packet.time_base * 1_000_000)


def _add(packet: av.Packet, microseconds: int) -> None:
    ticks = round(microseconds / packet.time_base / 1_000_000)
    if packet.pts is not None:
        packet.pts += ticks
    if packet.dts is not None:
        packet.dts += ticks
