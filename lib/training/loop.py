"""The loop that trains every model."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib import device, logs
from lib.errors import FaceswapError
from lib.evaluation.heldout import plateau
from lib.progress import status
from lib.training import backend, checkpoint, preview
from lib.training.data import Augmentation, Batches, Faces
from lib.training.model import FaceModel
from lib.training.swapper import Swapper

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
    progress_minutes: float | None = None  # swap and measure the held-out faces this often
    until_plateau: bool = False  # stop when these measurements get no better


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    iteration: int
    seconds: float
    interrupted: bool
    progress: dict[str, float] | None = None  # as last measured
    plateau: bool = False  # it gets no better


Measure = Callable[[Swapper], "dict[str, float]"]


def train(model: FaceModel, faces: dict[str, Faces], folder: Path, plan: Plan, measure: Measure | None = None) -> Outcome:
    """Trains `model` on `faces` until the plan's end, Ctrl-C or SIGTERM, and saves into `folder`; goes on from its newest save.

    `measure` says how good the swap of the held-out faces is; that is logged as `progress`.
    Raises FaceswapError for a damaged folder, a loss that is no number, or a full disk (what was saved before stays).
    """
    networks = model.networks()
    averages = _copies(model, networks) if model.averaged else {}
    optimizers = {group: model.optimizer(group, plan.learning_rate) for group in model.groups()}
    step = backend.Step(model, networks, averages, optimizers)
    iteration, seconds = _restore(folder, networks, averages, optimizers)
    log = folder / "log.jsonl"
    with _unessential(log):
        preview.forget_after(log, iteration)
    history = [(row["iteration"], row["progress"]) for row in preview.read_log(log) if isinstance(row.get("progress"), dict)]
    done = plan.until_plateau and plateau(history)
    if done or _over(plan, iteration, seconds):
        more = "it no longer gets better. Leave --until plateau out to go on" if done else "ask for more with -i/--iterations or --minutes"
        logger.info("%s is trained already, %d iterations, %.1f minutes: %s.", folder, iteration, seconds / 60, more)
        return Outcome(iteration, seconds, False, history[-1][1] if history else None, done)

    saved = reported = iteration
    shown = {to: model.swapper(averages or networks, to) for to in faces}
    swapper = Swapper(shown["b"], model.size, model.coverage)

    def show() -> None:
        with _unessential(folder / "preview.png"):
            preview.write_png(folder / "preview.png", preview.sheet(faces, lambda pictures, to: shown[to].predict_on_batch(pictures)))

    def save() -> None:
        nonlocal saved
        _check_weights(networks, iteration, folder)
        try:
            checkpoint.save(folder, networks, averages, optimizers, iteration, seconds)
        except OSError as error:
            reason = str(error.strerror or error).splitlines()[0]
            raise FaceswapError(f"Cannot save into {folder}: {reason}. The save before this one is untouched; "
                                "make room and run the same command again.") from error
        saved = iteration
        show()
        with _unessential(folder / "loss.png"):
            preview.plot(log, folder / "loss.png")

    def report(measuring: bool = False) -> None:
        nonlocal reported
        losses = step.report()
        _check(losses, iteration, folder)
        speed = clock.speed(iteration - reported)
        reported = iteration
        row = {"iteration": iteration, "seconds": round(seconds, 2), **losses, "rate": rate, "speed": speed}
        if measuring:
            with clock.stopped():
                row["progress"] = measure(swapper)
            history.append((iteration, row["progress"]))
        with _unessential(log):
            _append(log, row)
        tell(_line(plan, iteration, seconds, losses, speed, history[-1][1] if history else {}), row)

    clock = _Clock(plan, seconds)
    batches = iter(Batches(faces, plan.batch, plan.augmentation, plan.seed, start=iteration, threads=device.cores()))
    with _stop_on_signals() as stopped, status() as tell, contextlib.closing(batches):
        while not (stopped.is_set() or done or _over(plan, iteration, seconds)):
            rate = plan.learning_rate * (_rate(plan, iteration, seconds) if model.decays else 1.0)
            for optimizer in optimizers.values():
                optimizer.learning_rate = rate
            step(next(batches), iteration)
            iteration += 1
            if not clock.runs:  # compiling the first step takes long and teaches nothing
                step.wait()
                clock.start()
                reported = iteration
            seconds = clock.seconds()

            over = _over(plan, iteration, seconds)
            measuring = measure is not None and not stopped.is_set() and (clock.progress(seconds) or (over and bool(history)))
            if clock.report(seconds, at_once=measuring) or over or stopped.is_set():
                report(measuring)
                done = plan.until_plateau and plateau(history)
            if clock.save(seconds):
                with clock.stopped():
                    save()
            elif clock.preview(seconds):
                with clock.stopped():
                    show()
        if iteration > reported:  # the signal came after the last report
            report()
        if iteration > saved:
            save()
    return Outcome(iteration, seconds, stopped.is_set(), history[-1][1] if history else None, done)


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
    checkpoint.set_aside_newer(folder, state.iteration)
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


def _check_weights(networks: dict, iteration: int, folder: Path) -> None:
    """A loss tells of the weights before its step: the last step may have broken them."""
    if not all(np.isfinite(weight).all() for network in networks.values() for weight in network.get_weights()):
        raise FaceswapError(f"A weight is no number any more at iteration {iteration}. The last good save in {folder} is untouched: "
                            "run again with a lower --learning-rate or with --precision float32.")


def _append(log: Path, row: dict) -> None:
    with open(log, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


@contextlib.contextmanager
def _unessential(path: Path) -> Iterator[None]:
    """What the disk refuses of logs and previews is told, and ends no training; what it refuses of a save does."""
    try:
        yield
    except OSError as error:
        logger.warning("Cannot write %s: %s. Training goes on.", path, error.strerror or error)


def _line(plan: Plan, iteration: int, seconds: float, losses: dict[str, float], speed: float, progress: dict[str, float]) -> str:
    parts = [f"iteration {iteration}", "loss " + " ".join(f"{name} {losses[name]:.4f}" for name in ("a", "b") if name in losses)]
    if progress:
        parts.append(f"to B {progress['distance_b']:.3f} landmarks {progress['landmark_error']:.1f} %")
    parts += [f"{speed:.1f} it/s", f"{2 * plan.batch * speed:.0f} images/s"]
    share = _share_done(plan, iteration, seconds)
    if share:
        left = [(plan.iterations - iteration) / max(speed, 1e-9)] if plan.iterations else []
        left += [60 * plan.minutes - seconds] if plan.minutes else []
        minutes, rest = divmod(max(0, round(min(left))), 60)
        hours, minutes = divmod(minutes, 60)
        parts.append(f"{hours}:{minutes:02d}:{rest:02d} left")
    return "  ".join(parts)


class _Clock:
    """Seconds of training, in which saving does not count, and when to report, save and show by them."""

    def __init__(self, plan: Plan, seconds: float):
        """`seconds` were trained before. It stands until `start`."""
        self._plan = plan
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

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        self._before, self._began = self.seconds(), None
        yield
        self.start()

    def report(self, seconds: float, at_once: bool) -> bool:
        if at_once:
            self._next["report"] = seconds
        return self._due("report", seconds, self._plan.report_seconds)

    def save(self, seconds: float) -> bool:
        return self._due("save", seconds, 60 * self._plan.save_minutes)

    def progress(self, seconds: float) -> bool:
        return self._plan.progress_minutes is not None and self._due("progress", seconds, 60 * self._plan.progress_minutes)

    def preview(self, seconds: float) -> bool:
        return self._plan.preview_seconds is not None and self._due("preview", seconds, self._plan.preview_seconds)

    def speed(self, iterations: int) -> float:
        """Iterations a second since this was last asked."""
        now = self.seconds()
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
    """The event is set by Ctrl-C, SIGTERM or a lost terminal: the iteration in hand ends and is saved. A second signal ends at once."""
    stopped = threading.Event()
    words = "Stopping: saving first. Once more to stop without saving."

    def stop(number, frame):
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()
        line = logs.json_line(level="info", message=words) if logs.is_json() else f"\n{words}"
        with contextlib.suppress(OSError):
            os.write(2, f"{line}\n".encode())  # not print: the signal may have come in the midst of another

    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    watched = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, stop) for number in watched if signal.getsignal(number) is not signal.SIG_IGN}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
