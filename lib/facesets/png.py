"""Face PNG files as bytes: the picture, and the text chunk that says where the face is from.

A PNG text chunk (tEXt; also zTXt and iTXt, as other programs save it) with the keyword `faceswap`
holds JSON, which `face_file` reads and writes.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lib.files.reading import opened, parse_json
from lib.files.writing import write_bytes, write_new
from lib.media.pictures.metadata import XMP_CHUNK

if TYPE_CHECKING:
    from lib.media.base import Mark

SIGNATURE = b"\x89PNG\r\n\x1a\n"
AFTER_HEADER = len(SIGNATURE) + 25  # the IHDR chunk comes first and is always 25 bytes long
KEYWORD = b"faceswap\0"
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
OTHER_TOOL = "deepfakes/faceswap"
LARGEST = 8192  # pixels a side of a face picture
MOST_BYTES, MOST_TEXT = LARGEST * LARGEST * 4, 1 << 20  # of a file; of its text


def write_png(path: Path, image: np.ndarray, text: str, mark: Mark | None = None,
              original: Path | None = None, new: bool = False) -> None:
    """Writes a face's PNG, atomically: `image` (S, S, 3) uint8 RGB, and the JSON `text`.

    With `mark` it is marked as synthetic, made from the file `original`. With `new`, raises
    FileExistsError where the file exists by then.
    """
    # one filter and Huffman coding alone: half the time of OpenCV's choice, hardly larger files
    _, png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [
        cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG,
        cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY])
    chunks = make_chunk(b"tEXt", KEYWORD + text.encode("latin-1"))
    if mark:
        chunks += make_chunk(b"iTXt", XMP_CHUNK.encode() + b"\0\0\0\0\0" + mark.xmp)
    data = b"".join((png[:AFTER_HEADER], chunks, png[AFTER_HEADER:]))
    if mark:
        data = mark.signed(data, path, original)
    (write_new if new else write_bytes)(path, data, durable=False)


def is_face(path: Path) -> bool:
    """Whether the file is a PNG that says where its face is. Its picture is not read."""
    with opened(path) as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            return False
        while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
            length, kind = struct.unpack(">I4s", head)
            end = file.tell() + length + 4
            body = file.read(min(length, len(KEYWORD)))
            if kind in TEXT_CHUNKS and body == KEYWORD:
                if kind == b"tEXt":
                    return True
                text = _decode_text(kind, body + file.read(min(length, MOST_TEXT) - len(body)))
                if text is not None and foreign_tool(text) is None:
                    return True
            file.seek(end)
    return False


def read_side(path: Path) -> int:
    """Pixels a side, from the header of a PNG file; 0 where it is no PNG or not square."""
    try:
        with open(path, "rb") as file:
            header = file.read(24)
    except OSError:
        return 0
    width, height = int.from_bytes(header[16:20]), int.from_bytes(header[20:24])
    return width if header.startswith(SIGNATURE) and width == height <= LARGEST else 0


def text_of(data: bytes) -> str | None:
    """The text of a PNG's chunk with our keyword, wherever another program may have moved it."""
    if not data.startswith(SIGNATURE):
        return None
    place = len(SIGNATURE)
    while place + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[place:place + 8])
        body = data[place + 8:place + 8 + length]
        if kind in TEXT_CHUNKS and body.startswith(KEYWORD) and length <= MOST_TEXT:
            if (text := _decode_text(kind, body)) is not None:
                return text
        place += 12 + length
    return None


def picture_of(data: bytes) -> np.ndarray:
    """(S, S, 3) uint8 RGB, of a PNG. Raises ValueError where it is damaged or not square."""
    width, height = struct.unpack(">II", data[16:24])
    if width != height or not 0 < width <= LARGEST:
        raise ValueError(f"{width}x{height} pixels")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None or b"IEND" not in data[-12:]:
        raise ValueError("its picture cannot be decoded")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def foreign_tool(text: str) -> str | None:
    """The other tool that writes such a `text`; None where it is ours, or damaged."""
    try:
        values = parse_json(text)
    except ValueError:
        return None
    is_foreign = isinstance(values, dict) and {"alignments", "source"} <= values.keys()
    return OTHER_TOOL if is_foreign else None


def make_chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _decode_text(kind: bytes, body: bytes) -> str | None:
    """The text of a chunk that begins with our keyword (Portable Network Graphics, third edition,
    11.3.3); None where it is damaged."""
    rest = body[len(KEYWORD):]
    if kind == b"tEXt":
        return rest.decode("latin-1")
    try:
        if kind == b"zTXt":
            return _inflate(rest[1:]).decode("latin-1")
        _, _, data = rest[2:].split(b"\0", 2)  # language and translated keyword
        return (_inflate(data) if rest[0] else data).decode("utf-8")
    except (ValueError, IndexError, zlib.error):
        return None


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    text = inflater.decompress(data, MOST_TEXT)
    if not inflater.eof:
        raise ValueError("its text is too long, or not whole")
    return text
