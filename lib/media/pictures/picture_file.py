"""Picture files of any usual format, read and written as arrays."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lib.errors import FaceswapError
from lib.files.reading import read_bytes
from lib.files.writing import disk_errors, write_bytes
from lib.media.base import Mark
from lib.media.opening import FULL, TooLarge, check_memory, open_picture
from lib.media.pictures import deep
from lib.media.pictures.content import identify, problem_of
from lib.media.pictures.metadata import ORIENTATION, WITH_EXIF, XMP_TAG, with_xmp
from lib.types import as_bytes

WRITTEN: dict[str, tuple[str, dict[str, Any]]] = {  # ending -> Pillow's format and its settings
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}), ".webp": ("WEBP", {"quality": 95}),
    ".bmp": ("BMP", {}), ".png": ("PNG", {"compress_level": 1}),
    ".tif": ("TIFF", {"compression": "tiff_lzw"})}
WRITTEN |= {alias: WRITTEN[ending] for alias, ending in {
    ".jpeg": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg", ".tiff": ".tif", ".dib": ".bmp"}.items()}
MOVING = ("GIF", "WEBP", "PNG", "AVIF")  # Pillow's formats of pictures that may move
MOST_JPEG = 1 << 28  # bytes of a file that is read again where its end is missing


def read(path: Path) -> np.ndarray:
    """The picture in the file at `path`, (H, W, 3) uint8 RGB, upright; the first one of an
    animation.

    Transparent parts are shown on white, as most viewers do. 16-bit values are scaled to 8 bits.
    Values are not converted between colour profiles. Raises FaceswapError where the file is no
    picture, is damaged or too large.
    """
    image = pixels(path).image
    return image if image.dtype == np.uint8 else as_bytes(deep.for_frame(image))


class Pixels(NamedTuple):
    """A picture with all that its file has."""

    image: np.ndarray  # (H, W, 3) RGB as seen on white: uint8, or uint16 up to 65535 of 16 bits
    rgba: np.ndarray | None = None  # (H, W, 4) of the same type, where it is transparent somewhere
    moves: bool = False  # whether it is the first of several pictures


def pixels(path: Path) -> Pixels:
    """The picture in the file at `path`. Raises as `read` does."""
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow: large pictures, odd metadata
            with open_picture(path) as picture:
                is_deep = deep.is_deep(picture)
                if not is_deep or picture.format == "PNG":
                    picture.load()  # which tells damage
                result = (_deep_pixels(deep.read(path, picture)) if is_deep
                          else _pixels(_upright(picture)))
                moves = picture.format in MOVING and getattr(picture, "is_animated", False)
                return result._replace(moves=bool(moves))
    except FaceswapError:
        raise
    except UnidentifiedImageError:
        if identify(path) == "heic":
            return _read_heic(path)
        raise FaceswapError(problem_of(path)) from None
    except Image.DecompressionBombError:
        raise FaceswapError(f"{path} is larger than 178 million pixels. Scale it down "
                            "first.") from None
    except FileNotFoundError:
        raise FaceswapError(f"{path} does not exist. Check the name.") from None
    except Exception as error:  # decoders of damaged files raise anything
        if (picture := _without_end(path)) is not None:
            return _pixels(_upright(picture))
        raise _damaged(path, error) from error


def write(path: Path, image: np.ndarray, profile: bytes | None = None,
          coded: tuple[int, int] | None = None, mark: Mark | None = None,
          original: Path | None = None, exif: bytes | None = None) -> None:
    """Writes `image` in the format of the ending of `path`; the file appears whole or not at all.

    `image`: (H, W, 3) RGB, (H, W, 4) with alpha, (H, W) grey or (H, W, 2) grey with alpha; uint8,
    or, but for grey with alpha, as PNG and TIFF, uint16 up to 65535. `profile`: the ICC profile; of
    16-bit PNG, `coded` says what values mean, by the numbers of primaries and transfer (ISO/IEC
    23091-2). `exif` as in `Metadata`. With `mark` it is marked as synthetic, made of the file
    `original`. Raises FaceswapError where the ending is not in `WRITTEN` or the disk refuses.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITTEN:
        raise FaceswapError(f"{path}: pictures are written as {', '.join(sorted(WRITTEN))}. Choose "
                            "one of these endings.")
    kind, settings = WRITTEN[path.suffix.lower()]
    xmp = mark.xmp if mark else None
    if image.dtype == np.uint16:  # which Pillow does not know
        data = (deep.encode_png(image, profile, coded, xmp, exif) if kind == "PNG"
                else deep.encode_tiff(image, profile, xmp))
    else:
        settings = settings | (with_xmp(kind, xmp) if xmp else {})
        if exif and kind == "TIFF":
            tags = Image.Exif()
            tags.load(exif)
            if xmp:
                tags[XMP_TAG] = xmp
            settings = {"tiffinfo": tags}  # libtiff, which compresses, cannot write EXIF data
        elif exif and kind in WITH_EXIF:
            settings["exif"] = exif
        if profile:
            settings["icc_profile"] = profile
        data = _encode(image, kind, settings)
    if mark:
        data = mark.signed(data, path, original)
    with disk_errors(path):
        write_bytes(path, data, durable=False)  # flushing would cost more than the encoding


