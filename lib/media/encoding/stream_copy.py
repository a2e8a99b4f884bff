"""What a video holds besides its pictures, taken over into another one: sound, subtitles, chapters
and what is said of it all.

Packets go over as they are where the container holds them; sound is else encoded again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.stream import Discard, Disposition

from lib.files.names import printable
from lib.media.opening import open_container, packets_of
from lib.media.video.stitching import Stitcher, may_jump

logger = logging.getLogger(__name__)

EDIT_LISTS = ("mp4", "mov", "3gp")  # containers in which a stream may begin before time 0
ATTACHES = "matroska"  # the container that holds attached files
TOLD = (Disposition.default | Disposition.dub | Disposition.original | Disposition.comment
        | Disposition.lyrics | Disposition.karaoke
        | Disposition.forced | Disposition.hearing_impaired | Disposition.visual_impaired
        | Disposition.captions | Disposition.descriptions)
# said of the input itself
OF_THE_FILE = ("major_brand", "minor_version", "compatible_brands", "encoder", "creation_time",
               "duration")
# where copying is impossible; else AAC
SOUND = {"webm": "libopus", "avi": "libmp3lame", "flv": "aac", "mpeg": "mp2", "asf": "wmav2"}


class StreamCopy:
    """The audio and subtitle tracks, chapters and metadata of the video at `path`, from second
    `start` of it on, for the output container `output`.

    `whole` where that is the beginning: then the lead-in is kept that encoders put before time 0
    and players skip. Without `sound` there is none.
    """

    def __init__(self, path: Path, output: av.container.OutputContainer, format: str,
                 start: Fraction, whole: bool, sound: bool = True):
        self._output = output
        self._start = start
        self._whole = whole
        self._lead_in = format in EDIT_LISTS
        self._input = open_container(path)
        self._tracks = {}
        # kind and flags of the tracks, in their order
        self._flagged: list[tuple[str, Disposition]] = []
        self._name, self._format = path.name, format
        for stream in self._input.streams:
            track = None
            if stream.type == "audio" and sound:
                if stream.codec_context is None:
                    logger.warning("%s: sound track %d is in an unknown format and is left out",
                                   path.name, stream.index)
                else:
                    track = _copied(stream, output, format) or _Transcoded(stream, output, format)
            elif stream.type == "subtitle":
                name = stream.codec_context.name if stream.codec_context else ""
                if name not in output.supported_codecs or (track := _copied(stream, output, format)) is None:
                    logger.warning("%s: subtitles %d cannot be held by %s and are left out; .mkv "
                                   "holds all", path.name, stream.index,
                                   output.format.name)
            if track is None:
                if not may_jump(self._input):  # else they tell of jumps
                    stream.discard = Discard.all
            else:
                self._tracks[stream.index] = track
                track.stream.metadata.update(stream.metadata)
                track.stream.disposition = stream.disposition
                self._flagged.append((stream.type, stream.disposition))
        self._attach(format)
        output.metadata.update({key: value for key, value in self._input.metadata.items()
                                if key.lower() not in OF_THE_FILE})
        if chapters := self._chapters():
            output.set_chapters(chapters)
        streams = [stream for stream in self._input.streams if stream.index in self._tracks]
        if streams and may_jump(self._input):  # where the clock jumped only reading from the beginning tells
            self._packets = self._stitched()
        else:
            if streams and start > 1:
                self._input.seek(int((start - 1) * av.time_base))
            self._packets = packets_of(self._input, streams) if streams else iter(())
        self._waiting: av.Packet | None = None

    def _attach(self, format: str) -> None:
        """Takes over attached files, such as the fonts of subtitles."""
        attached = self._input.streams.attachments
        for stream in attached if format == ATTACHES else ():
            self._output.add_attachment(stream.name or "attachment",
                                        stream.mimetype or "application/octet-stream", stream.data)
        if attached and format != ATTACHES:
            logger.warning("%s: %s cannot be held by %s and %s left out; .mkv holds all",
                           self._name,
                           ", ".join(printable(stream.name or "an attached file")
                                     for stream in attached), format,
                           "are" if len(attached) > 1 else "is")

    def tell_lost_flags(self, made: Path) -> None:
        """Warns where the finished file `made` does not say of a track what the input does: that it
        is a comment, forced ..."""
        tell_lost_flags(self._name, self._flagged, made, self._format)

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
            # where no stream may begin before time 0, the lead-in would delay the video instead;
            # Opus has its own way
            if begins >= 0 or self._whole and (self._lead_in
                                               or packet.stream.codec_context.name in ("opus", "libopus")):
                self._tracks[packet.stream_index].write(packet, self._start, self._output)

    def _stitched(self) -> Iterator[av.Packet]:
        stitcher = Stitcher()
        for packet in packets_of(self._input):
            stitcher.move(packet)
            if packet.stream_index in self._tracks:
                yield packet

    def close(self) -> None:
        for track in self._tracks.values():
            track.finish(self._output)
        self._input.close()

    def _chapters(self) -> list[dict]:
        """Those of the input, as they lie in the output; one that begins before it begins with
        it."""
        chapters = []
        for chapter in self._input.chapters():
            ticks = round(self._start / chapter["time_base"])
            if chapter["end"] > ticks:
                chapters.append(chapter | {"start": max(0, chapter["start"] - ticks),
                                           "end": chapter["end"] - ticks})
        return chapters

    def _next(self) -> av.Packet | None:
        try:
            return next((packet for packet in self._packets if packet.size
                         and packet.pts is not None), None)
        except av.error.FFmpegError as error:
            logger.warning("The sound breaks off: %s", error.strerror)
            return None


def _copied(stream, output, format: str) -> _Copied | None:
    """A track that takes the packets as they are, or None where the container does not hold
    them."""
    if format == "mp4" and stream.codec_context.name.startswith("pcm_"):
        return None  # allowed of late, but hardly any player knows it
    try:
        return _Copied(output.add_stream_from_template(stream))
    except ValueError:
        return None


def _rounded(value: Fraction) -> int:
    """As FFmpeg rounds times: halves away from 0."""
    return int(value + Fraction(1, 2)) if value >= 0 else -int(-value + Fraction(1, 2))


def tell_lost_flags(name: str, flagged: Sequence[tuple[str, Disposition]], made: Path,
                    format: str) -> None:
    """Warns where the file `made`, of that format, does not have the flags of the tracks of `name`:
    kind and flags of each, in their order."""
    with open_container(made) as container:
        for kind, streams in (("audio", container.streams.audio),
                              ("subtitle", container.streams.subtitles)):
            lost, before = Disposition(0), [flags for of_kind, flags in flagged if of_kind == kind]
            for number, (flags, stream) in enumerate(zip(before, streams)):
                # the first is it anyway
                lost |= flags & ~stream.disposition & (TOLD
                                                       if number else TOLD & ~Disposition.default)
            if lost:
                logger.warning("%s: that %s tracks are flagged as %s cannot be held by %s; .mkv "
                               "holds all", name, kind,
                               ", ".join(flag.name.replace("_", " ") for flag in Disposition
                                         if flag & lost), format)


def flags_of(disposition: Disposition) -> str:
    """As ffmpeg's -disposition takes them."""
    return "+".join(flag.name for flag in TOLD if flag in disposition) or "0"


