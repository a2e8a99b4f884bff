"""One writer at a time: an advisory lock that the system releases when its holder dies, however it dies."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class Locked(Exception):
    """Another process holds the lock."""


class Lock:
    """Holds `path`, a small file made for it, until `release`. Raises Locked if someone else does, OSError if it cannot be made."""

    def __init__(self, path: Path):
        self.path = path
        while True:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                _take(self._file)
            except OSError:
                os.close(self._file)
                raise Locked(str(path)) from None
            if _is_at(self._file, path):
                return
            os.close(self._file)  # its last holder took it away between our opening and locking it

    def release(self) -> None:
        if sys.platform == "win32":  # an open file cannot be taken away there
            os.close(self._file)
            try:
                self.path.unlink()
            except OSError:
                pass  # the next holder has it open
        else:
            self.path.unlink(missing_ok=True)
            os.close(self._file)


def _take(file: int) -> None:
    if sys.platform == "win32":
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False
