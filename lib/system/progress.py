"""Progress: told to the caller of a job who asks for it, else shown on stderr, as a bar where that
is a terminal, and as a JSON line every few seconds with `--log json`.

What has no end to count towards, as training, has a status line instead.
"""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from lib.errors import Stopped
from lib.system import logs
from lib.words import escaped

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")
SECONDS_BETWEEN_JSON_LINES = 2.0


@dataclass(frozen=True)
class Progress:
    """How far a stage of a job has come."""

    stage: str  # "extract", "train" ...
    done: int
    total: int | None  # None where only the end tells
    unit: str  # "frame", "face", "iteration" ...


Report = Callable[[Progress], None]
Stop = Callable[[], bool]


@dataclass(frozen=True)
class _Watch:
    """Who watches the job that runs in this context."""

    report: Report | None = None
    stop: Stop | None = None


_NOBODY = _Watch()
_WATCH: ContextVar[_Watch] = ContextVar("watch", default=_NOBODY)


def job(work: Callable[[Any], Result]) -> Callable[..., Result]:
    """Makes a function of settings a job: it takes `progress`, called after each frame, face or
    report of training, and `stop`, asked as often. Where `stop` returns True the job keeps what is
    done and raises Stopped.
    """

    @wraps(work)
    def watched(settings: Any, *, progress: Report | None = None,
                stop: Stop | None = None) -> Result:
        if progress is None and stop is None:  # a job within another has the caller of that
            return work(settings)
        token = _WATCH.set(_Watch(progress, stop))
        try:
            return work(settings)
        finally:
            _WATCH.reset(token)

    return watched


def tell(stage: str, done: int, total: int | None, unit: str) -> None:
    """Tells the job's caller how far it is. Raises Stopped where that wants it to stop."""
    watch = _WATCH.get()
    if watch.report:
        watch.report(Progress(stage, done, total, unit))
    if watch.stop and watch.stop():
        raise Stopped(f"{stage} was asked to stop after {done} {unit}s")


def progress(items: Iterable[Item], stage: str, total: int | None = None, start: int = 0,
             unit: str = "frame") -> Iterator[Item]:
    """Iterates `items`; `start` of `total` were done before (a resumed run).

    Raises Stopped where the job's caller asks.
    """
    if _WATCH.get() != _NOBODY:
        for done, item in enumerate(items, start + 1):
            yield item
            tell(stage, done, total, unit)
        return
    if logs.is_json():
        yield from _json_lines(items, stage, total, start, unit)
        return
    from tqdm import tqdm

    yield from tqdm(items, desc=escaped(stage), total=total, initial=start, unit=unit,
                    file=sys.stderr, dynamic_ncols=True, smoothing=0.1,
                    disable=not sys.stderr.isatty())


@contextmanager
def status() -> Iterator[Callable[[str, dict[str, Any]], None]]:
    """Gives `tell(line, fields)`: on a terminal each line takes the place of the one before;
    elsewhere it is logged, `fields` in JSON."""
    if logs.is_json() or not sys.stderr.isatty():
        yield lambda line, fields: logger.info(line, extra={"data": fields})
        return
    from tqdm import tqdm

    with tqdm(bar_format="{desc}", file=sys.stderr) as shown:
        def show(line: str, fields: dict[str, Any]) -> None:
            columns = shutil.get_terminal_size().columns
            shown.set_description_str(escaped(line)[:columns - 1])

        yield show


def _json_lines(items: Iterable[Item], stage: str, total: int | None, start: int,
                unit: str) -> Iterator[Item]:
    began = last = time.monotonic()
    done = start

    def report() -> None:
        rate = (done - start) / max(time.monotonic() - began, 1e-9)
        print(logs.json_line(progress=stage, done=done, total=total, unit=unit,
                             rate=round(rate, 2)),
              file=sys.stderr, flush=True)

    for item in items:
        yield item
        done += 1
        if time.monotonic() - last >= SECONDS_BETWEEN_JSON_LINES:
            last = time.monotonic()
            report()
    report()
