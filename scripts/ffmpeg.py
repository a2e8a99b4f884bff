"""`faceswap.py ffmpeg`: take videos apart, put them together, cut, scale, turn and join them, and tell what is in them."""

from __future__ import annotations

import json
import logging
import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from lib.errors import DONE, SOME_FAILED, FaceswapError, UsageError
from lib.files.names import PICTURE_ENDINGS, VIDEO_FORMATS, same_path
from lib.files.writing import (
    MARK,
    disk_errors,
    make_folder,
    make_work_folder,
    publish,
    publish_work_folder,
    remove_work_folder,
    work_folder_of,
    write_bytes,
)
from lib.media.encoding.stream_copy import flags_of
from lib.media.endpoints.sink import refuse_hdr
from lib.media.frame_range import stretch_of
from lib.media.opening import open_container, open_picture
from lib.media.pictures import picture_file
from lib.media.video.stitching import jumps_in
from lib.options import option
from lib.provenance.reading import statement_in
from lib.settings import Settings
from lib.system.logs import counted
from lib.videotools import encoders, ffmpeg, info
from lib.videotools.edits import DAMAGE, Expected, Output, Video, comment_of, sound_tracks, tell_lost_marks
from lib.videotools.encoders import Encoding
from lib.videotools.times import SIDECAR, FrameTimes, frame_length, ticks_of

logger = logging.getLogger(__name__)
SIZE = re.compile(r"(\d{1,6})x(\d{1,6})|(\d{1,6})p|(\d{1,6}(?:\.\d{1,6})?)%")
TILES = re.compile(r"([1-9]\d?)x([1-9]\d?)")
TILE_WIDTH = 320
MANY = 1000  # frames: of longer videos, only key frames are looked at for a thumbnail
TURNS = {0: [], 90: ["transpose=1"], 180: ["hflip", "vflip"], 270: ["transpose=2"]}  # clockwise

# The options of each action beside -i and --dry-run, and those of them that it cannot do without.
ENCODES = ("output", "codec", "crf", "preset", "lossless", "hwaccel")
TAKES = {"extract": ("output", "format", "every", "hwaccel"), "assemble": (*ENCODES, "reference", "rate"),
         "cut": (*ENCODES, "from_", "to", "copy", "keep_interlaced"), "scale": (*ENCODES, "size"), "rotate": (*ENCODES, "turn", "mirror", "copy"),
         "mux": ("output", "audio", "offset"), "info": ("quick",), "concat": ENCODES, "thumbnail": ("output", "at", "tiles", "size")}
NEEDS = {"extract": ("output",), "assemble": ("output",), "cut": ("output",), "scale": ("output", "size"), "rotate": ("output",),
         "mux": ("output", "audio"), "concat": ("output",), "thumbnail": ("output",)}
SAID = {"output": "-o/--output", "reference": "-r/--reference", "from_": "--from"}
OPTIONS = ("output", "reference", "rate", "from_", "to", "size", "turn", "mirror", "copy", "audio", "offset", "codec", "crf", "preset",
           "lossless", "at", "tiles", "format", "every", "hwaccel", "quick", "keep_interlaced")


def run(options: Ffmpeg) -> int:
    _check_usage(options)
    return {"extract": _extract, "assemble": _assemble, "cut": _cut, "scale": _scale, "rotate": _rotate, "mux": _mux, "info": _info,
            "concat": _concat, "thumbnail": _thumbnail}[options.action](options)


def _check_usage(options: Ffmpeg) -> None:
    action = options.action
    for name in OPTIONS:
        if getattr(options, name) is not None and name not in TAKES[action]:
            others = " or ".join(other for other, names in TAKES.items() if name in names)
            raise UsageError(f"{_said(name)} belongs to ffmpeg {others}, not to {action}.")
    if missing := [_said(name) for name in NEEDS.get(action, ()) if getattr(options, name) is None]:
        raise UsageError(f"ffmpeg {action} needs {' and '.join(missing)}. See: faceswap.py ffmpeg --help")
    if action not in ("concat", "info") and len(options.input) > 1:
        raise UsageError(f"ffmpeg {action} takes one input with -i. Several are joined by ffmpeg concat.")
    if action == "concat" and len(options.input) < 2:
        raise UsageError("ffmpeg concat joins two videos or more: name them all with -i.")
    if action == "info" and options.dry_run:
        raise UsageError("ffmpeg info runs no ffmpeg that --dry-run could print. Leave it out.")
    if action == "cut" and options.from_ is None and options.to is None:
        raise UsageError("ffmpeg cut needs --from, --to or both.")
    if action == "rotate" and not options.turn and not options.mirror:
        raise UsageError("ffmpeg rotate needs --turn 90, 180 or 270, --mirror, or both.")
    if options.copy and (given := [_said(name) for name in ("codec", "crf", "preset", "lossless", "hwaccel", "keep_interlaced")
                                  if getattr(options, name)]):
        raise UsageError(f"--copy does not encode, so that {' and '.join(given)} would do nothing. Leave one of them out.")
    if options.lossless and (given := [_said(name) for name in ("codec", "crf") if getattr(options, name) is not None]):
        raise UsageError(f"--lossless chooses codec and quality itself. Leave it or {' and '.join(given)} out.")


def _said(name: str) -> str:
    return SAID.get(name, f"--{name.replace('_', '-')}")


