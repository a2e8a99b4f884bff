"""Video files as a source of frames, through FFmpeg's libraries: exact times, upright, square pixels, right colours."""

from __future__ import annotations

import logging
import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import islice
from math import ceil
from pathlib import Path

import av
import numpy as np
from av.container import Flags
from av.sidedata.sidedata import Type as SideData

from lib.errors import FaceswapError
from lib.media.animated import SEQUENCE, WITHOUT_INDEX, Readable
from lib.media.base import HLG, PQ, FrameSource
from lib.media.coded import UNSPECIFIED, CodedFrame, Conversion, is_transparent, plain
from lib.media.opening import check_video, open_container, packets_of
from lib.media.tone import Tone
from lib.media.video.stitching import Jumps, Stitcher, may_jump
from lib.media.video.uniform import Decoded, is_top_first, of_one_size, progressive
from lib.types import Frame

logger = logging.getLogger(__name__)
BT709, BT601 = 1, 6  # matrices as ISO/IEC 23091-2 and FFmpeg number them
SCANNED = 1 << 30  # bytes; in larger files without a frame count, the frames are not counted beforehand
LARGEST = 32768  # pixels of a side
ONE_LATE = ("mpeg1video", "mpeg2video")  # codecs that show a frame without a time when the next one is decoded
STATES_LENGTH = ("matroska", "mov", "flv", "asf")  # containers that say at their beginning how long they are


@dataclass(frozen=True)
class Colours:
    """What a video says of its colours, in FFmpeg's numbers."""

    matrix: int = UNSPECIFIED
    range: int = 0
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    def assumed_matrix(self, size: tuple[int, int]) -> int:
        """The matrix to calculate with: where nothing is said, what players assume from the size."""
        if self.matrix in (UNSPECIFIED, 0, 3):
            return BT709 if size[0] >= 1280 or size[1] > 576 else BT601
        return self.matrix


@dataclass(frozen=True)
class Hdr:
    """What an HDR10 video says of the screen that it was made on, and of its light."""

    primaries: tuple[tuple[float, float], ...]  # x, y of red, green, blue and white
    luminance: tuple[float, float]  # of the screen, least and most, candela a square metre
    light: str  # "most of a pixel,most of a frame's average", candela a square metre; "0,0" where it is not said

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Hdr | None:
        """As `frame` tells it, or None."""
        display, light = None, "0,0"
        for data in frame.side_data:
            if data.type == SideData.MASTERING_DISPLAY_METADATA:
                numbers = np.frombuffer(bytes(data)[:80], np.int32).reshape(10, 2).astype(float)
                display = numbers[:, 0] / np.maximum(numbers[:, 1], 1)
            elif data.type == SideData.CONTENT_LIGHT_LEVEL:
                light = ",".join(map(str, np.frombuffer(bytes(data)[:8], np.uint32)))
        if display is None:
            return None
        return cls(tuple(zip(display[0:8:2].tolist(), display[1:8:2].tolist())), (float(display[8]), float(display[9])), light)

    @property
    def x265(self) -> str:
        """In x265's words: 1/50000, and 1/10000 candela a square metre."""
        red, green, blue, white = (f"({round(x * 50000)},{round(y * 50000)})" for x, y in self.primaries)
        least, most = (round(value * 10000) for value in self.luminance)
        return f"G{green}B{blue}R{red}WP{white}L({most},{least})"

    @property
    def svt(self) -> str:
        """In SVT-AV1's words."""
        red, green, blue, white = (f"({x:.5f},{y:.5f})" for x, y in self.primaries)
        return f"G{green}B{blue}R{red}WP{white}L({self.luminance[1]:.4f},{self.luminance[0]:.4f})"


