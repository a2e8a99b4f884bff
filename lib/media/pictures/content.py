"""What a file is by its first bytes, and why it is not a picture that can be read."""

from __future__ import annotations

from pathlib import Path

from lib.files.reading import NotRegular, opened

HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")
PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*",
            b"\0\0\0\x0cjP  ", b"\xffO\xffQ")
VIDEOS = (b"\x1aE\xdf\xa3", b"FLV", b"0&\xb2u", b"\0\0\x01", b"\0\0\0\x01", b"OggS", b"G@")


def identify(path: Path) -> str:
    """What a file is: "picture", "heic", "jxl", "video", "empty" or "other"."""
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
        return "heic" if brand in HEIC_BRANDS else "picture" if brand in AVIF_BRANDS else "video"
    riff = head[8:12] if head[:4] == b"RIFF" else b""
    is_netpbm = head[:1] == b"P" and head[1:3].strip().isdigit()
    if head.startswith(PICTURES) or riff == b"WEBP" or is_netpbm:
        return "picture"
    return "video" if head.startswith(VIDEOS) or riff == b"AVI " else "other"


def problem_of(path: Path) -> str:
    """Why the file at `path`, which Pillow does not know, is not read, and what to do."""
    if path.is_dir():
        return f"{path} is a folder, not a picture."
    kind = identify(path)
    if kind == "picture" and (bits := _bits_of_floats(path)):
        return (f"{path} is a TIFF of {bits}-bit floating-point values, which is not read: what "
                "they mean as colours it does not say. Save it as 16-bit TIFF or PNG.")
    problem = {
        "empty": "is empty (0 bytes). Replace it or take it away.",
        "jxl": "is a JPEG XL picture, which is not read. Convert it to PNG or JPEG first: djxl and "
               "ImageMagick do.",
        "video": "holds a video, not a picture. Give it a video's ending.",
        "picture": "is damaged: not even its size can be read. Replace it or take it away."}
    return f"{path} {problem.get(kind, 'is not a picture. Replace it or take it away.')}"


def _bits_of_floats(path: Path) -> int | None:
    """Bits of a value of a TIFF of floating-point numbers; None of any other file."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            kind = tiff.pages[0].dtype
    except Exception:  # decoders of damaged files raise anything
        return None
    return 8 * kind.itemsize if kind is not None and kind.kind == "f" else None
