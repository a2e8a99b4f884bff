"""The one place that opens what others made, and that turns JSON and TOML into values: limits come
before the work.

What is opened is a regular file: a pipe or a device would be waited for, or never end. `named`
False says that nobody named this very file, so that it may not be a link: it was found in a folder,
which may be a stranger's.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from lib.errors import FaceswapError

MOST = 64 << 20  # bytes of a text
MOST_TOML = 256 << 10  # bytes: its parser takes time by the square of what it reads
DEEPEST = 64  # lists and objects within each other
MOST_PARTS = 5_000_000  # lists and objects in all: each takes 64 bytes, written with two
MOST_DOTS = 100  # of a key in TOML
WHOLE = range(-(1 << 63), 1 << 63)  # whole numbers that other programs keep, too
DIGITS = 20  # of the longest of them
_KEYS = re.compile(r"[,=\[\]{}\r\n#]")  # what stands between keys and values of TOML


class Unreadable(ValueError):
    """A text that is too large, too deep, or not what it should be; the message says it in one
    line."""


class NotRegular(FaceswapError):
    """A pipe, a device, a socket, or a link that nobody named."""


def opened(path: Path, named: bool = True) -> BinaryIO:
    """The regular file at `path`, open for reading. Raises NotRegular where it is none, OSError
    where it cannot be read.
    """
    # a pipe without a writer is not waited for
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if not named and os.path.islink(path):
        raise NotRegular(f"{path} is a link. Put the file itself there.")
    descriptor = os.open(path, flags | (0 if named else getattr(os, "O_NOFOLLOW", 0)))
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise _not_regular(path)
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def check_regular(path: Path) -> None:
    """Raises NotRegular where a pipe, a device or a socket lies at `path`, for what only libraries
    open; nothing is said of what is missing, or a folder.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise _not_regular(path)


def read_bytes(path: Path, most: int | None = None, named: bool = True) -> bytes:
    """All of the file. Raises NotRegular, OSError, or Unreadable where it has more than `most`
    bytes."""
    with opened(path, named) as file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            raise Unreadable(f"it has {size} bytes, more than {most}")
        data = file.read() if most is None else file.read(most + 1)
    if most is not None and len(data) > most:  # it grew, or tells no size, as files of /proc
        raise Unreadable(f"it has more than {most} bytes")
    return data


def read_text(path: Path, most: int = MOST, named: bool = True) -> str:
    """The text of a file in UTF-8, with or without a mark of order. Raises as `read_bytes` does,
    Unreadable where it is none.
    """
    return _decoded(read_bytes(path, most, named))


def read_json(path: Path, most: int = MOST, named: bool = True, finite: bool = True) -> Any:
    """The values in a JSON file. Raises NotRegular, OSError, or Unreadable, which does not name the
    file."""
    return parse_json(read_bytes(path, most, named), finite)


def read_toml(path: Path, named: bool = True) -> dict[str, Any]:
    """The tables of a TOML file. Raises as `read_json` does."""
    return parse_toml(read_text(path, MOST_TOML, named))


def parse_json(text: str | bytes, finite: bool = True) -> Any:
    """The values that a JSON text says: whole numbers of 64 bits, no more than `DEEPEST` in each
    other. Raises Unreadable.

    `finite`: whether NaN and infinities are refused, as JSON itself has it; Python writes them.
    """
    text = _decoded(text)
    if len(text) > 2 * MOST_PARTS and text.count("[") + text.count("{") > MOST_PARTS:
        raise Unreadable(f"it has more than {MOST_PARTS} lists and objects")
    try:
        value = (_STRICT if finite else _LENIENT).decode(text)
    except RecursionError:
        raise Unreadable(f"it is more than {DEEPEST} deep") from None
    except MemoryError:
        raise Unreadable("it takes more memory than there is") from None
    except Unreadable:
        raise
    except ValueError as error:
        raise Unreadable(_one_line(error)) from None
    check_depth(value)
    return value


def json_member(text: str, place: int) -> tuple[Any, int]:
    """The JSON value that begins at `place` of `text`, and where it ends; NaN and infinities are
    left to the caller.

    Raises json.JSONDecodeError where it is not whole or wrong; Unreadable where it goes beyond the
    limits of `parse_json`.
    """
    try:
        value, end = _LENIENT.raw_decode(text, place)
    except RecursionError:
        raise Unreadable(f"it is more than {DEEPEST} deep") from None
    except MemoryError:
        raise Unreadable("it takes more memory than there is") from None
    check_depth(value)
    return value, end


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises Unreadable."""
    if len(text) > MOST_TOML:
        raise Unreadable(f"it has more than {MOST_TOML} characters")
    parts = _KEYS.split(text.replace(" ", "").replace("\t", ""))
    if any(part.count(".") > MOST_DOTS for part in parts):
        raise Unreadable(f"a key has more than {MOST_DOTS} dots")
    try:
        tables = tomllib.loads(text)
    except RecursionError:
        raise Unreadable(f"it is more than {DEEPEST} deep") from None
    except MemoryError:
        raise Unreadable("it takes more memory than there is") from None
    except ValueError as error:
        raise Unreadable(_one_line(error)) from None
    check_depth(tables, whole=True)
    return tables


def as_json(value: Any, default: Callable[[Any], Any] | None = None) -> Any:
    """`value` as it comes back from JSON: tuples as lists, keys as texts; `default` turns what JSON
    lacks into what it has.
    """
    return parse_json(json.dumps(value, default=default), finite=False)


def check_depth(value: Any, whole: bool = False) -> None:
    """Raises Unreadable where lists and objects lie too deep in `value`, or, if `whole`, where a
    whole number is too large.
    """
    level = [[value]]
    for _ in range(DEEPEST + 1):
        inner = [item for each in level for item in (each.values() if type(each) is dict else each)]
        if whole and any(type(item) is int and item not in WHOLE for item in inner):
            raise Unreadable("a whole number has more than 64 bits")
        level = [item for item in inner if type(item) in (dict, list)]
        if not level:
            return
    raise Unreadable(f"it is more than {DEEPEST} deep")


def _decoded(text: str | bytes) -> str:
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"it is not text in UTF-8 ({error.reason} at byte "
                         f"{error.start})") from None


def _whole(text: str) -> int:
    if len(text) > DIGITS or (number := int(text)) not in WHOLE:
        raise Unreadable("a whole number has more than 64 bits")
    return number


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Unreadable("a number is too large")
    return number


def _no_number(text: str) -> float:
    raise Unreadable(f"{text} is no number")


def _not_regular(path: Path) -> NotRegular:
    return NotRegular(f"{path} is no file, but a pipe, a device or a socket. Name a file.")


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else text[:200] + " ..."


_STRICT = json.JSONDecoder(parse_int=_whole, parse_float=_finite, parse_constant=_no_number)
_LENIENT = json.JSONDecoder(parse_int=_whole)