class VideoSource(FrameSource):
    """A video file. Frames come upright, with square pixels, at 8 bits, with the presentation time that the file gives them.

    The first frame is decoded when it is opened. A damaged file yields what can be read; `losses` tells the rest.
    """

    def __init__(self, path: Path, exact: bool = True):
        """`exact` False: colours are rounded down, so that they are a level too dark on average, in a tenth of the time."""
        self.path = Path(path)
        self._readable = Readable(self.path)  # kept: what it made goes with it
        self.file = self._readable.path  # what FFmpeg reads
        with _opened(self.file) as (container, stream):
            first = next(_frames_of(packets_of(container, stream), stream, careful=True), None)
            if first is None:
                raise FaceswapError(f"{self.path} holds no frame that can be read: {_announced(stream)}. Get a whole copy of the video.")
            stored, turn = (first.width, first.height), _display_matrix(first)
            scaled = _square_pixels(stored, stream.sample_aspect_ratio)
            self.size = scaled[::-1] if turn[0] == 0 else scaled
            self.rate = stream.average_rate or stream.guessed_rate
            self.steady_rate = stream.guessed_rate or self.rate  # of which the times of a variable rate are usually multiples
            self.time_base: Fraction = stream.time_base
            # what the file says of the track: its language, a time code
            self.words: dict[str, str] = {key.lower(): value for key, value in stream.metadata.items()}
            self.disposition = stream.disposition
            self.turn = turn  # see `Conversion`
            self.pixel_aspect = stream.sample_aspect_ratio or Fraction(1)
            self.begins = Fraction(container.start_time or 0, av.time_base)  # seconds: of whichever stream comes first
            self.colours = Colours(first.colorspace, first.color_range, first.color_primaries, first.color_trc)
            self.matrix = self.colours.assumed_matrix(stored)  # with which RGB is calculated
            self.transparent = is_transparent(first)
            self.tone = Tone(self.colours.transfer, self.colours.primaries) if self.colours.transfer in (PQ, HLG) else None
            self._conversion = Conversion(self.matrix, scaled, turn, exact, self.tone, self.transparent)
            self.layout = plain(first.format.name)
            self.hdr = Hdr.of(first)
            self.hdr_coded = (self.colours.primaries, self.colours.transfer) if self.colours.transfer in (PQ, HLG) else None
            self.on_white = self.transparent and first.format.is_rgb  # where it is transparent
            self.cuts = self._conversion.cuts(first)  # whether samples beside the faces can stay as they are
            self.depth = first.format.components[0].bits if self.cuts or self.tone else 8  # bits of a sample that can be kept
            self.interlaced = first.interlaced_frame
            self._first = first  # whose size and layout all get
            self._may_jump = may_jump(container)
            # these start their clocks anywhere
            self.origin = (container.start_time or 0) / av.time_base if container.format.name in ("mpegts", "mpeg") else 0.0
            states = container.format.name.startswith(STATES_LENGTH) and container.duration is not None
            self._length = container.duration / av.time_base if states else None
            self._indexed = _indexed_count(stream)
            # AVI counts frames in the order of storage: one is shown when the decoder gives it, which B-frames delay
            self._counts = container.format.name == "avi"
            self.moves = container.format.name in WITHOUT_INDEX or container.metadata.get("major_brand") == SEQUENCE  # an animated picture
            self._seeks = container.format.name not in WITHOUT_INDEX and not (
                self._counts and stream.codec_context.name in ("h264", "hevc"))  # whose decoders learn the delay anew
        self.frames_read: int | None = None  # known once an iteration has come to the end
        self._losses: list[str] = []
        self._sizes: set[tuple[int, int]] = set()  # other ones that were told
        self._told = self._told_hdr = False  # that it is interlaced; that it is HDR

    @cached_property
    def count(self) -> int | None:
        """Frames that the file announces: from its index, else from its packets; None where that would mean reading gigabytes."""
        if self._indexed is not None:
            return self._indexed
        return len(self._packets.times) if self.path.stat().st_size <= SCANNED else None

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        self._losses = []
        index, time, careful, damaged = start, 0.0, False, []
        while stop is None or index < stop:
            try:
                for tick, picture, stored in self._decoded_from(index, careful):
                    if stored.is_corrupt:
                        damaged.append(index)
                    # bare streams have no clock
                    time = float(index / (self.rate or 25)) if tick is None else float(tick * self.time_base)
                    self._tell(index, picture, stored)
                    yield CodedFrame(index, time, picture, self._conversion, stored)
                    index += 1
                    if index == stop:
                        return
                if careful or self.count is None or index >= self.count:
                    self.frames_read = index
                    self._losses = self._lost(index, time, damaged)
                    return
                careful = True  # many threads may lose frames without a word
            except _Damaged:  # or lose more than they must, and not the same each time
                careful = True

    @property
    def losses(self) -> list[str]:
        return list(self._losses)

    def index_at(self, seconds: float) -> int:
        """The first frame that is shown `seconds` after the beginning or later; past the last one where there is none."""
        if not self._packets.complete:
            return super().index_at(seconds)
        return bisect_left(self._packets.times, ceil(round((seconds + self.origin) / self.time_base, 3)))

    def ticks(self) -> list[int] | None:
        """Times of all frames in units of `time_base`, from the packets alone; None where they do not tell, or not of each."""
        if self.count is None or not self._packets.complete or len(self._packets.times) != self.count:
            return None
        return self._packets.times

    @cached_property
    def jumps(self) -> Jumps:
        """Where the clock of the file jumps. Times of frames are as if it did not."""
        return self._packets.jumps if self._may_jump else Jumps()

    @property
    def last_length(self) -> float | None:
        """For how many seconds the last frame is shown, as the file says."""
        return float(self._packets.last_length * self.time_base) or None

    def behind_jumps(self) -> list[int]:
        """The first frame behind each jump of the clock."""
        return [bisect_left(self._packets.times, time) for time in self._packets.behind] if self.jumps else []

    @property
    def sound_end(self) -> float:
        """Second, on the clock of the frames, at which the sound of a file whose clock may jump ends."""
        return self._packets.sound_end

    def key_before(self, index: int) -> int:
        """The last frame, up to frame `index`, at which decoding can begin."""
        keys, times = self._packets.keys, self._packets.times
        found = [key for key in keys if key <= times[index]]
        return bisect_left(times, found[-1]) if found else 0

    def _tell(self, index: int, picture: av.VideoFrame, stored: av.VideoFrame) -> None:
        """Logs, once each, what frames are not shown as they were stored."""
        if self.hdr_coded and not self._told_hdr:
            self._told_hdr = True
            logger.info("%s is HDR video: faces are seen as SDR, tone-mapped; what is written of the video itself stays HDR.", self.path.name)
        if picture is stored:
            return
        size = stored.width, stored.height
        if size != (picture.width, picture.height) and size not in self._sizes:
            self._sizes.add(size)
            logger.warning("%s: from frame %d on it is %dx%d instead of %dx%d; such frames are scaled, with black beside them.",
                           self.path.name, index, *size, picture.width, picture.height)
        if stored.interlaced_frame:
            self.interlaced = True
            self.tell_interlaced()

    def tell_interlaced(self) -> None:
        """Logs, once, that frames are deinterlaced."""
        if not self._told:
            self._told = True
            logger.info("%s is interlaced: its frames are deinterlaced.", self.path.name)

    @cached_property
    def top_first(self) -> bool:
        """Of interlaced video, whether the field of the first line was filmed first."""
        return is_top_first(self._first)

    def _decoded_from(self, index: int, careful: bool) -> Iterator[Decoded]:
        """Frames from number `index` on, as they would come in an iteration from the beginning."""
        packets = self._packets if index and self._seeks else None
        if packets and packets.complete and index < len(packets.times):
            target = packets.times[index]
            # where a byte leads to a place, the times right behind it may be a frame's beside
            reachable = bisect_right(packets.keys, target) - bool(packets.jumps)
            if self.interlaced:  # what is made of a frame depends on the one before
                reachable = min(reachable, bisect_left(packets.keys, target))
            for key in reversed(packets.keys[max(0, reachable - 3):max(0, reachable)]):
                if key == packets.keys[0]:
                    break
                with _opened(self.file) as (container, stream):
                    container.seek(packets.places.get(key, key), stream=stream, unsupported_byte_offset=bool(packets.jumps))
                    read = _complete(packets.jumps.moved(packets_of(container, stream)), container, stream)
                    frames = (frame for frame in self._alike(_frames_of(read, stream, careful, from_key=True))
                              if frame.tick is not None and frame.tick >= target)
                    try:
                        first = next(frames, None)
                    except _Damaged:
                        continue
                    if first and first.tick == target and (careful or not first.stored.is_corrupt):
                        yield first
                        yield from frames
                        return
        with _opened(self.file) as (container, stream):
            read = self._from_beginning(container, stream, Stitcher())
            yield from islice(self._alike(_frames_of(read, stream, careful)), index, None)

    def _from_beginning(self, container, stream, stitcher: Stitcher) -> Iterator[av.Packet]:
        if not self._may_jump:
            return packets_of(container, stream)
        return _complete(_stitched(container, stream, stitcher), container, stream)

    def _alike(self, frames: Iterator[av.VideoFrame]) -> Iterator[Decoded]:
        return of_one_size(progressive(self._timed(frames)), self._first)

    def _timed(self, frames: Iterator[av.VideoFrame]) -> Iterator[tuple[int | None, av.VideoFrame]]:
        """Frames with their times in `time_base`; None where there is no clock."""
        before, step = None, 1
        for frame in frames:
            tick = _tick(frame) if self._counts else frame.pts
            if tick is None and before is not None and self._counts:  # held back by the decoder until the end
                tick = before + step
            step = tick - before if None not in (tick, before) else step
            before = tick
            yield tick, frame

    @cached_property
    def _packets(self) -> _Packets:
        """Times of all frames, from the packets alone, without decoding."""
        times, lengths, keys, places, behind, stitcher = [], [], [], {}, [], Stitcher()
        with _opened(self.file) as (container, stream):
            hides = stream.codec_context.name in ("vp8", "libvpx")
            try:
                for packet in self._from_beginning(container, stream, stitcher):
                    if not packet.size or packet.is_discard or hides and not bytes(packet)[0] & 0x10:  # VP8's frames that only help others
                        continue
                    times.append(packet.dts if self._counts else packet.pts)
                    lengths.append(packet.duration or 0)
                    if len(stitcher.jumps.steps.get(stream.index, ())) > len(behind):
                        behind.append(times[-1])
                    if packet.is_keyframe:
                        keys.append(len(times) - 1)
                        places[keys[-1]] = packet.dts if self._counts else packet.pos
            except av.error.FFmpegError:
                pass  # the packets up to the damage count; reading the frames tells the loss
        if None in times:
            return _Packets(list(range(len(times))), [], False)
        if self._counts:
            times = _delayed(times, _tick(self._first))
        if stitcher.jumps:  # what has no place in the file cannot be found again
            keys = [key for key in keys if places[key] is not None]
        kept = {times[key]: places[key] for key in keys} if self._counts or stitcher.jumps else {}
        return _Packets(sorted(times), sorted(times[key] for key in keys), len(set(times)) == len(times), kept, stitcher.jumps, behind,
                        stitcher.sound_end, max(zip(times, lengths), default=(0, 0))[1])

    def _end(self, last: float) -> float:
        """Second at which the last packet of any stream ends; `last` is the time of the last frame."""
        end = last
        with _opened(self.file) as (container, stream):
            try:
                container.seek(int(last / self.time_base), stream=stream)
                for packet in packets_of(container):
                    if packet.pts is not None:
                        end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            except av.error.FFmpegError:
                pass  # here it ends
        return end

    def _lost(self, read: int, last: float, damaged: list[int]) -> list[str]:
        lost = []
        if self.count is not None and read < self.count:
            lost.append(f"{self.path.name}: only {read} of {self.count} frames could be read; use a whole copy if there is one")
        elif self._length is not None and last + 0.5 < self._length and (end := self._end(last)) + 0.5 < self._length:
            lost.append(f"{self.path.name}: breaks off after {end:.2f} of {self._length:.2f} seconds")
        if damaged:
            lost.append(f"{self.path.name}: {len(damaged)} of {read} frames are damaged, the first is frame {damaged[0]}; "
                        "they were used as they are")
        return lost