class _Track:
    """A track of the output, whose times must rise; where pieces were joined they may overlap a
    little."""

    def __init__(self, stream):
        self.stream = stream
        self._last: int | None = None

    def _mux(self, packet: av.Packet, output) -> None:
        packet.stream = self.stream
        ratio = packet.time_base / self.stream.time_base
        time = _rounded(packet.dts * ratio)
        if self._last is not None and time <= self._last:
            time = self._last + 1
            packet.pts, packet.dts = max(_rounded(packet.pts * ratio), time), time
            packet.duration, packet.time_base = _rounded((packet.duration
                                                          or 0) * ratio), self.stream.time_base
        self._last = time
        output.mux(packet)


class _Copied(_Track):
    def write(self, packet: av.Packet, start: Fraction, output) -> None:
        ticks = round(start / packet.time_base)
        packet.pts -= ticks
        packet.dts = packet.pts if packet.dts is None else packet.dts - ticks
        self._mux(packet, output)

    def finish(self, output) -> None:
        pass


class _Transcoded(_Track):
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
        super().__init__(output.add_stream(codec, rate=rate, layout=name,
                                           bit_rate=96_000 * max(1, layout.nb_channels)))

    def write(self, packet: av.Packet, start: Fraction, output) -> None:
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError:
            return  # a damaged packet: the rest keeps its times
        self._start = start
        self._encode(frames, output)

    def finish(self, output) -> None:
        self._encode(self._decoder.decode(None), output)
        self._mux_all(self.stream.encode(None), output)

    def _encode(self, frames: list[av.AudioFrame], output) -> None:
        for frame in frames:
            if frame.pts is None:  # what a decoder held back follows what it gave last, on the clock that the encoder knows
                frame.time_base = self._clock or Fraction(1, frame.sample_rate)
                frame.pts = round(self._end / frame.time_base)
            else:
                frame.pts -= round(self._start / frame.time_base)
            self._clock = frame.time_base
            self._end = frame.pts * frame.time_base + Fraction(frame.samples, frame.sample_rate)
            self._mux_all(self.stream.encode(frame), output)

    def _mux_all(self, packets: list[av.Packet], output) -> None:
        for packet in packets:
            self._mux(packet, output)
