"""Videos that ffmpeg is to work on, and what it makes of them, checked before it takes its name."""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import av

from lib.errors import DONE, SOME_FAILED, FaceswapError
from lib.files.names import VIDEO_FORMATS, printable, same_path
from lib.media.encoding.stream_copy import ATTACHES, flags_of, tell_lost_flags
from lib.media.opening import open_container
from lib.media.timecode import HELD, later
from lib.media.video.uniform import DEINTERLACE, fitted
from lib.media.video.video_source import VideoSource, pick_stream
from lib.system.logs import counted
from lib.videotools import encoders, ffmpeg, info
from lib.videotools.times import frame_length, ticks_of

logger = logging.getLogger(__name__)
NEAR = 0.0011  # seconds by which the coarsest of clocks, of .mkv and .flv, may round a time
DAMAGE = re.compile(r"decoding|Invalid data|corrupt|partial file|conceal|damaged|truncated", re.I)  # what ffmpeg complains of in its input
MIXED = 6  # frames that are looked at for fields
LOOKED_AT = 20  # pieces of a joined file of which the size is looked at
SPARE = 0.1  # seconds of sound beyond the last frame that belong to a sound packet rather than to the film


class Video:
    """An input: what is said to ffmpeg about it."""

    def __init__(self, path: Path):
        self.path = path
        self.source = VideoSource(path)
        self.file = self.source.file  # what ffmpeg reads
        deque(self.source.frames(0, MIXED), maxlen=0)  # the first of a film may be whole, and the next interlaced, which is noticed so
        with open_container(self.file) as container:
            streams = [stream for stream in container.streams.video if not stream.disposition & av.stream.Disposition.attached_pic]
            picked = pick_stream(container)
            self.stream = f"V:{streams.index(picked)}"  # as ffmpeg names it
            context = picked.codec_context
            self.format = container.format.name
            self.codec = context.codec.canonical_name
            self.stored_size = context.width, context.height
            self.subtitles = [stream.codec_context.codec.canonical_name if stream.codec_context else ""
                              for stream in container.streams.subtitles]
            self.parameters = (self.codec, context.profile, context.pix_fmt, context.width, context.height, picked.time_base,
                               self.source.pixel_aspect, self.source.turn, self.source.colours, context.extradata)
            self.flagged = [("audio", stream.disposition) for stream in container.streams.audio]  # of the tracks that are written
            self._subtitle_flags = [stream.disposition for stream in container.streams.subtitles]
            self._says_flags = any([*self._subtitle_flags, *(flags for _, flags in self.flagged)])  # else ffmpeg has its own rule
            self._attached = [stream.name or "an attached file" for stream in container.streams.attachments]
            self.cut_off, self._attached_in = 0, None  # frames that the result leaves out at the beginning; see `read_attached`
            self.sound = [info.sound_of(stream) for stream in container.streams.audio]
            self.sound_end = max((float((stream.start_time or 0) + stream.duration) * stream.time_base for stream in container.streams.audio
                                  if stream.duration), default=0.0)
        self.stitched = bool(self.source.jumps)  # as ffmpeg does where it may choose the clock
        if self.stitched:
            self.sound_end = self.source.sound_end
            for index in self.source.behind_jumps()[:LOOKED_AT]:  # a piece of another size is told where it is read
                next(self.source.frames(index, index + 1), None)
        shape = av.VideoFormat(self.source.layout, 16, 16)
        self.depth, self.is_rgb = shape.components[0].bits, shape.is_rgb

    def made_alike(self, keep_interlaced: bool = False) -> list[str]:
        """Filters, before all others, that make whole pictures of fields, and all of one size where pieces may have been joined."""
        filters = []
        if self.source.interlaced and not keep_interlaced:
            self.source.tell_interlaced()
            filters.append(DEINTERLACE)
        if self.stitched:
            filters += fitted(self.stored_size)
        return filters

    @cached_property
    def ticks(self) -> list[int]:
        return ticks_of(self.source)

    @property
    def seconds(self) -> list[Fraction]:
        return [tick * self.source.time_base for tick in self.ticks]

    @property
    def seconds_from_zero(self) -> list[Fraction]:
        """From where the file begins, as ffmpeg reads it without further words."""
        begins = self.source.begins - Fraction(self.source.origin).limit_denominator(1_000_000)
        return [second - begins for second in self.seconds]

    @property
    def length(self) -> Fraction:
        """Seconds from where the file begins to the end of its last frame, or of its sound where that is much longer."""
        pictures_end = self.seconds_from_zero[-1] + frame_length(self.source) * self.source.time_base
        sound_end = Fraction(self.sound_end).limit_denominator(1_000_000) - self.source.begins
        end = sound_end if sound_end > pictures_end + Fraction(SPARE) else pictures_end
        return Fraction(round(end * 1_000_000), 1_000_000)

    @property
    def steady_rate(self) -> Fraction:
        return self.source.steady_rate or Fraction(25)

    @property
    def colours(self) -> tuple[int, int, int]:
        return self.source.matrix, self.source.colours.primaries, self.source.colours.transfer

    def clock(self) -> list[str]:
        """Words by which frames keep their times; of files that start their clocks anywhere, from their beginning."""
        return [] if self.stitched else ["-copyts"] + ["-start_at_zero"] * bool(self.source.origin)

    def sound_facts(self, track: int) -> tuple[str, int, int]:
        facts = self.sound[track]
        return facts["codec"], facts["channels"], facts["rate"]

    def others(self, number: int, container: str, copy: bool = True) -> list[str]:
        """Words that take over all but the pictures from input `number`."""
        words = sound_tracks(self.sound, number, container, copy)
        for index, (_, flags) in enumerate(self.flagged if self._says_flags else ()):
            words += [f"-disposition:a:{index}", flags_of(flags)]
        return words + self.rest(number, container)

    def rest(self, number: int, container: str) -> list[str]:
        """Subtitles, attached files, chapters and metadata."""
        words, kept = ["-map_metadata", str(number), "-map_chapters", str(number)], 0
        if self._attached and container != ATTACHES:
            logger.warning("%s: %s cannot be held by %s and %s left out; .mkv holds all", self.path.name,
                           ", ".join(map(printable, self._attached)), container, "are" if len(self._attached) > 1 else "is")
        words += self.timecode(container)
        for index, codec in enumerate(self.subtitles):
            coder = encoders.subtitle_words(kept, codec, container)
            if coder is None:
                logger.warning("%s: subtitles %d cannot be held by %s and are left out; .mkv holds all", self.path.name, index, container)
            else:
                words += ["-map", f"{number}:s:{index}", *coder]
                words += [f"-disposition:s:{kept}", flags_of(self._subtitle_flags[index])] * self._says_flags
                self.flagged.append(("subtitle", self._subtitle_flags[index]))
                kept += 1
        if self._attached and container == ATTACHES:  # last: ffmpeg mistakes a track behind them for one
            words += ["-map", f"{self._attached_in or number}:t", "-c:t", "copy"]
        return words


    def read_attached(self, number: int) -> list[str]:
        """Words by which attached files are read in an input of their own, which gets this number: where a piece is cut out they would be
        sought in vain."""
        if not self._attached:
            return []
        self._attached_in = number
        return ffmpeg.reading(self.file)

    def timecode(self, container: str) -> list[str]:
        """Words by which the pictures get the time code of the file, `cut_off` frames later."""
        known = self.source.words.get("timecode")
        if known is None:
            return []
        moved = later(known, self.steady_rate, self.cut_off)
        if moved is None or container not in HELD:
            logger.warning("%s: its time code %s cannot be held by %s; .mov, .mp4 and .mkv hold it", self.path.name, printable(known), container)
            return []
        return ["-metadata:s:v:0", f"timecode={moved}"]


