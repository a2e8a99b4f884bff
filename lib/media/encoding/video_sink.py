"""A video file as a sink of frames: exact times, the input's colours as it tags them, its sound."""

from __future__ import annotations

import queue
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from lib.errors import FaceswapError
from lib.files.writing import (
    MARK,
    disk_errors,
    make_folder,
    make_work_folder,
    remove_work_folder,
    sweep,
    work_folder_of,
)
from lib.media.base import FrameSink, FrameSource
from lib.media.encoding import segments
from lib.media.encoding.codecs import VideoEncoding
from lib.media.encoding.encoder_frames import EncoderFrames
from lib.media.encoding.joining import Joiner
from lib.media.encoding.segments import Description, SegmentWriter
from lib.media.endpoints.sink import check_output
from lib.types import Frame, Patch, Shard

AHEAD = 4  # frames that may wait for the encoder
SEGMENT = 120  # frames that are encoded by themselves: what a killed run loses at most


class VideoSink(FrameSink):
    """Encodes on a thread of its own. The file takes its name when it is whole.

    Frames keep the times of `source`, so a variable rate survives; a part of a video begins at 0.
    The sound of exactly the written part is copied, and encoded only where the container cannot
    hold it. Pictures follow each other at `rate`. Pixels are converted with the matrix and range
    that the source was read with, and tagged as the source tags them. Raises FaceswapError where
    the container does not take the codec, frames differ in size or the disk refuses.

    Segments of SEGMENT frames lie in a folder beside the file, and are joined without encoding them
    again. Those of an interrupted run are used by the next with the same key: see `missing`.
    """

    def __init__(self, path: Path, source: FrameSource, *, codec: str = "auto",
                 hardware: str = "none",
                 crf: int = 18, preset: str = "veryfast", rate: float = 25.0, sound: bool = True,
                 keep_interlaced: bool = False):
        """`keep_interlaced`: of interlaced video only the new faces are whole pictures."""
        self.path = Path(path)
        check_output(self.path, source)
        self._encoding = VideoEncoding.choose(self.path, source, codec, hardware, crf, preset, rate,
                                              keep_interlaced)
        self.deep = self._encoding.deep
        self._source, self._with_sound = source, sound
        self._segments = work_folder_of(self.path)
        self._key: str | None = None  # of segments that the next run may use; None: there are none
        # whether segments of earlier runs were deleted, since none is asked for
        self._is_cleared = False
        self._first: int | None = None  # index of the first frame of the whole video
        self._begins: Fraction | None = None  # second of the source at which it is shown
        # numbers of the segments, where they are known beforehand
        self._expected: range | None = None
        self._size: tuple[int, int] | None = None
        self._frames: EncoderFrames | None = None
        self._queue: queue.Queue[tuple[Frame, np.ndarray | Sequence[Patch]]
                                 | None] = queue.Queue(AHEAD)
        self._error: BaseException | None = None
        self._is_abandoned = False

    def __enter__(self) -> VideoSink:
        self._encoding.check_container()
        with disk_errors(self.path):
            make_folder(self.path.parent)
            make_work_folder(self._segments)
            sweep(self._segments)
        self._thread = threading.Thread(target=self._work, name="encoder", daemon=True)
        self._thread.start()
        return self

    def missing(self, key: str, start: int = 0, stop: int | None = None, shard: Shard | None = None,
                again: Collection[int] = ()) -> list[tuple[int, int | None]]:
        self._key, self._first = key, start
        for number in {(index - start) // SEGMENT for index in again}:
            self._segment(number).unlink(missing_ok=True)
        done = self._done()
        for number in self._numbered().keys() - done.keys():  # of runs with other keys
            self._segment(number).unlink()
        self._size = next((segment.frame_size for segment in done.values()), None)

        # Numbers of segments that are missing, as far as the length is known
        if stop is None and not self._encoding.video:
            stop = self._source.count
        end = self._source.count if stop is None else stop
        total = -(-(end - start) // SEGMENT) if shard or stop is not None else None
        self._expected = range(total) if shard else None
        first, after = shard.frames(total) if shard else (0, total)
        after = max(done, default=-1) + 1 if after is None else after
        numbers = [number for number in range(first, after) if number not in done]

        # Frames, neighbours together
        ranges: list[tuple[int, int | None]] = []
        for number in numbers:
            begin, end = start + number * SEGMENT, start + (number + 1) * SEGMENT
            end = end if stop is None else min(end, stop)
            if ranges and ranges[-1][1] == begin:
                begin = ranges.pop()[0]
            ranges.append((begin, end))

        # What a video announces may be wrong: its last frames are read to the end
        has_end = done and self._encoding.video and (
            done[max(done)].last + 1 < start + (max(done) + 1) * SEGMENT)
        if stop is None and not has_end and (shard is None or shard.number == shard.count):
            begin = start + (max([*done, *numbers], default=-1) + 1) * SEGMENT
            if ranges and ranges[-1][1] == begin:
                begin = ranges.pop()[0]
            ranges.append((begin, None))
        return ranges

    def write(self, frame: Frame, image: np.ndarray) -> None:
        self._put(frame, image, image.shape[1::-1])

    def patch(self, frame: Frame, patches: Sequence[Patch]) -> None:
        self._put(frame, patches, frame.size)

    def _put(self, frame: Frame, content: np.ndarray | Sequence[Patch],
             size: tuple[int, int]) -> None:
        self._clear()
        self._size = self._size or size
        if size != self._size:
            raise FaceswapError(f"{frame.name or f'Frame {frame.index + 1}'} is "
                                f"{size[0]}x{size[1]}, but the video {self.path.name} began with "
                                f"{self._size[0]}x{self._size[1]}. Write pictures instead: name a "
                                "folder as the output.")
        while self._error is None:
            try:
                return self._queue.put((frame, content), timeout=0.5)
            except queue.Full:  # look again whether the encoder has failed
                continue
        self._raise_error()

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._is_abandoned = kind is not None
        while self._thread.is_alive():
            try:
                self._queue.put(None, timeout=0.1)
                break
            except queue.Full:
                continue
        self._thread.join()
        if kind is None and self._error is None:
            try:
                return self._join()
            except BaseException as failure:
                self._error = failure
        is_empty = {file.name for file in self._segments.iterdir()} <= {MARK}
        if self._is_cleared or is_empty:
            remove_work_folder(self._segments)
        if kind is None:
            self._raise_error()

    def _join(self) -> None:
        """Makes the video, unless segments of other runs are missing."""
        self._clear()
        done = self._done()
        if not done:
            raise FaceswapError(f"{self.path} was not written: there was no frame to write.")
        if self._expected is None or not set(self._expected) - set(done):
            joiner = Joiner(self._encoding, self._first, self._begin_second(), self._with_sound,
                            self.mark)
            joiner.join({self._segment(number): segment for number, segment in done.items()})
            remove_work_folder(self._segments)

    @property
    def missing_parts(self) -> int:  # type: ignore[override]
        if not self._segments.is_dir():
            return 0
        return len(set(self._expected or ()) - set(self._done()))

    def _raise_error(self) -> None:
        error, encoder = self._error, self._encoding.encoder
        if isinstance(error, av.error.FFmpegError):
            is_on_chip = encoder.startswith(f"{self._encoding.codec}_")
            option = "--writer.hardware, or none" if is_on_chip else "--writer.codec"
            raise FaceswapError(f"{self.path} cannot be encoded with {encoder}: {error}. Choose "
                                f"another {option}.") from error
        with disk_errors(self.path):
            raise error

    def _segment(self, number: int) -> Path:
        return self._segments / f"{number:06d}"

    def _numbered(self) -> dict[int, Path]:
        """All segments that lie there, by their number."""
        return {int(file.name): file for file in sorted(self._segments.iterdir())
                if file.name.isdecimal()}

    def _done(self) -> dict[int, Description]:
        """The segments with this sink's key, by their number."""
        described = {number: segments.describe(file) for number, file in self._numbered().items()}
        return {number: segment for number, segment in described.items()
                if segment is not None and segment.key == (self._key or "")}

    def _clear(self) -> None:
        """Deletes the segments of earlier runs once, where none were asked for by `missing`."""
        if self._key is None and not self._is_cleared:
            self._is_cleared = True
            for file in self._numbered().values():
                file.unlink()

    # --- on the encoder's thread

    def _work(self) -> None:
        try:
            self._encode_all()
        except BaseException as error:
            self._error = error
        finally:
            while self._queue.full():  # whoever waits in write() sees the error
                self._queue.get_nowait()

    def _encode_all(self) -> None:
        segment: _Segment | None = None
        try:
            while not self._is_abandoned and (item := self._queue.get()) is not None:
                frame, content = item
                if self._first is None:
                    self._first = frame.index
                number = (frame.index - self._first) // SEGMENT
                if segment is None or number != segment.number:
                    if segment is not None:
                        self._finish(segment)
                    segment = self._begin_segment(number)
                self._encode(segment, frame, content)
            if segment is not None and not self._is_abandoned:
                self._finish(segment)
                segment = None
        finally:
            if segment is not None:
                segment.file.drop()

    def _begin_segment(self, number: int) -> _Segment:
        self._frames = self._frames or EncoderFrames(self._encoding, self._size)
        context: Any = av.CodecContext.create(self._encoding.encoder, "w")
        self._encoding.configure(context, self._size)
        return _Segment(number, SegmentWriter(self._segment(number)), context)

    def _encode(self, segment: _Segment, frame: Frame,
                content: np.ndarray | Sequence[Patch]) -> None:
        picture, base = self._frames.make(frame, content), self._encoding.time_base
        passed = self._second(frame) - self._begin_second(frame)
        segment.tick = max(segment.tick + 1, round(passed / base))
        picture.pts, picture.time_base = segment.tick, base
        segment.last = frame.index
        segment.file.write(segment.context.encode(picture))

    def _finish(self, segment: _Segment) -> None:
        segment.file.write(segment.context.encode(None))
        extradata = (segment.context.extradata or b"").hex()
        segment.file.finish(Description(self._key or "", list(self._size), extradata, segment.last))

    def _begin_second(self, frame: Frame | None = None) -> Fraction:
        """Second of the source at which the video begins; `frame` is one that is at hand."""
        if self._begins is None:
            if self._encoding.video is None:
                self._begins = Fraction(0)
            elif not self._first:
                self._begins = Fraction(self._encoding.video.origin)
            else:
                if frame is None or frame.index != self._first:
                    frame = next(self._source.frames(self._first, self._first + 1))
                self._begins = Fraction(frame.time)
        return self._begins

    def _second(self, frame: Frame) -> Fraction:
        if frame.time is None:
            return (frame.index - self._first) / self._encoding.rate
        base = self._encoding.time_base
        is_exact = self._encoding.container != "avi"
        return round(Fraction(frame.time) / base) * base if is_exact else Fraction(frame.time)


@dataclass
class _Segment:
    """A segment that is being encoded."""

    number: int
    file: SegmentWriter
    context: av.VideoCodecContext
    tick: int = -1  # of its newest frame
    last: int = 0  # index of that frame
