"""The threads that fetch and check. They only ever write part files; what comes out of them is told
through a queue."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import queue
import random
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from lib.errors import FaceswapError
from lib.gathering.checking import Damaged, Refused, Unwanted, Wishes
from lib.gathering.fetching import Fetcher
from lib.gathering.isolated import examiner
from lib.gathering.names import safe_name
from lib.gathering.parts import Part
from lib.gathering.report import DONE, FAILED, LEFT_OUT, Entry
from lib.gathering.schedule import UNREACHABLE_OF_HOST, Schedule, Task
from lib.net.answers import Failed, TryAgain, one_line
from lib.net.reach import Network
from lib.net.web import Cancelled

logger = logging.getLogger(__name__)
FIRST_PAUSE = 1.0  # seconds before the second try; doubled for each further one
LONGEST_WAIT = 120.0  # seconds that a server may ask to be left alone for
PROGRESS = 1 << 20  # bytes: a try that came so much further was no failure
LOOK = 0.2  # seconds between two looks at the queue; only Windows needs them for Ctrl-C
FAREWELL = 1.0  # seconds that the end waits for the threads


class Crew:
    """Fetches addresses into part files on `jobs` threads. A context manager; leaving it ends the
    threads, whatever they wait for."""

    def __init__(self, folder: Path, addresses: Iterable[str], wishes: Wishes, jobs: int,
                 retries: int,
                 network: Network | None = None):
        self._folder, self._wishes, self._retries, self._network = folder, wishes, retries, network
        self._addresses = list(addresses)
        self._schedule = Schedule(self._addresses)
        self._outcomes: queue.SimpleQueue[Entry | BaseException] = queue.SimpleQueue()
        self._stop = threading.Event()
        # daemons: one that waits for a socket must not keep the program from ending
        self._threads = [threading.Thread(target=self._work, name=f"gather-{number}", daemon=True)
                         for number in range(min(jobs, len(self._addresses)))]

    def __enter__(self) -> Crew:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error) -> None:
        self._stop.set()
        self._schedule.end()
        end = time.monotonic() + FAREWELL
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def outcomes(self) -> Iterator[Entry]:
        """An entry for each address as it is over. "done": its part file is whole and good, and may
        be named `file` if no other is.

        Raises what went wrong here, as a full disk.
        """
        for _ in self._addresses:
            outcome = self._next_outcome()
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome

    def _next_outcome(self) -> Entry | BaseException:
        while True:
            with contextlib.suppress(queue.Empty):
                return self._outcomes.get(timeout=LOOK)

    def _work(self) -> None:
        try:
            fetcher = Fetcher(self._wishes, self._stop, self._network)
            while task := self._schedule.next():
                self._try(fetcher, task)
        except Cancelled:
            pass
        except BaseException as error:  # a full disk, or our bug: the main thread raises it
            self._outcomes.put(error)

    def _try(self, fetcher: Fetcher, task: Task) -> None:
        part = Part(self._folder, task.address)
        if self._schedule.skips(task):
            host = urlsplit(task.address).netloc.rpartition("@")[2]
            return self._fail(task, f"not tried, since {host} could not be reached for "
                                    f"{UNREACHABLE_OF_HOST} other addresses")
        try:
            self._over(task, self._fetched(fetcher, part, task))
        except TryAgain as error:
            self._again(task, error, part.size)
        except Failed as error:
            self._fail(task, str(error))
        except Refused as error:
            part.discard()
            self._fail(task, str(error))
        except Unwanted as error:
            part.discard()
            self._over(task, Entry(task.address, LEFT_OUT, type=error.type, width=error.width,
                                   height=error.height, error=str(error)))
        except (Cancelled, FaceswapError):  # the run ends; the disk refuses
            raise
        except Exception as error:  # whatever one address does, the others are downloaded
            logger.debug("%s", task.address, exc_info=True)
            part.discard()
            self._fail(task, f"it cannot be taken: {type(error).__name__}, {one_line(error)}")

    def _fetched(self, fetcher: Fetcher, part: Part, task: Task) -> Entry:
        began = time.monotonic()
        try:
            is_of_one_piece = fetcher.fetch(part, self._wishes.seconds - task.seconds)
        finally:
            task.seconds += time.monotonic() - began
        try:
            content = examiner().examine(part.path)
        except Damaged as error:
            if is_of_one_piece:
                raise
            part.discard()  # made of two files, or cut off by a server that did not say its length
            raise TryAgain(str(error)) from None
        self._wishes.check(content.type, content.width, content.height)
        with open(part.path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        name = safe_name(part.note.name, content.ending)
        return Entry(part.address, DONE, name, part.size, digest, content.type, content.width,
                     content.height)

    def _again(self, task: Task, error: TryAgain, size: int) -> None:
        if size >= task.furthest + PROGRESS:
            task.tries = 0
        task.furthest = max(task.furthest, size)
        task.tries += 1
        if error.after > LONGEST_WAIT:
            self._fail(task, f"{error}, and the server asks to be left alone for {error.after:.0f} "
                             "seconds: run again after that")
        elif task.tries > self._retries or error.unreachable and self._schedule.is_cut_off:
            tries = f", tried {task.tries} times" if task.tries > 1 else ""
            self._fail(task, f"{error}{tries}", error.unreachable)
        else:
            pause = FIRST_PAUSE * 2 ** (task.tries - 1) * random.uniform(0.75, 1.25)
            self._schedule.again(task, max(pause, error.after), error.after)

    def _fail(self, task: Task, reason: str, unreachable: bool = False) -> None:
        self._over(task, Entry(task.address, FAILED, error=reason), unreachable)

    def _over(self, task: Task, entry: Entry, unreachable: bool = False) -> None:
        self._schedule.done(task, unreachable)
        self._outcomes.put(entry)
