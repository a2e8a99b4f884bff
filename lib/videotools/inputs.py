"""Videos that the ffmpeg program reads: what they hold, and ffmpeg's arguments for them."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import av

from lib.errors import FaceswapError
from lib.media.encoding.stream_copy import (
    ATTACHES,
    flags_of,
    log_lost_attachments,
    log_lost_subtitles,
)
from lib.media.opening import open_container
from lib.media.timecode import carry_timecode
from lib.media.video.container import pick_stream
from lib.media.video.uniform import DEINTERLACE, fitted
from lib.media.video.video_source import VideoSource
from lib.videotools import encoders, ffmpeg, info
from lib.videotools.times import frame_length, ticks_of

PROBED_FRAMES = 6  # for interlacing: the first frame may be whole and the next ones interlaced
PROBED_PIECES = 20  # of a joined file, for their size
SOUND_SPARE = Fraction(1, 10)  # seconds of sound past the last frame that one packet may take


class Video:
    """An input: what it holds, and ffmpeg's arguments for it."""

    def __init__(self, path: Path):
        self.path = path
        self.source = VideoSource(path)
        self.file = self.source.file  # what ffmpeg reads
        deque(self.source.frames(0, PROBED_FRAMES), maxlen=0)
        self.skipped_frames = 0  # that the result leaves out at the beginning
        self._attachments_input: int | None = None  # see `attachments_input`
        with open_container(self.file) as container:
            self._read_streams(container)
        self.is_stitched = bool(self.source.jumps)  # as ffmpeg does where it may choose the clock
        if self.is_stitched:
            self.sound_end = self.source.sound_end
            for index in self.source.behind_jumps()[:PROBED_PIECES]:  # tells pieces of other sizes
                next(self.source.frames(index, index + 1), None)
        layout = av.VideoFormat(self.source.layout, 16, 16)
        self.depth, self.is_rgb = layout.components[0].bits, layout.is_rgb

    def _read_streams(self, container: av.container.InputContainer) -> None:
        streams, picked = container.streams, pick_stream(container)
        videos = [stream for stream in streams.video
                  if not stream.disposition & av.stream.Disposition.attached_pic]
        context = picked.codec_context
        self.stream = f"V:{videos.index(picked)}"  # as ffmpeg names it
        self.format = container.format.name
        self.codec = context.codec.canonical_name
        self.stored_size = context.width, context.height
        # What must be equal for two videos to be joined without encoding
        self.parameters = (self.codec, context.profile, context.pix_fmt, *self.stored_size,
                           picked.time_base, self.source.pixel_aspect, self.source.turn,
                           self.source.colours, context.extradata)
        self.sound = [info.sound_of(stream) for stream in streams.audio]
        self.sound_end = max((float((stream.start_time or 0) + stream.duration) * stream.time_base
                              for stream in streams.audio if stream.duration), default=0.0)
        self.subtitles = [stream.codec_context.codec.canonical_name if stream.codec_context else ""
                          for stream in streams.subtitles]
        # tracks to write
        self.flagged = [("audio", stream.disposition) for stream in streams.audio]
        self._subtitle_flags = [stream.disposition for stream in streams.subtitles]
        # Where no track has a flag, ffmpeg's own rule sets them
        self._has_flags = any([*self._subtitle_flags, *(flags for _, flags in self.flagged)])
        self._attachments = [stream.name for stream in streams.attachments]

    @cached_property
    def ticks(self) -> list[int]:
        """Times of the frames, in units of the source's `time_base`, from its beginning."""
        return ticks_of(self.source)

    @property
    def seconds(self) -> list[Fraction]:
        """Times of the frames from the beginning."""
        return [tick * self.source.time_base for tick in self.ticks]

    @property
    def clock_start(self) -> Fraction:
        """Second at which ffmpeg's clock begins, which it sets to 0 unless told otherwise."""
        return self.source.begins - Fraction(self.source.origin).limit_denominator(1_000_000)

    @property
    def seconds_from_zero(self) -> list[Fraction]:
        """Times of the frames on ffmpeg's clock."""
        return [second - self.clock_start for second in self.seconds]

    @property
    def length(self) -> Fraction:
        """Seconds on ffmpeg's clock to the end of the last frame, or of the sound if much later."""
        frames_end = self.seconds_from_zero[-1] + frame_length(self.source) * self.source.time_base
        sound_end = Fraction(self.sound_end).limit_denominator(1_000_000) - self.source.begins
        end = sound_end if sound_end > frames_end + SOUND_SPARE else frames_end
        return Fraction(round(end * 1_000_000), 1_000_000)

    @property
    def steady_rate(self) -> Fraction:
        """Frames a second, without pauses; 25 where it is not known."""
        return self.source.steady_rate or Fraction(25)

    @property
    def colours(self) -> tuple[int, int, int]:
        """Matrix, primaries and transfer, in FFmpeg's numbers."""
        return self.source.matrix, self.source.colours.primaries, self.source.colours.transfer

    def sound_facts(self, track: int) -> tuple[str, int, int]:
        """Codec, number of channels and sample rate of a sound track."""
        facts = self.sound[track]
        return facts["codec"], facts["channels"], facts["rate"]

    def unify(self, keep_interlaced: bool = False) -> list[str]:
        """Filters before all others: whole frames instead of fields, all of one size."""
        filters = []
        if self.source.interlaced and not keep_interlaced:
            self.source.tell_interlaced()
            filters.append(DEINTERLACE)
        if self.is_stitched:
            filters += fitted(self.stored_size)
        return filters

    def keep_times(self) -> list[str]:
        """Arguments that keep the times of frames; a clock that begins anywhere is set to 0."""
        if self.is_stitched:
            return []
        return ["-copyts"] + ["-start_at_zero"] * bool(self.source.origin)

    def copy_streams(self, number: int, container: str, copy_sound: bool = True) -> list[str]:
        """Arguments that take over all but the pictures from input `number`."""
        arguments = map_sound(self.sound, number, container, copy_sound)
        for index, (_, flags) in enumerate(self.flagged if self._has_flags else ()):
            arguments += [f"-disposition:a:{index}", flags_of(flags)]
        return arguments + self.copy_data(number, container)

    def copy_data(self, number: int, container: str) -> list[str]:
        """Arguments for subtitles, attached files, chapters and metadata of input `number`."""
        arguments, kept = ["-map_metadata", str(number), "-map_chapters", str(number)], 0
        if container != ATTACHES:
            log_lost_attachments(self.path.name, self._attachments, container)
        arguments += self.timecode(container)
        for index, codec in enumerate(self.subtitles):
            coder = encoders.subtitle_arguments(kept, codec, container)
            if coder is None:
                log_lost_subtitles(self.path.name, index, container)
                continue
            flags = self._subtitle_flags[index]
            arguments += ["-map", f"{number}:s:{index}", *coder]
            arguments += [f"-disposition:s:{kept}", flags_of(flags)] * self._has_flags
            self.flagged.append(("subtitle", flags))
            kept += 1
        if self._attachments and container == ATTACHES:
            # Last: ffmpeg mistakes a later track for one
            arguments += ["-map", f"{self._attachments_input or number}:t", "-c:t", "copy"]
        return arguments

    def attachments_input(self, number: int) -> list[str]:
        """Arguments that read attached files as an input of their own, which gets this number.

        Where a piece is cut out, ffmpeg does not find them in the input of the pictures.
        """
        if not self._attachments:
            return []
        self._attachments_input = number
        return ffmpeg.input_arguments(self.file)

    def timecode(self, container: str) -> list[str]:
        """Arguments that carry the time code over, `skipped_frames` frames later."""
        code = carry_timecode(self.source.words.get("timecode"), self.steady_rate,
                              self.skipped_frames, container, self.path.name)
        return ["-metadata:s:v:0", f"timecode={code}"] if code else []


def map_sound(tracks: list[dict], number: int, container: str, copy: bool) -> list[str]:
    """Arguments that take the sound `tracks` from input `number`. Raises FaceswapError."""
    arguments = []
    for index, track in enumerate(tracks):
        if track["codec"] is None:
            raise FaceswapError(f"Sound track {index} is in a format that is not known. Take it "
                                "out first.")
        arguments += ["-map", f"{number}:a:{index}", *encoders.sound_arguments(
            index, track["codec"], track["channels"], track["rate"], container, copy)]
    return arguments
