"""Which address is next: several at once, few of one host, and none before its pause is over."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PER_HOST = 2  # at once
# addresses of a host in a row that no server answered for, until its others are not tried any more
UNREACHABLE_OF_HOST = 3
# the same of all hosts, until each is only tried once: there may be no network, but a list may be
# old as well
UNREACHABLE = 10


@dataclass
class Task:
    """An address to download."""

    address: str
    tries: int = 0  # since it last came forward
    furthest: int = 0  # bytes that were there at most
    seconds: float = 0.0  # that all tries took
    was_skipped: bool = False


@dataclass
class _Host:
    waiting: deque[Task] = field(default_factory=deque)
    active: int = 0
    not_before: float = 0.0  # time.monotonic()
    unreachable: int = 0


class Schedule:
    """Hands the tasks out to threads."""

    def __init__(self, addresses: Iterable[str]):
        self._changed = threading.Condition()
        self._hosts: dict[str, _Host] = {}
        self._paused: list[tuple[float, int, Task]] = []  # a heap by the end of the pause
        self._order = itertools.count()
        self._unreachable = 0
        self._ended = False
        for address in addresses:
            self._host(address).waiting.append(Task(address))

    def next(self) -> Task | None:
        """Waits for a task that may begin; None once the schedule is ended."""
        with self._changed:
            while not self._ended:
                task, seconds = self._pick(time.monotonic())
                if task:
                    return task
                self._changed.wait(seconds)
            return None

    def done(self, task: Task, unreachable: bool = False) -> None:
        """The task is over, for good or bad."""
        with self._changed:
            host = self._host(task.address)
            host.active -= 1
            if not task.was_skipped:
                host.unreachable = host.unreachable + 1 if unreachable else 0
                self._unreachable = self._unreachable + 1 if unreachable else 0
            self._changed.notify_all()

    def again(self, task: Task, pause: float, hold_host: float) -> None:
        """The task is to be tried once more in `pause` seconds; nothing is asked of its host for
        `hold_host` seconds."""
        with self._changed:
            now, host = time.monotonic(), self._host(task.address)
            host.active -= 1
            host.not_before = max(host.not_before, now + hold_host)
            heapq.heappush(self._paused, (now + pause, next(self._order), task))
            self._changed.notify_all()

    def skips(self, task: Task) -> bool:
        """Whether the task is not worth a try, since its host does not answer; it is not, then."""
        with self._changed:
            unreachable = self._host(task.address).unreachable
            task.was_skipped = task.tries == 0 and unreachable >= UNREACHABLE_OF_HOST
            return task.was_skipped

    @property
    def is_cut_off(self) -> bool:
        """Whether there seems to be no network."""
        return self._unreachable >= UNREACHABLE

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _pick(self, now: float) -> tuple[Task | None, float | None]:
        """A task, or the seconds after which one may be ready, None where only a change can bring
        one."""
        while self._paused and self._paused[0][0] <= now:
            task = heapq.heappop(self._paused)[2]
            self._host(task.address).waiting.appendleft(task)
        ready = [self._paused[0][0]] if self._paused else []
        for host in self._hosts.values():
            if host.waiting and host.active < PER_HOST:
                if host.not_before <= now:
                    host.active += 1
                    return host.waiting.popleft(), None
                ready.append(host.not_before)
        return None, min(ready) - now if ready else None

    def _host(self, address: str) -> _Host:
        return self._hosts.setdefault(urlsplit(address).netloc.rpartition("@")[2].lower(), _Host())
