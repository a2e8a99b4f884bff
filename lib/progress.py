"""Progress on stderr: a bar where it is a terminal, a JSON line every few seconds with `--log json`, else nothing."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
SECONDS_BETWEEN_JSON_LINES = 2.0


def progress(items: Iterable[Item], what: str, total: int | None = None, start: int = 0, unit: str = "frame") -> Iterator[Item]:
    """Iterates `items`; `start` of `total` were done before (a resumed run)."""
    if any(getattr(handler, "writes_json", False) for handler in logging.getLogger().handlers):
        yield from _json_lines(items, what, total, start, unit)
        return
    from tqdm import tqdm

    yield from tqdm(items, desc=what, total=total, initial=start, unit=unit, file=sys.stderr, dynamic_ncols=True,
                    smoothing=0.1, disable=not sys.stderr.isatty())


def _json_lines(items, what, total, start, unit):
    began = told = time.monotonic()
    for done, item in enumerate(items, start + 1):
        yield item
        now = time.monotonic()
        if now - told >= SECONDS_BETWEEN_JSON_LINES or done == total:
            told = now
            rate = (done - start) / max(now - began, 1e-9)
            print(json.dumps({"progress": what, "done": done, "total": total, "unit": unit, "rate": round(rate, 2)}),
                  file=sys.stderr, flush=True)
