"""What a video holds besides its pictures, taken over into another one: sound, subtitles, chapters,
attached files and metadata.

Packets are copied where the container holds them; sound is else encoded again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.stream import Discard, Disposition

from lib.files.names import printable
from lib.media.opening import open_container, packets_of
from lib.media.video.stitching import Stitcher, may_jump

logger = logging.getLogger(__name__)

EDIT_LISTS = ("mp4", "mov", "3gp")  # containers in which a stream may begin before time 0
ATTACHES = "matroska"  # the container that holds attached files
FLAGS = (Disposition.default | Disposition.dub | Disposition.original | Disposition.comment
         | Disposition.lyrics | Disposition.karaoke | Disposition.forced
         | Disposition.hearing_impaired | Disposition.visual_impaired | Disposition.captions
         | Disposition.descriptions)
# Metadata of the input file itself
OF_THE_FILE = ("major_brand", "minor_version", "compatible_brands", "encoder", "creation_time",
               "duration")
# Encoders of sound where copying is impossible; else AAC
SOUND = {"webm": "libopus", "avi": "libmp3lame", "flv": "aac", "mpeg": "mp2", "asf": "wmav2"}
BIT_RATE = 96_000  # of a channel


class StreamCopy:
    """Takes over all but the pictures of the video at `path`, from second `start` on.

    `whole` where that is the beginning: then the lead-in is kept that encoders put before time 0
    and players skip. Without `sound` there is none.
    """

    def __init__(self, path: Path, output: av.container.OutputContainer, container: str,
                 start: Fraction, whole: bool, sound: bool = True):
        self._output, self._container, self._name = output, container, path.name
        self._start, self._whole = start, whole
        self._input = open_container(path)
        self._tracks: dict[int, _Track] = {}  # by the stream of the input
        self._flagged: list[tuple[str, Disposition]] = []  # kind and flags of the tracks, in order
        for stream in self._input.streams:
            if track := self._make_track(stream, sound):
                self._tracks[stream.index] = track
                track.stream.metadata.update(stream.metadata)
                track.stream.disposition = stream.disposition
                self._flagged.append((stream.type, stream.disposition))
            elif not may_jump(self._input):  # else it tells of jumps
                stream.discard = Discard.all
        self._attach()
        output.metadata.update({key: value for key, value in self._input.metadata.items()
                                if key.lower() not in OF_THE_FILE})
        if chapters := self._chapters():
            output.set_chapters(chapters)
        self._packets = self._read_packets()
        self._next: av.Packet | None = None  # read, but not due yet

    def _make_track(self, stream: Any, sound: bool) -> _Track | None:
        if stream.type == "audio" and sound:
            if stream.codec_context is None:
                logger.warning("%s: sound track %d is in an unknown format and is left out",
                               self._name,
                               stream.index)
                return None
            return (_copy_track(stream, self._output, self._container)
                    or _Transcoded(stream, self._output, self._container))
        if stream.type == "subtitle":
            codec = stream.codec_context.name if stream.codec_context else ""
            track = None
            if codec in self._output.supported_codecs:
                track = _copy_track(stream, self._output, self._container)
            if track is None:
                log_lost_subtitles(self._name, stream.index, self._output.format.name)
            return track
        return None

    def _attach(self) -> None:
        """Takes over attached files, such as the fonts of subtitles."""
        attachments = self._input.streams.attachments
        if self._container != ATTACHES:
            names = [stream.name for stream in attachments]
            return log_lost_attachments(self._name, names, self._container)
        for stream in attachments:
            self._output.add_attachment(stream.name or "attachment",
                                        stream.mimetype or "application/octet-stream", stream.data)

    def _chapters(self) -> list[Any]:
        """Those of the input, as they lie in the output; one that begins before begins with it."""
        chapters: list[Any] = []
        for chapter in self._input.chapters():
            ticks = round(self._start / chapter["time_base"])
            if chapter["end"] > ticks:
                chapters.append(chapter | {"start": max(0, chapter["start"] - ticks),
                                           "end": chapter["end"] - ticks})
        return chapters

    def _read_packets(self) -> Iterator[av.Packet]:
        streams = [stream for stream in self._input.streams if stream.index in self._tracks]
        if not streams:
            return iter(())
        if may_jump(self._input):  # only reading from the beginning tells where the clock jumped
            return self._stitched()
        if self._start > 1:
            self._input.seek(int((self._start - 1) * av.time_base))
        return packets_of(self._input, streams)

    def _stitched(self) -> Iterator[av.Packet]:
        stitcher = Stitcher()
        for packet in packets_of(self._input):
            stitcher.move(packet)
            if packet.stream_index in self._tracks:
                yield packet

    def write_until(self, second: float) -> None:
        """Writes the packets that begin before `second` of the output."""
        while True:
            packet, self._next = self._next or self._read(), None
            if packet is None:
                return
            begins = (packet.pts - round(self._start / packet.time_base)) * packet.time_base
            if begins >= second:
                self._next = packet
                return
            # Where no stream may begin before time 0, the lead-in would delay the video; Opus has
            # its own rule
            keeps_lead_in = (self._container in EDIT_LISTS
                             or packet.stream.codec_context.name in ("opus", "libopus"))
            if begins >= 0 or self._whole and keeps_lead_in:
                self._tracks[packet.stream_index].write(packet, self._start)

    def _read(self) -> av.Packet | None:
        try:
            return next((packet for packet in self._packets
                         if packet.size and packet.pts is not None), None)
        except av.error.FFmpegError as error:
            logger.warning("The sound breaks off: %s", error.strerror)
            return None

    def close(self) -> None:
        """Writes what encoders hold back."""
        for track in self._tracks.values():
            track.finish()
        self._input.close()

    def tell_lost_flags(self, path: Path) -> None:
        """Warns where the finished file lost flags of tracks: that one is a comment, forced ..."""
        tell_lost_flags(self._name, self._flagged, path, self._container)


def tell_lost_flags(name: str, flagged: Sequence[tuple[str, Disposition]], path: Path,
                    container: str) -> None:
    """Warns where the file at `path` lacks flags of the tracks of `name`: kind and flags of
    each."""
    with open_container(path) as written:
        for kind, streams in (("audio", written.streams.audio),
                              ("subtitle", written.streams.subtitles)):
            lost = Disposition(0)
            expected = [flags for of_kind, flags in flagged if of_kind == kind]
            for number, (flags, stream) in enumerate(zip(expected, streams)):
                # The first is the default anyway
                expected_flags = FLAGS if number else FLAGS & ~Disposition.default
                lost |= flags & ~stream.disposition & expected_flags
            if lost:
                names = (flag.name.replace("_", " ") for flag in Disposition if flag & lost)
                logger.warning("%s: that %s tracks are flagged as %s cannot be held by %s; .mkv "
                               "holds all", name, kind, ", ".join(names), container)


def log_lost_subtitles(name: str, index: int, container: str) -> None:
    """Warns that a subtitle track is left out."""
    logger.warning("%s: subtitles %d cannot be held by %s and are left out; .mkv holds all", name,
                   index, container)


def log_lost_attachments(name: str, attachments: Sequence[str | None], container: str) -> None:
    """Warns that attached files of these names are left out, if there are any."""
    if attachments:
        names = ", ".join(printable(attachment or "an attached file") for attachment in attachments)
        logger.warning("%s: %s cannot be held by %s and %s left out; .mkv holds all", name, names,
                       container, "are" if len(attachments) > 1 else "is")


def flags_of(disposition: Disposition) -> str:
    """As ffmpeg's -disposition takes them."""
    return "+".join(flag.name for flag in FLAGS if flag in disposition) or "0"


