"""Video files as a source of frames: exact times, upright, square pixels, right colours."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from itertools import islice
from math import ceil
from pathlib import Path

import av
import numpy as np

from lib.errors import FaceswapError
from lib.media.animated import SEQUENCE, WITHOUT_INDEX, Readable
from lib.media.base import HLG, PQ, FrameSource
from lib.media.coded import CodedFrame, Conversion
from lib.media.opening import packets_of
from lib.media.samples import is_transparent, plain
from lib.media.tone import Tone
from lib.media.video.colours import Colours, Hdr
from lib.media.video.container import display_matrix, indexed_count, open_video, square_pixels
from lib.media.video.packets import (
    Damaged,
    PacketIndex,
    counts_frames,
    decode,
    index_packets,
    packets_from_start,
    shown_tick,
    with_times,
)
from lib.media.video.stitching import Jumps, Stitcher, may_jump
from lib.media.video.uniform import Decoded, is_top_first, of_one_size, progressive
from lib.types import Frame

logger = logging.getLogger(__name__)
SCANNED = 1 << 30  # bytes: frames of larger files without a frame count are not counted beforehand
STATES_LENGTH = ("matroska", "mov", "flv", "asf")  # containers that say how long they are
OWN_ORIGIN = ("mpegts", "mpeg")  # formats whose clocks begin anywhere
MISSING_SECONDS = 0.5  # at the end of a file that count as a loss


class VideoSource(FrameSource):
    """A video file. Frames come upright, with square pixels, at 8 bits, with their exact times.

    The first frame is decoded when it is opened. A damaged file yields what can be read; `losses`
    tells the rest.
    """

    def __init__(self, path: Path, exact: bool = True):
        """`exact` False: colours are a level too dark on average, in a tenth of the time."""
        self.path = Path(path)
        self._readable = Readable(self.path)  # kept: what it made goes with it
        self.file = self._readable.path  # what FFmpeg reads
        with open_video(self.file) as (container, stream):
            first = next(decode(packets_of(container, stream), stream, careful=True), None)
            if first is None:
                announced = (f"{stream.frames} are announced" if stream.frames
                             else "its video stream is empty")
                raise FaceswapError(f"{self.path} holds no frame that can be read: {announced}. "
                                    "Get a whole copy of the video.")
            self._first = first  # whose size and layout all get
            self._read_container(container, stream)
            self._read_colours(exact, stream.sample_aspect_ratio)
        self.interlaced = first.interlaced_frame
        self.frames_read: int | None = None  # known once an iteration has come to the end
        self._losses: list[str] = []
        # What was logged already
        self._logged_sizes: set[tuple[int, int]] = set()
        self._logged_interlaced = self._logged_hdr = False

    def _read_container(self, container: av.container.InputContainer,
                        stream: av.video.stream.VideoStream) -> None:
        name = container.format.name
        self.rate = stream.average_rate or stream.guessed_rate
        # Times of a variable rate are usually multiples of it
        self.steady_rate = stream.guessed_rate or self.rate
        self.time_base: Fraction = stream.time_base
        # Metadata of the track: its language, a time code
        self.words: dict[str, str] = {key.lower(): value for key, value in stream.metadata.items()}
        self.disposition = stream.disposition
        # Second at which the first of all streams begins
        self.begins = Fraction(container.start_time or 0, av.time_base)
        self.origin = (container.start_time or 0) / av.time_base if name in OWN_ORIGIN else 0.0
        self.moves = name in WITHOUT_INDEX or container.metadata.get("major_brand") == SEQUENCE
        states_length = name.startswith(STATES_LENGTH) and container.duration is not None
        self._length = container.duration / av.time_base if states_length else None
        self._indexed_count = indexed_count(stream)
        self._may_jump, self._counts = may_jump(container), counts_frames(container)
        # In AVI decoders of H.264 and HEVC learn the delay anew after a seek
        is_delayed = self._counts and stream.codec_context.name in ("h264", "hevc")
        self._can_seek = name not in WITHOUT_INDEX and not is_delayed

    def _read_colours(self, exact: bool, aspect: Fraction | None) -> None:
        first = self._first
        stored = first.width, first.height
        scaled = square_pixels(stored, aspect)
        self.turn = display_matrix(first)  # see `Conversion`
        self.size = scaled[::-1] if self.turn[0] == 0 else scaled
        self.pixel_aspect = aspect or Fraction(1)
        self.layout = plain(first.format.name)
        self.colours = Colours(first.colorspace, first.color_range, first.color_primaries,
                               first.color_trc)
        self.matrix = self.colours.assumed_matrix(stored)  # with which RGB is calculated
        self.hdr = Hdr.of(first)
        transfer, primaries = self.colours.transfer, self.colours.primaries
        is_hdr = transfer in (PQ, HLG)
        self.hdr_coded = (primaries, transfer) if is_hdr else None
        self.tone = Tone(transfer, primaries) if is_hdr else None
        self.transparent = is_transparent(first)
        self.on_white = self.transparent and first.format.is_rgb  # where it is transparent
        self._conversion = Conversion(self.matrix, scaled, self.turn, exact, self.tone,
                                      self.transparent)
        # whether samples beside faces can stay as they are
        self.cuts = self._conversion.cuts(first)
        # Bits of a sample that can be kept
        self.depth = first.format.components[0].bits if self.cuts or self.tone else 8

    @cached_property
    def count(self) -> int | None:  # type: ignore[override]
        """Frames by the file's index, else by its packets; None where that means reading
        gigabytes."""
        if self._indexed_count is not None:
            return self._indexed_count
        return len(self._packets.times) if self.path.stat().st_size <= SCANNED else None

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        self._losses = []
        index, time, careful, damaged = start, 0.0, False, []
        while stop is None or index < stop:
            try:
                for tick, picture, stored in self._decoded_from(index, careful):
                    if stored.is_corrupt:
                        damaged.append(index)
                    # Bare streams have no clock
                    time = float(index / (self.rate or 25)
                                 if tick is None else tick * self.time_base)
                    self._log_changes(index, picture, stored)
                    yield CodedFrame(index, time, picture, self._conversion, stored)
                    index += 1
                    if index == stop:
                        return
                if careful or self.count is None or index >= self.count:
                    self.frames_read = index
                    self._losses = self._lost(index, time, damaged)
                    return
                careful = True  # several threads may lose frames without a word
            except Damaged:  # or more than they must, and not the same each time
                careful = True

    @property
    def losses(self) -> list[str]:
        return list(self._losses)

    def index_at(self, seconds: float) -> int:
        if not self._packets.is_complete:
            return ceil(seconds * (self.rate or 25))
        tick = ceil(round((seconds + self.origin) / self.time_base, 3))
        return bisect_left(self._packets.times, tick)

    def ticks(self) -> list[int] | None:
        """Times of all frames in units of `time_base`, from the packets alone; None where they do
        not tell all."""
        times = self._packets.times
        is_known = self.count is not None and self._packets.is_complete and len(times) == self.count
        return times if is_known else None

    @cached_property
    def jumps(self) -> Jumps:
        """Where the clock of the file jumps. Times of frames are as if it did not."""
        return self._packets.jumps if self._may_jump else Jumps()

    @property
    def last_length(self) -> float | None:  # type: ignore[override]
        return float(self._packets.last_length * self.time_base) or None

    def behind_jumps(self) -> list[int]:
        """The first frame behind each jump of the clock."""
        times, first = self._packets.times, self._packets.behind_jumps if self.jumps else []
        return [bisect_left(times, time) for time in first]

    @property
    def sound_end(self) -> float:
        """Second, on the clock of the frames, at which the sound ends, if the clock may jump."""
        return self._packets.sound_end

    def key_before(self, index: int) -> int:
        """The last frame, up to frame `index`, at which decoding can begin."""
        times = self._packets.times
        keys = [key for key in self._packets.keys if key <= times[index]]
        return bisect_left(times, keys[-1]) if keys else 0

    def _log_changes(self, index: int, picture: av.VideoFrame, stored: av.VideoFrame) -> None:
        """Logs, once each, how frames are not shown as they were stored."""
        if self.hdr_coded and not self._logged_hdr:
            self._logged_hdr = True
            logger.info("%s is HDR video: faces are processed as SDR, tone-mapped; the rest of the "
                        "video stays HDR.", self.path.name)
        if picture is stored:
            return
        size, shown = (stored.width, stored.height), (picture.width, picture.height)
        if size != shown and size not in self._logged_sizes:
            self._logged_sizes.add(size)
            logger.warning("%s: from frame %d on it is %dx%d instead of %dx%d; such frames are "
                           "scaled, with black beside them.", self.path.name, index + 1, *size,
                           *shown)
        if stored.interlaced_frame:
            self.interlaced = True
            self.tell_interlaced()

    def tell_interlaced(self) -> None:
        """Logs, once, that frames are deinterlaced."""
        if not self._logged_interlaced:
            self._logged_interlaced = True
            logger.info("%s is interlaced: its frames are deinterlaced.", self.path.name)

    @cached_property
    def top_first(self) -> bool:
        """Of interlaced video, whether the field of the first line was filmed first."""
        return is_top_first(self._first)

    def _decoded_from(self, index: int, careful: bool) -> Iterator[Decoded]:
        """Frames from number `index` on, as they come in an iteration from the beginning."""
        packets = self._packets if index and self._can_seek else None
        if packets and packets.is_complete and index < len(packets.times):
            target = packets.times[index]
            # What is made of an interlaced frame depends on the one before
            for _, place in packets.keys_before(index, is_strict=self.interlaced):
                with open_video(self.file) as (container, stream):
                    container.seek(place, stream=stream,
                                   unsupported_byte_offset=bool(packets.jumps))
                    read = packets.jumps.moved(packets_of(container, stream))
                    read = with_times(read, container, stream)
                    decoded = self._uniform(decode(read, stream, careful, from_key=True))
                    frames = (frame for frame in decoded
                              if frame.tick is not None and frame.tick >= target)
                    try:
                        first = next(frames, None)
                    except Damaged:
                        continue
                    if first and first.tick == target and (careful or not first.stored.is_corrupt):
                        yield first
                        yield from frames
                        return
        with open_video(self.file) as (container, stream):
            read = packets_from_start(container, stream, Stitcher())
            yield from islice(self._uniform(decode(read, stream, careful)), index, None)

    def _uniform(self, frames: Iterator[av.VideoFrame]) -> Iterator[Decoded]:
        return of_one_size(progressive(self._timed(frames)), self._first)

    def _timed(self, frames: Iterator[av.VideoFrame]) -> Iterator[tuple[int | None, av.VideoFrame]]:
        """Frames with their times in `time_base`; None where there is no clock."""
        before, step = None, 1
        for frame in frames:
            tick = shown_tick(frame) if self._counts else frame.pts
            if tick is None and before is not None and self._counts:
                tick = before + step  # held back by the decoder until the end
            step = tick - before if None not in (tick, before) else step
            before = tick
            yield tick, frame

    @cached_property
    def _packets(self) -> PacketIndex:
        with open_video(self.file) as (container, stream):
            return index_packets(container, stream, shown_tick(self._first))

    def _end(self, last: float) -> float:
        """Second at which the last packet of any stream ends; `last`: the time of the last
        frame."""
        end = last
        with open_video(self.file) as (container, stream):
            try:
                container.seek(int(last / self.time_base), stream=stream)
                for packet in packets_of(container):
                    if packet.pts is not None:
                        packet_end = packet.pts + (packet.duration or 0)
                        end = max(end, float(packet_end * packet.time_base))
            except av.error.FFmpegError:
                pass  # here it ends
        return end

    def _lost(self, read: int, last: float, damaged: list[int]) -> list[str]:
        losses, name = [], self.path.name
        if self.count is not None and read < self.count:
            losses.append(f"{name}: only {read} of {self.count} frames could be read; use a whole "
                          "copy if there is one")
        elif self._length is not None and last + MISSING_SECONDS < self._length:
            end = self._end(last)
            if end + MISSING_SECONDS < self._length:
                losses.append(f"{name}: breaks off after {end:.2f} of {self._length:.2f} seconds")
        if damaged:
            losses.append(f"{name}: {len(damaged)} of {read} frames are damaged, the first is "
                          f"frame {damaged[0] + 1}; they were used as they are")
        return losses


def read_still(path: Path) -> np.ndarray | None:
    """The only picture in a file of the MP4 family (HEIC), (H, W, 3) uint8 RGB; None where it is
    cut into tiles."""
    with open_video(path) as (container, _):
        if len(container.streams.video) != 1:
            return None
    return next(iter(VideoSource(path))).image
