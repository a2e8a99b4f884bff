"""Errors that a user can fix, and the exit codes that batch scripts read."""

DONE = 0
FIXABLE = 1  # something that the user can fix: a FaceswapError
USAGE = 2  # the command line itself is wrong
SOME_FAILED = 3  # done, but some frames failed; each is named in the log
INTERRUPTED = 130  # Ctrl-C or SIGTERM, after saving


class FaceswapError(Exception):
    """What went wrong, where, and what to do next. `faceswap.py` prints it alone and exits with `exit_code`."""

    exit_code = FIXABLE


class UsageError(FaceswapError):
    """The command line or the configuration file asks for something that does not exist or is out of bounds."""

    exit_code = USAGE
