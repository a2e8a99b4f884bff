"""Videos taken apart, put together, cut, scaled, turned and joined by the ffmpeg program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.errors import UsageError
from lib.options import option
from lib.settings import Settings
from lib.system.progress import job
from lib.videotools import info
from lib.videotools.assemble import assemble
from lib.videotools.concat import concat
from lib.videotools.cut import cut
from lib.videotools.encoders import Encoding
from lib.videotools.extract import extract
from lib.videotools.mux import mux
from lib.videotools.outputs import Result
from lib.videotools.thumbnail import thumbnail
from lib.videotools.transform import rotate, scale

ENCODE = ("codec", "crf", "preset", "lossless", "hwaccel")
# Options that each action takes beside -i and --dry-run
TAKES = {"extract": ("output", "format", "every", "hwaccel"),
         "assemble": ("output", "reference", "rate", *ENCODE),
         "cut": ("output", "from_", "to", "copy", "keep_interlaced", *ENCODE),
         "scale": ("output", "size", *ENCODE),
         "rotate": ("output", "turn", "mirror", "copy", *ENCODE),
         "mux": ("output", "audio", "offset"),
         "info": ("quick",),
         "concat": ("output", *ENCODE),
         "thumbnail": ("output", "at", "tiles", "size")}
NEEDS = {"info": (), "scale": ("output", "size"), "mux": ("output", "audio")}  # others the output
FLAGS = {"output": "-o/--output", "reference": "-r/--reference", "from_": "--from"}


@dataclass(kw_only=True)
class FfmpegSettings(Settings):
    """Take videos apart, put them together, cut, scale, turn and join them, with ffmpeg.

    ffmpeg extract -i clip.mp4 -o frames                   every frame as a picture, and their times
    ffmpeg assemble -i frames -r clip.mp4 -o new.mp4       a video of pictures, timed like clip.mp4
    ffmpeg cut -i clip.mp4 --from 1:10 --to 2:00 -o c.mp4  a piece, exact to the frame
    ffmpeg scale -i clip.mp4 --size 720p -o small.mp4      another size: 1280x720, 720p or 50%
    ffmpeg rotate -i clip.mp4 --turn 90 -o upright.mp4     turned clockwise, or mirrored
    ffmpeg mux -i clip.mp4 --audio voice.wav -o new.mp4    the same pictures with other sound
    ffmpeg info -i clip.mp4                                what is in it, as JSON
    ffmpeg concat -i a.mp4 b.mp4 -o all.mp4                one after the other
    ffmpeg thumbnail -i clip.mp4 -o clip.jpg               a telling frame, or a sheet of frames
    """

    action: str = option(help="What to do.", positional=True, choices=(
        "extract", "assemble", "cut", "scale", "rotate", "mux", "info", "concat", "thumbnail"))
    input: list[Path] = option(help="Video; for assemble the folder of pictures, for concat and "
                                    "info one or more videos.", short="-i")
    output: Path | None = option(None, "File to write; for extract a folder, for thumbnail a "
                                       "picture.",
                                 short="-o")
    dry_run: bool = option(False, "Print ffmpeg's command line and run nothing.")

    format: str | None = option(None, "Format of the pictures. png and tiff keep every pixel, and "
                                      "16 bits of deep videos. Default: png.",
                                choices=("png", "jpg", "webp", "tiff"), group="For extract")
    every: int | None = option(None, "Write only every N-th frame. Default: 1.", low=1,
                               group="For extract")
    reference: Path | None = option(None, "Video that gives the times of the frames, sound, "
                                          "subtitles and chapters.", short="-r", group="For "
                                                                                       "assemble")
    rate: float | None = option(None, "Frames a second, instead of the times in frames.json or of "
                                      "the reference.", low=0.01, high=1000.0, group="For assemble")
    from_: str | None = option(None, "Begin: seconds, MM:SS or HH:MM:SS, with decimals. Default: "
                                     "the first frame.", group="For cut")
    to: str | None = option(None, "End; the frame shown then is left out. Default: the last frame.",
                            group="For cut")
    keep_interlaced: bool = option(False, "Keep the fields of interlaced video; by default "
                                                "frames are deinterlaced.", group="For cut",
                                   rare=True)
    copy: bool = option(False, "Do not encode: a cut begins at a key frame, a turn is only a "
                                     "tag.", group="For cut and rotate")
    turn: int | None = option(None, "Degrees clockwise.", choices=(90, 180, 270),
                              group="For rotate")
    mirror: bool = option(False, "Swap left and right, after turning.", group="For rotate")
    size: str | None = option(None, "1280x720, or 720p or 50%, which keep the aspect.",
                              group="For scale and thumbnail")
    at: str | None = option(None, "Time of the frame, as for --from. Default: a telling frame.",
                            group="For thumbnail")
    tiles: str | None = option(None, "Sheet of frames from the whole video: columns x rows, such "
                                     "as 4x3.", group="For thumbnail")
    audio: Path | None = option(None, "File whose sound is taken.", group="For mux")
    offset: float | None = option(None, "Seconds by which the sound begins later; negative: "
                                        "earlier. Default: 0.", low=-86400.0, high=86400.0,
                                  group="For mux")
    quick: bool = option(False, "Read the index and the packets only; decode nothing.",
                                group="For info")

    codec: str | None = option(None, "Video codec. Default: auto, which is H.264, for .webm VP9, "
                                     "for 10-bit video HEVC.", group="Encoding",
                               choices=("auto", "h264", "hevc", "av1", "vp9", "prores"))
    crf: int | None = option(None, "Quality: lower is better and larger. Default: 18, which looks "
                                   "like the original.", low=0, high=51, group="Encoding")
    preset: str | None = option(None, "Speed of the encoder; slower ones make smaller files. "
                                      "Default: veryfast.", group="Encoding",
                                choices=("ultrafast", "superfast", "veryfast", "faster", "fast",
                                         "medium", "slow", "slower", "veryslow"))
    lossless: bool = option(False, "Keep every pixel exactly: FFV1 in .mkv, .mov and .avi, "
                                         "H.264 in .mp4.", group="Encoding")
    hwaccel: str | None = option(None, "Decode (extract too) and encode on a graphics card; auto "
                                       "takes the first that works. Default: none.",
                                 group="Encoding",
                                 choices=("none", "auto", "cuda", "qsv", "vaapi", "videotoolbox",
                                          "amf"))


@dataclass(frozen=True)
class FfmpegResult:
    """What `ffmpeg` wrote, or, of `info`, what it found in each input."""

    written: Result | None
    facts: tuple[dict[str, Any], ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether all of the input could be read."""
        return not (self.written and self.written.losses
                    or any(item.get("losses") for item in self.facts))


