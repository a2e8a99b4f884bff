"""Joins the segments of a video into one file, with the sound and all else of the source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av

from lib.errors import FaceswapError
from lib.files.writing import create, part_beside, publish
from lib.media.base import Mark
from lib.media.encoding import segments
from lib.media.encoding.codecs import VideoEncoding
from lib.media.encoding.segments import Description
from lib.media.encoding.stream_copy import EDIT_LISTS, StreamCopy
from lib.media.timecode import carry_timecode


@dataclass(frozen=True)
class Joiner:
    """Joins segments, without encoding them again."""

    encoding: VideoEncoding
    first: int  # index of the first frame of the video in the source
    begins: Fraction  # second of the source at which it is shown
    with_sound: bool
    mark: Mark | None

    def join(self, parts: Mapping[Path, Description]) -> None:
        """Writes the video, which takes its name when it is whole. Raises FaceswapError,
        OSError."""
        if len({(part.frame_size, part.extradata) for part in parts.values()}) > 1:
            raise FaceswapError(f"The parts of {self.encoding.path} in {next(iter(parts)).parent} "
                                f"were encoded by different versions of {self.encoding.encoder}, "
                                "and cannot be joined. Delete that folder and run again.")
        whole = part_beside(self.encoding.path)
        file = _File(whole)
        try:
            # No random numbers: the same frames make the same file
            options = {"fflags": "+bitexact"}
            if self.encoding.container in EDIT_LISTS:
                # MP4 rounds the time of the first frame to its "movie" clock, of 1000 ticks a
                # second by default
                denominator = self.encoding.time_base.denominator
                options["movie_timescale"] = str(max(1000, denominator))
            with av.open(file, "w", format=self.encoding.container,
                         container_options=options) as container:
                streams = self._write(container, parts, file)
            file.close()
            file.raise_error()
            if self.mark:
                self.mark.sign(whole, self.encoding.path)
            if streams:
                streams.tell_lost_flags(whole)
            publish(whole, self.encoding.path)
        finally:
            file.close()
            whole.unlink(missing_ok=True)

    def _write(self, container: av.container.OutputContainer, parts: Mapping[Path, Description],
               file: _File) -> StreamCopy | None:
        video, base = self.encoding.video, self.encoding.time_base
        descriptions = list(parts.values())

        # Streams
        stream: Any = container.add_stream(self.encoding.encoder, time_base=base,
                                           rate=self.encoding.rate.limit_denominator(1 << 16))
        self.encoding.configure(stream.codec_context, descriptions[0].frame_size)
        stream.time_base = base
        streams = StreamCopy(video.file, container, self.encoding.container, self.begins,
                             whole=self.first == 0, sound=self.with_sound) if video else None
        self._describe(stream)
        if self.mark:
            self._add_comment(container.metadata, self.mark.comment())

        # Packets, sound beside the frames it belongs to
        shown = _shown_times(parts)
        ends = self._ends(sorted(shown))
        packets = chain.from_iterable(map(segments.packets, parts))
        for packet, time, decoded in zip(packets, shown, segments.decoding_times(shown),
                                         strict=True):
            file.raise_error()
            muxed = av.Packet(packet.data)
            muxed.pts, muxed.dts, muxed.time_base = time, decoded, base
            muxed.duration, muxed.is_keyframe, muxed.stream = ends[time] - time, packet.key, stream
            container.mux(muxed)
            if streams:
                streams.write_until(float(time * base))
        if streams:
            count = video.frames_read or video.count
            is_end = count is not None and descriptions[-1].last + 1 >= count
            streams.write_until(float("inf") if is_end else float(max(ends.values()) * base))
            streams.close()
        return streams

    def _ends(self, times: list[int]) -> dict[int, int]:
        """When each frame ends, by the tick at which it is shown."""
        video = self.encoding.video
        length = video.last_length if video and video.moves else None
        last = max(1, round((length or 1 / self.encoding.rate) / self.encoding.time_base))
        return dict(zip(times, [*times[1:], times[-1] + last]))

    def _add_comment(self, metadata: dict[str, str], comment: str) -> None:
        """Puts `comment` before that of the input. MPEG program streams hold none."""
        key = "comment"
        if self.encoding.container == "mpegts":  # says who sends it, in few words
            key, comment = "service_provider", comment.partition(":")[0]
        known = [name for name in metadata if name.lower() == key]
        before = metadata[known[0]] if known else ""
        if before and not before.startswith(comment):
            comment = f"{comment}\n{before}"
        for name in known:
            del metadata[name]
        metadata[key] = comment

    def _describe(self, stream: av.video.stream.VideoStream) -> None:
        """Gives the pictures the flags, language, title and time code of those of the source."""
        video = self.encoding.video
        if video is None:
            return
        stream.metadata.update({key: value for key, value in video.words.items()
                                if key in ("language", "title")})
        stream.disposition = video.disposition
        rate, skipped = video.steady_rate or self.encoding.rate, 0
        if self.first:
            skipped = round((self.begins - Fraction(next(video.frames(0, 1)).time)) * rate)
        code = carry_timecode(video.words.get("timecode"), rate, skipped, self.encoding.container,
                              video.path.name)
        if code:
            stream.metadata["timecode"] = code


def _shown_times(parts: Mapping[Path, Description]) -> list[int]:
    """Ticks at which all packets are shown, in the order of decoding; each its own."""
    shown: list[int] = []
    for path in parts:
        times = segments.times(path)
        moved = dict(zip(sorted(times), _rising(sorted(times), max(shown, default=None))))
        shown += [moved[time] for time in times]
    return shown


def _rising(times: list[int], before: int | None) -> list[int]:
    """`times`, which ascend, moved back as little as needed to come after `before`, one by one."""
    rising = []
    for time in times:
        before = time if before is None else max(time, before + 1)
        rising.append(before)
    return rising


class _File:
    """The file under the muxer. FFmpeg drops errors of some writes, so the first is kept here."""

    def __init__(self, path: Path):
        self._file = create(path)
        self._error: OSError | None = None
        self.seek, self.tell = self._file.seek, self._file.tell

    def write(self, data: bytes) -> int:
        if self._error is None:
            try:
                return self._file.write(data)
            except OSError as error:
                self._error = error
        return len(data)

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            self._error = self._error or error

    def raise_error(self) -> None:
        if self._error:
            raise self._error
