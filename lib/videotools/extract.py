"""Writes every frame of a video as a picture; a file beside them keeps their times."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from lib.errors import FaceswapError
from lib.files.names import PICTURE_ENDINGS, VIDEO_FORMATS
from lib.files.writing import (
    MARK,
    disk_errors,
    make_folder,
    make_work_folder,
    publish,
    publish_work_folder,
    remove_work_folder,
    work_folder_of,
)
from lib.media.endpoints.sink import refuse_hdr
from lib.media.opening import open_picture
from lib.provenance.reading import statement_in
from lib.videotools import encoders, ffmpeg
from lib.videotools.encoders import Encoding
from lib.videotools.inputs import Video
from lib.videotools.outputs import Result, damage_in, tell_lost_marks
from lib.videotools.times import SIDECAR, FrameTimes, frame_length, ticks_of

logger = logging.getLogger(__name__)
ENCODERS = {"png": ["-compression_level", "1"], "jpg": ["-q:v", "2"],
            "webp": ["-c:v", "libwebp", "-quality", "95"], "tiff": ["-compression_algo", "lzw"]}
DEEP = ("png", "tiff")  # formats that keep 16 bits


def extract(path: Path, folder: Path, kind: str = "png", every: int = 1, hardware: str = "none",
            dry_run: bool = False) -> Result:
    """Writes each `every`-th frame into `folder`, in the format `kind` ("png", "jpg" ...)."""
    video = Video(path)
    if (folder.is_file() or folder.suffix.lower() in VIDEO_FORMATS.keys() | PICTURE_ENDINGS
            and not folder.is_dir()):
        raise FaceswapError(f"{folder} is the name of a file. Name a folder for the pictures.")
    arguments = _arguments(video, kind, every, hardware)

    def target(place: Path) -> str:  # where "%" stands for itself
        return f"file:{str(place / video.path.stem).replace('%', '%%')}_%06d.{kind}"

    if dry_run:
        command = ffmpeg.command_line([*arguments, target(folder)])
        return Result(folder, command=f"mkdir -p {shlex.quote(str(folder))}\n{command}")

    replaced = _pictures_of_before(folder, video)
    part = _make_part(folder)
    try:
        expected = None if video.source.count is None else -(-video.source.count // every)
        complaints = ffmpeg.run([*arguments, target(part)], "extract", expected)
        pictures = _name_by_frame(part, video, kind, every)
        losses = _check(pictures, video, expected, every) or damage_in(complaints)
        _write_times(part, pictures, video, every)
        _publish(part, folder, replaced)
    finally:
        remove_work_folder(part)
    tell_lost_marks([video.path], folder)
    return Result(folder, len(pictures), video.source.size, tuple(losses))


def _arguments(video: Video, kind: str, every: int, hardware: str) -> list[str]:
    """ffmpeg's, but for the names of the pictures."""
    deep = video.depth > 8 and kind in DEEP
    if not deep:
        refuse_hdr(video.source, f"a picture as {kind}")
    transparent = video.source.transparent and kind != "jpg"
    if video.source.transparent and not transparent:
        logger.warning("%s is transparent in places, which %s pictures do not keep. --format png "
                       "keeps it.", video.path.name, kind)
    layout = {(False, False): "rgb24", (False, True): "rgba",
              (True, False): "rgb48", (True, True): "rgba64"}[deep, transparent]
    filters = [*video.unify(), *[f"select=not(mod(n\\,{every}))"] * (every > 1),
               *encoders.to_rgb(video.source, layout), *[encoders.JPEG_LAYOUT] * (kind == "jpg")]
    encoding = Encoding(hardware=hardware).on_this_machine(encodes=False)
    return [*ffmpeg.input_arguments(video.file, "-noautorotate", *encoding.decoder_arguments()),
            "-map", f"0:{video.stream}", "-vf", ",".join(filters), "-fps_mode", "passthrough",
            *ENCODERS[kind], "-f", "image2", "-start_number", "1"]


