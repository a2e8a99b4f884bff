"""Which stage of a run takes the processor's time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lib.system import device


class Stages:
    """Seconds of processor time by stage, over all threads. What no stage accounts for is
    `REST`."""

    REST = "decode, rest"  # a decoder has threads of its own

    def __init__(self):
        self._seconds: dict[str, float] = {}
        self._lock = threading.Lock()
        self._began = time.monotonic(), time.process_time()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """The block is of this stage."""
        began = time.thread_time()
        try:
            yield
        finally:
            with self._lock:
                self._seconds[stage] = self._seconds.get(stage, 0.0) + time.thread_time() - began

    def table(self) -> list[str]:
        """A line for each stage, the longest first, and how busy the cores were."""
        wall_began, used_began = self._began
        wall, used = time.monotonic() - wall_began, time.process_time() - used_began
        seconds = self._seconds | {self.REST: max(0.0, used - sum(self._seconds.values()))}
        stages = sorted(seconds.items(), key=lambda item: -item[1])
        lines = [f"  {stage:14} {taken:8.2f} s {100 * taken / max(used, 1e-9):5.1f} %"
                 for stage, taken in stages]
        return [*lines, f"  {used:.1f} s of processor time in {wall:.1f} s: "
                        f"{used / max(wall, 1e-9):.2f} of {device.cores()} cores"]
