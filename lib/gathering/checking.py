"""What a fetched file is, by its content: what servers say of a file, and its name, are not
believed."""

from __future__ import annotations

import html
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lib.errors import FaceswapError
from lib.files.names import VIDEO_FORMATS
from lib.media.opening import open_container, open_picture
from lib.media.pictures import picture_file
from lib.media.pictures.content import identify

HEAD = 1 << 16  # bytes by which a web page is known
PICTURE_FORMATS = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif",
                   "BMP": ".bmp", "TIFF": ".tif", "AVIF": ".avif", "JPEG2000": ".jp2",
                   "PPM": ".ppm"}  # by Pillow's names
# QuickTime files of before `ftyp` begin with one
# By FFmpeg's names of formats; of several endings the first
VIDEO_ENDINGS = {name: ending for ending, name in reversed(VIDEO_FORMATS.items())} | {
    "ogg": ".ogv", "mpeg": ".mpg", "mpegvideo": ".m2v", "h264": ".h264", "hevc": ".hevc",
    "asf": ".wmv", "mpegts": ".ts"}
WEBM_CODECS = {"vp8", "vp9", "av1", "libdav1d", "libvpx", "libvpx-vp9", "libaom-av1", "opus",
               "vorbis",
               "libopus", "libvorbis"}
ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
SEGMENTED, SEGMENT = b"\x1aE\xdf\xa3", b"\x18S\x80g"  # what Matroska begins with, and its main part
UNTOLD = 0xFFFFFF00  # lengths in an AVI from here on mean that it was not known
ICON = b"\0\0\1\0"  # it begins as some videos do
OTHER_KINDS = {b"%PDF": "a PDF", b"PK\3\4": "a ZIP archive", b"\x1f\x8b": "an archive (gzip)",
               b"Rar!": "an archive (RAR)", b"7z\xbc\xaf": "an archive (7z)", b"ID3": "sound",
               b"fLaC": "sound", b"RIFF": "sound"}


class Refused(Exception):
    """The file is nothing to keep; the message says what it is instead."""


class Damaged(Refused):
    """It is a picture or a video, but not a whole one."""


class Unwanted(Exception):
    """It is a good file, but not of the kind that was asked for."""

    def __init__(self, reason: str, type: str, width: int | None = None, height: int | None = None):
        super().__init__(reason)
        self.type, self.width, self.height = type, width, height


@dataclass(frozen=True)
class Wishes:
    """What is asked for: files of at most `bytes`, `timeout` seconds between two of them and
    `seconds` for all, `only` "pictures" or "videos", and a shorter side of `min_side` pixels or
    more.
    """

    timeout: float
    bytes: int
    only: str | None = None
    min_side: int = 0
    seconds: float = float("inf")

    def against(self, type: str | None, width: int | None = None,
                height: int | None = None) -> str | None:
        """Why such a file is not wanted, as far as that is known; None if it may be."""
        if self.only and type and f"{type}s" != self.only:
            return f"a {type}, where only {self.only} are asked for (--only)"
        if width and height and min(width, height) < self.min_side:
            return f"{width} x {height} pixels, smaller than --min-side {self.min_side}"
        return None

    def check(self, type: str, width: int | None = None, height: int | None = None) -> None:
        """Raises Unwanted."""
        if reason := self.against(type, width, height):
            raise Unwanted(reason, type, width, height)


@dataclass(frozen=True)
class Content:
    """What a file holds."""

    type: str  # "picture" or "video"
    ending: str  # ".jpg"
    width: int
    height: int


def kind_of(path: Path) -> str:
    """What the first bytes say: "picture" or "video". Raises Refused where they say anything
    else."""
    content = identify(path)
    if content in ("picture", "heic"):
        return "picture"
    with open(path, "rb") as file:
        head = file.read(HEAD)
    if head.startswith(ICON):
        raise Refused("an icon instead of a picture or a video")
    is_transport_stream = head[:1] == head[188:189] == b"G"
    if content == "video" or head[4:8] in ATOMS or is_transport_stream:
        return "video"
    raise Refused(f"{_describe(head)} instead of a picture or a video")


def examine(path: Path) -> Content:
    """What the whole file holds: a picture is decoded, a video opened. Raises Refused or
    Damaged."""
    kind = kind_of(path)
    try:
        return _picture(path) if kind == "picture" else _video(path)
    except FaceswapError as error:
        reason = str(error).replace(str(path), "the file")
        # The advice is for those who have the file already
        reason = re.sub(r"\. (Replace|Scale|Get|Name|Choose) .*", "", reason)
        raise Damaged(reason.rstrip(".")) from None
    except Exception as error:  # of a library that a crafted file leads astray
        raise Damaged(f"the file is damaged and cannot be read ({type(error).__name__})") from None


