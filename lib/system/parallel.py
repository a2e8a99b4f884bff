"""One small ordered parallel map, and what its users share. Threads: the heavy calls release the
GIL."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import cv2

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(function: Callable[[Item], Result], items: Iterable[Item], workers: int,
                ahead: int | None = None) -> Iterator[Result]:
    """`function` of each of `items`, in their order, on `workers` threads.

    At most `ahead` items (twice the workers by default) are in the works, so memory does not grow
    with the input. An exception of `function` or of `items` is raised where its result would have
    been. Closing the iterator drops what has not begun.
    """
    ahead = ahead or 2 * workers
    waiting = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def prefetch(items: Iterable[Item], ahead: int = 2) -> Iterator[Item]:
    """`items`, fetched on a thread of their own, at most `ahead` before they are asked for."""
    iterator, end = iter(items), object()
    for item in ordered_map(lambda _: next(iterator, end), itertools.repeat(None), 1, ahead):
        if item is end:
            return
        yield item


@contextmanager
def opencv_on_one_thread() -> Iterator[None]:
    """OpenCV on one thread a call: where frames keep all cores busy its own threads would get in
    their way."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
