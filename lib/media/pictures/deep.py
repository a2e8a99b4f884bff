"""Pictures of 16 bits a channel, of which Pillow keeps 8, or which it shuffles: read and
written."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from lib.errors import FaceswapError
from lib.files.reading import read_bytes
from lib.media.pictures.metadata import ORIENTATION, TURNED, XMP_CHUNK, XMP_TAG

BITS, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339  # TIFF tags
WHITE_IS_0, BLACK_IS_0, RGB = 0, 1, 2  # photometric interpretations
PREMULTIPLIED, STRAIGHT = 1, 2  # kinds of alpha in TIFF
UNSIGNED = 1  # sample format
MOST = 65535  # white of pictures; that of frames is 65280 (255 * 256)
AFTER_HEADER = 33  # bytes of a PNG file before its second chunk


def is_deep(picture: Any) -> bool:
    """Whether the file that Pillow's `picture` was opened from has unsigned grey or RGB of 16 bits."""
    if picture.format == "PNG":
        return bool(picture.tile) and ";16" in str(picture.tile[0][3])
    if picture.format != "TIFF":
        return False
    tags = picture.tag_v2
    bits, formats = tags.get(BITS, (1,)), tags.get(SAMPLE_FORMAT, (UNSIGNED,))
    return (set(np.atleast_1d(bits)) == {16} and set(np.atleast_1d(formats)) <= {UNSIGNED}
            and tags.get(PHOTOMETRIC) in (WHITE_IS_0, BLACK_IS_0, RGB))


def read(path: Path, picture: Image.Image) -> np.ndarray:
    """(H, W, 3) RGB or (H, W, 4) with alpha, uint16 up to 65535, upright, of the file at `path`,
    which `picture` was opened from. Raises what the decoders raise."""
    data = read_bytes(path)
    if picture.format == "PNG":
        image = _by_opencv(np.frombuffer(data, np.uint8))
        orientation = picture.getexif().get(ORIENTATION, 1)
    else:
        image, orientation = _tiff(path, data)
    return np.ascontiguousarray(turned(image, orientation))


def turned(image: np.ndarray, orientation: int) -> np.ndarray:
    """`image`, stored with that EXIF orientation, upright."""
    if orientation in TURNED:
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image


def for_frame(image: np.ndarray) -> np.ndarray:
    """uint16 of a picture, white 65535, as frames have it, white 65280."""
    return np.rint(image * np.float32(65280 / MOST)).astype(np.uint16)


def for_picture(image: np.ndarray) -> np.ndarray:
    """uint16 of a frame, white 65280, as pictures have it, white 65535."""
    return np.minimum(np.rint(image * np.float32(MOST / 65280)), MOST).astype(np.uint16)


def encode_png(image: np.ndarray, profile: bytes | None, coded: tuple[int, int] | None,
               xmp: bytes | None, exif: bytes | None) -> bytes:
    """A PNG file of `image` as `picture_file.write` takes it, with the chunks cICP, iCCP, iTXt and
    eXIf (Portable Network Graphics, third edition, 2025)."""
    image = np.ascontiguousarray(image)
    image = _swap_red_and_blue(image) if image.ndim == 3 else image  # OpenCV wants BGR
    png = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    chunks = b""
    if coded:  # RGB over the full range
        chunks += _chunk(b"cICP", bytes((*coded, 0, 1)))
    if profile:
        chunks += _chunk(b"iCCP", b"profile\0\0" + zlib.compress(profile))
    if xmp:
        chunks += _chunk(b"iTXt", XMP_CHUNK.encode() + b"\0\0\0\0\0" + xmp)
    if exif:
        chunks += _chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    return png[:AFTER_HEADER] + chunks + png[AFTER_HEADER:]


def encode_tiff(image: np.ndarray, profile: bytes | None, xmp: bytes | None) -> bytes:
    """A TIFF file of `image` as `picture_file.write` takes it."""
    import tifffile

    memory = io.BytesIO()
    kind: dict[str, Any] = {"photometric": "minisblack" if image.ndim == 2 else "rgb"}
    if image.ndim == 3 and image.shape[2] == 4:
        kind["extrasamples"] = ["unassalpha"]
    tifffile.imwrite(memory, image, **kind, compression="zlib", iccprofile=profile,
                     extratags=[(XMP_TAG, 1, len(xmp), xmp, True)] if xmp else [])
    return memory.getvalue()


def _tiff(path: Path, data: bytes) -> tuple[np.ndarray, int]:
    """The picture in a TIFF file, and its EXIF orientation."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        page: Any = tiff.pages[0]
        orientation = int(page.tags[ORIENTATION].value) if ORIENTATION in page.tags else 1
        try:
            image = page.asarray()
        except ValueError as error:  # a compression of another package
            if "imagecodecs" not in str(error):
                raise
            if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
                raise FaceswapError(f"{path} is a TIFF of separate planes of 16 bits with "
                                    f"{page.compression.name} compression, which cannot be read. "
                                    "Save it without compression, or with ZIP.") from None
            return _by_opencv(_without_orientation(data, page, tiff.byteorder)), orientation
        image = np.moveaxis(image, 0, -1) if page.axes.startswith("S") else image
        image = image[..., None] if image.ndim == 2 else image
        if image.ndim != 3 or image.dtype.kind != "u":
            raise FaceswapError(f"{path} is a TIFF of {page.axes} in {image.dtype}, which is no "
                                "picture that can be read. Save it as RGB.")
        return _with_alpha(image, page), orientation


def _with_alpha(image: np.ndarray, page: Any) -> np.ndarray:
    """(H, W, 3) or (H, W, 4) of the samples (H, W, C) of a page, alpha not multiplied in."""
    colours = 3 if page.photometric == RGB else 1
    if page.photometric == WHITE_IS_0:
        image = np.concatenate([MOST - image[..., :1], image[..., 1:]], 2)
    rgb = image[..., :3] if colours == 3 else np.repeat(image[..., :1], 3, 2)
    kind = int(page.extrasamples[0]) if page.extrasamples else None
    if kind not in (PREMULTIPLIED, STRAIGHT) or image.shape[2] <= colours:
        return rgb
    alpha = image[..., colours:colours + 1]
    if kind == PREMULTIPLIED:
        straight = rgb * (MOST / np.maximum(alpha, 1).astype(np.float32))
        rgb = np.minimum(np.rint(straight), MOST).astype(np.uint16)
    return np.concatenate([rgb, alpha], 2)


def _without_orientation(data: bytes, page: Any, order: str) -> np.ndarray:
    """The file with its orientation set to 1, since OpenCV fails with others."""
    file = np.frombuffer(data, np.uint8).copy()
    if ORIENTATION in page.tags:
        place = page.tags[ORIENTATION].valueoffset
        upright = (1).to_bytes(2, "little" if order == "<" else "big")
        file[place:place + 2] = np.frombuffer(upright, np.uint8)
    return file


def _by_opencv(file: np.ndarray) -> np.ndarray:
    image = cv2.imdecode(file, cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ValueError("its pixels cannot be decoded")
    if image.ndim == 2:
        return np.repeat(image[..., None], 3, 2)
    if image.shape[2] == 2:
        return np.concatenate([np.repeat(image[..., :1], 3, 2), image[..., 1:]], 2)
    return _swap_red_and_blue(image)


def _swap_red_and_blue(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA if image.shape[2] == 4 else cv2.COLOR_BGR2RGB)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
