"""Names for files that strangers named: what a server or an address says is made harmless on any
system."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote, urlsplit

from lib.files.names import PICTURE_ENDINGS, VIDEO_ENDINGS

BYTES = 150  # of a whole name in UTF-8; file systems take 255, and other commands append to names
NUMBER = 8  # bytes kept free for "-2" and the like
DROPPED = PICTURE_ENDINGS | VIDEO_ENDINGS | {".php", ".html", ".htm", ".asp", ".aspx", ".jsp",
                                             ".cgi", ".bin", ".part", ".tmp"}
# Devices, on Windows
RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\.|$)", re.I)


def offered_name(address: str, disposition: str | None) -> str:
    """The name that the server gives (Content-Disposition), else the last part of the address, else
    its host. Not safe yet."""
    parts = urlsplit(address)
    last = unquote(parts.path.rpartition("/")[2])
    return _name_in(disposition or "") or last or parts.hostname or ""


def safe_name(offered: str, ending: str) -> str:
    """A file name made of `offered`, with `ending` (".jpg"), that stays in its folder and that
    every usual system allows."""
    name = unicodedata.normalize("NFC", offered.replace("\\", "/")).rpartition("/")[2]
    # C: control characters, and those that turn the direction of writing, so that gnp.exe would be
    # shown as exe.png; Zl and Zp: separators of lines and paragraphs
    kinds = {letter: unicodedata.category(letter) for letter in name}
    name = "".join(" " if kinds[letter] in ("Zl", "Zp") else letter
                   for letter in name if not kinds[letter].startswith("C"))
    name = re.sub(r'[<>:"|?*]', "_", name).rstrip(" .")
    stem, dot, last = name.rpartition(".")
    name = _trimmed(stem if dot + last.lower() in DROPPED else name)
    if RESERVED.match(name):
        name = f"_{name}"
    name = name.encode("utf-8")[:BYTES - NUMBER - len(ending)].decode("utf-8", "ignore")
    return (_trimmed(name) or "file") + ending


def free_name(name: str, taken: set[str]) -> str:
    """`name`, or `name` with -2, -3 ... before its ending, that no name in `taken` (as `folded`
    makes them) equals."""
    stem, dot, ending = name.rpartition(".")
    number = 1
    while folded(name) in taken:
        number += 1
        name = f"{stem}-{number}{dot}{ending}"
    return name


def folded(name: str) -> str:
    """Equal for names that some file system takes for the same: upper and lower case, and composed
    letters."""
    return unicodedata.normalize("NFC", name).casefold()


def _trimmed(name: str) -> str:
    """Without leading dots, which hide a file, leading dashes, which make it an option, and dots at
    the end, which Windows drops."""
    return name.lstrip(" .-").rstrip(" .")


def _name_in(header: str) -> str:
    """The file name of a Content-Disposition header (RFC 6266), or nothing."""
    if coded := re.search(r"filename\*\s*=\s*\"?([\w-]+)'[^']*'([^;\"\s]+)", header, re.IGNORECASE):
        try:
            return unquote(coded[2], encoding=coded[1], errors="strict")
        except (LookupError, ValueError):  # no such encoding, or not of that encoding
            pass
    plain = re.search(r'filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))', header, re.IGNORECASE)
    if not plain:
        return ""
    name = plain[2] if plain[1] is None else re.sub(r'\\(["\\])', r"\1", plain[1])
    try:
        # headers are read as Latin-1, and most servers send UTF-8
        name = name.encode("latin-1").decode("utf-8")
    except ValueError:
        pass
    return unquote(name)
