"""What picture files say besides their pixels: colour profile, EXIF, XMP."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from PIL import Image, PngImagePlugin

from lib.media.opening import open_picture

ORIENTATION = 0x0112  # EXIF tag
TURNED = (5, 6, 7, 8)  # orientations whose width and height are exchanged
# EXIF tags of what is seen: words, who, when and with what; and of the tables inside: EXIF's, GPS
KEPT_TAGS = (270, 271, 272, 282, 283, 296, 305, 306, 315, 33432, 0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E,
             0x9C9F)
INNER_TABLES = (0x8769, 0x8825)
WITH_EXIF = ("JPEG", "PNG", "WEBP", "TIFF")  # Pillow's formats that hold it
GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L")  # Pillow's modes without colours
XMP_CHUNK, XMP_TAG = "XML:com.adobe.xmp", 700  # where PNG and TIFF keep XMP


class Metadata(NamedTuple):
    """What the file of a picture says of it."""

    profile: bytes | None = None  # ICC
    exif: bytes | None = None  # without orientation, thumbnail, and how the file is built
    grey: bool = False  # whether it has no colours


def read_metadata(path: Path) -> Metadata:
    """That of the picture at `path`; none of what cannot be read."""
    try:
        with open_picture(path) as picture:
            grey = picture.mode in GREY
            profile = picture.info.get("icc_profile")
            exif, result = picture.getexif(), Image.Exif()
            result.update({tag: value for tag, value in exif.items() if tag in KEPT_TAGS})
            tables = {tag: table for tag in INNER_TABLES if (table := exif.get_ifd(tag))}
            for tag, table in tables.items():
                result.get_ifd(tag).update(table)
            data = result.tobytes() if len(result) or tables else None
    except Exception:  # decoders of damaged files raise anything; whoever reads it tells why
        return Metadata()
    is_fitting = profile and profile[16:20] == (b"GRAY" if grey else b"RGB ")
    return Metadata(profile if is_fitting else None, data, grey)


def with_xmp(kind: str, xmp: bytes) -> dict[str, object]:
    """Pillow's settings for a picture of the format `kind` that carries `xmp`; BMP cannot."""
    if kind == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt(XMP_CHUNK, xmp.decode())
        return {"pnginfo": chunks}
    if kind == "TIFF":
        return {"tiffinfo": {XMP_TAG: xmp}}
    return {"xmp": xmp} if kind in ("JPEG", "WEBP", "AVIF") else {}
