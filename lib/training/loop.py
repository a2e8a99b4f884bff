"""The loop that trains every model."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib import device
from lib.errors import FaceswapError
from lib.training import backend, checkpoint, preview
from lib.training.data import Augmentation, Batches, Faces
from lib.training.model import FaceModel

logger = logging.getLogger(__name__)

WARM_UP = 100  # iterations
LONG = 10_000  # iterations after which a run without an end slows its learning
STEADY = 0.3  # share of a run of known length before the learning rate begins to fall


@dataclass(frozen=True)
class Plan:
    """How one run trains."""

    batch: int  # faces of each identity
    learning_rate: float
    augmentation: Augmentation
    seed: int
    iterations: int | None = None  # stop at this many in all
    minutes: float | None = None  # stop after this many of training in all
    save_minutes: float = 5.0
    preview_seconds: float | None = None  # make the preview this often too, not only at saves
    report_seconds: float = 10.0


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    iteration: int
    seconds: float
    interrupted: bool


def train(model: FaceModel, faces: dict[str, Faces], folder: Path, plan: Plan) -> Outcome:
    """Trains `model` on `faces` until the plan's end, Ctrl-C or SIGTERM, and saves into `folder`; goes on from its newest save.

    Raises FaceswapError for a damaged folder, a loss that is no number, or a full disk (what was saved before stays).
    """
    networks = model.networks()
    averages = _copies(model, networks) if model.averaged else {}
    optimizers = {group: model.optimizer(group, plan.learning_rate) for group in model.groups()}
    step = backend.Step(model, networks, averages, optimizers)
    iteration, seconds = _restore(folder, networks, averages, optimizers)
    if _over(plan, iteration, seconds):
        logger.info("%s is trained already: %d iterations, %.1f minutes. Ask for more with -i/--iterations or --minutes.",
                    folder, iteration, seconds / 60)
        return Outcome(iteration, seconds, False)

    shown = {to: model.swapper(averages or networks, to) for to in faces}

    def show() -> None:
        preview.write_png(folder / "preview.png", preview.sheet(faces, lambda pictures, to: shown[to].predict_on_batch(pictures)))

    def save() -> None:
        try:
            checkpoint.save(folder, networks, averages, optimizers, iteration, seconds)
        except OSError as error:
            raise FaceswapError(f"Cannot save into {folder}: {error.strerror or error}. The save before this one is untouched; "
                                "make room and run the same command again.") from error
        show()
        preview.plot(folder / "log.jsonl", folder / "loss.png")

    clock = _Clock(plan)
    batches = iter(Batches(faces, plan.batch, plan.augmentation, plan.seed, start=iteration, threads=device.cores()))
    with _stop_on_signals() as stopped, open(folder / "log.jsonl", "a", encoding="utf-8") as log, contextlib.closing(batches):
        began, before, reported = time.monotonic(), seconds, iteration
        while not (stopped.is_set() or _over(plan, iteration, seconds)):
            rate = plan.learning_rate * (_rate(plan, iteration, seconds) if model.decays else 1.0)
            for optimizer in optimizers.values():
                optimizer.learning_rate = rate
            step(next(batches), iteration)
            iteration += 1
            seconds = before + time.monotonic() - began

            if clock.report(seconds) or _over(plan, iteration, seconds) or stopped.is_set():
                losses = step.report()
                _check(losses, iteration, folder)
                speed = clock.speed(iteration - reported)
                reported = iteration
                log.write(json.dumps({"iteration": iteration, "seconds": round(seconds, 2), **losses, "rate": rate, "speed": speed}) + "\n")
                log.flush()
                _tell(plan, iteration, seconds, losses, speed)
            if clock.save(seconds):
                save()
            elif clock.preview(seconds):
                show()
        save()
    return Outcome(iteration, seconds, stopped.is_set())


def _copies(model: FaceModel, networks: dict) -> dict:
    """A second set of networks with the same weights, which the averages live in."""
    copies = model.networks()
    for name, network in networks.items():
        copies[name].set_weights(network.get_weights())
        copies[name].trainable = False
    return copies


def _restore(folder: Path, networks: dict, averages: dict, optimizers: dict) -> tuple[int, float]:
    found = checkpoint.newest(folder)
    if found is None:
        return 0, 0.0
    path, state = found
    checkpoint.load_networks(path, networks, averaged=False)
    if averages:
        checkpoint.load_networks(path, averages, averaged=True)
    checkpoint.load_optimizers(path, optimizers)
    logger.info("Going on from iteration %d (%.1f minutes of training).", state.iteration, state.seconds / 60)
    return state.iteration, state.seconds


def _over(plan: Plan, iteration: int, seconds: float) -> bool:
    return ((plan.iterations is not None and iteration >= plan.iterations)
            or (plan.minutes is not None and seconds >= 60 * plan.minutes))


def _share_done(plan: Plan, iteration: int, seconds: float) -> float | None:
    """How much of a run of known length is done, 0 to 1; None for one without an end."""
    shares = []
    if plan.iterations is not None:
        shares.append(iteration / plan.iterations)
    if plan.minutes is not None:
        shares.append(seconds / 60 / plan.minutes)
    return max(shares, default=None)


def _rate(plan: Plan, iteration: int, seconds: float) -> float:
    """Share of the learning rate: a linear warm-up, then level, then half a cosine down to 2 % at the end of a run of known length;
    without an end, a slow fall with the square root of the iterations."""
    warm = min(1.0, (iteration + 1) / WARM_UP)
    done = _share_done(plan, iteration, seconds)
    if done is None:
        return warm * math.sqrt(min(1.0, LONG / (iteration + 1)))
    falling = max(0.0, (done - STEADY) / (1 - STEADY))
    return warm * max(0.02, 0.5 * (1 + math.cos(math.pi * min(1.0, falling))))


def _check(losses: dict[str, float], iteration: int, folder: Path) -> None:
    if not all(np.isfinite(value) for value in losses.values()):
        raise FaceswapError(f"The loss is no number any more at iteration {iteration}. The last good save in {folder} is untouched: "
                            "run again with a lower --learning-rate or with --precision float32.")


def _tell(plan: Plan, iteration: int, seconds: float, losses: dict[str, float], speed: float) -> None:
    parts = [f"iteration {iteration}", "loss " + " ".join(f"{name} {losses[name]:.4f}" for name in ("a", "b") if name in losses),
             f"{speed:.1f} it/s", f"{2 * plan.batch * speed:.0f} images/s"]
    share = _share_done(plan, iteration, seconds)
    if share:
        left = [(plan.iterations - iteration) / max(speed, 1e-9)] if plan.iterations else []
        left += [60 * plan.minutes - seconds] if plan.minutes else []
        minutes, rest = divmod(max(0, round(min(left))), 60)
        hours, minutes = divmod(minutes, 60)
        parts.append(f"{hours}:{minutes:02d}:{rest:02d} left")
    logger.info("  ".join(parts))


class _Clock:
    """When to report, save and show, in seconds of training."""

    def __init__(self, plan: Plan):
        self._plan = plan
        self._next: dict[str, float] = {}
        self._asked = time.monotonic()

    def report(self, seconds: float) -> bool:
        return self._due("report", seconds, self._plan.report_seconds)

    def save(self, seconds: float) -> bool:
        return self._due("save", seconds, 60 * self._plan.save_minutes)

    def preview(self, seconds: float) -> bool:
        return self._plan.preview_seconds is not None and self._due("preview", seconds, self._plan.preview_seconds)

    def speed(self, iterations: int) -> float:
        """Iterations a second since this was last asked."""
        now = time.monotonic()
        speed, self._asked = iterations / max(now - self._asked, 1e-9), now
        return round(speed, 3)

    def _due(self, what: str, seconds: float, every: float) -> bool:
        if what not in self._next:
            self._next[what] = seconds + every
        if seconds < self._next[what]:
            return False
        self._next[what] = seconds + every
        return True


@contextlib.contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """The event is set by Ctrl-C or SIGTERM, so that the iteration in hand ends and is saved. A second signal ends at once."""
    stopped = threading.Event()

    def stop(number, frame):
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()
        print("Stopping: saving first. Once more to stop without saving.", file=sys.stderr, flush=True)

    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