@dataclass(frozen=True)
class _Packets:
    times: list[int]  # of the frames, in the stream's time base, rising
    keys: list[int]  # times of those at which decoding can begin
    complete: bool  # whether every packet has a time of its own
    places: dict[int, int] = field(default_factory=dict)  # of those whose time does not lead to them: what does, by that time
    jumps: Jumps = field(default_factory=Jumps)
    behind: list[int] = field(default_factory=list)  # times of those behind jumps
    sound_end: float = 0.0
    last_length: int = 0  # of the last frame; 0 where it is not told


class _Damaged(Exception):
    """The decoder met damaged data while it worked on several threads."""


@contextmanager
def _opened(path: Path) -> Iterator[tuple[av.container.InputContainer, av.video.stream.VideoStream]]:
    """The container at `path` and its video stream. Raises FaceswapError where either is missing."""
    try:
        # "file:" and the white list: no name and no playlist inside the file may reach for the network
        container = open_container(path)
    except av.error.FFmpegError as error:
        raise FaceswapError(_why_not(path, error)) from error
    with container:
        stream = pick_stream(container)
        if stream is None:
            inside = "only sound" if container.streams.audio else "no pictures"
            raise FaceswapError(f"{path} holds {inside}, no video. Choose another file.")
        if stream.codec_context is None:
            raise FaceswapError(f"{path}: there is no decoder for its video. Convert it to H.264 first.")
        check_video(path, *_square_pixels((stream.codec_context.width, stream.codec_context.height), stream.sample_aspect_ratio))
        if container.format.name == "avi" or _lacks_times(container, stream):
            container.flags &= ~Flags.gen_pts.value  # it guesses what is missing wrongly at jumps, and where B-frames are packed
        yield container, stream


