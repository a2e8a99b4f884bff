"""Batches made on threads, while the network trains."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np

from lib.training.batches.batch import Batch
from lib.training.batches.chance import Chance
from lib.training.batches.faces import Faces


class Host:
    """Makes batches with OpenCV; threads share it."""

    def __init__(self, faces: Mapping[str, Faces], chance: Chance):
        self._faces, self._chance = faces, chance

    def __call__(self, number: int) -> Batch:
        """Batch `number`."""
        batch = self._chance(number)
        for identity, faces in self._faces.items():
            others = next((held for name, held in self._faces.items() if name != identity), None)
            batch[identity] = faces.side(batch[identity], self._chance.augmenters, others)
        return batch


class Feed:
    """What iterations are fed, from number `start` on: `make(number)` each, the next ones made on
    threads while one is trained on.

    Until it is closed, OpenCV stays on one thread a call: its own would take time from the network.
    """

    def __init__(self, make: Callable[[int], dict[str, Any]], start: int = 0, threads: int = 1,
                 ahead: int = 4):
        self._make, self._next, self._ahead = make, start, ahead
        self._waiting: list[Future] = []
        self._pool = ThreadPoolExecutor(threads, "augment", _stand_back)
        self._opencv_threads = cv2.getNumThreads()
        cv2.setNumThreads(1)

    def take(self, count: int = 1) -> dict[str, Any]:
        """What the next `count` iterations get, arrays stacked along a new first axis."""
        self._fill(max(count, self._ahead))
        batches = [self._waiting.pop(0).result() for _ in range(count)]
        self._fill(self._ahead)
        return _stacked(batches)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(self._opencv_threads)

    def _fill(self, count: int) -> None:
        while len(self._waiting) < count:
            self._waiting.append(self._pool.submit(self._make, self._next))
            self._next += 1


def _stacked(values: Sequence[Any]) -> Any:
    """Dicts and NamedTuples of arrays, however deep -> the same of stacked arrays."""
    first = values[0]
    if isinstance(first, dict):
        return {name: _stacked([value[name] for value in values]) for name in first}
    if isinstance(first, tuple):
        return type(first)(*(_stacked(parts) for parts in zip(*values)))
    return np.stack(values) if len(values) > 1 else first[None]


def _stand_back() -> None:
    """Lets the network's threads go first, as far as the system knows priorities of threads: this
    one works in their pauses.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
