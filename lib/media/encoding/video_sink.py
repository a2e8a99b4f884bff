"""A video file as a sink of frames: their exact times, the input's colours as it tags them, and its sound."""

from __future__ import annotations

import io
import logging
import os
import queue
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.codec.context import Flags
from av.video.reformatter import VideoReformatter

from lib.errors import FaceswapError
from lib.files.names import VIDEO_FORMATS, printable
from lib.files.writing import (
    MARK,
    create,
    disk_errors,
    make_folder,
    make_work_folder,
    part_beside,
    publish,
    remove_work_folder,
    sweep,
    work_folder_of,
)
from lib.media.base import LARGE, PQ, FrameSink, FrameSource
from lib.media.coded import BICUBIC, EXACT, FULL, LIMITED, CodedFrame, coded
from lib.media.encoding import segments
from lib.media.encoding.segments import Description, SegmentWriter
from lib.media.encoding.stream_copy import EDIT_LISTS, StreamCopy
from lib.media.endpoints.sink import check_output
from lib.media.timecode import HELD, later
from lib.media.video.video_source import BT601, BT709, Colours, VideoSource
from lib.system import device
from lib.types import Frame, Patch, Shard, with_alpha

logger = logging.getLogger(__name__)
ENCODERS = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1", "vp9": "libvpx-vp9", "prores": "prores_ks", "ffv1": "ffv1",
            "h264rgb": "libx264rgb"}
