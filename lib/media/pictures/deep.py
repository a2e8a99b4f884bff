"""Pictures of 16 bits a channel, of which Pillow keeps 8, or which it shuffles."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from lib.errors import FaceswapError
from lib.files.reading import opened

BITS, PHOTOMETRIC, PLANAR, FORMAT = 258, 262, 284, 339  # TIFF tags
BLACK_AT_MOST, BLACK_AT_LEAST, RGB = 0, 1, 2  # photometric interpretations: 0 is white, 0 is black
ORIENTATION = 0x0112
SCALE = 65535


def is_deep(picture: Image.Image) -> bool:
    """Whether the file that `picture` was opened from has unsigned grey or RGB of 16 bits."""
    if picture.format == "PNG":
        return bool(picture.tile) and ";16" in str(picture.tile[0][3])
    if picture.format != "TIFF":
        return False
    tags = picture.tag_v2
    bits, kinds = tags.get(BITS, (1,)), tags.get(FORMAT, (1,))
    return (set(np.atleast_1d(bits)) == {16} and set(np.atleast_1d(kinds)) <= {1}
            and tags.get(PHOTOMETRIC) in (BLACK_AT_MOST, BLACK_AT_LEAST, RGB))


def read(path: Path, picture: Image.Image) -> np.ndarray:
    """(H, W, 3) RGB or (H, W, 4) with alpha, uint16 up to 65535, upright, of the file at `path`, which `picture` was
    opened from. Raises what the decoders raise."""
    if picture.format == "PNG":
        image, turn = _by_opencv(path, np.frombuffer(_bytes(path), np.uint8)), picture.getexif().get(ORIENTATION, 1)
    else:
        image, turn = _tiff(path)
    return np.ascontiguousarray(turned(image, turn))


def turned(image: np.ndarray, orientation: int) -> np.ndarray:
    """`image` upright, which is stored with that EXIF orientation."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image


def _tiff(path: Path) -> tuple[np.ndarray, int]:
    import tifffile

    data = _bytes(path)
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        page = tiff.pages[0]
        turn = int(page.tags[ORIENTATION].value) if ORIENTATION in page.tags else 1
        try:
            image = page.asarray()
        except ValueError as error:  # a compression of another package
            if "imagecodecs" not in str(error):
                raise
            if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
                raise FaceswapError(f"{path} is a TIFF of separate planes of 16 bits with {page.compression.name} compression, "
                                    "which cannot be read. Save it without compression, or with ZIP.") from None
            return _by_opencv(path, _without_turn(data, page, tiff.byteorder)), turn
        image = np.moveaxis(image, 0, -1) if page.axes.startswith("S") else image
        image = image[..., None] if image.ndim == 2 else image
        if image.ndim != 3 or image.dtype.kind != "u":
            raise FaceswapError(f"{path} is a TIFF of {page.axes} in {image.dtype}, which is no picture that can be read. "
                                "Save it as RGB.")
        colours = 3 if page.photometric == RGB else 1
        if page.photometric == BLACK_AT_MOST:
            image = np.concatenate([SCALE - image[..., :1], image[..., 1:]], 2)
        rgb = image[..., :3] if colours == 3 else np.repeat(image[..., :1], 3, 2)
        kinds = [int(kind) for kind in page.extrasamples]
        if not kinds or kinds[0] not in (1, 2) or image.shape[2] <= colours:
            return rgb, turn
        alpha = image[..., colours:colours + 1]
        if kinds[0] == 1:  # colours are multiplied by it
            rgb = np.minimum(np.rint(rgb * (SCALE / np.maximum(alpha, 1).astype(np.float32))), SCALE).astype(np.uint16)
        return np.concatenate([rgb, alpha], 2), turn


def _bytes(path: Path) -> bytes:
    with opened(path) as file:
        return file.read()


def _without_turn(data: bytes, page, order: str) -> np.ndarray:
    """The file with its orientation taken out, with which OpenCV fails."""
    file = np.frombuffer(data, np.uint8).copy()
    if ORIENTATION in page.tags:
        place = page.tags[ORIENTATION].valueoffset
        file[place:place + 2] = np.frombuffer((1).to_bytes(2, "little" if order == "<" else "big"), np.uint8)
    return file


def _by_opencv(path: Path, file: np.ndarray) -> np.ndarray:
    image = cv2.imdecode(file, cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ValueError("its pixels cannot be decoded")
    if image.ndim == 2:
        return np.repeat(image[..., None], 3, 2)
    if image.shape[2] == 2:
        return np.concatenate([np.repeat(image[..., :1], 3, 2), image[..., 1:]], 2)
    return cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA if image.shape[2] == 4 else cv2.COLOR_BGR2RGB)
