"""Makes a video of a folder of pictures, with the times and the sound of the original."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from lib.errors import FaceswapError
from lib.media.opening import open_container
from lib.media.pictures.picture_source import PictureSource
from lib.system.logs import counted
from lib.videotools import encoders, ffmpeg
from lib.videotools.encoders import Encoding
from lib.videotools.inputs import Video
from lib.videotools.outputs import Expected, Output, Result
from lib.videotools.times import SIDECAR, FrameTimes, frame_length

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clock:
    """When pictures are shown."""

    seconds: list[Fraction]
    time_base: Fraction
    rate: Fraction  # pictures a second, as a rule
    colours: tuple[int, int, int] | None  # matrix, primaries and transfer of the original


def assemble(folder: Path, target: Path, reference: Path | None, rate: float | None,
             encoding: Encoding, dry_run: bool = False) -> Result:
    """Writes the pictures in `folder` as a video.

    They are shown at `rate`, else when frames.json says, else as the frames of the video
    `reference` are, whose sound, subtitles, chapters and metadata are taken over.
    """
    if not folder.is_dir():
        raise FaceswapError(f"{folder} {'is no folder' if folder.exists() else 'does not exist'}. "
                            "Name the folder with the frames.")
    source = PictureSource(folder)
    size = _common_size(source)
    original = Video(reference) if reference else None
    output = Output.of(target, [reference] if reference else [], dry_run)
    times = FrameTimes.read(folder)
    clock = _clock(source, times, original, rate)
    encoding = encoding.on_this_machine()

    # Pictures
    planes, layout, transparent = _layout_of(source.files[0])
    coder, encoded = encoding.encoder_arguments(output.container, planes, size,
                                                transparent=transparent)
    listed, filters = _list_of_pictures(source.files, clock)
    if encoded != layout:
        filters += encoders.from_rgb(encoded, size, clock.colours, "16" in planes)
    chain = ",".join([*filters, *encoding.upload_filters()]) or "null"
    arguments = ffmpeg.list_arguments(ffmpeg.PICTURES)
    arguments += ffmpeg.input_arguments(original.file) if original else []
    arguments += original.keep_times() if original else ["-copyts"]
    arguments += ["-map", "0:v:0", "-vf", chain, *coder]
    arguments += encoders.timing_arguments(output.container, clock.time_base, clock.rate)

    # All else
    if original:
        arguments += original.copy_streams(1, output.container)
    elif times and times.statement:
        arguments += ["-metadata", f"comment={times.statement}"]
    originals = [original] if original else []
    tracks = sum(len(video.sound) for video in originals)
    return output.make(arguments, "assemble", Expected(size, clock.seconds, tracks), originals,
                       listed)


def _common_size(source: PictureSource) -> tuple[int, int]:
    """(width, height) of all pictures. Raises FaceswapError where they differ."""
    if source.size is None:
        raise FaceswapError(f"The pictures in {source.path} differ in size, or none can be read. "
                            "Scale them to one size, or take out what does not belong.")
    endings = sorted({path.suffix.lower() for path in source.files})
    if len(endings) > 1:
        raise FaceswapError(f"The pictures in {source.path} are of several formats: "
                            f"{', '.join(endings)}. Convert them to one, or take out what does not "
                            "belong.")
    return source.size


def _clock(source: PictureSource, times: FrameTimes | None, original: Video | None,
           rate: float | None) -> Clock:
    """When each picture is shown. Raises FaceswapError where nothing tells."""
    names = [path.name for path in source.files]
    colours = original.colours if original else times.colours if times else None
    if rate is None and times and all(name in times.times for name in names):
        ticks, base, length = [times.times[name] for name in names], times.time_base, times.length
        if any(after <= before for before, after in zip(ticks, ticks[1:])):
            raise FaceswapError(f"{source.path / SIDECAR} tells other times than the order of the "
                                "names. Delete it, and name the video with -r/--reference, or give "
                                "--rate.")
        if missing := len(times.times) - len(ticks):
            logger.info("%s of %d not found; the one before is shown longer.",
                        counted(missing, "picture"), len(times.times))
    elif rate is None and original and len(original.ticks) == len(names):
        ticks, base = original.ticks, original.source.time_base
        length = frame_length(original.source)
    else:
        steady_rate = _steady_rate(source, times, original, rate)
        base, length, ticks = 1 / steady_rate, 1, list(range(len(names)))
    return Clock([tick * base for tick in ticks], base, 1 / (length * base), colours)


def _steady_rate(source: PictureSource, times: FrameTimes | None, original: Video | None,
                 rate: float | None) -> Fraction:
    if rate is not None:
        return Fraction(rate).limit_denominator(1001)
    if original is None:
        reason = f"{SIDECAR} does not name all of them" if times else f"there is no {SIDECAR}"
        raise FaceswapError(f"When the pictures in {source.path} are shown is not known: {reason}. "
                            "Name the video that they come from with -r/--reference, or give "
                            "--rate.")
    average = original.source.rate or Fraction(25)
    logger.warning("There are %s but %s has %s: they are shown at its average rate, %.5g a second, "
                   "and may not fit its sound.", counted(source.count, "picture"),
                   original.path.name,
                   counted(len(original.ticks), "frame"), float(average))
    return average


def _layout_of(path: Path) -> tuple[str, str, bool]:
    """How a picture is stored: its RGB for the encoder's choice ("gbrp", "gbrp16le"), its layout as
    decoders name it, and whether it may be transparent."""
    with open_container(path) as container:
        name = container.streams.video[0].codec_context.pix_fmt or "rgb24"
    layout = av.VideoFormat(name, 16, 16)
    planes = "gbrp16le" if layout.components[0].bits > 8 else "gbrp"
    return planes, layout.name, any(component.is_alpha for component in layout.components)


def _list_of_pictures(files: Sequence[Path], clock: Clock) -> tuple[str, list[str]]:
    """The list for ffmpeg's concat demuxer, and filters that give each picture its exact time.

    That demuxer rounds times to the frame rate. So where times fit no rate, a microsecond lasts a
    whole frame in the list, and the filters shrink it again: the encoder sees the true rate, by
    which it chooses what players must be able to do.
    """
    frame, first = 1 / clock.rate, clock.seconds[0]
    passed = [second - first for second in clock.seconds]
    passed.append(passed[-1] + frame)
    filters = []
    if first != 0 or any((second / frame).denominator != 1 for second in passed):
        passed = [round(second * 1_000_000) * frame for second in passed]
        filters = ["settb=1/1000000",
                   f"setpts=floor(PTS*{clock.rate}/1000000+0.5)+{round(first * 1_000_000)}"]
    # Rounded from the beginning, so that no error adds up
    ticks = [round(second * 1_000_000) for second in passed]
    lines = ["ffconcat version 1.0"]
    for path, begin, end in zip(files, ticks, ticks[1:]):
        lines += [f"file {ffmpeg.quote(path)}", f"option framerate {clock.rate}",
                  f"duration {(end - begin) / 1_000_000:.6f}"]
    return "\n".join(lines) + "\n", filters
