"""Finished frames as a video file with the times and the sound of the input."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from lib.media.base import FrameSource
from lib.media.encoding.video_sink import VideoSink
from lib.options import option
from lib.plugin import WRITERS, Writer


@WRITERS.register
@dataclass
class Video(Writer):
    """A video file with the sound, subtitles and chapters of the input.

    The ending chooses the container: .mp4, .mov, .mkv, .webm, .avi ...
    """

    codec: str = option("auto", "auto is H.264, in .webm VP9; HEVC and AV1 where the input has 10 "
                                "bits. ffv1 (.mkv, .avi, .mp4) and h264rgb (also .mov) keep every "
                                "pixel exactly; prores (.mov, .mkv) is for cutting.",
                        choices=("auto", "h264", "hevc", "av1", "vp9", "prores", "ffv1", "h264rgb"))
    hardware: str = option("none", "Encode H.264, HEVC or AV1 on a chip: NVIDIA's, Intel's, AMD's "
                                   "or Apple's, where there is one.",
                           choices=("none", "nvenc", "qsv", "amf", "videotoolbox"))
    crf: int = option(18, "Quality: lower is better and larger; 18 looks like the original. Not "
                          "of ProRes.", low=0, high=51)
    preset: str = option("veryfast", "Effort of the encoder: slower ones make smaller files.",
                         choices=("ultrafast", "superfast", "veryfast", "faster", "fast", "medium",
                                  "slow", "slower", "veryslow"))
    rate: float = option(25.0, "Frames a second where the input is a folder of pictures.", low=0.01,
                         high=1000.0)
    sound: bool = option(True, "Keep the sound of the input.")
    keep_interlaced: bool = False  # convert has the option

    def keeping_interlaced(self) -> Video:
        return replace(self, keep_interlaced=True)

    def open(self, path: Path, source: FrameSource) -> VideoSink:
        return VideoSink(path, source, codec=self.codec, hardware=self.hardware, crf=self.crf,
                         preset=self.preset, rate=self.rate,
                         sound=self.sound, keep_interlaced=self.keep_interlaced)