def sound_tracks(tracks: Sequence[dict], number: int, container: str, copy: bool) -> list[str]:
    words = []
    for index, track in enumerate(tracks):
        if track["codec"] is None:
            raise FaceswapError(f"Sound track {index} is in a format that is not known. Take it out first.")
        words += ["-map", f"{number}:a:{index}",
                  *encoders.sound_words(index, track["codec"], track["channels"], track["rate"], container, copy)]
    return words


def tell_lost_marks(inputs: Sequence[Path], output: Path) -> None:
    """Warns where `output` does not say any more what its inputs did: that they are synthetic, or how they came about."""
    from lib.provenance.marking import carries_mark  # takes 0.1 s to import
    from lib.provenance.reading import statement_in

    said = output.is_file() and statement_in(output)
    for path in dict.fromkeys(inputs):
        if carries_mark(path):
            logger.warning("The Content Credentials of %s, which say how it came about, are not in %s: they were for that very file.",
                           path.name, output.name)
        if not said and statement_in(path):
            logger.warning("%s says that it is AI-generated, and %s does not. Say it in another way wherever you show it.", path.name,
                           output.name)


def comment_of(paths: Sequence[Path]) -> list[str]:
    """Words by which a video says of itself that it is synthetic, where one of those it was made of does."""
    from lib.provenance.reading import statement_in

    said = next(filter(None, map(statement_in, paths)), "")
    return ["-metadata", f"comment={said}"] if said else []