def encoded(image: np.ndarray, ending: str) -> bytes:
    """`image` (H, W, 3) uint8 RGB as a file of the format that `ending` names."""
    return _encode(image, *WRITTEN[ending])


def _encode(image: np.ndarray, kind: str, settings: dict[str, Any]) -> bytes:
    memory = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(memory, kind, **settings)
    return memory.getvalue()


def _without_end(path: Path) -> Image.Image | None:
    """The JPEG at `path` that lacks only its end marker, as some cameras and downloads leave it.

    A decoder fills in missing pixels without a word: only where all are there, it makes the same
    picture whatever follows. None of any other file.
    """
    data = read_bytes(path, MOST_JPEG) if path.stat().st_size <= MOST_JPEG else b""
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    data = data.removesuffix(b"\xff")
    try:
        pictures = [open_picture(io.BytesIO(data + filling * 64 + b"\xff\xd9"))
                    for filling in (b"", b"\x55", b"\xaa")]
        for picture in pictures:
            picture.load()
    except Exception:  # see `pixels`
        return None
    first = pictures[0].tobytes()
    return pictures[0] if all(picture.tobytes() == first for picture in pictures) else None


def _upright(picture: Image.Image) -> Image.Image:
    try:
        is_upright = picture.getexif().get(ORIENTATION, 1) == 1
        return picture if is_upright else ImageOps.exif_transpose(picture)  # which always copies
    except Exception:  # damaged EXIF data must not cost the picture
        return picture


def _deep_pixels(image: np.ndarray) -> Pixels:
    """Of (H, W, 3) or (H, W, 4) uint16."""
    if image.shape[2] == 3 or image[..., 3].min() == deep.MOST:
        return Pixels(np.ascontiguousarray(image[..., :3]))
    alpha = image[..., 3:].astype(np.float32) / deep.MOST
    on_white = image[..., :3] * alpha + deep.MOST * (1 - alpha)
    return Pixels(np.rint(on_white).astype(np.uint16), image)


def _pixels(picture: Image.Image) -> Pixels:
    """Of a loaded picture in any of Pillow's modes, uint8."""
    rgba = np.asarray(picture.convert("RGBA")) if picture.has_transparency_data else None
    is_transparent = rgba is not None and rgba[..., 3].min() < 255
    return Pixels(_rgb(picture), rgba if is_transparent else None)


def _rgb(picture: Image.Image) -> np.ndarray:
    """(H, W, 3) uint8 of a loaded picture in any of Pillow's modes."""
    if picture.mode.startswith(("I", "F")):  # Pillow would clip these to white
        values = np.asarray(picture).astype(np.float32)
        top = float(deep.MOST) if picture.mode.startswith("I") else max(1.0, float(values.max()))
        grey = np.clip(values * (255.0 / top) + 0.5, 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return np.asarray(Image.alpha_composite(white, picture).convert("RGB"))
    return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))


def _read_heic(path: Path) -> Pixels:
    """Through pillow-heif where it is installed; FFmpeg reads those that are not cut into tiles."""
    try:
        import pillow_heif
    except ImportError:
        from lib.media.video.video_source import read_still

        image = read_still(path)
        if image is None:
            raise FaceswapError(f"{path} is a HEIC picture in tiles, as phones write. Install "
                                "pillow-heif (pip install pillow-heif) or convert it to "
                                "JPEG.") from None
        return Pixels(image)
    try:
        picture = pillow_heif.open_heif(path)
        width, height = picture.size
        check_memory(path, width, height, FULL, path.stat().st_size)
        return _pixels(_upright(picture.to_pillow()))
    except TooLarge:
        raise
    except Exception as error:  # see `pixels`
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> FaceswapError:
    reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(". ")
    return FaceswapError(f"{path} is damaged and cannot be read: {reason}. Replace it or take it "
                         "away.")
