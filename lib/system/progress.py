"""Progress on stderr: a bar where it is a terminal, a JSON line every few seconds with `--log json`, else nothing.

What has no end to count towards, as training, has a status line instead.
"""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from lib.system import logs
from lib.words import escaped

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
SECONDS_BETWEEN_JSON_LINES = 2.0


def progress(items: Iterable[Item], what: str, total: int | None = None, start: int = 0, unit: str = "frame") -> Iterator[Item]:
    """Iterates `items`; `start` of `total` were done before (a resumed run)."""
    if logs.is_json():
        yield from _json_lines(items, what, total, start, unit)
        return
    from tqdm import tqdm

    yield from tqdm(items, desc=escaped(what), total=total, initial=start, unit=unit, file=sys.stderr, dynamic_ncols=True,
                    smoothing=0.1, disable=not sys.stderr.isatty())


@contextmanager
def status() -> Iterator[Callable[[str, dict[str, Any]], None]]:
    """Gives `tell(line, fields)`: on a terminal each line takes the place of the one before; elsewhere it is logged, `fields` in JSON."""
    if logs.is_json() or not sys.stderr.isatty():
        yield lambda line, fields: logger.info(line, extra={"data": fields})
        return
    from tqdm import tqdm

    with tqdm(bar_format="{desc}", file=sys.stderr) as shown:
        yield lambda line, fields: shown.set_description_str(escaped(line)[:shutil.get_terminal_size().columns - 1])


def _json_lines(items: Iterable[Item], what: str, total: int | None, start: int, unit: str) -> Iterator[Item]:
    began = told = time.monotonic()
    done = start

    def tell() -> None:
        rate = (done - start) / max(time.monotonic() - began, 1e-9)
        print(logs.json_line(progress=what, done=done, total=total, unit=unit, rate=round(rate, 2)), file=sys.stderr, flush=True)

    for item in items:
        yield item
        done += 1
        if time.monotonic() - told >= SECONDS_BETWEEN_JSON_LINES:
            told = time.monotonic()
            tell()
    tell()