def pick_stream(container: av.container.InputContainer) -> av.video.stream.VideoStream | None:
    """The video stream that is meant: the first, or, of an AVIF that moves, its sequence."""
    videos = [stream for stream in container.streams.video if not stream.disposition & av.stream.Disposition.attached_pic]
    if container.metadata.get("major_brand") == SEQUENCE:
        return max(videos, key=lambda stream: stream.frames, default=None)
    return next(iter(videos), None)


def _lacks_times(container, stream) -> bool:
    """Whether only some of its pictures may have a time, and it is known when the others are shown."""
    return may_jump(container) and stream.codec_context.name in ONE_LATE


def _stitched(container, stream, stitcher: Stitcher) -> Iterator[av.Packet]:
    """The packets of `stream`, of a file that is read from its beginning, on one clock."""
    for packet in packets_of(container):
        stitcher.move(packet)
        if packet.stream_index == stream.index:
            yield packet


def _complete(packets: Iterator[av.Packet], container, stream) -> Iterator[av.Packet]:
    """`packets`, each with a time: a picture without one, which others are decoded from, is shown when the next such is decoded."""
    if not _lacks_times(container, stream):
        yield from packets
        return
    waiting: list[av.Packet] = []
    for packet in packets:
        if packet.size and packet.pts is not None and packet.pts == packet.dts and waiting:  # nothing is decoded from it
            waiting.append(packet)
            continue
        if waiting:
            last = waiting[-1]
            waiting[0].pts = packet.dts if packet.dts is not None else last.dts + (last.duration or 0)
            yield from waiting
            waiting = []
        if packet.size and packet.pts is None and packet.dts is not None:
            waiting.append(packet)
        else:
            yield packet


