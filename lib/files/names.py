"""Names of files: natural order, known endings, the same place under two names."""

from __future__ import annotations

import os
import re
from pathlib import Path

PICTURE_ENDINGS = frozenset(
    ".jpg .jpeg .jpe .jfif .png .webp .bmp .dib .tif .tiff .gif .jp2 .j2k .jpx .ppm .pgm .pbm .pnm "
    ".avif .heic .heif .tga .jxl .apng".split())
# Ending of a video that is written -> FFmpeg's name of the container format
VIDEO_FORMATS = {
    ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi",
    ".ts": "mpegts", ".mts": "mpegts", ".m2ts": "mpegts", ".flv": "flv", ".3gp": "3gp",
    ".mpg": "mpeg", ".mpeg": "mpeg", ".wmv": "asf", ".nut": "nut"}
VIDEO_ENDINGS = frozenset(VIDEO_FORMATS) | {
    ".h264", ".264", ".h265", ".hevc", ".m2v", ".ogv", ".vob", ".asf", ".mxf", ".3g2", ".y4m"}


def natural_key(name: str) -> list[tuple[int, int | str]]:
    """Sorts "video-2.png" before "video-10.png"."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts] + [(1, name)]


def printable(name: str) -> str:
    """`name` with what is no text of it, in names of old archives and disks, as \\xff: databases
    and screens take text alone."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def same_path(a: Path, b: Path) -> bool:
    """Whether both names lead to one file or folder, through links, `..`, or a file system that
    ignores case."""
    a, b = Path(a), Path(b)
    try:
        return a.samefile(b)
    except OSError:  # one of them does not exist yet
        return os.path.normcase(a.resolve()) == os.path.normcase(b.resolve())
