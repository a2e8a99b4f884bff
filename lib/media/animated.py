"""Pictures that move (GIF, WebP, APNG, AVIF), which are read as videos."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from lib.errors import FaceswapError
from lib.files.reading import NotRegular, opened
from lib.files.writing import write_bytes
from lib.media.opening import open_picture

FORMATS = ("GIF", "WEBP", "PNG", "AVIF")
# what an AVIF file says at its beginning that holds a sequence beside its first picture
SEQUENCE = "avis"
# formats that are read from the beginning: pictures are drawn over those before
WITHOUT_INDEX = ("gif", "apng")
PNG, AFTER_HEADER = b"\x89PNG\r\n\x1a\n", 33  # how a file begins, and where its second chunk does
# chunks of any length that pixels do not depend on
LEFT_OUT = (b"caBX", b"iTXt", b"tEXt", b"zTXt", b"eXIf", b"iCCP")
PROBED, LONGEST_HEAD = 1500, 1 << 24  # bytes
ENDINGS = (".gif", ".webp", ".png", ".apng", ".avif")  # under which they are written


def is_animated(path: Path) -> bool:
    """Whether the file at `path` is a picture that moves."""
    try:
        with open_picture(path) as picture:
            return picture.format in FORMATS and getattr(picture, "n_frames", 1) > 1
    except Exception:  # decoders of damaged files raise anything; whoever reads it tells why
        return False


class Readable:
    """A file that FFmpeg's libraries of any version read.

    That is `path` itself, or an APNG with the same pixels and delays: of a WebP or a transparent
    AVIF that moves, and of a signed APNG, which they would take for a still picture. It is deleted
    with this object.
    """

    def __init__(self, path: Path):
        self.path = path
        is_unknown = _is_webp(path) or _is_transparent_avif(path)
        apng = _as_apng(path) if is_unknown else _with_short_head(path)
        if apng is not None:
            self._folder = tempfile.TemporaryDirectory(prefix="faceswap-")
            self.path = Path(self._folder.name) / "moving.png"
            write_bytes(self.path, apng, durable=False)


def _is_webp(path: Path) -> bool:
    head = _head(path)
    return head[:4] == b"RIFF" and head[8:] == b"WEBP"


def _is_transparent_avif(path: Path) -> bool:
    """Whether it moves and is transparent, which is said in a stream of its own."""
    if _head(path)[4:] != b"ftyp" + SEQUENCE.encode():
        return False
    try:
        with open_picture(path) as picture:
            return picture.mode == "RGBA"
    except Exception:  # decoders of damaged files raise anything; whoever reads it tells why
        return False


def _with_short_head(path: Path) -> bytes | None:
    """The APNG at `path` without signature and words, where these are so long that FFmpeg, which
    looks no farther than PROBED bytes, would take it for a still picture. None where that is not
    needed."""
    if _head(path)[:8] != PNG:
        return None
    with opened(path) as file:
        data = file.read(LONGEST_HEAD)
        chunks, place, kind = [data[:AFTER_HEADER]], AFTER_HEADER, b""
        while place + 8 <= len(data) and (kind := data[place + 4:place + 8]) != b"IDAT":
            end = place + 12 + int.from_bytes(data[place:place + 4], "big")
            if kind not in LEFT_OUT:
                chunks.append(data[place:end])
            place = end
        is_animated = any(chunk[4:8] == b"acTL" for chunk in chunks)
        if kind != b"IDAT" or place < PROBED or not is_animated:
            return None
        return b"".join(chunks) + data[place:] + file.read()


def _head(path: Path) -> bytes:
    try:
        with opened(path) as file:
            return file.read(12)
    except (OSError, NotRegular):  # whoever opens it tells why
        return b""


def _as_apng(path: Path) -> bytes:
    """The same pixels and delays. Raises FaceswapError where `path` is damaged."""
    memory = io.BytesIO()
    try:
        with open_picture(path) as picture:
            images, lengths = [], []
            for number in range(getattr(picture, "n_frames", 1)):
                picture.seek(number)
                picture.load()
                images.append(picture.convert("RGBA" if picture.has_transparency_data else "RGB"))
                lengths.append(int(picture.info.get("duration") or 0))
    except FaceswapError:
        raise
    except Exception as error:  # decoders of damaged files raise anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise FaceswapError(f"{path} is damaged and cannot be read: {reason}. Get a whole "
                            "copy.") from error
    if len({image.mode for image in images}) > 1:
        images = [image.convert("RGBA") for image in images]
    images[0].save(memory, "PNG", save_all=True, append_images=images[1:], duration=lengths,
                   compress_level=1)
    return memory.getvalue()
