"""A video file as a sink of frames: their exact times, the input's colours as it tags them, and its sound."""

from __future__ import annotations

import logging
import queue
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Discard
from av.video.reformatter import VideoReformatter

from lib.errors import FaceswapError
from lib.media.base import FrameSink, FrameSource
from lib.media.files import VIDEO_FORMATS, disk_errors, part_of, publish
from lib.media.sink import check_output
from lib.media.video import BICUBIC, BT601, BT709, EXACT, FULL, LIMITED, Colours, VideoSource
from lib.types import Frame

logger = logging.getLogger(__name__)

ENCODERS = {"h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9", "ffv1": "ffv1", "h264rgb": "libx264rgb"}
EDIT_LISTS = ("mp4", "mov", "3gp")  # containers in which a stream may begin before time 0
AHEAD = 8  # frames that may wait for the encoder
SOUND = {"webm": "libopus", "avi": "libmp3lame", "flv": "aac", "mpeg": "mp2", "asf": "wmav2"}  # where copying is impossible; else AAC


class VideoSink(FrameSink):
    """Encodes on a thread of its own. The file takes its name when it is whole; until then an older one stays.

    Frames keep the times of `source`, so a variable rate survives; a part of a video begins at 0. The sound of exactly
    the written stretch is copied, and re-encoded only where the container cannot hold it. Pictures follow each other at
    `rate`. Pixels are converted with the matrix and range that the source was read with, and tagged as the source tags
    them. Raises FaceswapError where the container does not take the codec, frames differ in size or the disk refuses.
    """

    def __init__(self, path: Path, source: FrameSource, *, codec: str = "auto", crf: int = 18, preset: str = "veryfast",
                 rate: float = 25.0, sound: bool = True):
        self.path = path = Path(path)
        check_output(path, source)
        if path.suffix.lower() not in VIDEO_FORMATS:
            raise FaceswapError(f"{path} does not end like a video. Choose one of {', '.join(sorted(VIDEO_FORMATS))}.")
        self._format = VIDEO_FORMATS[path.suffix.lower()]
        self._encoder = ENCODERS[codec if codec != "auto" else "vp9" if self._format == "webm" else "h264"]
        self._crf, self._preset = crf, preset
        self._source = source
        self._video = source if isinstance(source, VideoSource) else None
        self._with_sound = sound and self._video is not None
        self._rate = self._video.rate or Fraction(25) if self._video else Fraction(rate).limit_denominator(1001)
        if self._format == "avi":  # holds one steady rate; a missing frame is an empty packet
            self._time_base = 1 / (self._video.steady_rate or self._rate if self._video else self._rate)
        else:
            self._time_base = self._video.time_base if self._video else 1 / self._rate
        self._precise = VideoReformatter()
        self._size: tuple[int, int] | None = None
        self._queue: queue.Queue[tuple[Frame, np.ndarray] | None] = queue.Queue(AHEAD)
        self._error: BaseException | None = None
        self._abandoned = False

    def __enter__(self) -> VideoSink:
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _File(part_of(self.path))
        try:
            # MP4 rounds the time of the first frame to its "movie" clock, which ticks 1000 times a second where nothing is said
            clock = {"movie_timescale": str(max(1000, self._time_base.denominator))} if self._format in EDIT_LISTS else {}
            self._container = av.open(self._file, "w", format=self._format, container_options=clock)
            self._stream = self._container.add_stream(self._encoder, rate=self._rate.limit_denominator(1 << 16), time_base=self._time_base)
        except ValueError as error:
            self._remove()
            raise FaceswapError(f"{self.path.suffix} cannot hold {self._encoder}. Choose another --writer.codec or another ending: "
                                ".mkv holds everything.") from error
        except BaseException:
            self._remove()
            raise
        self._thread = threading.Thread(target=self._work, name="encoder", daemon=True)
        self._thread.start()
        return self

    def write(self, frame: Frame, image: np.ndarray) -> None:
        size = image.shape[1::-1]
        self._size = self._size or size
        if size != self._size:
            raise FaceswapError(f"{frame.name or f'Frame {frame.index}'} is {size[0]}x{size[1]}, but the video {self.path.name} "
                                f"was begun with {self._size[0]}x{self._size[1]}. Write pictures instead: name a folder as the output.")
        while self._error is None:
            try:
                return self._queue.put((frame, image), timeout=0.5)
            except queue.Full:  # look again whether the encoder has failed
                continue
        self._raise()

    def __exit__(self, kind, error, traceback) -> None:
        self._abandoned = kind is not None
        while self._thread.is_alive():
            try:
                self._queue.put(None, timeout=0.1)
                break
            except queue.Full:
                continue
        self._thread.join()
        self._error = self._error or self._file.error
        if kind is not None or self._error or self._size is None:
            self._remove()
            if kind is None:
                if self._error is None:
                    raise FaceswapError(f"{self.path} was not written: there was no frame to write.")
                self._raise()
            return
        with disk_errors(self.path):
            try:
                self._file.close()
                publish(part_of(self.path), self.path)
            except BaseException:
                self._remove()
                raise

    def _raise(self) -> None:
        error = self._error
        if isinstance(error, av.error.FFmpegError):
            raise FaceswapError(f"{self.path} cannot be encoded with {self._encoder}: {error}. Choose another --writer.codec.") from error
        with disk_errors(self.path):
            raise error

    def _remove(self) -> None:
        try:
            self._file.close()
        except OSError:
            pass  # the disk is full: what could not be flushed is thrown away
        part_of(self.path).unlink(missing_ok=True)

    # --- on the encoder's thread

    def _work(self) -> None:
        try:
            self._encode_all()
        except BaseException as error:
            self._error = error
        finally:
            self._error = self._error or self._file.error
            try:
                self._container.close()  # writes the index
            except BaseException as error:
                self._error = self._error or error
            while self._queue.full():  # whoever waits in write() sees the error
                self._queue.get_nowait()

    def _encode_all(self) -> None:
        held = self._queue.get()  # encoded when the next frame tells how long it is shown
        if held is None or self._abandoned:
            return
        first = held[0]
        stream = self._stream
        self._set_up(stream, held[1].shape[1::-1])
        start = self._start(first)
        whole = first.index == 0
        tracks = Sound(self._video.path, self._container, self._format, start, whole) if self._with_sound else None
        convert = VideoReformatter()
        position = count = 0
        tick, last = -1, held[0]
        while held is not None and not self._abandoned and not self._file.error:
            (frame, image), held = held, self._queue.get()
            shown = self._seconds(frame, count) - start
            tick = max(tick + 1, round(shown / self._time_base))
            picture = self._picture(image, stream, convert)
            picture.pts, picture.time_base = tick, self._time_base
            lasts = self._seconds(held[0], count + 1) - start - shown if held is not None else 1 / self._rate
            picture.duration = max(1, round(lasts / self._time_base))
            self._container.mux(stream.encode(picture))
            position, last, count = shown + lasts, frame, count + 1
            if tracks:
                tracks.write_until(float(shown))
        if self._abandoned or self._file.error:
            return
        self._container.mux(stream.encode(None))
        if tracks:
            ends = self._video.frames_read or self._video.count
            tracks.write_until(float("inf") if ends is not None and last.index + 1 >= ends else float(position))
            tracks.close()

    def _start(self, first: Frame) -> Fraction:
        """Seconds of the source at which the written video begins."""
        if self._video is None:
            return Fraction(0)
        return Fraction(first.time) if first.index else Fraction(self._video.origin)

    def _seconds(self, frame: Frame, position: int) -> Fraction:
        if frame.time is None:
            return position / self._rate
        return round(Fraction(frame.time) / self._time_base) * self._time_base if self._format != "avi" else Fraction(frame.time)

    def _set_up(self, stream: av.video.stream.VideoStream, size: tuple[int, int]) -> None:
        stream.time_base = self._time_base
        stream.width, stream.height = size
        stream.thread_type = "AUTO"
        context = stream.codec_context
        stream.pix_fmt = {"ffv1": "bgr0", "libx264rgb": "rgb24"}.get(self._encoder, "yuv420p")
        if self._encoder in ("libx264", "libx265") and (size[0] % 2 or size[1] % 2):
            stream.pix_fmt = "yuv444p"  # these halve the colours of even sizes only; the size counts more than old players
        self._colours = self._chosen_colours(size)
        if stream.pix_fmt.startswith("yuv"):
            context.colorspace, context.color_range = self._colours.matrix, self._colours.range
            context.color_primaries, context.color_trc = self._colours.primaries, self._colours.transfer
        if self._format in ("avi", "flv", "asf", "nut"):
            context.max_b_frames = 0  # AVI knows no order but that of storage; the others would begin later
        if self._encoder == "libx265" and self._format in EDIT_LISTS:
            context.codec_tag = "hvc1"  # Apple's players take no other
        stream.options = self._options()

    def _options(self) -> dict[str, str]:
        if self._encoder in ("libx264", "libx265"):
            quiet = {"x265-params": "log-level=error"} if self._encoder == "libx265" else {}
            return {"crf": str(self._crf), "preset": self._preset} | quiet
        if self._encoder == "libx264rgb":
            return {"qp": "0", "preset": self._preset}
        if self._encoder == "libvpx-vp9":  # its scale is wider: 63 is the worst
            return {"crf": str(round(self._crf * 63 / 51)), "b": "0", "deadline": "realtime", "cpu-used": "5", "row-mt": "1"}
        return {"level": "3", "slices": "4", "slicecrc": "1"}

    def _chosen_colours(self, size: tuple[int, int]) -> Colours:
        """Those of the source, untagged where it is untagged, so that any player shows both alike; usual ones for pictures and RGB."""
        if self._video and self._video.colours.matrix != 0:
            colours, read_with = self._video.colours, self._video.matrix
            if colours.assumed_matrix(size) != read_with:  # a turned video: now the size would mislead players
                return replace(colours, matrix=read_with)
            return colours
        matrix = Colours().assumed_matrix(size)
        return Colours(matrix, LIMITED, BT709 if matrix == BT709 else BT601, BT709 if matrix == BT709 else BT601)

    def _picture(self, image: np.ndarray, stream, convert: VideoReformatter) -> av.VideoFrame:
        rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        rgb.color_range = FULL
        if not stream.pix_fmt.startswith("yuv"):
            return convert.reformat(rgb, format=stream.pix_fmt, threads=1)
        rgb.colorspace = self._colours.assumed_matrix(image.shape[1::-1])
        to = self._colours.range or LIMITED
        if to == FULL:  # on its direct way swscale moves the colours of the full range by half a level
            rgb = self._precise.reformat(rgb, format=f"{stream.pix_fmt}12le", dst_color_range=to, interpolation=BICUBIC | EXACT, threads=1)
        picture = convert.reformat(rgb, format=stream.pix_fmt, src_color_range=FULL, dst_color_range=to,
                                   interpolation=BICUBIC | EXACT, threads=1)
        picture.colorspace, picture.color_range = self._colours.matrix, self._colours.range
        picture.color_primaries, picture.color_trc = self._colours.primaries, self._colours.transfer
        return picture


