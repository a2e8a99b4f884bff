"""What tells the content of a file from other content, whatever its name and its time: quick, and
the same on every machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from lib.files.reading import opened

WHOLE = 1 << 18  # bytes up to which all of a file is read
# of larger ones so many blocks of so many bytes, evenly spread from the first byte to the last
BLOCKS, BLOCK = 32, 1 << 13


def fingerprint(path: Path) -> str:
    """SHA-256, in hex, of the length of a file and its bytes; of a large file, of evenly spread
    blocks. Raises OSError.

    A compressed picture or video differs from its first change on. Of pixels that are stored
    plainly, any change that spans a thirtieth of the file is noticed.
    """
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.sha256(str(size).encode() + b"\0")
        if size <= WHOLE:
            digest.update(file.read(WHOLE + 1))
        else:
            for number in range(BLOCKS):
                file.seek(number * (size - BLOCK) // (BLOCKS - 1))
                digest.update(file.read(BLOCK))
        return digest.hexdigest()


def stamp(path: Path) -> str:
    """Size and times of a file: while they stay as they are on one machine, so does its content.
    Raises OSError."""
    status = os.stat(path)
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def of_files(named: Iterable[tuple[str, str]]) -> str:
    """One fingerprint for several files, given as their names and fingerprints, in any order."""
    digest = hashlib.sha256()
    for name, content in sorted(named):
        digest.update(os.fsencode(name) + b"\0" + content.encode() + b"\0")
    return digest.hexdigest()
