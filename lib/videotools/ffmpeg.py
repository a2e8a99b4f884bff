"""Runs of the ffmpeg program: found, watched, ended; its output takes its name when it is whole."""

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
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from ffmpy import FFExecutableNotFoundError, FFmpeg, FFRuntimeError

from lib.errors import FaceswapError
from lib.files.writing import disk_errors, make_folder, new_file
from lib.media.opening import open_container
from lib.system.progress import progress

logger = logging.getLogger(__name__)
OLDEST = 6  # version that knows all the options that are used here
ALWAYS = ("-hide_banner", "-nostdin", "-y", "-v", "error", "-nostats")
REPORT = ("-progress", "pipe:1")
# Formats of pictures, mov that of AVIF
PICTURES = ("image2", "apng", "bmp_pipe", "gif", "gif_pipe", "j2k_pipe", "jpeg_pipe", "mov",
            "pam_pipe",
            "pbm_pipe", "pgm_pipe", "png_pipe", "ppm_pipe", "tiff_pipe", "webp_pipe")
LOOK_INTERVAL = 0.2  # seconds between looks at a run; only Windows needs them for Ctrl-C
DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux
# What ffmpeg says at its end whatever went wrong; the cause stands before
GENERAL = re.compile(
    r"Conversion failed|Task finished|Terminating |Nothing was written|Last message repeated"
    r"|Error (sending|submitting|opening|while|initiali|applying|writing|closing|muxing)"
    r"|Error parsing global"
    r"|Could not open encoder before|Failed to set value|Device creation failed|Invalid argument$",
    re.I)
SPEAKER = re.compile(r"^(\[[^\]]*@ 0x[0-9a-f]+\] ?|\[[a-z]+#[^\]]*\] ?)+")


@cache
def executable() -> str:
    """The system's ffmpeg where it is new enough, else that of the package imageio-ffmpeg.

    Raises FaceswapError where there is neither.
    """
    program = shutil.which("ffmpeg")
    version = _version(program) if program else None
    if version and version >= OLDEST:
        return program
    if version:
        logger.info("%s is of version %d; the one of the package imageio-ffmpeg is used instead.",
                    program, version)
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        raise FaceswapError(f"There is no ffmpeg of version {OLDEST} or newer. Install it, or pip "
                            "install imageio-ffmpeg.") from None


def _version(program: str) -> int | None:
    """The first number of its version, the newest for a build between versions; None where it does
    not run."""
    try:
        text = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=10,
                              stdin=subprocess.DEVNULL).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    if not text.startswith("ffmpeg version"):
        return None
    match = re.match(r"ffmpeg version n?(\d+)\.", text)
    return int(match[1]) if match else 1000


def input_arguments(path: Path, *options: str) -> list[str]:
    """Arguments that make `path` an input of the format that it was found to have.

    So no playlist inside it can reach for the network or other files, not even one that this ffmpeg
    alone would take it for. Raises what `open_container` raises.
    """
    with open_container(path) as container:
        formats = container.format.name
    return [*options, "-protocol_whitelist", "file", "-format_whitelist", formats,
            "-i", f"file:{path}"]


def list_arguments(formats: Iterable[str]) -> list[str]:
    """Arguments that read a list of files (`ffconcat`), each of one of `formats`, from stdin."""
    return ["-f", "concat", "-safe", "0", "-protocol_whitelist", "file,pipe", "-format_whitelist",
            ",".join(["concat", *dict.fromkeys(formats)]), "-i", "pipe:0"]


def quote(path: Path) -> str:
    """A file as such a list names it."""
    if "\n" in str(path) or "\r" in str(path):
        raise FaceswapError(f"The name {str(path)!r} has a line break in it, which ffmpeg's lists "
                            "do not allow. Rename it.")
    return "'file:" + str(path.absolute()).replace("'", "'\\''") + "'"


def command_line(arguments: Sequence[str], stdin: str | None = None) -> str:
    """The command as it can be pasted into a shell."""
    line = shlex.join([executable(), *ALWAYS, *arguments])
    return line if stdin is None else f"{line} <<'END'\n{stdin}END"


def run(arguments: Sequence[str], what: str, total: int | None = None,
        stdin: str | None = None) -> str:
    """Runs ffmpeg and shows how many of `total` frames are done; returns what it wrote to its log.

    Raises FaceswapError with the cause where it fails. It has ended when this function is left.
    """
    # One list: ffmpy would split other options at blanks
    call = FFmpeg(executable(), outputs={"": [*ALWAYS, *REPORT, *arguments]})
    reader, writer = os.pipe()
    watcher = threading.Thread(target=_watch, args=(reader, what, total), name="progress",
                               daemon=True)
    watcher.start()
    try:
        # Started on another thread: Ctrl-C while the main one forks would be lost
        with ThreadPoolExecutor(1, "ffmpeg") as pool:
            running = pool.submit(call.run, None if stdin is None else os.fsencode(stdin),
                                  stdout=writer,
                                  stderr=subprocess.PIPE, preexec_fn=_die_with_parent())
            try:
                while not running.done():
                    wait([running], LOOK_INTERVAL)
            finally:
                _end(call, running)
            _, log = running.result()
        return (log or b"").decode(errors="replace")
    except FFExecutableNotFoundError:
        raise FaceswapError(f"{executable()} cannot be started. Install ffmpeg, or pip install "
                            "imageio-ffmpeg.") from None
    except FFRuntimeError as error:
        raise FaceswapError(f"ffmpeg could not {what}: {failure_cause(error.stderr)}") from error
    except BrokenPipeError:  # it ended before it had read its list
        raise FaceswapError(f"ffmpeg could not {what}: it ended at once. --dry-run prints its "
                            "command.") from None
    finally:
        os.close(writer)
        watcher.join()


def _die_with_parent() -> Callable[[], None] | None:
    """What ends the program when this process is killed, where the system can do that."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)  # loaded before the fork, after which little is allowed
    return lambda: library.prctl(DIES_WITH_PARENT, signal.SIGKILL)


def _end(call: FFmpeg, running: Future) -> None:
    """Ends a run that was interrupted, wherever it stands."""
    while call.process is None and not running.done():  # it is being started
        time.sleep(0.01)
    if running.done() or call.process.poll() is not None:
        return
    call.process.terminate()
    try:
        call.process.wait(5)
    except Exception:  # psutil and subprocess have a TimeoutExpired each
        call.process.kill()


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


def failure_cause(log: bytes | str | None) -> str:
    """The last line of ffmpeg's log that tells a cause, with a full stop."""
    text = log.decode(errors="replace") if isinstance(log, bytes) else log or ""
    lines = list(filter(None, (SPEAKER.sub("", line.strip()) for line in text.splitlines())))
    if any("No space left on device" in line for line in lines):
        return "No space left on device. Free some space or choose another place, and run again."
    causes = [line for line in lines if not GENERAL.search(line)] or lines
    return f"{causes[-1].rstrip('.')}." if causes else "it was killed, or ended without a word."


@contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """Gives a name to write to; the file becomes `path` when the block ends without an error."""
    with disk_errors(path):
        make_folder(path.parent)
    if not os.access(path.parent, os.W_OK):
        raise FaceswapError(f"{path.parent} may not be written. Choose another output or change "
                            "its permissions.")
    with disk_errors(path), new_file(path) as part:
        yield part
