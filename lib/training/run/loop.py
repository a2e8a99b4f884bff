"""The loop that trains every model."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from lib.errors import FaceswapError, Stopped
from lib.evaluation.held_out import plateau, score
from lib.files.writing import make_folder
from lib.nn import initial_weights
from lib.nn.backend import Devices
from lib.system import device, logs
from lib.system.progress import tell
from lib.training.batches import on_device
from lib.training.batches.chance import Chance
from lib.training.batches.faces import Faces
from lib.training.batches.feed import Feed, Host
from lib.training.model.contract import Draw, FaceModel
from lib.training.plan import Clock, Plan
from lib.training.saved import checkpoint
from lib.training.saved.swapper import Swapper
from lib.training.step import optimize
from lib.training.step.base import Networks, Parts
from lib.training.step.choice import make_step
from lib.training.watch.preview import stacked
from lib.training.watch.record import Record, unessential

logger = logging.getLogger(__name__)

CALL_SECONDS = 0.25  # a device is given iterations for about so long at once ...
MOST_AT_ONCE = 16  # ... but no more than these
RETURNS = 3  # how often in a row training goes back to a save when numbers have left all bounds
CUT = 0.5  # share of the learning rate that each return leaves


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    iteration: int
    seconds: float
    interrupted: bool
    progress: dict[str, float] | None  # as last measured
    measured: int  # at which iteration
    plateau: bool = False  # it gets no better


Measure = Callable[["Swapper | Draw"], "dict[str, float]"]  # of what the model has
Begin = Callable[[Networks], None]
Show = Callable[["Swapper | Draw"], np.ndarray]  # (H, W, 3) uint8 RGB


def make_parts(model: FaceModel, faces: Mapping[str, Faces], plan: Plan, begin: Begin | None = None,
               devices: Devices = Devices()) -> Parts:
    """New networks, as `begin` leaves them, with their averages and optimizers; faces on the device where the plan wants them there."""
    with devices.scope():
        networks = model.networks()
        initial_weights.draw(networks, plan.seed)
        if begin is not None:
            begin(networks)
        for name in plan.frozen:
            networks[name].trainable = False
        optimizers = optimize.make_optimizers(model, plan.learning_rate, plan.updates, plan.float16, plan.seed)
        averages = _copies(model, networks) if plan.averaged else {}
        placed = {}
        if plan.on_device:
            augmentation = on_device.DeviceAugmentation(plan.augmentation, model.size, model.taught)
            placed = {"prepare": augmentation, "held": on_device.stocks(faces)}
        return Parts(model, networks, averages, optimizers, averaged=plan.averaged,
                     frozen=plan.frozen, devices=devices, **placed)


def make_feed(model: FaceModel, faces: Mapping[str, Faces], plan: Plan, iteration: int = 0, devices: Devices = Devices()) -> Feed:
    """What the step is fed from `iteration` on: pictures, or the numbers that the device makes them of."""
    size = next(iter(faces.values())).size
    each = plan.batch // devices.workers
    chance = Chance({identity: len(these) for identity, these in faces.items()}, size, plan.batch, plan.augmentation, plan.seed,
                    plan.weights, slice(devices.worker * each, (devices.worker + 1) * each), model.chance)
    if plan.on_device:
        return Feed(chance, iteration, threads=1, ahead=2 * MOST_AT_ONCE)
    return Feed(Host(faces, chance), iteration, threads=device.cores())


def train(model: FaceModel, faces: dict[str, Faces], folder: Path, plan: Plan, measure: Measure | None = None,
          begin: Begin | None = None, devices: Devices = Devices(), show: Show | None = None) -> Outcome:
    """Trains `model` on `faces` until the plan's end, Ctrl-C or SIGTERM, and saves into `folder`; goes on from its newest save.

    `measure` says how good the swap of the held-out faces is, or what a model makes that does not swap; that is logged as `progress`.
    `begin` changes the new networks. What `show` draws stands below the preview.
    Raises FaceswapError for a damaged folder, losses that stay no numbers, or a full disk (what was saved before stays).
    """
    return _Run(model, faces, folder, plan, measure, begin, devices, show).to_its_end()


class _Run:
    """One run of the loop, and where it stands."""

    def __init__(self, model: FaceModel, faces: dict[str, Faces], folder: Path, plan: Plan, measure: Measure | None, begin: Begin | None,
                 devices: Devices, show: Show | None = None):
        self.faces, self.folder, self.plan, self.devices = faces, folder, plan, devices
        self.parts = make_parts(model, faces, plan, begin, devices)
        self.step = make_step(self.parts)
        self.first = devices.worker == 0  # of several machines, the one that saves and tells
        self.record = Record(folder, plan)
        self.made_with = optimize.described(plan.updates, plan.float16, plan.frozen)
        self.iteration, self.seconds, self.cut = 0, 0.0, 1.0
        self.returns = 0  # in a row
        self.went_back = False  # and what is fed must, too
        self.fresh: list[np.ndarray] | None = None  # the optimizers' variables as they began, where they begin anew
        self.at_once = 1  # iterations a call
        self.asked_to_stop: Stopped | None = None  # by the caller of the job
        self.go_on_from_newest()
        self.saved = self.reported = self.iteration
        best = {**self.parts.networks, **self.parts.averages}
        self.view = model.viewer(best, faces)
        maker = Swapper(model.swapper(best, "b"), model.size, model.drawn, model.coverage) if model.swaps else model.drawer(best)
        self.measure, self.show = measure and partial(measure, maker), show and partial(show, maker)
        self.clock = Clock(plan, self.seconds)

    def go_on_from_newest(self) -> None:
        """Reads the newest save, where there is one."""
        found = checkpoint.newest(self.folder)
        if found is not None:
            path, state = found
            self.step.sync()
            checkpoint.load_networks(path, self.there(path, self.parts.networks, "weights"), averaged=False)
            if self.parts.averages:
                checkpoint.load_networks(path, self.parts.averages, averaged=checkpoint.has_averages(path))
            if state.optimizer in (None, self.made_with):
                checkpoint.load_optimizers(path, self.there(path, self.parts.optimizers, "optimizer"))
            else:
                logger.warning("The optimizer begins anew: it, or what it updates, is not what the save was made with.")
                self.forget_optimizers()
            if self.first:
                checkpoint.set_aside_newer(self.folder, state.iteration)
            self.iteration, self.seconds, self.cut = state.iteration, state.seconds, state.cut
            logger.info("Going on from iteration %d (%.1f minutes of training)%s.", state.iteration, state.seconds / 60,
                        f", with {state.cut:.3g} of the learning rate, since numbers had left all bounds" if state.cut < 1 else "")
        if self.first:
            self.record.go_on_from(self.iteration)

    def there(self, path: Path, these: dict, kind: str) -> dict:
        """Those networks or optimizers that a save holds, or should: some a finishing stage adds later."""
        return {name: one for name, one in these.items() if name not in self.parts.model.added or (path / f"{name}.{kind}.h5").exists()}

    def forget_optimizers(self) -> None:
        """Makes them what they were at first, whatever they have become."""
        variables = [variable for optimizer in self.parts.optimizers.values() for variable in optimizer.variables]
        if self.fresh is None:
            self.fresh = [variable.numpy() for variable in variables]
        for variable, value in zip(variables, self.fresh):
            variable.assign(value)

    def to_its_end(self) -> Outcome:
        plan, record = self.plan, self.record
        done = plan.until_plateau and plateau(record.history)
        done, over = map(bool, self.devices.agreed([self.first and done, self.first and plan.over(self.iteration, self.seconds)]))
        if done or over:
            more = "it no longer gets better. Leave --until plateau out to go on" if done else \
                "ask for more with -i/--iterations or --minutes"
            logger.info("%s is trained already, %d iterations, %.1f minutes: %s.", self.folder, self.iteration, self.seconds / 60, more)
            return self.outcome(False, done)
        with _stop_on_signals() as stopped, contextlib.ExitStack() as stack:
            if self.first:
                self.check_room()
                logger.info("Compiling the networks first, which can take half a minute.")
                stack.enter_context(record)
            feed = stack.enter_context(contextlib.closing(self.feed()))
            while True:
                over = self.first and (done or self.asked_to_stop or plan.over(self.iteration, self.seconds))
                stop, back = self.devices.agreed([bool(stopped.is_set() or over), self.went_back])
                if back:
                    if not self.went_back:
                        self.go_on_from_newest()
                    feed.close()
                    feed = stack.enter_context(contextlib.closing(self.feed()))
                    self.went_back = False
                elif stop:
                    break
                self.train_on(feed)
                if not self.first or self.went_back:
                    continue
                wishes = record.wishes()
                if "stop" in wishes:
                    stopped.set()
                over = plan.over(self.iteration, self.seconds) or stopped.is_set()
                measuring = self.measure is not None and not stopped.is_set() and (
                    self.clock.due("progress", self.seconds) or (over and bool(record.history)))
                saving = self.clock.due("save", self.seconds, at_once="save" in wishes)
                if self.clock.due("report", self.seconds, at_once=measuring or over or saving):
                    self.report(measuring)
                    done = plan.until_plateau and plateau(record.history)
                if saving and self.iteration > self.saved:
                    with self.clock.stopped():
                        self.save()
                elif self.clock.due("preview", self.seconds, at_once="preview" in wishes):
                    with self.clock.stopped():
                        record.shown(self.sheet())
                        record.plotted()
            if self.first and self.iteration > self.reported:  # the signal came after the last report
                self.report()
            if self.first and self.iteration > self.saved:
                self.save()
        if self.asked_to_stop:
            raise self.asked_to_stop
        return self.outcome(stopped.is_set(), done)

    def check_room(self) -> None:
        """Raises FaceswapError where not even one save would fit on the disk: better now than after minutes of training."""
        try:
            make_folder(self.folder)
            checkpoint.check_room(self.folder, self.parts.networks, self.parts.averages, self.parts.optimizers)
        except OSError as error:
            raise FaceswapError(f"{self.folder}: {error.strerror} for a save. Make room, or name a folder on another disk with "
                                "-m.") from error

    def feed(self) -> Feed:
        return make_feed(self.parts.model, self.faces, self.plan, self.iteration, self.devices)

    def train_on(self, feed: Feed) -> None:
        """As many iterations as one call takes."""
        plan = self.plan
        limits = [plan.iterations - self.iteration] if plan.iterations else []
        limits += [plan.snapshots - self.iteration % plan.snapshots] if plan.snapshots else []
        count = self.at_once if all(self.at_once <= limit for limit in limits) else 1  # any other number would be compiled anew
        rates = plan.rates(self.iteration, count, self.seconds, self.record.losses, self.cut)
        rates = self.devices.agreed(0 * rates if self.devices.worker else rates)
        self.step(feed.take(len(rates)), self.iteration, rates)
        self.iteration += len(rates)
        self.rate = float(rates[-1])
        if not self.clock.runs:  # compiling the first step takes long and teaches nothing
            self.step.wait()
            self.clock.start()
            self.reported = self.iteration
            if plan.on_device and self.devices.workers == 1:  # several have to do alike
                self.at_once = self.quick_call(feed)
        self.seconds = self.clock.seconds()
        if plan.snapshots and self.iteration % plan.snapshots == 0 and self.first:
            self.report()
            with self.clock.stopped():
                if not self.went_back:
                    self.save()
                if not self.went_back:
                    with unessential(self.folder / "snapshots"):
                        checkpoint.keep_for_good(checkpoint.saves(self.folder)[0])

    def quick_call(self, feed: Feed) -> int:
        """How many iterations to give to the device at once, so that the host is no brake on it."""
        limits = [self.plan.iterations - self.iteration] if self.plan.iterations else []
        limits += [self.plan.snapshots - self.iteration % self.plan.snapshots - 1] if self.plan.snapshots else []
        iterations = min([3, *limits])
        for _ in range(iterations):
            rates = self.plan.rates(self.iteration, 1, self.seconds, self.record.losses, self.cut)
            self.step(feed.take(1), self.iteration, rates)
            self.iteration += 1
        self.step.wait()
        each = self.clock.seconds() - self.seconds
        return MOST_AT_ONCE if iterations and each / iterations * MOST_AT_ONCE <= CALL_SECONDS else 1

    def report(self, measuring: bool = False) -> None:
        """Records and tells how it goes."""
        if not self.step.count:
            return
        losses = self.step.report()
        if not all(np.isfinite(value) for value in losses.values()):
            return self.go_back("The loss is")
        speed = self.clock.speed(self.iteration - self.reported)
        self.reported = self.iteration
        row = {"iteration": self.iteration, "seconds": round(self.seconds, 2), **losses, "rate": self.rate, "speed": speed,
               "images": round(len(self.faces) * self.plan.batch * speed, 1)}
        progress = None
        if measuring:
            with self.clock.stopped():
                self.step.sync()
                progress = self.measure()
        self.record.told(row, progress)
        try:
            tell("train", self.iteration, self.plan.iterations, "iteration")
        except Stopped as stop:  # save first
            self.asked_to_stop = stop

    def save(self) -> None:
        self.step.sync()
        if not _finite(self.parts.networks):  # a loss tells of the weights before its step: the last step may have broken them
            return self.go_back("A weight is")
        record = self.record
        scores = {"loss": record.losses[-1][1]} if record.losses else {}
        if record.history and record.history[-1][0] > self.saved:
            scores["swap"] = score(record.history[-1][1])
        state = checkpoint.State(self.iteration, self.seconds, scores=scores, cut=self.cut, optimizer=self.made_with)
        try:
            checkpoint.save(self.folder, self.parts.networks, self.parts.averages, self.parts.optimizers, state, self.plan.keep)
        except OSError as error:
            reason = str(error.strerror or error).splitlines()[0]
            raise FaceswapError(f"Cannot save into {self.folder}: {reason}. The save before this one is untouched; "
                                "make room and run the same command again.") from error
        self.saved, self.returns = self.iteration, 0
        weights = {f"{name}/{number:02d} {variable.name}": variable.numpy() for name, network in self.parts.networks.items()
                   for number, variable in enumerate(network.trainable_variables)} if self.plan.histograms else {}
        record.saved(self.iteration, self.sheet(), weights)

    def sheet(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB: faces as they are drawn now."""
        self.step.sync()
        return self.view() if self.show is None else stacked(self.view(), self.show())

    def go_back(self, what: str) -> None:
        """To the newest save, and on with a lower learning rate. Raises FaceswapError where there is none, or it did not help before."""
        mishap = f"{what} no number any more at iteration {self.iteration}."
        if not checkpoint.saves(self.folder):
            raise FaceswapError(f"{mishap} There is no save to go back to: run again with a lower --learning-rate, with --clip global, or "
                                "with --precision float32.")
        if self.returns == RETURNS:
            raise FaceswapError(f"{mishap} Going back to the last save with a lower learning rate did not help {RETURNS} times. The last "
                                f"good save in {self.folder} is untouched: run again with a lower --learning-rate, with --clip global, or "
                                "with --precision float32.")
        self.returns += 1
        self.step.forget()
        cut = self.cut * CUT
        self.go_on_from_newest()
        self.cut = min(self.cut, cut)
        self.saved = self.reported = self.iteration
        self.clock.back_to(self.seconds)
        self.went_back = True
        logger.warning("%s Went back to the save of iteration %d; the learning rate is %.3g of what it was.", mishap, self.iteration,
                       self.cut)

    def outcome(self, interrupted: bool, done: bool) -> Outcome:
        history = self.record.history
        measured, progress = history[-1] if history else (0, None)
        return Outcome(self.iteration, self.seconds, interrupted, progress, measured, done)


def _copies(model: FaceModel, networks: dict) -> dict:
    """Networks with the same weights as those that have averages, which live in them."""
    made = model.networks()
    copies = {name: made[name] for name in model.follows or networks}
    for name, copy in copies.items():
        copy.set_weights(networks[name].get_weights())
        copy.trainable = False
    return copies


def _finite(networks: dict) -> bool:
    return all(np.isfinite(weight).all() for network in networks.values() for weight in network.get_weights())


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