def _picture(path: Path) -> Content:
    height, width = picture_file.read(path).shape[:2]
    if identify(path) == "heic":
        return Content("picture", ".heic", width, height)
    with open_picture(path) as picture:
        kind = picture.format
    if kind not in PICTURE_FORMATS:
        raise FaceswapError(f"{path} is of a format that is not known here, {kind}")
    return Content("picture", PICTURE_FORMATS[kind], width, height)


def _video(path: Path) -> Content:
    from lib.media.video.video_source import VideoSource

    if missing := _count_missing(path):
        raise FaceswapError(f"{path} is cut off: {missing} bytes at least are missing")
    width, height = VideoSource(path, exact=False).size
    with open_container(path) as container:
        names = container.format.name.split(",")
        brand = container.metadata.get("major_brand", "")
        codecs = {stream.codec_context.name for stream in container.streams if stream.codec_context}
    return Content("video", _video_ending(names, brand, codecs), width, height)


def _video_ending(names: list[str], brand: str, codecs: set[str]) -> str:
    if "mov" in names:  # one reader for QuickTime, MP4 and 3GP
        return ".mov" if brand in ("", "qt  ") else ".3gp" if brand.startswith("3g") else ".mp4"
    if "matroska" in names:
        return ".webm" if codecs <= WEBM_CODECS else ".mkv"
    for name in names:
        if name in VIDEO_ENDINGS:
            return VIDEO_ENDINGS[name]
    raise FaceswapError(f"the video is of a format that is not known here, {names[0]}")


def _count_missing(path: Path) -> int:
    """Bytes that a video lacks at its end, at least; 0 where its container does not tell."""
    with open(path, "rb") as file:
        head = file.read(HEAD)
        size = os.fstat(file.fileno()).st_size
        if head[4:8] == b"ftyp" or head[4:8] in ATOMS:
            end = _end_of_boxes(file, size)
        elif head[:4] == b"RIFF":
            length = int.from_bytes(head[4:8], "little")
            end = length + 8 if length < UNTOLD else 0
        elif head[:4] == SEGMENTED:
            end = _end_of_segment(head)
        else:
            end = 0
    return max(0, end - size)


def _end_of_boxes(file: BinaryIO, size: int) -> int:
    """Where the last box of an MP4 ends, that begins within its `size` bytes."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:  # a length of 64 bits follows
            length = int.from_bytes(head[8:16], "big")
        if length < 8 or not head[4:8].isalnum():  # to the end of the file; or rubbish
            return 0
        at += length
    return at


def _end_of_segment(head: bytes) -> int:
    """Where the segment of a Matroska file ends, which is nearly all of it; 0 where it does not
    say."""
    header, at = _ebml_length(head, 4)
    at += header
    if head[at:at + 4] != SEGMENT:
        return 0
    length, begin = _ebml_length(head, at + 4)
    return begin + length if length else 0


def _ebml_length(data: bytes, at: int) -> tuple[int, int]:
    """The length that is told at `at` in 1 to 8 bytes, 0 if it is left open, and where they end
    (RFC 8794, 4)."""
    count = 9 - data[at].bit_length() if at < len(data) else 9
    if count > 8:
        return 0, at
    value = int.from_bytes(data[at:at + count], "big") & (1 << 7 * count) - 1
    return (0 if value == (1 << 7 * count) - 1 else value), at + count


def _describe(head: bytes) -> str:
    """What a file is that begins with `head`, in words."""
    text = head.decode("utf-8", "replace").lstrip("\ufeff \r\n\t")
    tag = re.match(r"<!doctype html|<(html|head|body|script|title|meta)\b", text, re.I)
    if tag or re.search("<html", text[:1000], re.I):
        title = re.search(r"<title[^>]*>(.*?)</title", text, re.I | re.S)
        name = " ".join(html.unescape(title[1]).split())[:60] if title else ""
        return f"a web page ({name!r})" if name else "a web page"
    for beginning, kind in OTHER_KINDS.items():
        if head.startswith(beginning):
            return kind
    if not head:
        return "nothing (0 bytes)"
    if re.search("<svg", text[:1000]):
        return "a drawing (SVG)"
    is_text = "\0" not in text and text.count("\ufffd") <= 1  # one letter may be cut in two
    return "a text" if is_text else "data of an unknown kind"
