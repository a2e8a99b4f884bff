"""The one place that writes files: results appear whole or not at all, never through a link, and
only our own files are removed.

A file is written under a new name in the folder of its result
(`.faceswap-MACHINE-PROCESS-RANDOM.part`, made with O_EXCL and O_NOFOLLOW), flushed, and renamed. A
link that somebody put at the name of the result is replaced, not followed. What a killed run left
behind is removed by the next run that works in the folder. Folders of work in progress carry a
mark, `MARK`; without it nothing in them is removed.
"""

from __future__ import annotations

import errno
import functools
import json
import os
import platform
import re
import secrets
import shutil
import stat
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import psutil

from lib.errors import FaceswapError
from lib.words import escaped_lines

# Machine, process
PART = re.compile(r"\.faceswap-([0-9a-f]{8})-([0-9]+)-[0-9a-f]{8}\.part(-journal|\.lock)?")
MARK = ".faceswap-work"
MARK_TEXT = b"faceswap.py keeps work in progress here, and removes this folder once it is done.\n"
# Seconds after the last change from which an unfinished file of another machine is one of a killed
# run
ABANDONED = 3600.0

NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
BINARY = getattr(os, "O_BINARY", 0)


def part_beside(path: Path) -> Path:
    """A new name in the folder of `path`, for what is written there before it takes its own
    name."""
    return path.with_name(f".faceswap-{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.part")


@contextmanager
def new_file(path: Path, *, durable: bool = True, mode: int = 0o666) -> Iterator[Path]:
    """An empty file beside `path`, for libraries that open files by name; it becomes `path` if the
    block ends without an error.

    With `durable` it is flushed to the disk first, so that a power failure leaves the old file or
    the new one. Raises OSError.
    """
    part = part_beside(path)
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOW | BINARY, mode))
        yield part
        publish(part, path, durable=durable)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


@contextmanager
def open_new(path: Path, *, durable: bool = True, mode: int = 0o666) -> Iterator[BinaryIO]:
    """As `new_file`, opened for writing bytes."""
    with new_file(path, durable=durable, mode=mode) as part:
        with open(part, "r+b") as file:
            yield file


def write_bytes(path: Path, data: bytes, *, durable: bool = True, mode: int = 0o666) -> None:
    """Replaces `path` by a file of `data`. Raises OSError."""
    with open_new(path, durable=durable, mode=mode) as file:
        file.write(data)


def write_new(path: Path, data: bytes, *, durable: bool = True, mode: int = 0o666) -> None:
    """Makes a file of `data` that appears whole, and with `durable` outlasts a power failure.

    Raises FileExistsError where anything has the name already, OSError.
    """
    part = part_beside(path)
    try:
        with create(part, mode=mode) as file:
            file.write(data)
        if durable:
            flush_file(part)
        try:
            # unlike renaming, this never replaces a file
            os.link(part, path, follow_symlinks=False)
        except FileExistsError:
            raise
        except (OSError, NotImplementedError):  # a disk without hard links
            with create(path, mode=mode) as file:
                file.write(data)
        if durable:
            flush_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Replaces `path` by a file of `text` in UTF-8; what is no text in the names of old disks
    becomes \\udcff. Raises OSError."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"), durable=durable)


def write_json(path: Path, value: Any, *, indent: int | None = 1, durable: bool = True) -> None:
    """Replaces `path` by `value` as JSON; values that JSON does not know become text. Raises
    OSError."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    write_text(path, escaped_lines(text), durable=durable)


def create(path: Path, *, buffering: int = -1, mode: int = 0o666) -> BinaryIO:
    """Opens a new file for writing and reading. Raises FileExistsError where anything has the name
    already."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | NO_FOLLOW | BINARY
    return open(os.open(path, flags, mode), "w+b", buffering=buffering)


def open_append(path: Path, *, buffering: int = -1) -> BinaryIO:
    """Opens a file to write at its end; it is created if missing.

    Raises OSError, also where `path` is a link or no regular file.
    """
    return open(_open_regular(path, os.O_WRONLY | os.O_APPEND), "ab", buffering=buffering)


def open_lock(path: Path) -> int:
    """A descriptor of the empty file `path`, created if missing. Raises as `open_append` does."""
    return _open_regular(path, os.O_RDWR)