class _File:
    """The file under the muxer. FFmpeg drops errors of some writes, so the first is kept here until somebody looks."""

    def __init__(self, path: Path):
        self._file = open(path, "wb")
        self.error: OSError | None = None
        self.seek, self.tell = self._file.seek, self._file.tell

    def write(self, data: bytes) -> int:
        if self.error is None:
            try:
                return self._file.write(data)
            except OSError as error:
                self.error = error
        return len(data)

    def close(self) -> None:
        self._file.close()


class Sound:
    """The audio tracks of the video at `path`, from second `start` of it on, for the output container `output`.

    `whole` where that is the beginning: then the lead-in is kept that encoders put before time 0 and players skip.
    """

    def __init__(self, path: Path, output: av.container.OutputContainer, format: str, start: Fraction, whole: bool):
        self._output = output
        self._start = start
        self._whole = whole
        self._lead_in = format in EDIT_LISTS
        self._input = av.open(f"file:{path}", container_options={"protocol_whitelist": "file"}, metadata_errors="replace")
        self._tracks = {}
        for stream in self._input.streams:
            if stream.type != "audio":
                stream.discard = Discard.all
            elif stream.codec_context is None:
                logger.warning("%s: sound track %d is in an unknown format and is left out", path.name, stream.index)
            else:
                self._tracks[stream.index] = _copied(stream, output, format) or _Transcoded(stream, output, format)
                self._tracks[stream.index].stream.metadata.update(stream.metadata)
        streams = [stream for stream in self._input.streams.audio if stream.index in self._tracks]
        if streams and start > 1:
            self._input.seek(int((start - 1) * av.time_base))
        self._packets = self._input.demux(streams) if streams else iter(())
        self._waiting: av.Packet | None = None

    def write_until(self, second: float) -> None:
        """Writes the packets that begin before `second` of the output."""
        while True:
            packet, self._waiting = self._waiting or self._next(), None
            if packet is None:
                return
            begins = (packet.pts - round(self._start / packet.time_base)) * packet.time_base
            if begins >= second:
                self._waiting = packet
                return
            # where no stream may begin before time 0, the lead-in would delay the video instead; Opus has its own way
            if begins >= 0 or self._whole and (self._lead_in or packet.stream.codec_context.name in ("opus", "libopus")):
                self._tracks[packet.stream_index].write(packet, self._start, self._output)

    def close(self) -> None:
        for track in self._tracks.values():
            track.finish(self._output)
        self._input.close()

    def _next(self) -> av.Packet | None:
        try:
            return next((packet for packet in self._packets if packet.size and packet.pts is not None), None)
        except av.error.FFmpegError as error:
            logger.warning("The sound breaks off: %s", error.strerror)
            return None


