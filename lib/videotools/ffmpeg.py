"""Runs of the ffmpeg program: found, shown, watched, and their results put under their names only when they are whole and right."""

from __future__ import annotations

import ctypes
import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import psutil
from ffmpy import FFExecutableNotFoundError, FFmpeg, FFRuntimeError

from lib.errors import FaceswapError
from lib.files.writing import disk_errors, make_folder, new_file
from lib.media.opening import open_container
from lib.system.progress import progress

logger = logging.getLogger(__name__)
OLDEST = 6  # version that knows all the options that are used here
ALWAYS = ("-hide_banner", "-nostdin", "-y", "-v", "error", "-nostats")
REPORT = ("-progress", "pipe:1")
PICTURES = ("image2", "apng", "bmp_pipe", "gif", "gif_pipe", "j2k_pipe", "jpeg_pipe", "mov", "pam_pipe", "pbm_pipe", "pgm_pipe", "png_pipe",
            "ppm_pipe", "tiff_pipe", "webp_pipe")  # formats, mov that of AVIF
DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux
# What ffmpeg says at its end whatever went wrong; the cause stands before
IN_GENERAL = re.compile(r"Conversion failed|Task finished|Terminating |Nothing was written|Last message repeated|Invalid argument$"
                        r"|Error (sending|submitting|opening|while|initiali|applying|writing|closing|muxing|parsing global)"
                        r"|Could not open encoder before|Failed to set value|Device creation failed", re.I)
SPEAKER = re.compile(r"^(\[[^\]]*@ 0x[0-9a-f]+\] ?|\[[a-z]+#[^\]]*\] ?)+")


@cache
def executable() -> str:
    """The system's ffmpeg where it is new enough, else the one that the package imageio-ffmpeg brings. Raises FaceswapError where there
    is neither."""
    found = shutil.which("ffmpeg")
    version = _version(found) if found else None
    if version and version >= OLDEST:
        return found
    if version:
        logger.info("%s is of version %d; the one of the package imageio-ffmpeg is used instead.", found, version)
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        raise FaceswapError(f"There is no ffmpeg of version {OLDEST} or newer. Install it, or pip install imageio-ffmpeg.") from None


def _version(program: str) -> int | None:
    """The first number of its version; that of a build between versions counts as newest. None where it cannot be run."""
    try:
        said = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    if not said.startswith("ffmpeg version"):
        return None
    numbered = re.match(r"ffmpeg version n?(\d+)\.", said)
    return int(numbered[1]) if numbered else 1000


def reading(path: Path, *options: str) -> list[str]:
    """The words that make `path` an input of the format that it was found to have: no playlist inside it may reach for the network or for
    other files, not even one that this ffmpeg alone would take it for. Raises what open_container raises."""
    with open_container(path) as container:
        formats = container.format.name
    return [*options, "-protocol_whitelist", "file", "-format_whitelist", formats, "-i", f"file:{path}"]


def reading_list(formats: Iterable[str]) -> list[str]:
    """The words that make a list of files on standard input (`ffconcat`) an input; each file is of one of `formats`."""
    return ["-f", "concat", "-safe", "0", "-protocol_whitelist", "file,pipe",
            "-format_whitelist", ",".join(["concat", *dict.fromkeys(formats)]), "-i", "pipe:0"]


def shown(words: Sequence[str], stdin: str | None = None) -> str:
    """The command line as it can be pasted into a shell."""
    line = shlex.join([executable(), *ALWAYS, *words])
    return line if stdin is None else f"{line} <<'END'\n{stdin}END"


def run(words: Sequence[str], what: str, total: int | None = None, stdin: str | None = None) -> str:
    """Runs ffmpeg with `words`, and shows how many of `total` frames are done; returns what it complained of.

    Raises FaceswapError with ffmpeg's own last words where it fails. Nothing of it runs on when this function is left.
    """
    others = {child.pid for child in psutil.Process().children()}
    call = FFmpeg(executable(), outputs={"": [*ALWAYS, *REPORT, *words]})  # one list: ffmpy would split other options at blanks
    reader, writer = os.pipe()
    watcher = threading.Thread(target=_watch, args=(reader, what, total), name="progress", daemon=True)
    watcher.start()
    try:
        _, said = call.run(None if stdin is None else os.fsencode(stdin), stdout=writer, stderr=subprocess.PIPE,
                           preexec_fn=_dying_with_us())
        return (said or b"").decode(errors="replace")
    except FFExecutableNotFoundError:
        raise FaceswapError(f"{executable()} cannot be started. Install ffmpeg, or pip install imageio-ffmpeg.") from None
    except FFRuntimeError as error:
        raise FaceswapError(f"ffmpeg could not {what}: {last_words(error.stderr)}") from error
    except BrokenPipeError:  # it ended before it had read its list
        raise FaceswapError(f"ffmpeg could not {what}: it ended at once. --dry-run prints its command.") from None
    finally:
        _end(call, others)
        os.close(writer)
        watcher.join()


def _dying_with_us() -> Callable[[], None] | None:
    """What makes the program end when this process is killed, where the system can do that: it would write on for hours."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)  # loaded before the fork, after which little is allowed
    return lambda: library.prctl(DIES_WITH_PARENT, signal.SIGKILL)


def _end(call: FFmpeg, others: Collection[int]) -> None:
    """Waits for a run that was interrupted, so that nothing is written any more. `others` are numbers of processes that are none of it."""
    if call.process is None:  # interrupted while it was started: nobody has its handle
        started = [child for child in psutil.Process().children() if child.pid not in others]
        for child in started:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(started, timeout=5)
        return
    if call.process.poll() is not None:
        return
    call.process.terminate()
    try:
        call.process.wait(5)
    except Exception:  # psutil and subprocess have a TimeoutExpired each
        call.process.kill()
        call.process.wait()


def _watch(reader: int, what: str, total: int | None) -> None:
    with os.fdopen(reader, encoding="utf-8", errors="replace") as pipe:
        deque(progress(_frames(pipe), what, total), maxlen=0)


def _frames(lines: Iterator[str]) -> Iterator[int]:
    """An item for each frame that ffmpeg's report counts."""
    done = 0
    for line in lines:
        if line.startswith("frame=") and line[6:].strip().isdecimal():
            now = int(line[6:])
            yield from range(done, now)
            done = max(done, now)


def last_words(said: bytes | str | None) -> str:
    """The last line of ffmpeg's that tells a cause, with a full stop."""
    text = said.decode(errors="replace") if isinstance(said, bytes) else said or ""
    lines = [SPEAKER.sub("", line.strip()) for line in text.splitlines()]
    lines = [line for line in lines if line]
    if any("No space left on device" in line for line in lines):
        return "No space left on device. Free some space or choose another place, and run again."
    causes = [line for line in lines if not IN_GENERAL.search(line)] or lines
    return f"{causes[-1].rstrip('.')}." if causes else "it was killed, or ended without a word."


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Gives the name to write to; the file takes the name `path` when the block ends without an error, else it goes away."""
    with disk_errors(path):
        make_folder(path.parent)
    if not os.access(path.parent, os.W_OK):
        raise FaceswapError(f"{path.parent} may not be written. Choose another output or change its permissions.")
    with disk_errors(path), new_file(path) as part:
        yield part