def _open_regular(path: Path, flags: int) -> int:
    flags |= os.O_CREAT | getattr(os, "O_NONBLOCK", 0)  # a pipe would wait for its other end
    descriptor = os.open(path, flags | NO_FOLLOW | BINARY, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return descriptor


def copy_file(source: Path, target: Path, *, link: bool = False) -> None:
    """Copies a file with its times; with `link` a hard link is made where the disk can do that.
    Raises OSError.

    Raises FileExistsError where `link` is asked for and `target` exists.
    """
    if link:
        try:
            return os.link(source, target, follow_symlinks=False)
        except FileExistsError:
            raise
        except (OSError, NotImplementedError):
            pass  # a disk without hard links
    with new_file(target) as part:
        shutil.copyfile(source, part)
        shutil.copystat(source, part)


def rename_file(path: Path, target: Path) -> None:
    """Gives a file of the user's another name. Whether that is free is for the caller to see.
    Raises OSError."""
    os.rename(path, target)


def publish(part: Path, path: Path, *, durable: bool = True) -> None:
    """Gives the finished file `part` its final name, `path`, in one step that a power failure
    cannot halve. Raises OSError."""
    if durable:
        flush_file(part)
    os.replace(part, path)
    if durable:
        flush_folder(path.parent)


def flush_file(path: Path) -> None:
    """Waits until the disk has what was written to `path`."""
    descriptor = os.open(path, os.O_RDWR | NO_FOLLOW | BINARY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(folder: Path) -> None:
    """Waits until the disk has the names of a folder; Windows neither needs nor allows it."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# --- folders


def make_folder(folder: Path) -> None:
    """Creates a folder that the user named, with those above it, and removes what killed runs left
    there. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)


def make_inner_folder(folder: Path) -> None:
    """Creates a folder inside a folder that may come from somebody else. Raises FaceswapError where
    it is a link or a file."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir()
    check_inner_folder(folder)


def check_inner_folder(folder: Path) -> None:
    """Raises FaceswapError where `folder` exists and is a link or no folder: what is written or
    removed there would hit another place."""
    if folder.is_symlink():
        raise FaceswapError(f"{folder} is a link to another place, so nothing is written there. "
                            "Replace it by the folder itself.")
    if folder.exists() and not folder.is_dir():
        raise FaceswapError(f"{folder} is a file where a folder belongs. Move it away.")


def probe(folder: Path) -> None:
    """Raises OSError where no file can be made in `folder`."""
    part = part_beside(folder / "probe")
    create(part).close()
    part.unlink()


def sweep(folder: Path) -> None:
    """Removes unfinished files of runs that were killed: on this machine at once, on others after
    an hour. What cannot be removed stays."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = PART.fullmatch(entry.name)
            with suppress(OSError):
                if match and not entry.is_dir(follow_symlinks=False):
                    is_over = match[1] == _machine() and not psutil.pid_exists(int(match[2]))
                    age = time.time() - entry.stat(follow_symlinks=False).st_mtime
                    if is_over or age > ABANDONED:
                        os.unlink(entry.path)


@functools.cache
def _machine() -> str:
    """Eight digits for this machine, or this container of it: one with process numbers of its
    own."""
    try:
        processes = os.readlink("/proc/self/ns/pid")
    except OSError:
        processes = ""
    return f"{zlib.crc32(f'{platform.node()} {processes}'.encode()):08x}"


def work_folder_of(path: Path) -> Path:
    """Where the work in progress on the result `path` lies, for the next run to resume it."""
    return path.with_name(path.name + ".part")


def make_work_folder(folder: Path) -> None:
    """Creates a folder of work in progress, or takes the one of an earlier run.

    Raises FaceswapError where another file, a link, or a folder that is not empty and lacks our
    mark has its name; OSError.
    """
    with suppress(FileExistsError):
        folder.mkdir()
    is_folder = not folder.is_symlink() and folder.is_dir()
    if not is_folder or not is_work_folder(folder) and any(folder.iterdir()):
        raise FaceswapError(f"{folder} is in the way: work in progress would lie there, and it was "
                            "not made by this program. Move it away, or choose another output.")
    if not is_work_folder(folder):
        # another machine of the same work may be as far
        with suppress(FileExistsError), create(folder / MARK) as file:
            file.write(MARK_TEXT)


def is_work_folder(folder: Path) -> bool:
    """Whether `folder` is a folder of work in progress that carries our mark."""
    try:
        mark = folder / MARK
        return not folder.is_symlink() and stat.S_ISREG(mark.lstat().st_mode)
    except OSError:
        return False


def remove_work_folder(folder: Path) -> None:
    """Removes a folder of work in progress with all that is in it; anything else stays. What cannot
    be removed stays."""
    if is_work_folder(folder):
        shutil.rmtree(folder, ignore_errors=True)


def publish_work_folder(folder: Path, path: Path) -> None:
    """Gives a folder of work in progress, which is complete, its final name, where nothing has that
    name yet. Raises OSError."""
    folder.rename(path)
    # only now: without its mark it would be in the way of the next run, had this one been killed
    (path / MARK).unlink(missing_ok=True)


def remove_inner_folder(folder: Path, ours: Callable[[str], bool]) -> None:
    """Removes a flat folder of ours, if every file in it is named as `ours` says; anything else
    stays. What cannot be removed stays."""
    if folder.is_symlink() or not folder.is_dir():
        return
    with suppress(OSError):
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)]
        for name in filter(ours, names):
            os.unlink(folder / name)
        folder.rmdir()


# --- what the disk says


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns what the disk refuses while `path` is written into a FaceswapError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FaceswapError(f"No space left on the disk for {path}. Free some space or choose "
                                "another place, and run again.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise FaceswapError(f"{path.parent} may not be written. Choose another output or "
                                "change its permissions.") from error
        if error.errno == errno.EFBIG:
            raise FaceswapError(f"{path} would be larger than this disk allows. Choose another "
                                "place.") from error
        reason = error.strerror or error
        raise FaceswapError(f"{path} cannot be written: {reason}. Choose another "
                            "output.") from error
