"""Runs command lines in processes of their own that have TensorFlow imported already, which takes longer than most tests' training.

One process imports it and computes nothing. For each command line it forks: the fork is what a new process would be after the same
imports, and runs the command line with an environment, output and exit code of its own. A GPU cannot be used in a fork.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Warm:
    @cached_property
    def _server(self) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
                                env=os.environ | {"PYTHONPATH": str(ROOT)})

    def run(self, arguments: list[str], environment: dict[str, str], timeout: float) -> subprocess.CompletedProcess:
        """As `subprocess.run` of faceswap.py, its output captured as text."""
        with tempfile.TemporaryDirectory() as folder:
            given = {"arguments": arguments, "environment": environment, "folder": folder, "cwd": os.getcwd(), "timeout": timeout}
            print(json.dumps(given), file=self._server.stdin, flush=True)
            code = json.loads(self._server.stdout.readline())
            stdout, stderr = ((Path(folder) / name).read_text(encoding="utf-8", errors="replace") for name in ("stdout", "stderr"))
        if code is None:
            raise subprocess.TimeoutExpired(arguments, timeout, stdout, stderr)
        return subprocess.CompletedProcess(arguments, code, stdout, stderr)

    def close(self) -> None:
        if "_server" in vars(self):
            self._server.communicate()


def serve() -> None:
    answers = os.fdopen(os.dup(1), "w")  # a command line's own output goes to its files
    import gc

    import skimage.measure._blur_effect  # noqa: F401
    import skimage.metrics  # noqa: F401

    import lib.jobs.train.measures  # noqa: F401
    import lib.jobs.train.run  # noqa: F401
    import lib.nn.backend  # noqa: F401
    import scripts.convert  # noqa: F401
    import scripts.swap  # noqa: F401

    gc.freeze()
    for line in sys.stdin:
        given = json.loads(line)
        child = os.fork()
        if not child:
            return run(given)
        print(json.dumps(wait(child, given["timeout"])), file=answers, flush=True)


def run(given: dict) -> None:
    """In the fork: the command line, as faceswap.py itself would run it."""
    import runpy

    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(os.path.join(given["folder"], name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
        os.close(file)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(given["environment"])
    os.chdir(given["cwd"])
    sys.argv = [str(ROOT / "faceswap.py"), *given["arguments"]]
    sys.path[0] = str(ROOT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    runpy.run_path(sys.argv[0], run_name="__main__")


def wait(child: int, timeout: float) -> int | None:
    """The exit code; None where the process took too long, and is ended."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


if __name__ == "__main__":
    serve()