def _copied(stream, output, format: str) -> _Copied | None:
    """A track that takes the packets as they are, or None where the container does not hold them."""
    if format == "mp4" and stream.codec_context.name.startswith("pcm_"):
        return None  # allowed of late, but hardly any player knows it
    try:
        return _Copied(output.add_stream_from_template(stream))
    except ValueError:
        return None


class _Copied:
    def __init__(self, stream):
        self.stream = stream
        self._last: int | None = None

    def write(self, packet: av.Packet, start: Fraction, output) -> None:
        ticks = round(start / packet.time_base)
        packet.pts -= ticks
        packet.dts = packet.pts if packet.dts is None else packet.dts - ticks
        if self._last is not None and packet.dts <= self._last:
            return  # damaged input: times must rise
        self._last = packet.dts
        packet.stream = self.stream
        output.mux(packet)

    def finish(self, output) -> None:
        pass


class _Transcoded:
    """A track that is decoded and encoded again."""

    def __init__(self, stream, output, format: str):
        codec = SOUND.get(format, "aac")
        rates = av.Codec(codec, "w").audio_rates
        rate = stream.codec_context.sample_rate
        if rates and rate not in rates:
            rate = min((possible for possible in rates if possible >= rate), default=max(rates))
        self._decoder = stream.codec_context
        self._end, self._start = Fraction(0), Fraction(0)
        self._clock: Fraction | None = None
        layout = stream.codec_context.layout
        surround = codec == "aac" and layout.nb_channels > 2 or codec == "libopus" and layout.name == "5.1"
        name = layout.name if surround else "mono" if layout.nb_channels == 1 else "stereo"
        self.stream = output.add_stream(codec, rate=rate, layout=name, bit_rate=96_000 * max(1, layout.nb_channels))

    def write(self, packet: av.Packet, start: Fraction, output) -> None:
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError:
            return  # a damaged packet: the rest keeps its times
        self._start = start
        self._encode(frames, output)

    def finish(self, output) -> None:
        self._encode(self._decoder.decode(None), output)
        output.mux(self.stream.encode(None))

    def _encode(self, frames: list[av.AudioFrame], output) -> None:
        for frame in frames:
            if frame.pts is None:  # what a decoder held back follows what it gave last, on the clock that the encoder knows
                frame.time_base = self._clock or Fraction(1, frame.sample_rate)
                frame.pts = round(self._end / frame.time_base)
            else:
                frame.pts -= round(self._start / frame.time_base)
            self._clock = frame.time_base
            self._end = frame.pts * frame.time_base + Fraction(frame.samples, frame.sample_rate)
            output.mux(self.stream.encode(frame))