def _pictures_of_before(folder: Path, video: Video) -> list[str]:
    """Names of the pictures that an earlier run made of the same video, which may be replaced.

    Raises FaceswapError where the folder has others.
    """
    if not folder.exists():
        return []
    times = FrameTimes.read(folder)
    if times and times.source == video.path.name:  # a record from elsewhere may name anything
        pattern = re.compile(re.escape(video.path.stem) + r"_[0-9]{6,}\.(png|jpg|webp|tiff)")
        return [name for name in times.times if pattern.fullmatch(name)]
    if any(path.suffix.lower() in PICTURE_ENDINGS for path in folder.iterdir()):
        raise FaceswapError(f"{folder} holds other pictures already, which would be mixed with "
                            "these. Name another folder.")
    return []


def _make_part(folder: Path) -> Path:
    """Makes the folder beside `folder` in which the pictures lie until all are there."""
    part = work_folder_of(folder.absolute())
    with disk_errors(folder):
        make_folder(folder.absolute().parent)
        remove_work_folder(part)  # of a run that was killed
        make_work_folder(part)
    return part


def _name_by_frame(part: Path, video: Video, kind: str, every: int) -> list[Path]:
    """Gives each picture the number of its frame, from 1; returns them in order."""
    def named(number: int) -> Path:
        return part / f"{video.path.stem}_{number:06d}.{kind}"

    count = len(_files_in(part))
    if every > 1:
        for index in reversed(range(count)):  # from the end: no name is taken twice
            named(index + 1).rename(named(index * every + 1))
    return [named(index * every + 1) for index in range(count)]


def _check(pictures: Sequence[Path], video: Video, expected: int | None, every: int) -> list[str]:
    """What is missing, a sentence each.

    Raises FaceswapError where ffmpeg read another video than the toolkit does.
    """
    if not pictures:
        raise FaceswapError(f"No frame of {video.path} could be read. Get a whole copy of the "
                            "video.")
    width, height = video.source.size
    for path in pictures[0], pictures[-1]:
        with open_picture(path) as picture:
            if picture.size != (width, height):
                raise FaceswapError(f"{video.path} changes its size in the middle: "
                                    f"{picture.size[0]}x{picture.size[1]} where {width}x{height} "
                                    "was expected. Scale it with ffmpeg scale first.")
    if expected in (None, len(pictures)):
        return []
    read = sum(1 for _ in video.source)
    if -(-read // every) != len(pictures):
        raise FaceswapError(f"{video.path} is damaged: ffmpeg read {len(pictures)} of its frames, "
                            f"and the toolkit {read}, so that they cannot be numbered. Get a whole "
                            "copy of the video.")
    return video.source.losses


def _write_times(part: Path, pictures: Sequence[Path], video: Video, every: int) -> None:
    ticks = ticks_of(video.source, len(pictures) if every == 1 else None)
    times = {path.name: ticks[index * every] for index, path in enumerate(pictures)}
    FrameTimes(video.path.name, video.source.time_base, frame_length(video.source), video.colours,
               times, statement_in(video.path)).write(part / SIDECAR)


def _publish(part: Path, folder: Path, replaced: Sequence[str]) -> None:
    """Moves all from `part` to `folder`, and deletes the pictures `replaced`."""
    with disk_errors(folder):
        if not folder.exists():
            return publish_work_folder(part, folder)
        names = {path.name for path in _files_in(part)}
        # First the times: by them the next run knows the pictures of a killed one
        publish(part / SIDECAR, folder / SIDECAR)
        for name in sorted(names - {SIDECAR}):
            publish(part / name, folder / name, durable=False)
        for name in set(replaced) - names:
            (folder / name).unlink(missing_ok=True)


def _files_in(part: Path) -> list[Path]:
    """The pictures in a work folder, and their times."""
    return [path for path in part.iterdir() if path.name != MARK]
