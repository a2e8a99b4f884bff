"""Errors that a user can fix, and the exit codes that batch scripts read."""

import errno
from collections.abc import Collection

DONE = 0
FIXABLE = 1  # something that the user can fix: a FaceswapError
USAGE = 2  # the command line itself is wrong
SOME_FAILED = 3  # done, but some frames failed; each is named in the log
INTERRUPTED = 130  # Ctrl-C or SIGTERM, after saving

_FIXES = {
    errno.ENOSPC: "The disk is full. Make room and run the same command again",
    errno.EDQUOT: "Your disk quota is used up. Make room and run the same command again",
    errno.EACCES: "Permission denied. Choose another place or change its permissions",
    errno.EPERM: "Not permitted. Choose another place or change its permissions",
    errno.EROFS: "This disk is read-only. Choose another place",
    errno.EIO: "The disk cannot be read or written. Check the disk",
    errno.EMFILE: "Too many open files. Raise the limit (ulimit -n)",
    errno.ENAMETOOLONG: "The file name is too long. Choose a shorter one",
    errno.EFBIG: "The file is larger than this disk allows. Choose another place",
    errno.ENOTDIR: "A part of this path is a file, not a folder. Choose another place",
}


class FaceswapError(Exception):
    """What went wrong, where, and what to do next. `faceswap.py` prints it alone, in one line, and
    exits with `exit_code`."""

    exit_code = FIXABLE


class UsageError(FaceswapError):
    """The command line or the configuration file asks for what does not exist or is out of bounds."""

    exit_code = USAGE


class Stopped(KeyboardInterrupt):
    """A job was asked to stop, by its `stop`. All that was done is kept, as after Ctrl-C."""


def trouble_with_machine(error: Exception, options: Collection[str] = ()) -> str | None:
    """One line about a full disk, missing memory or missing rights; None for any other exception.

    `options` are the names of the options that the command has.
    """
    kind = type(error).__name__
    if isinstance(error, MemoryError) or kind in ("ResourceExhaustedError", "OutOfMemoryError") or "RESOURCE_EXHAUSTED" in str(error):
        smaller = [f"--{name}" for name in ("batch", "size") if name in options]
        return f"Out of memory. {f'Take a smaller {smaller[0]}, or close' if smaller else 'Close'} other programs."
    if kind in ("UnavailableError", "AbortedError"):  # TensorFlow, of several machines
        return "Another machine of this training ended or cannot be reached. Its own message says why; then start all of them again."
    text = str(error)
    if "No space left on device" in text or "database or disk is full" in text:  # h5py and SQLite give no number
        code = errno.ENOSPC
    else:
        code = error.errno if isinstance(error, OSError) else None
    if code not in _FIXES:
        return None
    where = getattr(error, "filename2", None) or getattr(error, "filename", None)
    return f"{_FIXES[code]}: {where}." if where else f"{_FIXES[code]}."