ON_A_CHIP = ("h264", "hevc", "av1")  # codecs that graphics cards encode; the names are CODEC_nvenc, CODEC_qsv and so on
GLOBAL_HEADER = 0x40  # AVFMT_GLOBALHEADER: the container wants what decoders need beforehand, apart
DEEP = ("hevc", "h264", "av1", "prores", "ffv1")  # codecs that know 10 bits; of VP9 most builds of its encoder do not
HEVC_HOLDERS = ("mp4", "mov", "matroska", "mpegts")
TRANSPARENT = ("prores", "ffv1")  # codecs that keep it
SLOWNESS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
SVT_PRESETS = dict(zip(SLOWNESS, (12, 11, 10, 9, 8, 7, 5, 4, 3)))
NVENC_PRESETS = dict(zip(SLOWNESS, ("p1", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p7")))
QSV_PRESETS = dict(zip(SLOWNESS, ("veryfast", "veryfast", *SLOWNESS[2:])))
YUV = ("yuv", "nv12", "p010")
AVX512 = 256  # OpenCV's number of that ability of processors
REPEATABLE = "asm=avx2"  # with AVX-512 x264's macroblock tree makes, of the same frames, now and then another file
SPARING = "sync-lookahead=0"  # with as many threads as cores, not half as many again: fewer frames are held at a time
AHEAD = 4  # frames that may wait for the encoder
SEGMENT = 120  # frames that are encoded by themselves: what a killed run loses at most


class VideoSink(FrameSink):
    """Encodes on a thread of its own, a segment of SEGMENT frames after another. The file takes its name when it is whole; until then an
    older one stays.

    Frames keep the times of `source`, so a variable rate survives; a part of a video begins at 0. The sound of exactly
    the written stretch is copied, and re-encoded only where the container cannot hold it. Pictures follow each other at
    `rate`. Pixels are converted with the matrix and range that the source was read with, and tagged as the source tags
    them. Raises FaceswapError where the container does not take the codec, frames differ in size or the disk refuses.

    Segments lie in a folder beside the file, and are joined without encoding them again. Those of a run that was broken off are used by the
    next with the same key: see `missing`.
    """

    def __init__(self, path: Path, source: FrameSource, *, codec: str = "auto", hardware: str = "none", crf: int = 18,
                 preset: str = "veryfast", rate: float = 25.0, sound: bool = True,
                 keep_interlaced: bool = False):
        """`keep_interlaced`: of interlaced video only the new faces are whole pictures; all else keeps its fields."""
        self.path = path = Path(path)
        check_output(path, source)
        if path.suffix.lower() not in VIDEO_FORMATS:
            raise FaceswapError(f"{path} does not end like a video. Choose one of {', '.join(sorted(VIDEO_FORMATS))}.")
        self._format = VIDEO_FORMATS[path.suffix.lower()]
        self._crf, self._preset = crf, preset
        self._key: str | None = None  # of the segments; None until it is known whether there are some that can be used
        self._source = source
        self._video = source if isinstance(source, VideoSource) else None
        more = self._video is not None and self._video.depth > 8
        if codec == "auto" and self._format == "webm":
            codec = "av1" if more else "vp9"
        elif codec == "auto":  # players know 10 bits of HEVC, hardly of H.264
            codec = "hevc" if more and self._format in HEVC_HOLDERS else "h264"
        self._codec, self._encoder = codec, ENCODERS[codec]
        if hardware != "none":
            if codec not in ON_A_CHIP:
                raise FaceswapError(f"--writer.hardware is for {', '.join(ON_A_CHIP)}, not for {codec}. Leave one of them out.")
            self._encoder = f"{codec}_{hardware}"
        self.deep = more and codec in DEEP
        if self._video and self._video.colours.transfer == PQ and not (self.deep and codec in ("hevc", "av1")):
            raise FaceswapError(f"{source.path} is HDR video (HDR10), which {codec} in {path.suffix} does not keep. Choose --writer.codec "
                                "hevc or av1 and .mkv, .mp4 or .mov, or convert the input to SDR first.")
        self._keeps_fields = keep_interlaced and self._video is not None and self._video.interlaced
        if self._keeps_fields and (self._encoder != "libx264" or not self._video.cuts or self._video.layout != self._layout(source.size)):
            raise FaceswapError(f"The fields of {source.path} cannot be kept: that is done as H.264, of video in 4:2:0 that is neither turned "
                                "nor stretched. Choose --writer.codec h264, or leave out --keep-interlaced.")
        if self._video and self._video.tone and not self._layout(source.size).startswith(YUV):
            logger.warning("%s is HDR video, which %s does not keep: it becomes SDR, tone-mapped.", source.path.name, codec)
        self._transparent = self._video is not None and self._video.transparent
        if self._transparent and codec not in TRANSPARENT:
            logger.warning("%s is transparent in places, which %s does not keep: there it is seen %s. ffv1 (.mkv) and prores (.mov) keep it.",
                           source.path.name, codec, "on white" if self._video.on_white else "as if it were not")
            self._transparent = False
        self._with_sound = sound and self._video is not None
        self._rate = self._video.rate or Fraction(25) if self._video else Fraction(rate).limit_denominator(1001)
        if self._format == "avi":  # holds one steady rate; a missing frame is an empty packet
            self._time_base = 1 / (self._video.steady_rate or self._rate if self._video else self._rate)
        else:
            self._time_base = self._video.time_base if self._video else 1 / self._rate
        self._parts = work_folder_of(path)
        self._first: int | None = None  # index of the first frame of the whole video
        self._begins: Fraction | None = None  # seconds of the source
        self._all: range | None = None  # numbers of its segments, where they are known beforehand
        self._reformatter = VideoReformatter()
        self._size: tuple[int, int] | None = None
        self._queue: queue.Queue[tuple[Frame, np.ndarray | Sequence[Patch]] | None] = queue.Queue(AHEAD)
        self._error: BaseException | None = None
        self._abandoned = False

    def __enter__(self) -> VideoSink:
        self._check_container()
        with disk_errors(self.path):
            make_folder(self.path.parent)
            make_work_folder(self._parts)
            sweep(self._parts)
        self._thread = threading.Thread(target=self._work, name="encoder", daemon=True)
        self._thread.start()
        return self

    def missing(self, key: str, start: int = 0, stop: int | None = None, shard: Shard | None = None,
                again: Collection[int] = ()) -> list[tuple[int, int | None]]:
        self._key, self._first = key, start
        for number in {(index - start) // SEGMENT for index in again}:
            (self._parts / f"{number:06d}").unlink(missing_ok=True)
        stop = self._source.count if stop is None and not self._video else stop
        there = self._there()
        self._size = next((tuple(described.size) for described in there.values()), None)
        ended = there and self._video and there[max(there)].last + 1 < start + (max(there) + 1) * SEGMENT
        total = -(-((self._source.count if stop is None else stop) - start) // SEGMENT) if shard or stop is not None else None
        first, after = shard.frames(total) if shard else (0, total)
        self._all = range(total) if shard else None
        to_the_end = stop is None and not ended and (shard is None or shard.number == shard.count)
        numbers = [number for number in range(first, after if after is not None else max(there, default=-1) + 1) if number not in there]
        stretches: list[tuple[int, int | None]] = []
        for number in numbers:
            begins, ends = start + number * SEGMENT, start + (number + 1) * SEGMENT
            ends = ends if stop is None else min(ends, stop)
            if stretches and stretches[-1][1] == begins:
                stretches[-1] = (stretches[-1][0], ends)
            else:
                stretches.append((begins, ends))
        if to_the_end:
            last = max([*there, *numbers], default=-1) + 1
            begins = stretches.pop()[0] if stretches and stretches[-1][1] == start + last * SEGMENT else start + last * SEGMENT
            stretches.append((begins, None))
        return stretches

    def write(self, frame: Frame, image: np.ndarray) -> None:
        self._put(frame, image, image.shape[1::-1])

    def patch(self, frame: Frame, patches: Sequence[Patch]) -> None:
        self._put(frame, patches, frame.size)

    def _put(self, frame: Frame, seen: np.ndarray | Sequence[Patch], size: tuple[int, int]) -> None:
        if self._key is None:
            self._key = ""
            for file in self._parts.iterdir():
                if file.name.isdecimal():
                    file.unlink()
        self._size = self._size or size
        if size != self._size:
            raise FaceswapError(f"{frame.name or f'Frame {frame.index}'} is {size[0]}x{size[1]}, but the video {self.path.name} "
                                f"was begun with {self._size[0]}x{self._size[1]}. Write pictures instead: name a folder as the output.")
        while self._error is None:
            try:
                return self._queue.put((frame, seen), timeout=0.5)
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
        if kind is None and self._error is None:
            try:
                there = self._there()
                if not there:
                    raise FaceswapError(f"{self.path} was not written: there was no frame to write.")
                if self._all is None or not set(self._all) - set(there):
                    self._join(there)
                    remove_work_folder(self._parts)
                return
            except BaseException as failure:
                self._error = failure
        if self._key == "":
            remove_work_folder(self._parts)
        elif {file.name for file in self._parts.iterdir()} <= {MARK}:
            remove_work_folder(self._parts)
        if kind is None:
            self._raise()

    @property
    def missing_parts(self) -> int:
        return len(set(self._all or ()) - set(self._there())) if self._parts.is_dir() else 0

    def _raise(self) -> None:
        error = self._error
        if isinstance(error, av.error.FFmpegError):
            other = "--writer.hardware, or none" if self._encoder.startswith(self._codec) and "_" in self._encoder else "--writer.codec"
            raise FaceswapError(f"{self.path} cannot be encoded with {self._encoder}: {error}. Choose another {other}.") from error
        with disk_errors(self.path):
            raise error

    def _there(self) -> dict[int, Description]:
        """The segments of this key by their number; what else lies there is of no use any more."""
        found = {}
        for file in self._parts.iterdir():
            if file.name.isdecimal():
                described = segments.describe(file)
                if described is not None and described.key == self._key:
                    found[int(file.name)] = described
                else:
                    file.unlink()
        return dict(sorted(found.items()))

    def _check_container(self) -> None:
        """Raises FaceswapError where the container cannot hold what the encoder makes."""
        container = av.open(io.BytesIO(), "w", format=self._format)
        try:
            container.add_stream(self._encoder, rate=25)
        except ValueError as error:
            raise FaceswapError(f"{self.path.suffix} cannot hold {self._encoder}. Choose another --writer.codec or another ending: "
                                ".mkv holds everything.") from error

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
        begun: _Begun | None = None
        try:
            while not self._abandoned and (taken := self._queue.get()) is not None:
                frame, seen = taken
                if self._first is None:
                    self._first = frame.index
                number = (frame.index - self._first) // SEGMENT
                if begun is None or number != begun.number:
                    if begun is not None:
                        self._finish(begun)
                    begun = self._begin(number)
                picture = self._picture(frame, seen, begun.context)
                begun.tick = max(begun.tick + 1, round((self._seconds(frame) - self._start(frame)) / self._time_base))
                picture.pts, picture.time_base = begun.tick, self._time_base
                begun.last = frame.index
                begun.file.write(begun.context.encode(picture))
            if begun is not None and not self._abandoned:
                self._finish(begun)
                begun = None
        finally:
            if begun is not None:
                begun.file.drop()

    def _begin(self, number: int) -> _Begun:
        context = av.CodecContext.create(self._encoder, "w")
        self._set_up(context, self._size)
        return _Begun(number, SegmentWriter(self._parts / f"{number:06d}"), context)

    def _finish(self, begun: _Begun) -> None:
        begun.file.write(begun.context.encode(None))
        begun.file.finish(Description(self._key, list(self._size), (begun.context.extradata or b"").hex(), begun.last))

    def _start(self, frame: Frame) -> Fraction:
        """Seconds of the source at which the written video begins, asked when `frame` is written."""
        if self._begins is None:
            if self._video is None:
                self._begins = Fraction(0)
            elif not self._first:
                self._begins = Fraction(self._video.origin)
            else:
                first = frame if frame.index == self._first else next(self._source.frames(self._first, self._first + 1))
                self._begins = Fraction(first.time)
        return self._begins

    def _seconds(self, frame: Frame) -> Fraction:
        if frame.time is None:
            return (frame.index - self._first) / self._rate
        return round(Fraction(frame.time) / self._time_base) * self._time_base if self._format != "avi" else Fraction(frame.time)

    def _set_up(self, context: av.VideoCodecContext, size: tuple[int, int]) -> None:
        os.environ.setdefault("SVT_LOG", "1")  # errors alone
        context.time_base, context.framerate = self._time_base, self._rate.limit_denominator(1 << 16)
        context.width, context.height = size
        context.thread_type = "AUTO"
        context.pix_fmt = self._layout(size)
        self._colours = self._chosen_colours(size)
        if context.pix_fmt.startswith(YUV):
            context.colorspace, context.color_range = self._colours.matrix, self._colours.range
            context.color_primaries, context.color_trc = self._colours.primaries, self._colours.transfer
        if self._format in ("avi", "flv", "asf", "nut"):
            context.max_b_frames = 0  # AVI knows no order but that of storage; the others would begin later
        if self._codec == "hevc" and self._format in EDIT_LISTS:
            context.codec_tag = "hvc1"  # Apple's players take no other
        if av.ContainerFormat(self._format, "w").flags & GLOBAL_HEADER:
            context.flags |= Flags.global_header
        if self._keeps_fields:
            context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        context.options = self._options()

    def _layout(self, size: tuple[int, int]) -> str:
        """How the encoder wants its samples."""
        if self._codec == "ffv1":
            return self._video.layout if self.deep else "bgra" if self._transparent else "bgr0"
        if self._codec == "h264rgb":
            return "rgb24"
        if self._codec == "prores":
            return "yuva444p10le" if self._transparent else "yuv422p10le"
        if self._encoder.endswith(("_nvenc", "_qsv", "_amf", "_videotoolbox")):
            return "p010le" if self.deep else "nv12"
        # x264 and x265 halve the colours of even sizes only; the size counts more than old players
        colours = "444p" if self._codec in ("h264", "hevc") and (size[0] % 2 or size[1] % 2) else "420p"
        return f"yuv{colours}{'10le' if self.deep else ''}"

    def _options(self) -> dict[str, str]:
        crf, wide = str(self._crf), str(round(self._crf * 63 / 51))  # VP9's and AV1's scale is wider: 63 is the worst
        hdr = self._video.hdr if self._video and self._video.colours.transfer == PQ else None
        match self._encoder:
            case "libx264":
                words = [REPEATABLE] * cv2.checkHardwareSupport(AVX512)
                if self._keeps_fields:
                    words.append("tff=1" if self._video.top_first else "bff=1")
                if self._size[0] * self._size[1] >= LARGE:
                    words.append(f"{SPARING}:threads={device.cores()}")
                return {"crf": crf, "preset": self._preset} | ({"x264-params": ":".join(words)} if words else {})
            case "libx265":
                told = f":master-display={hdr.x265}:max-cll={hdr.light}:hdr10=1:repeat-headers=1" if hdr else ""
                return {"crf": crf, "preset": self._preset, "x265-params": f"log-level=error{told}"}
            case "libx264rgb":
                return {"qp": "0", "preset": self._preset}
            case "libvpx-vp9":
                return {"crf": wide, "b": "0", "deadline": "realtime", "cpu-used": "5", "row-mt": "1"}
            case "libsvtav1":
                told = f"mastering-display={hdr.svt}:content-light={hdr.light}" if hdr else ""
                return {"crf": wide, "preset": str(SVT_PRESETS[self._preset])} | ({"svtav1-params": told} if told else {})
            case "prores_ks":
                return {"profile": "4444", "alpha_bits": "16", "vendor": "apl0"} if self._transparent else {"profile": "hq", "vendor": "apl0"}
            case "ffv1":
                return {"level": "3", "slices": "4", "slicecrc": "1"}
        kind = self._encoder.partition("_")[2]
        return {"nvenc": {"rc": "constqp", "qp": crf, "preset": NVENC_PRESETS[self._preset]},
                "qsv": {"global_quality": crf, "preset": QSV_PRESETS[self._preset]},
                "amf": {"rc": "cqp", "qp_i": crf, "qp_p": crf, "qp_b": crf},
                "videotoolbox": {"q": str(max(1, 100 - 2 * self._crf))}}[kind]

    def _chosen_colours(self, size: tuple[int, int]) -> Colours:
        """Those of the source, untagged where it is untagged, so that any player shows both alike; usual ones for pictures and RGB."""
        if self._video and self._video.colours.matrix != 0:
            colours, read_with = self._video.colours, self._video.matrix
            if colours.assumed_matrix(size) != read_with:  # a turned video: now the size would mislead players
                return replace(colours, matrix=read_with)
            return colours
        matrix = Colours().assumed_matrix(size)
        return Colours(matrix, LIMITED, BT709 if matrix == BT709 else BT601, BT709 if matrix == BT709 else BT601)

    def _picture(self, frame: Frame, seen: np.ndarray | Sequence[Patch], context: av.VideoCodecContext) -> av.VideoFrame:
        """A frame for the encoder, of RGB or, where that can be done, of what was decoded, with patches: then nothing else is converted."""
        layout, patched = context.pix_fmt, not isinstance(seen, np.ndarray)
        if patched and isinstance(frame, CodedFrame) and frame.conversion.cuts(frame.coded) and layout.startswith(YUV):
            picture = frame.conversion.patched(frame.stored if self._keeps_fields else frame.coded, seen)
            if picture.format.name != layout:
                matrix, color_range = self._colours.assumed_matrix(frame.size), picture.color_range or LIMITED
                picture = self._reformatter.reformat(
                    picture, format=layout, src_colorspace=matrix, dst_colorspace=matrix, src_color_range=color_range,
                    dst_color_range=color_range, interpolation=BICUBIC | EXACT, threads=1)
        else:
            if isinstance(frame, CodedFrame) and frame.conversion.tone and layout.startswith(YUV):
                return self._of_code_values(frame.raw_with(seen), layout)
            image = frame.with_patches(seen) if patched else seen
            image, kind = (with_alpha(frame, image), "rgba") if self._transparent and frame.rgba is not None else (image, "rgb24")
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=kind)
            if not layout.startswith(YUV):
                picture.color_range = FULL
                return self._reformatter.reformat(picture, format=layout, threads=1)
            picture = coded(picture, layout, self._colours.assumed_matrix(image.shape[1::-1]), self._colours.range or LIMITED)
        picture.colorspace, picture.color_range = self._colours.matrix, self._colours.range
        picture.color_primaries, picture.color_trc = self._colours.primaries, self._colours.transfer
        return picture

    def _of_code_values(self, code: np.ndarray, layout: str) -> av.VideoFrame:
        """The frame for the encoder of HDR whose samples are not to be taken over one by one; see `CodedFrame.raw_with`."""
        picture = av.VideoFrame(code.shape[1], code.shape[0], "rgb48le")
        plane = picture.planes[0]
        np.frombuffer(plane, np.uint16).reshape(-1, plane.line_size // 2)[:, :3 * code.shape[1]] = code.reshape(len(code), -1)
        picture = coded(picture, layout, self._colours.assumed_matrix(code.shape[1::-1]), self._colours.range or LIMITED)
        picture.colorspace, picture.color_range = self._colours.matrix, self._colours.range
        picture.color_primaries, picture.color_trc = self._colours.primaries, self._colours.transfer
        return picture

    # --- when all is encoded

    def _join(self, there: dict[int, Description]) -> None:
        """Puts the segments into one file, with the sound of what they show."""
        files = [self._parts / f"{number:06d}" for number in there]
        if len({(tuple(described.size), described.extradata) for described in there.values()}) > 1:
            raise FaceswapError(f"The parts of {self.path} in {self._parts} were encoded by different versions of {self._encoder}, and "
                                "cannot be joined. Delete that folder and run again.")
        shown: list[int] = []
        for file in files:
            times = segments.times(file)
            moved = dict(zip(sorted(times), _rising(sorted(times), max(shown, default=None))))
            shown += [moved[time] for time in times]
        ordered = sorted(shown)
        length = (self._video.last_length if self._video and self._video.moves else None) or 1 / self._rate
        ends = dict(zip(ordered, [*ordered[1:], ordered[-1] + max(1, round(length / self._time_base))]))
        whole = part_beside(self.path)
        file = _File(whole)
        try:
            # MP4 rounds the time of the first frame to its "movie" clock, which ticks 1000 times a second where nothing is said
            options = {"movie_timescale": str(max(1000, self._time_base.denominator))} if self._format in EDIT_LISTS else {}
            options["fflags"] = "+bitexact"  # no random numbers: the same frames make the same file
            with av.open(file, "w", format=self._format, container_options=options) as container:
                stream = container.add_stream(self._encoder, rate=self._rate.limit_denominator(1 << 16), time_base=self._time_base)
                self._set_up(stream.codec_context, tuple(next(iter(there.values())).size))
                stream.time_base = self._time_base
                tracks = self._stream_copy(container)
                self._describe(stream)
                if self.mark:
                    self._tell(container.metadata, self.mark.comment())
                packets = (packet for path in files for packet in segments.packets(path))
                for packet, time, decoded in zip(packets, shown, segments.decoding_times(shown), strict=True):
                    if file.error:
                        raise file.error
                    muxed = av.Packet(packet.data)
                    muxed.pts, muxed.dts, muxed.duration, muxed.time_base = time, decoded, ends[time] - time, self._time_base
                    muxed.is_keyframe, muxed.stream = packet.key, stream
                    container.mux(muxed)
                    if tracks:
                        tracks.write_until(float(time * self._time_base))
                if tracks:
                    there_are = self._video.frames_read or self._video.count
                    to_the_end = there_are is not None and there[max(there)].last + 1 >= there_are
                    tracks.write_until(float("inf") if to_the_end else float(ends[ordered[-1]] * self._time_base))
                    tracks.close()
            file.close()
            if file.error:
                raise file.error
            if self.mark:
                self.mark.sign(whole, self.path)
            if tracks:
                tracks.tell_lost_flags(whole)
            publish(whole, self.path)
        finally:
            file.close()
            whole.unlink(missing_ok=True)

    def _tell(self, metadata: dict[str, str], comment: str) -> None:
        """Puts `comment` before what the input's own says, where any player shows it; MPEG program streams hold no words at all."""
        key = "comment"
        if self._format == "mpegts":  # which tells who sends it, in few words
            key, comment = "service_provider", comment.partition(":")[0]
        before = next((text for known, text in metadata.items() if known.lower() == key), "")
        if before and not before.startswith(comment):
            comment = f"{comment}\n{before}"
        for known in [known for known in metadata if known.lower() == key]:
            del metadata[known]
        metadata[key] = comment

    def _describe(self, stream: av.video.stream.VideoStream) -> None:
        """Says of the pictures what the input says of its own."""
        if self._video is None:
            return
        words = self._video.words
        stream.metadata.update({key: value for key, value in words.items() if key in ("language", "title")})
        stream.disposition = self._video.disposition
        if "timecode" in words:
            zero = Fraction(next(self._video.frames(0, 1)).time) if self._first else Fraction(0)
            passed = round((self._begins - zero) * (self._video.steady_rate or self._rate)) if self._first else 0
            timecode = later(words["timecode"], self._video.steady_rate or self._rate, passed)
            if timecode and self._format in HELD:
                stream.metadata["timecode"] = timecode
            else:
                logger.warning("%s: its time code %s cannot be held by %s; .mov, .mp4 and .mkv hold it", self._video.path.name,
                               printable(words["timecode"]), self.path.suffix)

    def _stream_copy(self, container: av.container.OutputContainer) -> StreamCopy | None:
        if self._video is None:
            return None
        first = next(self._source.frames(self._first, self._first + 1)) if self._begins is None and self._first else Frame(0, None)
        return StreamCopy(self._video.file, container, self._format, self._start(first), whole=self._first == 0, sound=self._with_sound)


@dataclass
class _Begun:
    """A segment that is being encoded."""

    number: int
    file: SegmentWriter
    context: av.VideoCodecContext
    tick: int = -1  # of its newest frame
    last: int = 0  # index of that frame


def _rising(times: list[int], before: int | None) -> list[int]:
    """`times`, which ascend, moved back as little as needed for all to come after `before`, one after another."""
    rising = []
    for time in times:
        before = time if before is None else max(time, before + 1)
        rising.append(before)
    return rising


class _File:
    """The file under the muxer. FFmpeg drops errors of some writes, so the first is kept here until somebody looks."""

    def __init__(self, path: Path):
        self._file = create(path)
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
        try:
            self._file.close()
        except OSError as error:
            self.error = self.error or error
