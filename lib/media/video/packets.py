"""Packets of a video stream: their times, where decoding can begin, and the frames in them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

import av

from lib.media.opening import packets_of
from lib.media.video.container import lacks_times
from lib.media.video.stitching import Jumps, Stitcher, may_jump

TRIED_KEYS = 3  # key frames before a frame from which it is sought


class Damaged(Exception):
    """The decoder met damaged data while it worked on several threads."""


@dataclass(frozen=True)
class PacketIndex:
    """Times of all frames, from the packets alone, in units of the stream's time base."""

    times: list[int]  # rising
    keys: list[int]  # times of the frames at which decoding can begin
    is_complete: bool  # whether every packet has a time of its own
    # What leads to the key frames at these times, where the times themselves do not
    places: dict[int, int] = field(default_factory=dict)
    jumps: Jumps = field(default_factory=Jumps)
    behind_jumps: list[int] = field(default_factory=list)  # times of the first frames behind jumps
    sound_end: float = 0.0  # second
    last_length: int = 0  # of the last frame; 0 where it is not told

    def keys_before(self, index: int, is_strict: bool) -> Iterator[tuple[int, int]]:
        """Time of key frames from which frame `index` may be reached, the nearest first, and what
        leads there. `is_strict`: not from the frame itself."""
        target = self.times[index]
        # Where a byte leads to a place, the times right behind it may be those of a frame beside
        reachable = bisect_right(self.keys, target) - bool(self.jumps)
        if is_strict:
            reachable = min(reachable, bisect_left(self.keys, target))
        for key in reversed(self.keys[max(0, reachable - TRIED_KEYS):max(0, reachable)]):
            if key == self.keys[0]:  # from there on is from the beginning
                return
            yield key, self.places.get(key, key)


def index_packets(container: av.container.InputContainer, stream: av.video.stream.VideoStream,
                  first: int | None) -> PacketIndex:
    """Reads all packets without decoding. `first`: when the first frame is shown.

    What follows damage is not read.
    """
    times, lengths, keys, places, stitcher = [], [], [], {}, Stitcher()
    behind: list[int] = []
    counts = counts_frames(container)
    hides = stream.codec_context.name in ("vp8", "libvpx")  # frames that only help others
    try:
        for packet in packets_from_start(container, stream, stitcher):
            if not packet.size or packet.is_discard or hides and not bytes(packet)[0] & 0x10:
                continue
            times.append(packet.dts if counts else packet.pts)
            lengths.append(packet.duration or 0)
            if len(stitcher.jumps.steps.get(stream.index, ())) > len(behind):
                behind.append(times[-1])
            if packet.is_keyframe:
                keys.append(len(times) - 1)
                places[keys[-1]] = packet.dts if counts else packet.pos
    except av.error.FFmpegError:
        pass  # reading the frames tells the loss
    if None in times:
        return PacketIndex(list(range(len(times))), [], False)
    if counts:
        times = _delayed(times, first)
    if stitcher.jumps:  # what has no place in the file cannot be found again
        keys = [key for key in keys if places[key] is not None]
    by_place = {times[key]: places[key] for key in keys} if counts or stitcher.jumps else {}
    last_length = max(zip(times, lengths), default=(0, 0))[1]
    return PacketIndex(sorted(times), sorted(times[key] for key in keys),
                       len(set(times)) == len(times), by_place, stitcher.jumps, behind,
                       stitcher.sound_end, last_length)


def counts_frames(container: av.container.InputContainer) -> bool:
    """Whether it is AVI, which counts frames in the order of storage: one is shown when the decoder
    gives it, which B-frames delay."""
    return container.format.name == "avi"


def shown_tick(frame: av.VideoFrame) -> int | None:
    """When a frame of AVI is shown, in its stream's time base."""
    return frame.pts if frame.pts is not None else frame.dts


def packets_from_start(container: av.container.InputContainer, stream: av.video.stream.VideoStream,
                       stitcher: Stitcher) -> Iterator[av.Packet]:
    """All packets of `stream`, on one clock, each with a time where that is known."""
    if not may_jump(container):
        return packets_of(container, stream)
    return with_times(_stitched(container, stream, stitcher), container, stream)


def _stitched(container: av.container.InputContainer, stream: av.video.stream.VideoStream,
              stitcher: Stitcher) -> Iterator[av.Packet]:
    for packet in packets_of(container):
        stitcher.move(packet)
        if packet.stream_index == stream.index:
            yield packet


def with_times(packets: Iterator[av.Packet], container: av.container.InputContainer,
               stream: av.video.stream.VideoStream) -> Iterator[av.Packet]:
    """`packets`, each with a time.

    A picture without one, which others are decoded from, is shown when the next such is decoded.
    """
    if not lacks_times(container, stream):
        yield from packets
        return
    waiting: list[av.Packet] = []
    for packet in packets:
        is_leaf = packet.size and packet.pts is not None and packet.pts == packet.dts
        if is_leaf and waiting:  # nothing is decoded from it
            waiting.append(packet)
            continue
        if waiting:
            end = waiting[-1].dts + (waiting[-1].duration or 0)
            waiting[0].pts = packet.dts if packet.dts is not None else end
            yield from waiting
            waiting = []
        if packet.size and packet.pts is None and packet.dts is not None:
            waiting.append(packet)
        else:
            yield packet


def decode(packets: Iterator[av.Packet], stream: av.video.stream.VideoStream, careful: bool,
           from_key: bool = False) -> Iterator[av.VideoFrame]:
    """Frames in order. `careful`: damaged packets are left out, on one thread; else Damaged is
    raised.

    `from_key` drops what comes before the first key frame, after a seek in a format without index.
    """
    stream.thread_type = "NONE" if careful else "AUTO"
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:  # what the decoder holds back is the last of the file
            packet = av.Packet()
            packet.stream, packets = stream, iter(())
        if packet is None:
            return
        if from_key and packet.size:
            if not packet.is_keyframe:
                continue
            from_key = False
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            if not careful:
                raise Damaged from error
            continue
        for frame in frames:
            if frame.is_corrupt and not careful and not from_key:
                raise Damaged
            yield frame


def _delayed(stored: list[int], first: int | None) -> list[int]:
    """When frames `stored` at these times are shown, where the first is shown at `first`."""
    delay = stored.index(first) if first in stored else 0
    step = stored[-1] - stored[-2] if len(stored) > 1 else 1
    return stored[delay:] + [stored[-1] + step * place for place in range(1, delay + 1)]
