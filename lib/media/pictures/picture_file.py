"""Pictures of any usual format as RGB arrays, and folders of them as a source of frames."""

from __future__ import annotations

import io
import logging
import os
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from lib.errors import FaceswapError
from lib.files.names import PICTURE_ENDINGS, VIDEO_ENDINGS, natural_key, printable
from lib.files.reading import NotRegular, opened, read_bytes
from lib.files.writing import disk_errors, write_bytes
from lib.media.base import FrameSource
from lib.media.opening import FULL, TooLarge, check_memory, open_picture
from lib.media.pictures import deep
from lib.media.tone import Tone
from lib.system.parallel import ordered_map
from lib.types import Frame, Patch, as_bytes, as_deep

if TYPE_CHECKING:
    from lib.provenance.marking import Mark

logger = logging.getLogger(__name__)
WRITTEN = {  # ending -> Pillow's format and its settings
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}), ".webp": ("WEBP", {"quality": 95}), ".bmp": ("BMP", {}),
    ".png": ("PNG", {"compress_level": 1}), ".tif": ("TIFF", {"compression": "tiff_lzw"})}
WRITTEN |= {other: WRITTEN[known] for other, known in
            {".jpeg": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg", ".tiff": ".tif", ".dib": ".bmp"}.items()}
MOVING = ("GIF", "WEBP", "PNG", "AVIF")  # Pillow's formats of pictures that may move
ORIENTATION = 0x0112  # EXIF tag
# Tags of what is seen: words, who, when and with what; and where EXIF's own and those of the place are
OF_THE_PICTURE = (270, 271, 272, 282, 283, 296, 305, 306, 315, 33432, 0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F)
INSIDE = (0x8769, 0x8825)
WITH_EXIF = ("JPEG", "PNG", "WEBP", "TIFF")  # Pillow's formats that hold it
GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L")  # Pillow's modes without colours
XMP_CHUNK, XMP_TAG = "XML:com.adobe.xmp", 700  # where PNG and TIFF keep XMP
AFTER_HEADER = 33  # bytes of a PNG file before its second chunk
MOST_JPEG = 1 << 28  # bytes of a file that is looked at again where its end is missing
READERS = 2  # pictures decoded ahead of the consumer, who has the other cores


def read(path: Path) -> np.ndarray:
    """The picture in the file at `path`, (H, W, 3) uint8 RGB, upright as its EXIF says; the first one of an animation.

    Transparent parts are shown on white, as most viewers do. 16-bit values are scaled to 8 bits. Pixel values are not
    converted between colour profiles. Raises FaceswapError where the file is no picture, is damaged or too large.
    """
    image = pixels(path).image
    return image if image.dtype == np.uint8 else as_bytes(_as_video(image))


class Pixels(NamedTuple):
    image: np.ndarray  # (H, W, 3) RGB as it is seen on white: uint8, or of files of 16 bits a channel uint16, up to 65535
    rgba: np.ndarray | None = None  # (H, W, 4) of the same type, where it is transparent somewhere
    moves: bool = False  # whether it is the first of several pictures


def pixels(path: Path) -> Pixels:
    """The picture in the file at `path` as `read` gives it, with all that it has."""
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow: large pictures, odd metadata
            with open_picture(path) as picture:
                is_deep = deep.is_deep(picture)
                if not is_deep or picture.format == "PNG":
                    picture.load()  # which tells damage
                found = _deep_pixels(deep.read(path, picture)) if is_deep else _pixels(_upright(picture))
                return found._replace(moves=picture.format in MOVING and bool(getattr(picture, "is_animated", False)))
    except FaceswapError:
        raise
    except UnidentifiedImageError:
        if (kind := content(path)) == "heic":
            return _read_heic(path)
        if kind == "picture" and (told := _of_floats(path)):
            raise FaceswapError(told) from None
        raise FaceswapError(_not_a_picture(path, kind)) from None
    except Image.DecompressionBombError:
        raise FaceswapError(f"{path} is larger than 178 million pixels. Scale it down first.") from None
    except FileNotFoundError:
        raise FaceswapError(f"{path} does not exist. Check the name.") from None
    except Exception as error:  # decoders of damaged files raise anything: OSError, SyntaxError, struct.error, ValueError ...
        if (whole := _without_its_end(path)) is not None:
            return _pixels(_upright(whole))
        raise FaceswapError(f"{path} is damaged and cannot be read: {_one_line(error)}. Replace it or take it away.") from error


def _without_its_end(path: Path) -> Image.Image | None:
    """The JPEG at `path` where it lacks its end marker alone, as some cameras and downloads leave it; None where pixels are missing, too.

    A decoder fills in what is missing, and says nothing: where all pixels are there, it makes the same of whatever follows them.
    """
    data = read_bytes(path, MOST_JPEG) if path.stat().st_size <= MOST_JPEG else b""
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    try:
        first, *others = (open_picture(io.BytesIO(data.removesuffix(b"\xff") + more * 64 + b"\xff\xd9")) for more in (b"", b"\x55", b"\xaa"))
        for picture in first, *others:
            picture.load()
    except Exception:  # see above
        return None
    return first if all(picture.tobytes() == first.tobytes() for picture in others) else None


def write(path: Path, image: np.ndarray, profile: bytes | None = None, coded: tuple[int, int] | None = None, mark: Mark | None = None,
          original: Path | None = None, exif: bytes | None = None) -> None:
    """`image` (H, W, 3) RGB, (H, W, 4) with alpha, (H, W) grey or (H, W, 2) grey with alpha, as the file `path`, in the format of its
    ending; the file appears whole or not at all.

    uint8, or, but for grey with alpha, as PNG and TIFF, uint16. `profile` is the ICC profile that says what the values mean; of PNG with
    16 bits, `coded` says so with the numbers of primaries and transfer (ISO/IEC 23091-2). `exif` as `Told` has it. With `mark` it is marked
    as synthetic, made of the file `original`. Raises FaceswapError where the ending is not one of `WRITTEN` or the disk refuses.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITTEN:
        raise FaceswapError(f"{path}: pictures are written as {', '.join(sorted(WRITTEN))}. Choose one of these endings.")
    kind, settings = WRITTEN[path.suffix.lower()]
    memory = io.BytesIO()
    xmp = mark and mark.xmp
    if image.dtype == np.uint16:  # which Pillow does not know
        memory.write(_deep_png(image, profile, coded, xmp, exif) if kind == "PNG" else _deep_tiff(image, profile, xmp))
    else:
        told = with_xmp(kind, xmp) if xmp else {}
        if exif and kind == "TIFF":
            tags = Image.Exif()
            tags.load(exif)
            told, settings = {"tiffinfo": tags}, {}  # libtiff, which compresses, cannot write EXIF data
            if xmp:
                tags[XMP_TAG] = xmp
        elif exif and kind in WITH_EXIF:
            told["exif"] = exif
        if profile:
            told["icc_profile"] = profile
        Image.fromarray(np.ascontiguousarray(image)).save(memory, kind, **settings, **told)
    data = mark.signed(memory.getvalue(), path, original) if mark else memory.getbuffer()
    with disk_errors(path):
        write_bytes(path, data, durable=False)  # flushing would cost more than the encoding


def encoded(image: np.ndarray, ending: str) -> bytes:
    """`image` (H, W, 3) uint8 RGB as a file of the format that `ending` names."""
    kind, settings = WRITTEN[ending]
    memory = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(memory, kind, **settings)
    return memory.getvalue()


def with_xmp(kind: str, xmp: bytes) -> dict[str, object]:
    """What Pillow has to be told for a picture of that kind to carry it; BMP cannot."""
    if kind == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt(XMP_CHUNK, xmp.decode())
        return {"pnginfo": chunks}
    return {"JPEG": {"xmp": xmp}, "WEBP": {"xmp": xmp}, "TIFF": {"tiffinfo": {XMP_TAG: xmp}}}.get(kind, {})


def _deep_png(image: np.ndarray, profile: bytes | None, coded: tuple[int, int] | None, xmp: bytes | None, exif: bytes | None) -> bytes:
    """With the chunks iCCP, eXIf and cICP, the latter for RGB over the full range (Portable Network Graphics, third edition, 2025)."""
    turned = {2: image, 3: image[..., ::-1]}.get(image.shape[2] if image.ndim == 3 else 2)  # BGR
    turned = cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA) if turned is None else np.ascontiguousarray(turned)
    png = cv2.imencode(".png", turned, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    told = b"" if coded is None else _chunk(b"cICP", bytes((*coded, 0, 1)))
    if profile:
        told += _chunk(b"iCCP", b"profile\0\0" + zlib.compress(profile))
    if xmp:
        told += _chunk(b"iTXt", XMP_CHUNK.encode() + b"\0\0\0\0\0" + xmp)
    if exif:
        told += _chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    return png[:AFTER_HEADER] + told + png[AFTER_HEADER:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _deep_tiff(image: np.ndarray, profile: bytes | None, xmp: bytes | None) -> bytes:
    import tifffile

    memory = io.BytesIO()
    kind = {"photometric": "minisblack" if image.ndim == 2 else "rgb"}
    if image.ndim == 3 and image.shape[2] == 4:
        kind["extrasamples"] = ["unassalpha"]
    tifffile.imwrite(memory, image, **kind, compression="zlib", iccprofile=profile,
                     extratags=[(XMP_TAG, 1, len(xmp), xmp, True)] if xmp else [])
    return memory.getvalue()


class Told(NamedTuple):
    """What the file of a picture says of it."""

    profile: bytes | None = None  # ICC
    exif: bytes | None = None  # without the orientation, the small picture inside it, and how the file is built
    grey: bool = False  # whether it has no colours at all


def told_in(path: Path) -> Told:
    """Of the picture at `path`; nothing of what is none."""
    try:
        with open_picture(path) as picture:
            grey = picture.mode in GREY
            profile = picture.info.get("icc_profile")
            known = picture.getexif()
            kept = Image.Exif()
            kept.update({tag: value for tag, value in known.items() if tag in OF_THE_PICTURE})
            for tag in INSIDE:
                if inside := known.get_ifd(tag):
                    kept.get_ifd(tag).update(inside)
            exif = kept.tobytes() if len(kept) or any(kept.get_ifd(tag) for tag in INSIDE) else None
    except Exception:  # see read()
        return Told()
    return Told(profile if profile and profile[16:20] == (b"GRAY" if grey else b"RGB ") else None, exif, grey)


def content(path: Path) -> str:
    """What the first bytes of a file say it is: "picture", "heic", "jxl", "video", "empty" or "other"."""
    try:
        with opened(path) as file:
            head = file.read(32)
    except (OSError, NotRegular):
        return "other"
    if not head:
        return "empty"
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "jxl"
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"):
            return "heic"
        return "picture" if brand in (b"avif", b"avis") else "video"
    pictures = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ", b"\xffO\xffQ")
    if head.startswith(pictures) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP") or (head[:1] == b"P" and head[1:3].strip().isdigit()):
        return "picture"
    videos = (b"\x1aE\xdf\xa3", b"FLV", b"0&\xb2u", b"\0\0\x01", b"\0\0\0\x01", b"OggS", b"G@")
    return "video" if head.startswith(videos) or head[:4] == b"RIFF" and head[8:12] == b"AVI " else "other"


class TransparentPicture(Frame):
    """A picture that is transparent somewhere."""

    def __init__(self, index: int, image: np.ndarray, name: str, rgba: np.ndarray):
        """`image`: as it is seen on white; `rgba`: (H, W, 4) uint8."""
        super().__init__(index, image, name)
        object.__setattr__(self, "_rgba", rgba)

    @property
    def rgba(self) -> np.ndarray:
        return self._rgba


def as_sdr(image: np.ndarray, tone: Tone) -> np.ndarray:
    """(H, W, 3) uint8 of a frame of HDR video (H, W, 3) uint16, up to 65535, as pictures have it."""
    return tone.sdr(_as_video(image))


class DeepPicture(Frame):
    """A picture of 16 bits a channel."""

    def __init__(self, index: int, full: np.ndarray, name: str, rgba: np.ndarray | None = None):
        """`full`: (H, W, 3) uint16 RGB, up to 65535, as it is seen on white; `rgba`: (H, W, 4), where it is transparent."""
        for attribute, value in (("index", index), ("full", full), ("name", name), ("time", None), ("_rgba", rgba)):
            object.__setattr__(self, attribute, value)

    @property
    def rgba(self) -> np.ndarray | None:
        return self._rgba

    @cached_property
    def image(self) -> np.ndarray:
        return as_bytes(_as_video(self.full))

    @property
    def size(self) -> tuple[int, int]:
        return self.full.shape[1::-1]

    @property
    def is_deep(self) -> bool:
        return True

    def part(self, rows: slice, columns: slice, deep: bool = False) -> np.ndarray:
        return _as_video(self.full[rows, columns]) if deep else self.image[rows, columns]


def with_patches(frame: Frame, patches: Sequence[Patch]) -> np.ndarray:
    """(H, W, 3) uint16, up to 65535: the frame as it is, and, where `patches` change it, what they show."""
    if not isinstance(frame, DeepPicture):
        return _full_scale(frame.with_patches(patches, True))
    image = frame.full.copy()
    for patch in patches:
        there = image[patch.rows, patch.columns]
        np.copyto(there, _full_scale(as_deep(patch.pixels)), where=patch.pixels != patch.before)
    return image


def _as_video(image: np.ndarray) -> np.ndarray:
    """uint16 up to 65535, as pictures have it, up to 255 * 256, as frames do."""
    return np.rint(image * np.float32(65280 / 65535)).astype(np.uint16)


def _full_scale(image: np.ndarray) -> np.ndarray:
    """The other way round."""
    return np.minimum(np.rint(image * np.float32(65535 / 65280)), 65535).astype(np.uint16)


class PictureSource(FrameSource):
    """The pictures of a folder in natural order of their names, or one picture. Those that cannot be read are `losses`."""

    rate = None

    def __init__(self, path: Path):
        self.path = Path(path)
        self.files = listed(self.path) if self.path.is_dir() else [self.path]
        if not self.files:
            raise FaceswapError(f"There is no picture in {self.path}.{_what_instead(self.path)}")
        self.count = len(self.files)
        self._losses: list[str] = []
        self._told = False  # that a picture moves

    @cached_property
    def names(self) -> list[str]:
        """Of all pictures, as their frames have them."""
        return [printable(file.name) for file in self.files]

    @cached_property
    def size(self) -> tuple[int, int] | None:
        """(width, height) of all pictures, or None where they differ; reads every file's header."""
        sizes = set()
        for file in self.files:
            if (size := _shown_size(file)) is not None:  # what cannot be read has no say
                sizes.add(size)
            if len(sizes) > 1:
                return None
        return sizes.pop() if sizes else None

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        self._losses = []
        files = self.files[start:stop]
        for index, (file, found) in enumerate(zip(files, ordered_map(_read_or_error, files, READERS)), start):
            if not isinstance(found, FaceswapError) and found.moves and not self._told:
                self._told = True
                logger.warning("%s moves: in a folder its first picture alone is taken, as of all such. Name it itself for all.",
                               printable(file.name))
            if isinstance(found, FaceswapError):
                self._losses.append(f"{file.name}: {_relative(found, file)}")
            elif found.image.dtype == np.uint16:
                yield DeepPicture(index, found.image, self.names[index], found.rgba)
            elif found.rgba is not None:
                yield TransparentPicture(index, found.image, self.names[index], found.rgba)
            else:
                yield Frame(index, found.image, self.names[index])

    @property
    def losses(self) -> list[str]:
        return list(self._losses)


def _read_or_error(file: Path) -> Pixels | FaceswapError:
    try:
        return pixels(file)
    except FaceswapError as error:
        return error


def _relative(error: FaceswapError, file: Path) -> str:
    return str(error).removeprefix(str(file)).strip()


def listed(folder: Path) -> list[Path]:
    """Files with a picture's ending, and those without any that hold one; hidden files are not looked at."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.is_file():
                    continue
                ending = os.path.splitext(entry.name)[1].lower()
                if ending in PICTURE_ENDINGS or not ending and content(Path(entry.path)) in ("picture", "heic"):
                    found.append(folder / entry.name)
    except OSError as error:
        raise FaceswapError(f"{folder} cannot be read: {error.strerror}. Check its permissions.") from error
    return sorted(found, key=lambda path: natural_key(path.name))


def _what_instead(folder: Path) -> str:
    inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
    if video := next((path for path in inside if path.suffix.lower() in VIDEO_ENDINGS), None):
        return f" There is a video: name it itself, {video}."
    if below := next((path for path in inside if path.is_dir()), None):
        return f" Folders inside it are not searched: name one itself, such as {below}."
    return " Name a folder with pictures, a picture or a video."


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return picture if picture.getexif().get(ORIENTATION, 1) == 1 else ImageOps.exif_transpose(picture)  # which makes a copy in any case
    except Exception:  # damaged EXIF data must not cost the picture
        return picture


def _deep_pixels(image: np.ndarray) -> Pixels:
    if image.shape[2] == 3 or image[..., 3].min() == 65535:
        return Pixels(np.ascontiguousarray(image[..., :3]))
    alpha = image[..., 3:].astype(np.float32) / 65535
    return Pixels(np.rint(image[..., :3] * alpha + 65535 * (1 - alpha)).astype(np.uint16), image)


def _pixels(picture: Image.Image) -> Pixels:
    """Of a loaded picture in any of Pillow's modes, uint8."""
    rgba = np.asarray(picture.convert("RGBA")) if picture.has_transparency_data else None
    return Pixels(_rgb(picture), rgba if rgba is not None and rgba[..., 3].min() < 255 else None)


def _rgb(picture: Image.Image) -> np.ndarray:
    """(H, W, 3) uint8 of a loaded picture in any of Pillow's modes."""
    if picture.mode.startswith(("I", "F")):  # Pillow would clip these to white
        values = np.asarray(picture).astype(np.float32)
        top = 65535.0 if picture.mode.startswith("I") else max(1.0, float(values.max()))
        grey = np.clip(values * (255.0 / top) + 0.5, 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return np.asarray(Image.alpha_composite(white, picture).convert("RGB"))
    return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))


def _shown_size(file: Path) -> tuple[int, int] | None:
    try:
        with open_picture(file) as picture:
            turned = picture.format != "TIFF" and picture.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)  # of TIFF Pillow has turned the size
            return picture.size[::-1] if turned else picture.size
    except Exception:  # see read(), which may know more
        found = _read_or_error(file)
        return None if isinstance(found, FaceswapError) else found.image.shape[1::-1]


