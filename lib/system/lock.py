"""One writer at a time: an advisory lock that the system releases when its holder dies, however it
dies.

Between machines that share a folder such locks often do not reach; there a file that its holder
touches now and then says so too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import sys
import threading
from pathlib import Path

from lib.files.writing import create, open_lock, part_beside, write_text

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class Locked(Exception):
    """Another process holds the lock."""


class Elsewhere(Exception):
    """A process on another machine, which is named, holds the lock."""


# what a disk says that knows none
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
SILENT = 60.0  # seconds without a beat after which its holder counts as gone
BEATS = 10.0  # seconds between two


class Beat:
    """Within it, a thread touches `path`, which names this machine, every BEATS seconds. For one
    process of a machine: hold a Lock.

    Raises Elsewhere at entering where another machine has touched it in the last SILENT seconds.
    """

    def __init__(self, path: Path, beats: float = BEATS):
        self._path, self._beats = path, beats
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_touching, name="beat", daemon=True)

    def __enter__(self) -> Beat:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            holder, age = self._path.read_text(encoding="utf-8"), self._age()
            if holder and holder != _machine() and age < SILENT:
                raise Elsewhere(holder.partition(" ")[0])
        # a full disk must not keep a training from saying so itself
        with contextlib.suppress(OSError):
            write_text(self._path, _machine(), durable=False)
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _age(self) -> float:
        """Seconds since the last beat, by the clock of the disk: machines' own differ."""
        probe = part_beside(self._path)
        try:
            create(probe).close()
            return probe.stat().st_mtime - self._path.stat().st_mtime
        finally:
            probe.unlink(missing_ok=True)

    def _keep_touching(self) -> None:
        while not self._ended.wait(self._beats):
            with contextlib.suppress(OSError):
                os.utime(self._path, follow_symlinks=False)


def _machine() -> str:
    """This machine's name, and what tells it from others of the name, where the system knows
    that."""
    number = ""
    with contextlib.suppress(OSError):
        number = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    return f"{platform.node() or 'unknown'} {number}".strip()


class Lock:
    """Holds `path`, a small file made for it, until `release`. Raises Locked if someone else does,
    OSError if it cannot be made."""

    def __init__(self, path: Path):
        self.path = path
        while True:
            self._file = open_lock(path)
            try:
                _take(self._file)
            except OSError as error:
                if error.errno in NO_LOCKS:
                    return  # a disk that knows no locks
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


def held(path: Path) -> bool:
    """Whether somebody holds the Lock of `path`. Several may ask at once. Raises OSError."""
    if not path.exists():
        return False
    file = open_lock(path)
    try:
        _take(file, shared=True)
        return False
    except OSError as error:
        return error.errno not in NO_LOCKS
    finally:
        os.close(file)


def locks_bytes(folder: Path) -> bool:
    """Whether the disk of `folder` knows locks of parts of files, which SQLite needs; also where no
    file can be made there to try it."""
    if sys.platform == "win32":
        return True
    probe = part_beside(folder / "locks")
    try:
        with create(probe) as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in NO_LOCKS
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
    return True


def _take(file: int, shared: bool = False) -> None:
    if sys.platform == "win32":
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.lstat(path))
    except FileNotFoundError:
        return False