def _tick(frame: av.VideoFrame) -> int | None:
    """When a frame of AVI is shown, in its stream's time base."""
    return frame.pts if frame.pts is not None else frame.dts


def _delayed(stored: list[int], first: int | None) -> list[int]:
    """When the frames are shown that are `stored` at these times, where the first is shown at `first`."""
    delay = stored.index(first) if first in stored else 0
    step = stored[-1] - stored[-2] if len(stored) > 1 else 1
    return stored[delay:] + [stored[-1] + step * place for place in range(1, delay + 1)]


def _frames_of(packets: Iterator[av.Packet], stream, careful: bool, from_key: bool = False) -> Iterator[av.VideoFrame]:
    """Decoded frames in order. Damaged packets are left out when `careful`; otherwise they raise `_Damaged`.

    `from_key` drops what comes before the first key frame, after a seek into a format without an index.
    """
    stream.thread_type = "NONE" if careful else "AUTO"
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:  # the file cannot be read on: what the decoder holds back is the last
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
                raise _Damaged from error
            continue
        for frame in frames:
            if frame.is_corrupt and not careful and not from_key:
                raise _Damaged
            yield frame


def _indexed_count(stream) -> int | None:
    """Frames according to the file's index without those that an edit list hides; None where there is no full index."""
    index = stream.index_entries
    if stream.frames == 0 or len(index) != stream.frames:
        return None
    return sum(not entry.is_discard for entry in index)


