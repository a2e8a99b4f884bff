"""Pictures and videos are opened here: regular files of the formats that are meant, whose size in
the header fits a budget of memory.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from PIL import Image

from lib.errors import FaceswapError
from lib.files.reading import check_regular, opened
from lib.system import device

if TYPE_CHECKING:
    import av
    import numpy as np

# of Pillow: PostScript runs programs
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000", "PPM",
           "TGA")
MOST_PIXELS = 178_956_970  # of a picture: Pillow's own limit
LARGEST_SIDE = 32768  # pixels of a video's picture, as shown
PLAIN, FULL = 10, 30  # bytes a pixel while a picture is read: of plain RGB or grey, of any other
OF_VIDEO = 20  # bytes a pixel for the pictures that decoding keeps
SHARE = 0.7  # of the free memory that one picture may take
# bytes that any file may ask for, and how many times its own size it may
SMALL, PACKED = 1_800_000_000, 30
# They open other files or devices, or never end: what is named must hold the video itself.
ELSEWHERE = frozenset("alias_pix alsa brender_pix concat dash dvdvideo fbdev ffmetadata hls "
                      "image2pipe imf kmsgrab lavfi mpjpeg rtp rtsp sap sdp svg_pipe tty v4l2 "
                      "vapoursynth video4linux2 vobsub webm_dash_manifest x11grab".split())


class TooLarge(FaceswapError):
    """What a file says of its size goes beyond the budget."""


def open_picture(path: Path | BinaryIO) -> Image.Image:
    """Pillow's picture of the file at `path`, not decoded yet; close it. Raises TooLarge,
    NotRegular, and what Pillow raises.
    """
    if isinstance(path, Path):
        check_regular(path)
        with opened(path) as file:
            head, size = file.read(32), path.stat().st_size
    else:
        head, size = path.read(32), path.seek(0, io.SEEK_END)
        path.seek(0)
    name = path if isinstance(path, Path) else "A picture"
    if sides := _webp_sides(head):  # Pillow takes memory for the whole canvas when it opens one
        check_memory(name, *sides, FULL, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow: large pictures, odd metadata
        picture = Image.open(path, formats=_readable())
    try:
        plain = picture.mode in ("RGB", "L", "1") and not (picture.tile
                                                           and ";16" in str(picture.tile[0][3]))
        check_memory(name, *picture.size, PLAIN if plain else FULL, size)
    except BaseException:
        picture.close()
        raise
    return picture


def decoded(data: bytes) -> np.ndarray | None:
    """(H, W, 3) uint8 RGB of a picture in memory; None where it is none, damaged or too large."""
    import cv2
    import numpy as np

    try:
        open_picture(io.BytesIO(data)).close()
    except Exception:  # decoders of damaged files raise anything
        return None
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def check_memory(path: Path | str, width: int, height: int, of_pixel: int, file_size: int) -> None:
    """Raises TooLarge where a picture of that size, which takes `of_pixel` bytes a pixel, does not
    fit: a small file may not ask for all of the memory.
    """
    needed = width * height * of_pixel
    if width * height > MOST_PIXELS:
        raise TooLarge(f"{path} is larger than {MOST_PIXELS // 10 ** 6} million pixels "
                       f"({width}x{height}). Scale it down first.")
    if needed > max(SMALL, PACKED * file_size):
        raise TooLarge(f"{path} has {file_size} bytes and claims {width}x{height} pixels, which "
                       f"take {needed / 1e9:.1f} GB of memory. Scale it down first, if it is a "
                       "picture at all.")
    if needed > SMALL / 10 and needed > SHARE * (free := device.memory()[0]):
        raise TooLarge(f"{path} has {width}x{height} pixels, which take {needed / 1e9:.1f} GB of "
                       f"memory, and {free / 1e9:.1f} GB are free. Scale it down first, or close "
                       "other programs.")


def open_container(path: Path) -> av.container.InputContainer:
    """FFmpeg's container of the file at `path`. Raises NotRegular, FaceswapError where it only
    names other files, and FFmpegError.
    """
    import av

    check_regular(path)
    try:
        # "file:" and the white lists: no name and no playlist inside the file may reach for the
        # network, or for other
        # files
        return av.open(f"file:{path}", metadata_errors="replace", container_options={
            # no other pictures, by number
            "protocol_whitelist": "file", "format_whitelist": _formats(), "pattern_type": "none"})
    except av.error.FFmpegError:
        if _is_list(path):
            raise FaceswapError(f"{path} holds no video, but the names of other files. Name one of "
                                "them.") from None
        raise


def packets_of(container: av.container.InputContainer,
               *streams: av.stream.Stream | list[av.stream.Stream]) -> Iterator[av.Packet]:
    """The packets of `streams`, or of all. A stream that begins only later, as FLV allows, is
    passed over: PyAV ends at its first packet with an IndexError, and goes on after it if asked
    again.
    """
    while True:
        try:
            yield from container.demux(*streams)
            return
        except IndexError:
            continue


def check_video(path: Path, width: int, height: int) -> None:
    """Raises TooLarge where frames of that size cannot be worked on."""
    if max(width, height) > LARGEST_SIDE:
        raise TooLarge(f"{path} has frames of {width}x{height} pixels; sides of up to "
                       f"{LARGEST_SIDE} can be read. Scale it down first.")
    check_memory(path, width, height, OF_VIDEO, path.stat().st_size)


@cache
def _readable() -> tuple[str, ...]:
    """Those of FORMATS that this Pillow has."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@cache
def _formats() -> str:
    import av

    return ",".join(sorted(name for name in av.formats_available
                           if not ELSEWHERE & {name, *name.split(",")}))


def _is_list(path: Path) -> bool:
    try:
        with opened(path) as file:
            return file.read(32).lstrip(b"\xef\xbb\xbf \r\n").startswith((b"#EXTM3U", b"ffconcat"))
    except OSError:
        return False


def _webp_sides(head: bytes) -> tuple[int, int] | None:
    """Width and height as the first bytes of a WebP file tell them (RFC 9649)."""
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP" or len(head) < 30:
        return None
    if head[12:16] == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = (int.from_bytes(head[place:place + 2], "little") for place in (26, 28))
    return width & 0x3FFF, height & 0x3FFF
