"""Finished frames as a video file with the times and the sound of the input."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lib.media.base import FrameSource
from lib.media.encode import VideoSink
from lib.options import option
from lib.plugin import WRITERS, Writer


@WRITERS.register
@dataclass
class Video(Writer):
    """A video file; its ending chooses the container (.mp4, .mov, .mkv, .webm, .avi ...). Sound is kept."""

    codec: str = option("auto", "auto is H.264, or VP9 in .webm; ffv1 (.mkv, .avi, .mp4) and h264rgb (also .mov) keep every pixel exactly.",
                        choices=("auto", "h264", "hevc", "vp9", "ffv1", "h264rgb"))
    crf: int = option(18, "Quality: lower is better and larger; 18 looks like the original.", low=0, high=51)
    preset: str = option("veryfast", "Effort of H.264 and HEVC: slower ones make smaller files.",
                         choices=("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"))
    rate: float = option(25.0, "Frames a second where the input is a folder of pictures.", low=0.01, high=1000.0)
    sound: bool = option(True, "Keep the sound of the input.")

    def open(self, path: Path, source: FrameSource) -> VideoSink:
        return VideoSink(path, source, codec=self.codec, crf=self.crf, preset=self.preset, rate=self.rate, sound=self.sound)