@dataclass(frozen=True)
class Expected:
    """What the result must be found to be before it takes its name."""

    size: tuple[int, int]
    seconds: list[Fraction]  # at which each frame is shown
    tracks: int  # of sound
    slack: int = 0  # frames more or less that copying may take
    whole: bool = False  # no frame may be missing, not even of damaged input


@dataclass(frozen=True)
class Output:
    path: Path
    container: str
    dry_run: bool

    @classmethod
    def of(cls, path: Path, inputs: Sequence[Path], dry_run: bool) -> Output:
        """Raises FaceswapError where `path` is one of `inputs`, or no video that can be written."""
        for given in inputs:
            if same_path(path, given):
                raise FaceswapError(f"{path} is an input. Choose another output: the original is never overwritten.")
        if path.suffix.lower() not in VIDEO_FORMATS:
            raise FaceswapError(f"{path} does not end like a video that can be written. Choose one of {', '.join(sorted(VIDEO_FORMATS))}.")
        if path.is_dir():
            raise FaceswapError(f"{path} is a folder. Name a file.")
        return cls(path, VIDEO_FORMATS[path.suffix.lower()], dry_run)

    def make(self, words: list[str], what: str, expected: Expected, inputs: Sequence[Video], stdin: str | None = None) -> int:
        """Runs ffmpeg, looks at what it has made, and gives it its name."""
        words = [*words, "-f", self.container]
        if self.dry_run:
            print(ffmpeg.shown([*words, f"file:{self.path}"], stdin))
            return DONE
        with ffmpeg.whole(self.path) as part:
            complaints = ffmpeg.run([*words, f"file:{part}"], what, len(expected.seconds), stdin)
            frames = self._check(part, expected, complaints)
            if inputs:
                tell_lost_flags(inputs[0].path.name, inputs[0].flagged, part, self.container)
        losses = [loss for video in inputs for loss in video.source.losses]
        if frames < len(expected.seconds) - expected.slack:
            losses.append(f"only {frames} of {len(expected.seconds)} frames could be read")
        if not losses and DAMAGE.search(complaints):
            losses.append(f"ffmpeg met damage in it: {ffmpeg.last_words(complaints)}")
        logger.info("Wrote %s, %dx%d: %s", counted(frames, "frame"), *expected.size, self.path)
        for loss in losses:
            logger.warning("Incomplete input: %s", loss)
        if frames != len(expected.seconds) and not losses:
            logger.info("Copying keeps %s more than was asked for: those that others are decoded from.",
                        counted(frames - len(expected.seconds), "frame"))
        tell_lost_marks([video.path for video in inputs], self.path)
        return SOME_FAILED if losses else DONE

    def _check(self, part: Path, expected: Expected, complaints: str) -> int:
        """The number of frames in the result. Raises FaceswapError where it is not what was asked for."""
        made = VideoSource(part)
        if made.size != expected.size:
            raise FaceswapError(f"ffmpeg made {made.size[0]}x{made.size[1]} pixels instead of {expected.size[0]}x{expected.size[1]}.")
        info.check_sound(part, expected.tracks)
        wanted, ticks = expected.seconds, ticks_of(made)
        if len(ticks) == len(wanted):
            self._check_times([tick * made.time_base for tick in ticks], wanted)
        elif abs(len(ticks) - len(wanted)) > expected.slack and (expected.whole or not DAMAGE.search(complaints)):
            raise FaceswapError(f"ffmpeg wrote {len(ticks)} of {len(wanted)} frames, so that {self.path.name} was not kept"
                                + (f": {ffmpeg.last_words(complaints)}" if complaints else ". Try .mkv or .mp4, which hold all times."))
        return len(ticks)

    def _check_times(self, found: list[Fraction], wanted: list[Fraction]) -> None:
        """Raises FaceswapError where a frame is shown at another time than it should be."""
        if self.container in ("mpegts", "mpeg", "avi", "flv", "asf", "nut"):  # their clocks begin anywhere, or know only frames
            found, wanted = [time - found[0] for time in found], [time - wanted[0] for time in wanted]
        far = max(range(len(found)), key=lambda index: abs(found[index] - wanted[index]))
        allowed = 0.05 if self.container == "avi" else NEAR
        if abs(found[far] - wanted[far]) > allowed:
            raise FaceswapError(f"Frame {far} would be shown at {float(found[far]):.4f} s in {self.path.name} instead of "
                                f"{float(wanted[far]):.4f} s. {self.path.suffix} cannot hold these times: choose .mp4 or .mkv.")
