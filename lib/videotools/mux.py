"""Gives a video the sound of another file."""

from __future__ import annotations

from pathlib import Path

from lib.errors import FaceswapError
from lib.media.video.stitching import jumps_in
from lib.videotools import encoders, ffmpeg, info
from lib.videotools.inputs import Video, map_sound
from lib.videotools.outputs import Expected, Output, Result


def mux(path: Path, audio: Path, target: Path, offset: float = 0.0,
        dry_run: bool = False) -> Result:
    """Copies the pictures of `path` and the sound of `audio`, which begins `offset` seconds
    later."""
    video, output = Video(path), Output.of(target, [path, audio], dry_run)
    tracks = info.facts(audio, quick=True)["audio"]
    if not tracks:
        raise FaceswapError(f"{audio} holds no sound. Name a file with sound with --audio.")
    encoders.check_holds(output.path, output.container, video.codec)
    if video.source.ticks() is None:
        raise FaceswapError(f"{video.path} is a bare stream without times, which cannot be copied. "
                            "Encode it first: ffmpeg scale --size 100%.")
    video.flagged = []  # its own sound is not written
    arguments = ffmpeg.input_arguments(video.file)
    arguments += ffmpeg.input_arguments(audio, "-itsoffset", f"{offset:.6f}")
    arguments += [] if jumps_in(audio) else video.keep_times()
    arguments += ["-map", f"0:{video.stream}", "-c:v", "copy"]
    arguments += map_sound(tracks, 1, output.container, copy=True)
    arguments += video.copy_data(0, output.container)
    arguments += encoders.clock_arguments(output.container, video.source.time_base)
    return output.make(arguments, "mux", Expected(video.source.size, video.seconds, len(tracks)),
                       [video])