@job
def ffmpeg(settings: FfmpegSettings) -> FfmpegResult:
    """Does what `settings.action` names. Raises UsageError for options that do not fit it, and
    FaceswapError where an input cannot be read or the output not be written."""
    _check_usage(settings)
    if settings.action == "info":
        return FfmpegResult(None, tuple(info.facts(path, settings.quick)
                                        for path in settings.input))
    return FfmpegResult(_write(settings))


def _write(settings: FfmpegSettings) -> Result:
    path, target, dry_run = settings.input[0], settings.output, settings.dry_run
    copy, encoding = settings.copy, _encoding(settings)
    match settings.action:
        case "extract":
            return extract(path, target, settings.format or "png", settings.every or 1,
                           settings.hwaccel or "none", dry_run)
        case "assemble":
            return assemble(path, target, settings.reference, settings.rate, encoding, dry_run)
        case "cut":
            return cut(path, target, settings.from_, settings.to, None if copy else encoding,
                       settings.keep_interlaced, dry_run)
        case "scale":
            return scale(path, target, settings.size, encoding, dry_run)
        case "rotate":
            return rotate(path, target, settings.turn or 0, settings.mirror, copy, encoding,
                          dry_run)
        case "mux":
            return mux(path, settings.audio, target, settings.offset or 0.0, dry_run)
        case "concat":
            is_asked = any(_is_given(settings, name) for name in ENCODE)
            return concat(settings.input, target, encoding if is_asked else None, dry_run)
    return thumbnail(path, target, settings.at, settings.tiles, settings.size, dry_run)


def _encoding(settings: FfmpegSettings) -> Encoding:
    return Encoding(settings.codec or "auto", 18 if settings.crf is None else settings.crf,
                    settings.preset or "veryfast", settings.lossless,
                    settings.hwaccel or "none")


def _check_usage(settings: FfmpegSettings) -> None:
    action = settings.action

    # Options of this action
    for name in dict.fromkeys(name for names in TAKES.values() for name in names):
        if _is_given(settings, name) and name not in TAKES[action]:
            owners = " or ".join(owner for owner, names in TAKES.items() if name in names)
            raise UsageError(f"{_flag(name)} belongs to ffmpeg {owners}, not to {action}.")
    needed = NEEDS.get(action, ("output",))
    if missing := [_flag(name) for name in needed if not _is_given(settings, name)]:
        raise UsageError(f"ffmpeg {action} needs {' and '.join(missing)}. See: faceswap.py ffmpeg "
                         "--help")
    if action == "cut" and settings.from_ is None and settings.to is None:
        raise UsageError("ffmpeg cut needs --from, --to or both.")
    if action == "rotate" and not settings.turn and not settings.mirror:
        raise UsageError("ffmpeg rotate needs --turn 90, 180 or 270, --mirror, or both.")
    if action == "info" and settings.dry_run:
        raise UsageError("ffmpeg info runs no ffmpeg that --dry-run could print. Leave it out.")

    # Number of inputs
    if action not in ("concat", "info") and len(settings.input) > 1:
        raise UsageError(f"ffmpeg {action} takes one input with -i. Several are joined by ffmpeg "
                         "concat.")
    if action == "concat" and len(settings.input) < 2:
        raise UsageError("ffmpeg concat joins two videos or more: name them all with -i.")

    # Options that exclude each other
    useless = [_flag(name) for name in (*ENCODE, "keep_interlaced") if _is_given(settings, name)]
    if settings.copy and useless:
        raise UsageError(f"--copy does not encode, so that {' and '.join(useless)} would do "
                         "nothing. Leave one of them out.")
    quality = [_flag(name) for name in ("codec", "crf") if _is_given(settings, name)]
    if settings.lossless and quality:
        raise UsageError(f"--lossless chooses codec and quality itself. Leave it or "
                         f"{' and '.join(quality)} out.")


def _is_given(settings: FfmpegSettings, name: str) -> bool:
    value = vars(settings)[name]
    return value is not None and value is not False


def _flag(name: str) -> str:
    return FLAGS.get(name, f"--{name.replace('_', '-')}")