class _Track:
    """A track of the output, whose times must rise; where pieces were joined they may overlap."""

    def __init__(self, stream: Any, output: av.container.OutputContainer):
        self.stream = stream
        self._output = output
        self._last: int | None = None  # decoding time of the last packet

    def write(self, packet: av.Packet, start: Fraction) -> None:
        """Takes a packet of the input, of which the output begins at second `start`."""
        ticks = round(start / packet.time_base)
        packet.pts -= ticks
        packet.dts = packet.pts if packet.dts is None else packet.dts - ticks
        self._mux(packet)

    def finish(self) -> None:
        """Writes what is held back."""

    def _mux(self, packet: av.Packet) -> None:
        packet.stream = self.stream
        ratio = packet.time_base / self.stream.time_base
        time = _rounded(packet.dts * ratio)
        if self._last is not None and time <= self._last:
            time = self._last + 1
            packet.pts, packet.dts = max(_rounded(packet.pts * ratio), time), time
            packet.duration = _rounded((packet.duration or 0) * ratio)
            packet.time_base = self.stream.time_base
        self._last = time
        self._output.mux(packet)


class _Transcoded(_Track):
    """A sound track that is decoded and encoded again."""

    def __init__(self, stream: av.audio.stream.AudioStream, output: av.container.OutputContainer,
                 container: str):
        codec, context = SOUND.get(container, "aac"), stream.codec_context
        rates, rate = av.Codec(codec, "w").audio_rates, context.sample_rate
        if rates and rate not in rates:
            rate = min((possible for possible in rates if possible >= rate), default=max(rates))
        channels, layout = context.layout.nb_channels, context.layout.name
        is_surround = (codec == "aac" and channels > 2 or codec == "libopus" and layout == "5.1")
        if not is_surround:
            layout = "mono" if channels == 1 else "stereo"
        super().__init__(output.add_stream(codec, rate=rate, layout=layout,
                                           bit_rate=BIT_RATE * max(1, channels)), output)
        self._decoder = context
        self._end, self._start = Fraction(0), Fraction(0)  # seconds
        self._clock: Fraction | None = None  # time base of the last frame

    def write(self, packet: av.Packet, start: Fraction) -> None:
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError:
            return  # a damaged packet: the rest keeps its times
        self._start = start
        self._encode(frames)

    def finish(self) -> None:
        self._encode(self._decoder.decode(None))
        self._mux_all(self.stream.encode(None))

    def _encode(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            if frame.pts is None:
                # What a decoder held back follows its last frame, on the clock that the encoder
                # knows
                frame.time_base = self._clock or Fraction(1, frame.sample_rate)
                frame.pts = round(self._end / frame.time_base)
            else:
                frame.pts -= round(self._start / frame.time_base)
            self._clock = frame.time_base
            self._end = (frame.pts * frame.time_base + Fraction(frame.samples, frame.sample_rate))
            self._mux_all(self.stream.encode(frame))

    def _mux_all(self, packets: list[av.Packet]) -> None:
        for packet in packets:
            self._mux(packet)


def _copy_track(stream: av.stream.Stream, output: av.container.OutputContainer,
                container: str) -> _Track | None:
    """A track that takes the packets as they are; None where the container does not hold them."""
    if container == "mp4" and stream.codec_context.name.startswith("pcm_"):
        return None  # allowed of late, but hardly any player knows it
    try:
        return _Track(output.add_stream_from_template(stream), output)
    except ValueError:
        return None


def _rounded(value: Fraction) -> int:
    """As FFmpeg rounds times: halves away from 0."""
    return int(value + Fraction(1, 2)) if value >= 0 else -int(-value + Fraction(1, 2))