def _announced(stream) -> str:
    return f"{stream.frames} are announced" if stream.frames else "its video stream is empty"


def _why_not(path: Path, error: av.error.FFmpegError) -> str:
    if not path.exists():
        return f"{path} does not exist. Check the name."
    if path.is_dir():
        return f"{path} is a folder, not a video."
    if path.stat().st_size == 0:
        return f"{path} is empty (0 bytes). Get a whole copy of the video."
    if not os.access(path, os.R_OK):
        return f"{path} may not be read. Change its permissions."
    if _lacks_index(path):
        return f"{path} was cut off before its index was written, so nothing of it can be read. Get a whole copy of the video."
    return f"{path} is not a video that can be read ({error.strerror}). Name a video, a picture or a folder of pictures."


def _lacks_index(path: Path) -> bool:
    """Whether this is an MP4 or MOV file without its `moov` box."""
    with open(path, "rb") as file:
        size = path.stat().st_size
        if file.read(8)[4:] != b"ftyp":
            return False
        position = 0
        while position + 8 <= size:
            file.seek(position)
            header = file.read(16)
            if header[4:8] == b"moov":
                return False
            length = int.from_bytes(header[:4], "big")
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            if length < 8:
                break
            position += length
    return True


def _display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """a, b, c, d of x' = a x + c y, y' = b x + d y, each -1, 0 or 1: how the stored picture is to be turned and mirrored."""
    for data in frame.side_data:
        if data.type == SideData.DISPLAYMATRIX:
            a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5]
            turned = abs(int(a)) < abs(int(b))
            return tuple(int(np.sign(value)) for value in ((0, b, c, 0) if turned else (a, 0, 0, d)))
    return 1, 0, 0, 1


def _square_pixels(stored: tuple[int, int], aspect: Fraction | None) -> tuple[int, int]:
    """(width, height) at which a picture `stored` with pixels of the given aspect looks right: the width is changed."""
    width = round(stored[0] * aspect) if aspect and Fraction(1, 8) <= aspect <= 8 else stored[0]
    return (width, stored[1]) if 0 < width <= LARGEST else stored


def read_still(path: Path) -> np.ndarray | None:
    """The only picture in a file of the MP4 family (HEIC), (H, W, 3) uint8 RGB; None where it is cut into tiles."""
    with _opened(path) as (container, stream):
        if len(container.streams.video) != 1:
            return None
    source = VideoSource(path)
    return next(iter(source)).image