def _read_heic(path: Path) -> Pixels:
    """Through pillow-heif where it is installed; FFmpeg reads those that are not cut into tiles."""
    try:
        import pillow_heif
    except ImportError:
        from lib.media.video.video_source import read_still

        image = read_still(path)
        if image is None:
            raise FaceswapError(f"{path} is a HEIC picture in tiles, as phones write. Install pillow-heif (pip install pillow-heif) "
                                "or convert it to JPEG.") from None
        return Pixels(image)
    try:
        picture = pillow_heif.open_heif(path)
        check_memory(path, *picture.size, FULL, path.stat().st_size)
        return _pixels(_upright(picture.to_pillow()))
    except TooLarge:
        raise
    except Exception as error:  # see read()
        raise FaceswapError(f"{path} is damaged and cannot be read: {_one_line(error)}. Replace it or take it away.") from error


def _not_a_picture(path: Path, kind: str) -> str:
    if path.is_dir():
        return f"{path} is a folder, not a picture."
    return {"empty": f"{path} is empty (0 bytes). Replace it or take it away.",
            "jxl": f"{path} is a JPEG XL picture, which is not read. Convert it to PNG or JPEG first: djxl and ImageMagick do.",
            "video": f"{path} holds a video, not a picture. Give it a video's ending.",
            "picture": f"{path} is damaged: not even its size can be read. Replace it or take it away."}.get(
                kind, f"{path} is not a picture. Replace it or take it away.")


def _of_floats(path: Path) -> str | None:
    """What to say of a TIFF whose values are numbers with a fraction; None of any other file."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            kind = tiff.pages[0].dtype
    except Exception:  # see read()
        return None
    return (f"{path} is a TIFF of {8 * kind.itemsize}-bit floating-point values, which is not read: what they mean as colours it does not "
            "say. Save it as 16-bit TIFF or PNG.") if kind is not None and kind.kind == "f" else None


def _one_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(". ")
