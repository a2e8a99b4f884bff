"""What the ffmpeg program makes: checked before it takes its name, and reported."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from lib.errors import FaceswapError
from lib.files.names import VIDEO_FORMATS, same_path
from lib.media.encoding.stream_copy import tell_lost_flags
from lib.media.video.video_source import VideoSource
from lib.system.logs import counted
from lib.videotools import ffmpeg, info
from lib.videotools.inputs import Video
from lib.videotools.times import ticks_of

logger = logging.getLogger(__name__)
TIME_TOLERANCE = 0.0011  # seconds: the coarsest clocks, of .mkv and .flv, round to milliseconds
AVI_TOLERANCE = 0.05  # seconds: AVI knows frame numbers, not times
# Containers whose clocks begin anywhere, or count frames
OWN_CLOCKS = ("mpegts", "mpeg", "avi", "flv", "asf", "nut")
# What ffmpeg writes to its log about damaged input
DAMAGE = re.compile(r"decoding|Invalid data|corrupt|partial file|conceal|damaged|truncated", re.I)


@dataclass(frozen=True)
class Result:
    """What an action wrote; of a dry run, the command line that would write it."""

    output: Path
    frames: int = 0
    size: tuple[int, int] = (0, 0)  # width, height of a frame, or of a thumbnail
    losses: tuple[str, ...] = ()  # what of the input could not be read, a sentence each
    command: str | None = None


@dataclass(frozen=True)
class Expected:
    """What a video must be found to be before it takes its name."""

    size: tuple[int, int]
    seconds: list[Fraction]  # at which each frame is shown
    tracks: int  # of sound
    slack: int = 0  # frames more or less that copying may take
    whole: bool = False  # no frame may be missing, even of damaged input


@dataclass(frozen=True)
class Output:
    """A video to write."""

    path: Path
    container: str
    dry_run: bool

    @classmethod
    def of(cls, path: Path, inputs: Sequence[Path], dry_run: bool) -> Output:
        """Raises FaceswapError where `path` is one of `inputs`, or no video that can be written."""
        if any(same_path(path, source) for source in inputs):
            raise FaceswapError(f"{path} is an input. Choose another output: the original is never "
                                "overwritten.")
        if path.suffix.lower() not in VIDEO_FORMATS:
            raise FaceswapError(f"{path} does not end like a video that can be written. Choose one "
                                f"of {', '.join(sorted(VIDEO_FORMATS))}.")
        if path.is_dir():
            raise FaceswapError(f"{path} is a folder. Name a file.")
        return cls(path, VIDEO_FORMATS[path.suffix.lower()], dry_run)

    def make(self, arguments: list[str], what: str, expected: Expected, inputs: Sequence[Video],
             stdin: str | None = None) -> Result:
        """Runs ffmpeg, checks the video and gives it its name. Raises FaceswapError."""
        arguments = [*arguments, "-f", self.container]
        if self.dry_run:
            command = ffmpeg.command_line([*arguments, f"file:{self.path}"], stdin)
            return Result(self.path, command=command)
        with ffmpeg.output_file(self.path) as part:
            complaints = ffmpeg.run([*arguments, f"file:{part}"], what, len(expected.seconds),
                                    stdin)
            frames = self._check(part, expected, complaints)
            if inputs:
                tell_lost_flags(inputs[0].path.name, inputs[0].flagged, part, self.container)
        losses = [loss for video in inputs for loss in video.source.losses]
        if frames < len(expected.seconds) - expected.slack:
            losses.append(f"only {frames} of {len(expected.seconds)} frames could be read")
        losses = losses or damage_in(complaints)
        if frames > len(expected.seconds) and not losses:
            logger.info("Copying keeps %s more than asked for: others are decoded from them.",
                        counted(frames - len(expected.seconds), "frame"))
        tell_lost_marks([video.path for video in inputs], self.path)
        return Result(self.path, frames, expected.size, tuple(losses))

    def _check(self, part: Path, expected: Expected, complaints: str) -> int:
        """The number of frames. Raises FaceswapError where the video is not what was asked for."""
        video = VideoSource(part)
        check_size(video.size, expected.size)
        info.check_sound(part, expected.tracks)
        ticks, count = ticks_of(video), len(expected.seconds)
        if len(ticks) == count:
            self._check_times([tick * video.time_base for tick in ticks], expected.seconds)
        elif (abs(len(ticks) - count) > expected.slack
              and (expected.whole or not DAMAGE.search(complaints))):
            reason = f": {ffmpeg.failure_cause(complaints)}" if complaints else (
                ". Try .mkv or .mp4, which hold all times.")
            raise FaceswapError(f"ffmpeg wrote {len(ticks)} of {count} frames, so that "
                                f"{self.path.name} was not kept{reason}")
        return len(ticks)

    def _check_times(self, times: list[Fraction], expected: list[Fraction]) -> None:
        """Raises FaceswapError where a frame is shown at another second than expected."""
        if self.container in OWN_CLOCKS:
            times = [time - times[0] for time in times]
            expected = [time - expected[0] for time in expected]
        worst = max(range(len(times)), key=lambda index: abs(times[index] - expected[index]))
        tolerance = AVI_TOLERANCE if self.container == "avi" else TIME_TOLERANCE
        if abs(times[worst] - expected[worst]) > tolerance:
            raise FaceswapError(f"Frame {worst + 1} would be shown at {float(times[worst]):.4f} s "
                                f"in {self.path.name} instead of {float(expected[worst]):.4f} s. "
                                f"{self.path.suffix} cannot hold these times: choose .mp4 or .mkv.")


def check_size(size: tuple[int, int], expected: tuple[int, int]) -> None:
    """Raises FaceswapError where ffmpeg made pictures of another (width, height)."""
    if size != expected:
        raise FaceswapError(f"ffmpeg made {size[0]}x{size[1]} pixels instead of "
                            f"{expected[0]}x{expected[1]}.")


def damage_in(complaints: str) -> list[str]:
    """What ffmpeg's log says about damaged input: a sentence, or nothing."""
    if not DAMAGE.search(complaints):
        return []
    return [f"ffmpeg met damage in it: {ffmpeg.failure_cause(complaints)}"]


def tell_lost_marks(inputs: Sequence[Path], output: Path) -> None:
    """Warns where `output` lost what its inputs say: that they are synthetic, or their origin."""
    from lib.provenance.marking import carries_mark  # takes 0.1 s to import
    from lib.provenance.reading import statement_in

    keeps_statement = output.is_file() and statement_in(output)
    for path in dict.fromkeys(inputs):
        if carries_mark(path):
            logger.warning("The Content Credentials of %s, which say how it came about, are not in "
                           "%s: they are valid for the original file alone.", path.name,
                           output.name)
        if not keeps_statement and statement_in(path):
            logger.warning("%s says that it is AI-generated, and %s does not. Say it in another "
                           "way wherever you show it.", path.name, output.name)