# --- info


def _info(options: Ffmpeg) -> int:
    found = [info.facts(path, bool(options.quick)) for path in options.input]
    print(json.dumps(found[0] if len(found) == 1 else found, ensure_ascii=False, indent=1))
    return SOME_FAILED if any(one.get("losses") for one in found) else DONE


# --- extract


def _extract(options: Ffmpeg) -> int:
    video, folder = Video(options.input[0]), options.output
    if folder.suffix.lower() in VIDEO_FORMATS.keys() | PICTURE_ENDINGS and not folder.is_dir():
        raise FaceswapError(f"{folder} is the name of a file. Name a folder for the pictures.")
    if folder.is_file():
        raise FaceswapError(f"{folder} is a file. Name a folder for the pictures.")
    kind, every = options.format or "png", options.every or 1
    deep = video.depth > 8 and kind in ("png", "tiff")
    if not deep:
        refuse_hdr(video.source, f"a picture as {kind}")
    transparent = video.source.transparent and kind != "jpg"
    if video.source.transparent and not transparent:
        logger.warning("%s is transparent in places, which %s pictures do not keep. --format png keeps it.", video.path.name, kind)
    layout = ("rgba64" if deep else "rgba") if transparent else "rgb48" if deep else "rgb24"
    filters = video.made_alike() + [f"select=not(mod(n\\,{every}))"] * (every > 1) + encoders.to_rgb(video.source, layout)
    if kind == "jpg":
        filters.append("scale=out_color_matrix=bt601:out_range=full,format=yuvj444p")
    coded = {"png": ["-compression_level", "1"], "jpg": ["-q:v", "2"], "webp": ["-c:v", "libwebp", "-quality", "95"],
             "tiff": ["-compression_algo", "lzw"]}[kind]
    reading = ffmpeg.reading(video.file, "-noautorotate", *_hardware(options, encodes=False).reading())
    words = [*reading, "-map", f"0:{video.stream}", "-vf", ",".join(filters), "-fps_mode", "passthrough", *coded, "-f", "image2", "-start_number", "1"]

    def target(place: Path) -> str:  # where "%" stands for itself
        return f"file:{str(place / video.path.stem).replace('%', '%%')}_%06d.{kind}"

    if options.dry_run:
        print(f"mkdir -p {shlex.quote(str(folder))}\n{ffmpeg.shown([*words, target(folder)])}")
        return DONE
    replaced = _pictures_of_before(folder, video)
    part = _fresh_folder(folder)
    try:
        expected = None if video.source.count is None else -(-video.source.count // every)
        complaints = ffmpeg.run([*words, target(part)], "extract", expected)
        found = _named_by_frame(part, video, kind, every)
        losses = _check_pictures(found, video, expected, every)
        times = ticks_of(video.source, len(found) if every == 1 else None)
        FrameTimes(video.path.name, video.source.time_base, frame_length(video.source), video.colours,
                   {path.name: times[index * every] for index, path in enumerate(found)}, statement_in(video.path)).write(part / SIDECAR)
        _put(part, folder, replaced)
    finally:
        remove_work_folder(part)
    logger.info("Extracted %s of %s: %s", counted(len(found), "frame"), video.path.name, folder)
    tell_lost_marks([video.path], folder)
    if not losses and DAMAGE.search(complaints):
        losses = [f"ffmpeg met damage in it: {ffmpeg.last_words(complaints)}"]
    for loss in losses:
        logger.warning("Incomplete input: %s", loss)
    return SOME_FAILED if losses else DONE


def _pictures_of_before(folder: Path, video: Video) -> list[str]:
    """Names of the pictures in `folder` that an earlier run made of the same video, which may be replaced."""
    if not folder.exists():
        return []
    known = FrameTimes.read(folder)
    if known and known.source == video.path.name:
        ours = re.compile(re.escape(video.path.stem) + r"_[0-9]{6,}\.(png|jpg|webp|tiff)")  # a record from elsewhere may name anything
        return [name for name in known.times if ours.fullmatch(name)]
    if any(path.suffix.lower() in PICTURE_ENDINGS for path in folder.iterdir()):
        raise FaceswapError(f"{folder} holds other pictures already, which would be mixed with these. Name another folder.")
    return []


def _fresh_folder(folder: Path) -> Path:
    """Where the pictures lie until all are there, beside `folder`."""
    part = work_folder_of(folder.absolute())
    with disk_errors(folder):
        make_folder(folder.absolute().parent)
        remove_work_folder(part)  # of a run that was killed
        make_work_folder(part)
    return part


def _named_by_frame(part: Path, video: Video, kind: str, every: int) -> list[Path]:
    """The pictures in order, each with the number of its frame in its name."""
    names = [part / f"{video.path.stem}_{number:06d}.{kind}" for number in range(1, len(_made(part)) + 1)]
    if every == 1:
        return names
    numbered = [part / f"{video.path.stem}_{index * every + 1:06d}.{kind}" for index in range(len(names))]
    for old, new in zip(reversed(names), reversed(numbered)):  # from the end: no name is taken twice
        old.rename(new)
    return numbered


def _check_pictures(found: Sequence[Path], video: Video, expected: int | None, every: int) -> list[str]:
    """What is missing, a sentence each. Raises FaceswapError where ffmpeg has seen another video than the toolkit does."""
    if not found:
        raise FaceswapError(f"No frame of {video.path} could be read. Get a whole copy of the video.")
    for path in found[0], found[-1]:
        with open_picture(path) as picture:
            if picture.size != video.source.size:
                raise FaceswapError(f"{video.path} changes its size within: {picture.size[0]}x{picture.size[1]} where "
                                    f"{video.source.size[0]}x{video.source.size[1]} was expected. Scale it with ffmpeg scale first.")
    if expected in (None, len(found)):
        return []
    read = sum(1 for _ in video.source)
    if -(-read // every) != len(found):
        raise FaceswapError(f"{video.path} is damaged: ffmpeg read {len(found)} of its frames, and the toolkit {read}, so that they cannot "
                            "be numbered. Get a whole copy of the video.")
    return video.source.losses


def _put(part: Path, folder: Path, replaced: Sequence[str]) -> None:
    """Moves all from `part` to `folder`, where the pictures `replaced` give way."""
    with disk_errors(folder):
        if not folder.exists():
            return publish_work_folder(part, folder)
        made = {path.name for path in _made(part)}
        publish(part / SIDECAR, folder / SIDECAR)  # first: a killed run leaves pictures that the next one knows as its own
        for name in sorted(made - {SIDECAR}):
            publish(part / name, folder / name, durable=False)
        for name in set(replaced) - made:
            (folder / name).unlink(missing_ok=True)


def _made(part: Path) -> list[Path]:
    """The pictures in a folder of work in progress, and their times."""
    return [path for path in part.iterdir() if path.name != MARK]


# --- assemble


def _assemble(options: Ffmpeg) -> int:
    if not options.input[0].is_dir():
        raise FaceswapError(f"{options.input[0]} {'is no folder' if options.input[0].exists() else 'does not exist'}. Name the folder with "
                            "the frames.")
    source = picture_file.PictureSource(options.input[0])
    size = _one_size(source)
    reference = Video(options.reference) if options.reference else None
    output = _output(options, [path for path in (options.reference,) if path])
    clock = _clock(options, source, reference)
    layout, rgb, transparent = _layout_of(source.files[0])
    encoding = _hardware(options, encodes=True)
    coder, given = encoding.words(output.container, layout, size, transparent=transparent)
    listed, filters = _listed(source.files, clock)
    filters += [] if given == rgb else encoders.from_rgb(given, size, clock.colours, "16" in layout)
    words = ffmpeg.reading_list(ffmpeg.PICTURES)
    if reference:
        words += ffmpeg.reading(reference.file)
    words += reference.clock() if reference else ["-copyts"]
    words += ["-map", "0:v:0", "-vf", ",".join([*filters, *encoding.upload()]) or "null", *coder]
    words += encoders.timing(output.container, clock.time_base, clock.rate)
    words += reference.others(1, output.container) if reference else []
    if not reference and (known := FrameTimes.read(source.path)) and known.statement:
        words += ["-metadata", f"comment={known.statement}"]
    references = [reference] if reference else []
    return output.make(words, "assemble", Expected(size, clock.seconds, sum(len(video.sound) for video in references)), references, listed)


@dataclass(frozen=True)
class Clock:
    seconds: list[Fraction]  # at which each picture is shown
    time_base: Fraction
    rate: Fraction  # at which they usually follow each other
    colours: tuple[int, int, int] | None


def _clock(options: Ffmpeg, source: picture_file.PictureSource, reference: Video | None) -> Clock:
    """When each picture is shown: as the file beside them tells, or the reference's frames were, else at a steady rate."""
    known = FrameTimes.read(source.path)
    names = [path.name for path in source.files]
    colours = reference.colours if reference else known.colours if known else None
    if options.rate is None and known and all(name in known.times for name in names):
        times, base, length = [known.times[name] for name in names], known.time_base, known.length
        if any(after <= before for before, after in zip(times, times[1:])):
            raise FaceswapError(f"{source.path / SIDECAR} tells other times than the order of the names. Delete it, and name the video "
                                "with -r/--reference, or give --rate.")
        gone = len(known.times) - len(times)
        if gone:
            logger.info("%s of %s %s not there; the one before is shown longer.", gone, counted(len(known.times), "picture"),
                        "is" if gone == 1 else "are")
    elif options.rate is None and reference and len(reference.ticks) == len(names):
        times, base, length = reference.ticks, reference.source.time_base, frame_length(reference.source)
    else:
        rate = _steady_rate(options, source, reference, known)
        base, length, times = 1 / rate, 1, list(range(len(names)))
    return Clock([time * base for time in times], base, 1 / (length * base), colours)


def _steady_rate(options: Ffmpeg, source: picture_file.PictureSource, reference: Video | None, known: FrameTimes | None) -> Fraction:
    if options.rate is not None:
        return Fraction(options.rate).limit_denominator(1001)
    if reference is None:
        why = f"{SIDECAR} does not name all of them" if known else f"there is no {SIDECAR}"
        raise FaceswapError(f"When the pictures in {source.path} are shown is not known: {why}. Name the video that they come from "
                            "with -r/--reference, or give --rate.")
    rate = reference.source.rate or Fraction(25)
    logger.warning("There are %s but %s has %s: they follow each other at its average rate, %.5g a second, and may not fit its sound.",
                   counted(source.count, "picture"), reference.path.name, counted(len(reference.ticks), "frame"), float(rate))
    return rate


def _one_size(source: picture_file.PictureSource) -> tuple[int, int]:
    if source.size is None:
        raise FaceswapError(f"The pictures in {source.path} differ in size, or none can be read. Scale them to one size, or take out what "
                            "does not belong.")
    endings = sorted({path.suffix.lower() for path in source.files})
    if len(endings) > 1:
        raise FaceswapError(f"The pictures in {source.path} are of several formats: {', '.join(endings)}. Convert them to one, or take "
                            "out what does not belong.")
    return source.size


def _layout_of(path: Path) -> tuple[str, str, bool]:
    """How the RGB of a picture's depth is called: for the encoder's choice, and as decoders give it; and whether it may be transparent."""
    with open_container(path) as container:
        shape = av.VideoFormat(container.streams.video[0].codec_context.pix_fmt or "rgb24", 16, 16)
    return "gbrp16le" if shape.components[0].bits > 8 else "gbrp", shape.name, any(part.is_alpha for part in shape.components)


def _listed(files: Sequence[Path], clock: Clock) -> tuple[str, list[str]]:
    """The list for ffmpeg's concat demuxer, and the filters that give each picture its exact time.

    That demuxer rounds times to the frame rate. So in the list a millionth of a second lasts a whole frame, and the filters shrink it
    again: the encoder sees the true rate, by which it chooses what players must be able to do, and times that fit no rate.
    """
    frame, first = 1 / clock.rate, clock.seconds[0]
    passed = [second - first for second in clock.seconds] + [clock.seconds[-1] - first + frame]
    if first == 0 and all((second / frame).denominator == 1 for second in passed):
        filters = []
    else:
        passed = [round(second * 1_000_000) * frame for second in passed]
        filters = ["settb=1/1000000", f"setpts=floor(PTS*{clock.rate}/1000000+0.5)+{round(first * 1_000_000)}"]
    ticks = [round(second * 1_000_000) for second in passed]  # rounded from the beginning, so that no error adds up
    lines = ["ffconcat version 1.0"]
    for path, begin, end in zip(files, ticks, ticks[1:]):
        lines += [f"file {_quoted(path)}", f"option framerate {clock.rate}", f"duration {(end - begin) / 1_000_000:.6f}"]
    return "\n".join(lines) + "\n", filters


def _quoted(path: Path) -> str:
    """As lists of files have it."""
    if "\n" in str(path) or "\r" in str(path):
        raise FaceswapError(f"The name {str(path)!r} has a line break in it, which ffmpeg's lists do not know. Rename it.")
    return "'file:" + str(path.absolute()).replace("'", "'\\''") + "'"


# --- cut, scale, rotate


def _cut(options: Ffmpeg) -> int:
    video = Video(options.input[0])
    output = _output(options, options.input)
    stretch = stretch_of(video.source, options.from_, options.to, None)
    times = video.ticks
    start = video.source.key_before(stretch.start) if options.copy else stretch.start
    stop = len(times) if stretch.stop is None else min(stretch.stop, len(times))
    if options.copy and start != stretch.start:
        logger.info("The piece begins at the key frame before, %.3f s earlier.",
                    (times[stretch.start] - times[start]) * video.source.time_base)
    begin = times[start] * video.source.time_base
    clock = video.source.begins - Fraction(video.source.origin).limit_denominator(1_000_000)  # where ffmpeg's own clock begins
    seek = math.floor((begin - clock) * 1_000_000)
    limits = ["-ss", f"{seek / 1_000_000:.6f}"]
    seeks = not video.source.origin and video.source.ticks() is not None  # else only reading all leads there
    if stop < len(times):
        limits += ["-t", f"{(math.floor((times[stop] * video.source.time_base - clock) * 1_000_000) - seek) / 1_000_000:.6f}"]
    video.cut_off = round((begin - times[0] * video.source.time_base) * video.steady_rate)
    seconds = [(time - times[start]) * video.source.time_base for time in times[start:stop]]
    if options.copy:
        encoders.check_holds(output.path, output.container, video.codec)
        if video.stitched:
            raise FaceswapError(f"The clock of {video.path} jumps, so that no piece of it can be copied exactly. Leave out --copy.")
        words = [*ffmpeg.reading(video.file, *limits), *video.read_attached(1), "-map", f"0:{video.stream}", "-c:v", "copy", *video.others(0, output.container)]
        words += ["-avoid_negative_ts", "disabled"] * (output.container in ("mp4", "mov"))
        return output.make(words, "cut", Expected(video.source.size, seconds, len(video.sound), slack=8), [video])
    encoding = _hardware(options, encodes=True)
    words = ffmpeg.reading(video.file, *(limits if seeks else ()), *encoding.reading()) + video.read_attached(1)
    words += limits if not seeks else []
    words += _encoded(video, output, encoding, [], video.source.size, copy_sound=False, keep_interlaced=bool(options.keep_interlaced))
    return output.make(words, "cut", Expected(video.source.size, seconds, len(video.sound)), [video])


def _scale(options: Ffmpeg) -> int:
    video = Video(options.input[0])
    output = _output(options, options.input)
    size = wanted_size(options.size, video.source.size)
    filters = [f"scale={size[0]}:{size[1]}:flags=lanczos+{encoders.EXACT}", "setsar=1"]
    return _whole(options, video, output, filters, size, "scale")


def wanted_size(text: str, size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) that --size means for a video of `size`; even where one number is given, which keeps the aspect."""
    found = SIZE.fullmatch(text.strip().lower())
    if not found:
        raise UsageError(f"--size must be like 1280x720, 720p or 50%, not {text!r}.")
    width, height, lines, percent = found.groups()
    if width:
        wanted = int(width), int(height)
    else:
        factor = Fraction(int(lines), size[1]) if lines else Fraction(percent) / 100
        wanted = tuple(max(2, 2 * round(side * factor / 2)) for side in size)
        wanted = (wanted[0], int(lines)) if lines and int(lines) % 2 == 0 else wanted
    if not all(2 <= side <= 16384 for side in wanted):
        raise UsageError(f"--size {text} would make {wanted[0]}x{wanted[1]} pixels; sides of 2 to 16384 can be made.")
    return wanted


def _rotate(options: Ffmpeg) -> int:
    video = Video(options.input[0])
    output = _output(options, options.input)
    turn = options.turn or 0
    size = video.source.size[::-1] if turn in (90, 270) else video.source.size
    if options.copy:
        return _rotate_by_tag(options, video, output, turn, size)
    return _whole(options, video, output, [*TURNS[turn], *["hflip"] * bool(options.mirror)], size, "rotate")


def _rotate_by_tag(options: Ffmpeg, video: Video, output: Output, turn: int, size: tuple[int, int]) -> int:
    if output.container not in ("mp4", "mov"):
        raise FaceswapError(f"{output.path.suffix} has no tag for turned video. Choose .mp4 or .mov, or leave out --copy.")
    if options.mirror:
        raise FaceswapError("Most players do not know the tag for mirrored video. Leave out --copy.")
    a, b, c, d = video.source.turn
    if a * d - b * c < 0:
        raise FaceswapError(f"{video.path} is mirrored by its tag already. Leave out --copy.")
    clockwise = {(1, 0): 0, (0, 1): 90, (-1, 0): 180, (0, -1): 270}[(a, b)]
    words = ffmpeg.reading(video.file, "-display_rotation:v:0", str(-(clockwise + turn) % 360)) + video.clock()
    words += ["-map", f"0:{video.stream}", "-c:v", "copy", *video.others(0, output.container)]
    return output.make(words, "rotate", Expected(size, video.seconds, len(video.sound)), [video])


def _whole(options: Ffmpeg, video: Video, output: Output, filters: list[str], size: tuple[int, int], what: str) -> int:
    """The whole video with other pixels; times, sound and all else stay."""
    encoding = _hardware(options, encodes=True)
    words = ffmpeg.reading(video.file, *encoding.reading()) + video.clock()
    words += _encoded(video, output, encoding, filters, size, copy_sound=True)
    return output.make(words, what, Expected(size, video.seconds, len(video.sound)), [video])


def _encoded(video: Video, output: Output, encoding: Encoding, filters: list[str], size: tuple[int, int], copy_sound: bool,
             keep_interlaced: bool = False) -> list[str]:
    keep_interlaced = keep_interlaced and video.source.interlaced
    fields = ("tff" if video.source.top_first else "bff") if keep_interlaced else None
    coder, layout = encoding.words(output.container, video.source.layout, size, fields, video.source.transparent)
    if video.source.size != size or video.source.pixel_aspect != 1:
        filters = filters if any(word.startswith("scale") for word in filters) else [
            f"scale={video.source.size[0]}:{video.source.size[1]}:flags=lanczos+{encoders.EXACT}", "setsar=1", *filters]
    if video.is_rgb:
        filters = [*filters, *encoders.from_rgb(layout, size, None)]
    elif video.source.colours.assumed_matrix(size) != video.source.matrix and video.source.matrix in encoders.NAMES:
        # untagged, and the new size would mislead players
        filters = [*filters, f"setparams=colorspace={encoders.NAMES[video.source.matrix]}"]
    chain = ",".join([*video.made_alike(keep_interlaced), *filters, f"format={layout}", *encoding.upload()])
    return ["-map", f"0:{video.stream}", "-vf", chain, *coder, *encoders.timing(output.container, video.source.time_base, video.steady_rate),
            *video.others(0, output.container, copy_sound)]


# --- mux


def _mux(options: Ffmpeg) -> int:
    video = Video(options.input[0])
    output = _output(options, [*options.input, options.audio])
    sound = info.facts(options.audio, quick=True)
    if not sound["audio"]:
        raise FaceswapError(f"{options.audio} holds no sound. Name a file with sound with --audio.")
    encoders.check_holds(output.path, output.container, video.codec)
    if video.source.ticks() is None:
        raise FaceswapError(f"{video.path} is a bare stream without times, which cannot be copied. Encode it first: ffmpeg scale --size "
                            "100%.")
    video.flagged = []  # of its own sound nothing is written
    words = ffmpeg.reading(video.file) + ffmpeg.reading(options.audio, "-itsoffset", f"{options.offset or 0:.6f}")
    words += [] if jumps_in(options.audio) else video.clock()
    words += ["-map", f"0:{video.stream}", "-c:v", "copy", *sound_tracks(sound["audio"], 1, output.container, copy=True)]
    words += video.rest(0, output.container) + encoders.clocks(output.container, video.source.time_base)
    return output.make(words, "mux", Expected(video.source.size, video.seconds, len(sound["audio"])), [video])


# --- concat


def _concat(options: Ffmpeg) -> int:
    videos = [Video(path) for path in options.input]
    output = _output(options, options.input)
    first = videos[0]
    stitched = any(video.stitched for video in videos)  # which the list of files to copy cannot do
    alike = all(video.parameters == first.parameters for video in videos) and encoders.holds(output.container, first.codec) and not stitched
    copies = alike and not any(getattr(options, name) for name in ("codec", "crf", "preset", "lossless", "hwaccel"))
    lengths = [video.length for video in videos]
    begins = [sum(lengths[:number], Fraction(0)) for number in range(len(videos))]
    seconds = [begin + second for video, begin in zip(videos, begins) for second in video.seconds_from_zero]
    words, graph, stdin, tracks = [], [], None, max(len(video.sound) for video in videos)
    for video in videos:
        if len(video.sound) < tracks:
            logger.info("%s has %s of sound where others have %d: silence is put there.", video.path.name,
                        counted(len(video.sound), "track"), tracks)
    encoding = Encoding() if copies else _hardware(options, encodes=True)
    for video in videos:
        words += ffmpeg.reading(video.file, *encoding.reading())
    if copies:
        stdin = _list_of_videos(videos, lengths)
        words += ffmpeg.reading_list(video.format for video in videos)
        mapped = ["-map", f"{len(videos)}:V:0", "-c:v", "copy", *encoders.clocks(output.container, first.source.time_base)]
    else:
        coder, layout = encoding.words(output.container, first.source.layout, first.source.size)
        graph += _joined_pictures(videos, lengths, layout, encoding)
        base = first.source.time_base if len({video.source.time_base for video in videos}) == 1 else Fraction(1, 90000)
        mapped = ["-map", "[v]", *coder, *encoders.timing(output.container, base, first.steady_rate)]
        mapped += first.timecode(output.container)
        logger.info("The videos differ in size, codec or settings, another is asked for, or a clock jumps: they are encoded again.")
    graph += [part for track in range(tracks) for part in _joined_sound(videos, lengths, track)]
    for track in range(tracks):
        mapped += ["-map", f"[a{track}]",
                   *encoders.sound_words(track, *_with_track(videos, track).sound_facts(track), output.container, copy=False),
                   f"-disposition:a:{track}", flags_of(_with_track(videos, track).flagged[track][1])]
        if language := _with_track(videos, track).sound[track]["language"]:
            mapped += [f"-metadata:s:a:{track}", f"language={language}"]
    if graph:
        words += ["-filter_complex", ";".join(graph)]
    clock = [] if stitched else ["-copyts"]
    return output.make([*words, *mapped, *clock, "-map_metadata", "0", "-map_chapters", "-1", *comment_of(options.input)], "concat",
                       Expected(first.source.size, seconds, tracks, whole=True), videos, stdin)


def _list_of_videos(videos: Sequence[Video], lengths: Sequence[Fraction]) -> str:
    lines = ["ffconcat version 1.0"]
    for video, length in zip(videos, lengths):
        lines += [f"file {_quoted(video.file)}", f"duration {float(length):.6f}"]
    return "\n".join(lines) + "\n"


def _joined_pictures(videos: Sequence[Video], lengths: Sequence[Fraction], layout: str, encoding: Encoding) -> list[str]:
    """Filters: all in the size of the first, black where they have another shape, one after the other's whole length."""
    (width, height), parts, begin = videos[0].source.size, [], Fraction(0)
    for number, (video, length) in enumerate(zip(videos, lengths)):
        fit = f"scale={width}:{height}:force_original_aspect_ratio=decrease:flags=lanczos+{encoders.EXACT}"
        square = f"scale={video.source.size[0]}:{video.source.size[1]},setsar=1,"
        colours = ",".join(encoders.from_rgb(layout, video.source.size, None) if video.is_rgb else [f"format={layout}"])
        square = ",".join([*video.made_alike(), square])
        # the clock of the joined video is that of a millionth of a second; each piece is held to its whole length
        parts.append(f"[{number}:{video.stream}]setpts=PTS-{_begins(video, videos)}/TB,{square}{fit},pad={width}:{height}:-1:-1,setsar=1,"
                     f"{colours},settb=1/1000000[v{number}]")
        begin += length
    joined = "".join(f"[v{number}]" for number in range(len(videos)))
    upload = "".join(f",{word}" for word in encoding.upload())
    return [*parts, f"{joined}concat=n={len(videos)}:v=1:a=0{upload}[v]"]


def _begins(video: Video, videos: Sequence[Video]) -> float:
    """Second at which ffmpeg's clock stands where `video` begins; without -copyts, at 0."""
    return 0.0 if any(other.stitched for other in videos) else float(video.source.begins)


def _with_track(videos: Sequence[Video], track: int) -> Video:
    """The first that has so many sound tracks."""
    return next(video for video in videos if len(video.sound) > track)


def _joined_sound(videos: Sequence[Video], lengths: Sequence[Fraction], track: int) -> list[str]:
    """Filters: the sound of each video, silence where it has none, exactly as long as its pictures are shown."""
    speaker = _with_track(videos, track)
    _, channels, rate = speaker.sound_facts(track)
    layout = speaker.sound[track]["layout"] or "stereo"
    layout = {1: "mono", 2: "stereo"}.get(channels, layout)
    parts, done, before = [], 0, Fraction(0)
    for number, length in enumerate(lengths):
        before += length
        samples = round(before * rate) - done  # rounded from the beginning, so that no error adds up
        done += samples
        if track >= len(videos[number].sound):
            parts.append(f"anullsrc=r={rate}:cl={layout},atrim=end_sample={samples}[a{track}_{number}]")
            continue
        parts.append(f"[{number}:a:{track}]asetpts=PTS-{_begins(videos[number], videos)}/TB,aresample={rate}:async=1:min_hard_comp=0.001:first_pts=0,"
                     f"aformat=channel_layouts={layout},"
                     f"apad=whole_len={samples},atrim=end_sample={samples}[a{track}_{number}]")
    joined = "".join(f"[a{track}_{number}]" for number in range(len(videos)))
    return [*parts, f"{joined}concat=n={len(videos)}:v=0:a=1[a{track}]"]


# --- thumbnail


def _thumbnail(options: Ffmpeg) -> int:
    video, path = Video(options.input[0]), options.output
    kind = {".png": "png", ".jpg": "jpg", ".jpeg": "jpg", ".webp": "webp"}.get(path.suffix.lower())
    if kind is None or path.is_dir():
        raise FaceswapError(f"{path}: thumbnails are written as .png, .jpg or .webp. Choose one of these endings.")
    if same_path(path, video.path):
        raise FaceswapError(f"{path} is the input. Choose another output.")
    if options.tiles and options.at:
        raise UsageError("--tiles takes frames from the whole video, and --at one. Leave one of them out.")
    size, select, reading, shown = video.source.size, [], [], 1
    if options.tiles:
        found = TILES.fullmatch(options.tiles.strip().lower())
        if not found:
            raise UsageError(f"--tiles must be how many lie side by side and one below the other, such as 4x3, not {options.tiles!r}.")
        across, down = int(found[1]), int(found[2])
        shown = min(across * down, len(video.ticks))
        across, down = min(across, shown), min(down, -(-shown // across))
        wanted = sorted({round((number + 0.5) * len(video.ticks) / shown - 0.5) for number in range(shown)})
        size = wanted_size(options.size, size) if options.size else _within(size, TILE_WIDTH)
        select = ["select=" + "+".join(f"eq(n\\,{index})" for index in wanted)]
        after = ["format=gbrp16le"] * (video.source.tone is not None) + [f"tile={across}x{down}"]
        made = size[0] * across, size[1] * down
    else:
        if options.at is not None:
            try:
                index = stretch_of(video.source, options.at, None, None).start
            except FaceswapError as error:
                raise type(error)(str(error).replace("--from", "--at")) from None
            if index >= len(video.ticks):
                raise FaceswapError(f"--at {options.at} is after the last frame of {video.path} that can be read.")
            if video.stitched:  # no time leads to a place in such a file
                select, seek = [f"select=eq(n\\,{index})"], Fraction(0)
            else:
                seek = max(Fraction(0), (video.ticks[index] - Fraction(1, 2)) * video.source.time_base
                           - (video.source.begins - Fraction(video.source.origin).limit_denominator(1_000_000)))
            reading = ["-ss", f"{math.floor(seek * 1_000_000) / 1_000_000:.6f}"]
        else:
            reading = ["-skip_frame", "nokey"] if len(video.ticks) > MANY else []
            select = ["thumbnail=100"]  # of a hundred, the one that is most like all of them
        size = wanted_size(options.size, size) if options.size else size
        after, made = [], size
    hdr = video.source.tone is not None  # which is made SDR at the end
    filters = [*video.made_alike(), *select, *encoders.to_rgb(video.source, "rgb48" if hdr else "rgb24"),
               f"scale={size[0]}:{size[1]}:flags=lanczos+{encoders.EXACT}", *after]
    coder = {"png": ["-c:v", "png"], "jpg": ["-c:v", "mjpeg", "-q:v", "2"], "webp": ["-c:v", "libwebp", "-quality", "90"]}[kind]
    coder = ["-c:v", "png"] if hdr else coder
    filters += ["scale=out_color_matrix=bt601:out_range=full,format=yuvj444p"] * (kind == "jpg" and not hdr)
    words = [*ffmpeg.reading(video.file, "-noautorotate", *reading), "-map", f"0:{video.stream}", "-vf", ",".join(filters), "-frames:v", "1",
             "-fps_mode", "passthrough", *coder, "-f", "image2", "-update", "1"]
    if options.dry_run:
        print(ffmpeg.shown([*words, f"file:{path}"]))
        return DONE
    with ffmpeg.whole(path) as part:
        ffmpeg.run([*words, f"file:{part}"], "make a thumbnail")
        with open_picture(part) as picture:
            if picture.size != made:
                raise FaceswapError(f"ffmpeg made {picture.size[0]}x{picture.size[1]} pixels instead of {made[0]}x{made[1]}.")
        if hdr:
            with disk_errors(path):
                write_bytes(part, picture_file.encoded(picture_file.as_sdr(picture_file.pixels(part).image, video.source.tone), f".{kind}"))
    logger.info("Wrote %s, %dx%d: %s", "a sheet of " + counted(shown, "frame") if options.tiles else "a thumbnail", *made, path)
    tell_lost_marks([video.path], path)
    return DONE


def _within(size: tuple[int, int], width: int) -> tuple[int, int]:
    return (width, max(2, 2 * round(size[1] * width / size[0] / 2))) if size[0] > width else size


# --- what all have in common


def _output(options: Ffmpeg, inputs: Sequence[Path]) -> Output:
    return Output.of(options.output, inputs, bool(options.dry_run))


def _hardware(options: Ffmpeg, encodes: bool) -> Encoding:
    """How to encode, as the options say, on hardware that was tried."""
    codec = options.codec or "auto"
    name, on_chip = encoders.chosen(options.hwaccel or "none", codec, encodes and not options.lossless)
    return Encoding(codec, 18 if options.crf is None else options.crf, options.preset or "veryfast", bool(options.lossless), name, on_chip)


@dataclass(kw_only=True)
class Ffmpeg(Settings):
    """Take videos apart, put them together, cut, scale, turn and join them, with ffmpeg.

    ffmpeg extract -i clip.mp4 -o frames                  every frame as a picture; frames.json keeps their times
    ffmpeg assemble -i frames -r clip.mp4 -o new.mp4      a video of pictures, with the times and the sound of clip.mp4
    ffmpeg cut -i clip.mp4 --from 1:10 --to 2:00 -o c.mp4 a piece, exact to the frame; --copy is faster, from a key frame on
    ffmpeg scale -i clip.mp4 --size 720p -o small.mp4     another size: 1280x720, 720p or 50%
    ffmpeg rotate -i clip.mp4 --turn 90 -o upright.mp4    turned clockwise; --mirror; --copy only sets the tag
    ffmpeg mux -i clip.mp4 --audio voice.wav -o new.mp4   other sound; --offset 0.2 lets it begin later
    ffmpeg info -i clip.mp4                               what is in it, as JSON
    ffmpeg concat -i a.mp4 b.mp4 -o all.mp4               one after the other
    ffmpeg thumbnail -i clip.mp4 -o clip.jpg              a telling frame; --at 1:10 that one; --tiles 4x3 a sheet
    """

    action: str = option(help="What to do.", positional=True,
                         choices=("extract", "assemble", "cut", "scale", "rotate", "mux", "info", "concat", "thumbnail"))
    input: list[Path] = option(help="The video; for assemble the folder of pictures, for concat all videos in their order.", short="-i")
    output: Path | None = option(None, "What is written: for extract a folder, for thumbnail a picture, else a video.", short="-o")
    reference: Path | None = option(None, "For assemble: the video whose frame times, sound, subtitles and chapters are taken.", short="-r")
    rate: float | None = option(None, "For assemble: frames a second, instead of the times of frames.json or of the reference.",
                                low=0.01, high=1000.0)
    from_: str | None = option(None, "For cut: where the piece begins: seconds, MM:SS or HH:MM:SS, with decimals.")
    to: str | None = option(None, "For cut: where it ends; the frame shown then is not in it.")
    size: str | None = option(None, "For scale and thumbnail: 1280x720, or 720p or 50%, which keep the shape.")
    turn: int | None = option(None, "For rotate: degrees clockwise.", choices=(90, 180, 270))
    mirror: bool | None = option(None, "For rotate: left becomes right, after turning.")
    copy: bool | None = option(None, "For cut and rotate: nothing is encoded again; a cut begins at a key frame, a turn is a tag.")
    audio: Path | None = option(None, "For mux: the file whose sound is taken.")
    offset: float | None = option(None, "For mux: seconds by which the sound begins later; less than 0: earlier.",
                                  low=-86400.0, high=86400.0)
    codec: str | None = option(None, "Codec of what is written; auto, the default, is H.264, in .webm VP9, of 10 bits HEVC.",
                               choices=("auto", "h264", "hevc", "av1", "vp9", "prores"))
    crf: int | None = option(None, "Quality: lower is better and larger; 18, the default, looks like the original.", low=0, high=51)
    preset: str | None = option(None, "Effort of the encoder; veryfast if not given. Slower ones make smaller files.",
                                choices=("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"))
    lossless: bool | None = option(None, "Keep every pixel exactly: FFV1 in .mkv, .mov and .avi, H.264 in .mp4.")
    at: str | None = option(None, "For thumbnail: the time of the frame.")
    tiles: str | None = option(None, "For thumbnail: a sheet of so many frames, such as 4x3.")
    format: str | None = option(None, "For extract: png, the default, and tiff keep every pixel, of deep videos 16 bits.",
                                choices=("png", "jpg", "webp", "tiff"))
    every: int | None = option(None, "For extract: only each such frame.", low=1)
    hwaccel: str | None = option(None, "Decode and encode on a graphics card; auto takes the first that works, else the processor.",
                                 choices=("none", "auto", "cuda", "qsv", "vaapi", "videotoolbox", "amf"))
    keep_interlaced: bool | None = option(None, "For cut: the fields of interlaced video stay as they are. Else frames are deinterlaced.")
    quick: bool | None = option(None, "For info: only what index and packets tell; nothing is decoded.")
    dry_run: bool | None = option(None, "Print ffmpeg's command line and run nothing.")
