"""Cases are run in forked processes, many in each, with limits of memory and time; what is no answer in one line is a fault."""

from __future__ import annotations

import gc
import os
import random
import resource
import select
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from lib.errors import FaceswapError
from lib.words import escaped

MEMORY = 2_000_000_000  # bytes that a case may take
SECONDS = 20.0  # of a processor that it may take
PATIENCE = 120.0  # seconds that it may take on the busiest machine: it waits for nobody
LONGEST = 1500  # letters of an answer
RECORD = struct.Struct("<QI")  # of a case: its seed, and the length of what is said of it
EACH = 500  # cases of a process


class Kind:
    """What is damaged, and what reads it."""

    memory = MEMORY

    def __init__(self, folder: Path):
        """Makes what is to be damaged in the empty `folder`; called once in each process, before the limits."""

    def make(self, chance: random.Random, folder: Path) -> None:
        """Writes a damaged input into the empty `folder`."""
        raise NotImplementedError

    def use(self, folder: Path) -> None:
        """Reads it. FaceswapError is an answer, anything else a fault."""
        raise NotImplementedError


@dataclass
class Outcome:
    """What came of all cases."""

    cases: int = 0
    refused: int = 0
    slowest: float = 0.0  # seconds
    faults: dict[str, list[int]] = field(default_factory=dict)  # kind of fault -> the seeds that repeat it

    def add(self, seed: int, fault: str) -> None:
        self.faults.setdefault(fault, []).append(seed)


def run(
    make: Callable[[Path], Kind],
    seeds: range,
    processes: int = 1,
    told: Callable[[Outcome], None] = lambda outcome: None,
) -> Outcome:
    """Runs a case for each of `seeds`."""
    outcome = Outcome()
    with tempfile.TemporaryDirectory(prefix="faceswap-fuzz-") as name:
        folder = Path(name)
        waiting, running = list(seeds)[::-1], []
        while waiting or running:
            while waiting and len(running) < processes:
                running.append(_Worker(make, folder, [waiting.pop() for _ in range(min(EACH, len(waiting)))]))
            for worker in list(running):
                if not worker.look(outcome):
                    running.remove(worker)
                    waiting += worker.left[::-1]
            told(outcome)
    return outcome


class _Worker:
    """A process that runs cases."""

    def __init__(self, make: Callable[[Path], Kind], folder: Path, seeds: list[int]):
        self.left, self._heard = list(seeds), b""
        self._reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._reading)
            _work(make, folder, seeds, writing)
        os.close(writing)
        self._process = psutil.Process(self._pid)
        self._since, self._began = self._cpu(), time.monotonic()

    def look(self, outcome: Outcome) -> bool:
        """Takes what has been said; False once the process has ended."""
        ready, _, _ = select.select([self._reading], [], [], 0.2)
        if ready:
            data = os.read(self._reading, 1 << 16)
            if not data:
                os.close(self._reading)
                _, status = os.waitpid(self._pid, 0)
                if self.left and status:
                    number = os.waitstatus_to_exitcode(status)
                    outcome.cases += 1
                    outcome.add(
                        self.left.pop(0), f"crash: {signal.Signals(-number).name if number < 0 else f'exit {number}'}"
                    )
                return False
            self._heard += data
            self._take(outcome)
        elif self._cpu() - self._since > SECONDS or time.monotonic() - self._began > PATIENCE:
            for child in self._process.children(recursive=True):
                child.kill()
            self._process.kill()
            os.waitpid(self._pid, 0)
            os.close(self._reading)
            outcome.cases += 1
            outcome.add(self.left.pop(0), f"hang: more than {SECONDS:.0f} s")
            return False
        return True

    def _take(self, outcome: Outcome) -> None:
        while len(self._heard) >= RECORD.size:
            seed, length = RECORD.unpack(self._heard[: RECORD.size])
            if len(self._heard) < RECORD.size + length:
                return
            said = self._heard[RECORD.size : RECORD.size + length].decode("utf-8", "replace")
            self._heard = self._heard[RECORD.size + length :]
            assert self.left.pop(0) == seed
            now = self._cpu()
            outcome.cases, outcome.slowest = outcome.cases + 1, max(outcome.slowest, now - self._since)
            self._since, self._began = now, time.monotonic()
            if said == "refused":
                outcome.refused += 1
            elif said:
                outcome.add(seed, said)

    def _cpu(self) -> float:
        try:
            times = self._process.cpu_times()
            return times.user + times.system + times.children_user + times.children_system
        except psutil.Error:
            return self._since if hasattr(self, "_since") else 0.0


def _work(make: Callable[[Path], Kind], folder: Path, seeds: list[int], pipe: int) -> None:
    """Runs the cases and says what came of each; never returns. All is made here: threads of libraries do not survive a fork."""
    status = 1
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in 0, 1, 2:
            os.dup2(nowhere, stream)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        kind = make(Path(tempfile.mkdtemp(dir=folder)))
        taken = psutil.Process().memory_info().vms
        resource.setrlimit(resource.RLIMIT_AS, (taken + kind.memory, taken + kind.memory))
        place = Path(tempfile.mkdtemp(dir=folder))
        for seed in seeds:
            said = case(kind, seed, place)
            os.write(pipe, RECORD.pack(seed, len(said.encode("utf-8", "replace"))) + said.encode("utf-8", "replace"))
        status = 0
    except BaseException:
        said = f"broken: {traceback.format_exc(limit=-2)[-300:]}".encode("utf-8", "replace")
        os.write(pipe, RECORD.pack(seeds[0], len(said)) + said)
    finally:
        os._exit(status)


def case(kind: Kind, seed: int, place: Path) -> str:
    """Runs one case in the folder `place`: nothing where the input was read, "refused" where it was in one line, else the fault."""
    canary, inner = place / "beside" / "file", place / "case"
    shutil.rmtree(place, ignore_errors=True)
    canary.parent.mkdir(parents=True)
    inner.mkdir()
    canary.write_text("as it was")
    try:
        kind.make(random.Random(seed), inner)
    except Exception as error:
        return f"the case itself: {type(error).__name__}: {_where(error)}"
    try:
        kind.use(inner)
        said = ""
    except FaceswapError as error:
        said = _of_answer(str(error))
    except MemoryError as error:
        said = f"memory: {_where(error)}"
    except Exception as error:
        said = f"{type(error).__name__}: {_where(error)}"
    gc.collect(0)
    if not canary.is_file() or canary.read_text() != "as it was" or len(list(place.iterdir())) != 2:
        said = "something else was changed"
    return said


def _of_answer(text: str) -> str:
    text = escaped(text)  # as faceswap.py prints it, in one line
    return f"too long: {text[:60]!r}" if len(text) > LONGEST else "refused"


def _where(error: BaseException) -> str:
    """The last line of ours that was at work."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [
        frame
        for frame in frames
        if "/lib/" in frame.filename
        and "site-packages" not in frame.filename
        and "/tests/" not in frame.filename
        and "python3" not in frame.filename
    ] or list(frames)
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno} ({frames[-1].name}) {str(error)[:100]!r}" if ours else ""
