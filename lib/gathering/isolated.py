"""Fetched files are examined in a process of its own: a crafted file may crash a decoder or keep it
busy without end."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path

from lib.files.reading import parse_json
from lib.gathering.checking import Content, Damaged, Refused, examine
from lib.version import ROOT

SECONDS = 120  # of processor time that one file may take; a film is only opened


class Examiner:
    """Examines one file at a time, for any thread: a large picture takes half a gigabyte."""

    def __init__(self, seconds: int = SECONDS):
        self._seconds = seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen | None = None

    def examine(self, path: Path) -> Content:
        """What the whole file holds. Raises Refused or Damaged."""
        with self._lock:
            # Twice, in a new process: the first may have been ended for another reason, as by a
            # system without memory
            answer = self._ask(path) or self._ask(path)
        if answer is None:
            raise Damaged("the file is damaged: it crashes what reads it, or keeps it busy for "
                          "minutes")
        if "content" in answer:
            return Content(**answer["content"])
        raise (Damaged if answer["damaged"] else Refused)(answer["reason"])

    def close(self) -> None:
        with self._lock:
            self._end()

    def _ask(self, path: Path) -> dict | None:
        """The answer of the process; None where it ended instead."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lib.gathering.isolated", str(self._seconds)], cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            self._process.stdin.write(json.dumps(str(path.resolve())) + "\n")
            self._process.stdin.flush()
            if line := self._process.stdout.readline():
                return parse_json(line)
        except (OSError, ValueError):  # it has ended, or what it wrote was cut off
            pass
        self._end()
        return None

    def _end(self) -> None:
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None


@cache
def examiner() -> Examiner:
    """That of this program: it starts with the first file, and ends with the program."""
    return Examiner()


def _serve(seconds: int) -> None:
    """Answers each path on standard input with a line on standard output."""
    # of the terminal: whoever started this process ends it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)  # what libraries print is no answer
        for line in sys.stdin:
            _allow(seconds)
            try:
                answer = {"content": dataclasses.asdict(examine(Path(parse_json(line))))}
            except Refused as error:
                answer = {"damaged": isinstance(error, Damaged), "reason": str(error)}
            print(json.dumps(answer), file=answers, flush=True)


def _allow(seconds: int) -> None:
    """Lets the system end this process after `seconds` more of processor time, where it can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds, most))


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
