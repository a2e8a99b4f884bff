"""The list of what to gather: one address a line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from lib.errors import FaceswapError
from lib.files.reading import Unreadable, read_text

SHOWN = 60  # characters of a line that a message shows


@dataclass(frozen=True)
class Listed:
    """A line of the list: its address, and what is wrong with it, if anything is."""

    number: int  # of the line, from 1
    address: str
    problem: str | None = None


def read_list(path: Path) -> list[Listed]:
    """The addresses in the file at `path`, each once, without blank lines and those that begin with
    #.

    Raises FaceswapError where the file cannot be read, is no text or names nothing.
    """
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise FaceswapError(f"{path} does not exist. Name a text file with one address a line with "
                            "-i.") from None
    except IsADirectoryError:
        raise FaceswapError(f"{path} is a folder. Name a text file with one address a line with "
                            "-i.") from None
    except OSError as error:
        raise FaceswapError(f"{path} cannot be read: {error.strerror}. Check its "
                            "permissions.") from None
    except Unreadable as error:
        if str(error).startswith("it has "):
            raise FaceswapError(f"{path} is too long: {error}. Cut it into several "
                                "lists.") from None
        text = "\0"
    if "\0" in text:
        raise FaceswapError(f"{path} is no text in UTF-8. Save the list as plain text in UTF-8, "
                            "one address a line.")
    numbers = {}  # of the lines, by their addresses
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line and not line.startswith("#"):
            # What follows # is not sent to servers
            numbers.setdefault(line.partition("#")[0] if "://" in line else line, number)
    if not numbers:
        raise FaceswapError(f"{path} names no address. Write one address (https://...) a line into "
                            "it.")
    return [Listed(number, address, _problem(address)) for address, number in numbers.items()]


def _problem(address: str) -> str | None:
    shown = address if len(address) <= SHOWN else address[:SHOWN] + "..."
    if len(address.split()) > 1:
        return (f"{shown!r} holds a blank: write one address a line, and %20 for a blank that "
                "belongs to it")
    scheme = address.partition("://")[0].lower() if "://" in address else ""
    if not scheme:
        return f"{shown!r} is no address: it must begin with http:// or https://"
    if scheme not in ("http", "https"):
        return f"{shown!r} is neither http nor https; nothing else is fetched"
    try:
        parts = urlsplit(address)
        _ = parts.port  # ValueError where it is no number
    except ValueError as error:
        return f"{shown!r} is no address: {error}"
    return None if parts.hostname else f"{shown!r} names no host"
