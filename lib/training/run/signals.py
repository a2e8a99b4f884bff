"""Signals that stop training after it has saved."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

from lib.system import logs

WORDS = "Stopping: saving first. Once more to stop without saving."
STOPPING = ("SIGINT", "SIGTERM", "SIGHUP")  # those that the system knows


@contextlib.contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """The event is set by Ctrl-C, SIGTERM or a lost terminal: the iteration under way ends and is
    saved. A second signal ends at once.
    """
    stopped = threading.Event()

    def stop(number, frame):
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()
        line = logs.json_line(level="info", message=WORDS) if logs.is_json() else f"\n{WORDS}"
        with contextlib.suppress(OSError):
            os.write(2, f"{line}\n".encode())  # not print: another may be under way

    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    watched = [number for number in signal.valid_signals()
               if isinstance(number, signal.Signals) and number.name in STOPPING]
    before = {number: signal.signal(number, stop) for number in watched
              if signal.getsignal(number) is not signal.SIG_IGN}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
