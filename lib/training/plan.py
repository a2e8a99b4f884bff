"""How a run trains and when it ends: numbers and choices, made without Keras."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from lib.plugin import Optimizer, Schedule
from lib.training.batches.augmentation import Augmentation


@dataclass(frozen=True)
class Updates:
    """How weights are updated, where the run says so; None leaves it to the model."""

    optimizer: Optimizer | None = None
    # value (each number), norm (each variable's), global (of all), adaptive (by the norms before),
    # none
    clip: str | None = None
    clip_at: float = 1.0  # the number or norm; for "adaptive" the percentile
    accumulate: int = 1  # iterations whose gradients make one update
    kept: float = 1.0  # probability with which each weight is updated, learning rate dropout


@dataclass(frozen=True)
class Plan:
    """How one run trains."""

    batch: int  # faces of each identity
    learning_rate: float
    augmentation: Augmentation
    seed: int
    schedule: Schedule
    warm_up: int = 0  # iterations in which the learning rate rises from zero
    updates: Updates = Updates()
    averaged: float = 0.0  # decay of the moving average of the weights; 0: none is kept
    float16: bool = False  # losses are scaled, so that small gradients do not vanish
    on_device: bool = False  # faces lie on the device, which augments them itself
    frozen: frozenset[str] = frozenset()  # networks whose weights do not change
    # by identity, how often each face is seen: shares of 1
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)
    iterations: int | None = None  # stop at this many in total
    minutes: float | None = None  # stop after this many in total
    save_minutes: float = 5.0
    keep: int = 3  # checkpoints, besides the best
    snapshots: int | None = None  # iterations between checkpoints kept for good
    preview_seconds: float | None = None  # make the preview this often, not only at checkpoints
    page: bool = False  # show it on a local web page
    time_lapse: bool = False  # keep the preview of every checkpoint
    histograms: bool = False  # of the weights, for TensorBoard
    report_seconds: float = 10.0
    progress_minutes: float | None = None  # swap and measure the held-out faces this often
    until_plateau: bool = False  # stop when these measurements get no better

    def over(self, iteration: int, seconds: float) -> bool:
        return ((self.iterations is not None and iteration >= self.iterations)
                or (self.minutes is not None and seconds >= 60 * self.minutes))

    def done(self, iteration: int, seconds: float) -> float | None:
        """Share of the run that is done, 0 to 1; None for a run without an end."""
        shares = []
        if self.iterations is not None:
            shares.append(iteration / self.iterations)
        if self.minutes is not None:
            shares.append(seconds / 60 / self.minutes)
        return min(1.0, max(shares)) if shares else None

    def left(self, iteration: int, seconds: float, speed: float) -> float | None:
        """Seconds until its end at `speed` iterations/s; None for a run without an end."""
        left = [(self.iterations - iteration) / max(speed, 1e-9)] if self.iterations else []
        left += [60 * self.minutes - seconds] if self.minutes else []
        return max(0.0, min(left)) if left else None

    def rates(self, iteration: int, count: int, seconds: float, losses: list[tuple[int, float]],
              cut: float) -> np.ndarray:
        """(count,) float32 learning rates of iterations `iteration` and on; `cut` is the share that
        is left after training diverged.
        """
        numbers = np.arange(iteration, iteration + count)
        warm = np.minimum(1.0, (numbers + 1) / self.warm_up) if self.warm_up else np.ones(count)
        share = self.schedule.share(iteration, self.done(iteration, seconds), losses)
        return (self.learning_rate * cut * share * warm).astype(np.float32)


class Clock:
    """Seconds of training, without those of saving; and when to report, save and show.
    """

    def __init__(self, plan: Plan, seconds: float):
        """Stands at `seconds`, those of earlier runs, until `start`."""
        self._every = {"report": plan.report_seconds, "save": 60 * plan.save_minutes,
                       "preview": plan.preview_seconds,
                       "progress": plan.progress_minutes and 60 * plan.progress_minutes}
        self._next: dict[str, float] = {}
        self._before = self._asked = seconds
        self._began = None

    @property
    def runs(self) -> bool:
        return self._began is not None

    def start(self) -> None:
        self._began = time.monotonic()

    def seconds(self) -> float:
        return self._before + (time.monotonic() - self._began if self.runs else 0.0)

    def back_to(self, seconds: float) -> None:
        """Sets it to `seconds`."""
        self._before = self._asked = seconds
        self._next.clear()
        self.start()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        self._before, self._began = self.seconds(), None
        yield
        self.start()

    def due(self, what: str, seconds: float, at_once: bool = False) -> bool:
        """Whether it is time for a "report", "save", "preview" or "progress"; the next is due so
        much later.
        """
        every = self._every[what]
        if not every:
            return at_once
        if not at_once and seconds < self._next.setdefault(what, seconds + every):
            return False
        self._next[what] = seconds + every
        return True

    def speed(self, iterations: int) -> float:
        """Iterations a second since this was last asked."""
        now = self.seconds()
        speed, self._asked = iterations / max(now - self._asked, 1e-9), now
        return round(speed, 3)
