"""Names and files: natural order, known endings, the same place under two names, results that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lib.errors import FaceswapError

PICTURE_ENDINGS = frozenset((".jpg .jpeg .jpe .jfif .png .webp .bmp .dib .tif .tiff .gif .jp2 .j2k .jpx .ppm .pgm .pbm .pnm"
                             " .avif .heic .heif .tga").split())
VIDEO_FORMATS = {  # ending of a video we write -> name of the container format
    ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi", ".ts": "mpegts", ".mts": "mpegts",
    ".m2ts": "mpegts", ".flv": "flv", ".3gp": "3gp", ".mpg": "mpeg", ".mpeg": "mpeg", ".wmv": "asf", ".nut": "nut"}
VIDEO_ENDINGS = frozenset(VIDEO_FORMATS) | {".h264", ".264", ".h265", ".hevc", ".m2v", ".ogv", ".vob", ".asf", ".mxf", ".3g2", ".y4m"}


def natural_key(name: str) -> list[tuple[int, int | str]]:
    """Sorts "video-2.png" before "video-10.png"."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts] + [(1, name)]


def printable(name: str) -> str:
    """`name` with what is no text of it, in names of old archives and disks, as \\xff: databases and screens take text alone."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def same_path(a: Path, b: Path) -> bool:
    """Whether both names lead to one file or folder, through links, `..`, or a file system that ignores case."""
    a, b = Path(a), Path(b)
    try:
        return a.samefile(b)
    except OSError:  # one of them does not exist yet
        return os.path.normcase(a.resolve()) == os.path.normcase(b.resolve())


def part_of(path: Path) -> Path:
    """The name under which `path` is written until it is whole: one name for each result, so a killed run leaves at most one."""
    return path.with_name(path.name + ".part")


def publish(part: Path, path: Path) -> None:
    """Puts the finished file `part` under its final name for good, as one step that a power failure cannot halve."""
    descriptor = os.open(part, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(part, path)
    if hasattr(os, "O_DIRECTORY"):  # the new name itself; Windows neither needs nor allows it
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns what the disk refuses while `path` is written into a FaceswapError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FaceswapError(f"No space left on the disk for {path}. Free some space or choose another place, and run again.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise FaceswapError(f"{path.parent} may not be written. Choose another output or change its permissions.") from error
        reason = error.strerror or error
        raise FaceswapError(f"{path} cannot be written: {reason}. Choose another output.") from error
