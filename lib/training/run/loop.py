"""The loop that trains every model."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from lib.errors import FaceswapError, Stopped
from lib.evaluation.held_out import plateau, score
from lib.files.writing import make_folder, write_bytes
from lib.nn.backend import Devices
from lib.system.progress import tell
from lib.training.batches.faces import Faces
from lib.training.batches.feed import Feed
from lib.training.model.contract import Draw, FaceModel, Networks
from lib.training.plan import Clock, Plan
from lib.training.run.assembly import MOST_AT_ONCE, ONE_DEVICE, Begin, make_feed, make_parts
from lib.training.run.signals import stop_on_signals
from lib.training.saved import checkpoint, weights
from lib.training.saved.swapper import Swapper
from lib.training.step import optimize
from lib.training.step.base import Optimizers
from lib.training.step.choice import make_step
from lib.training.watch.preview import stacked
from lib.training.watch.record import Record, unessential

logger = logging.getLogger(__name__)

CALL_SECONDS = 0.25  # a device is given iterations for about so long at once
TIMED = 3  # iterations by which that is judged
RETURNS = 3  # how often in a row training goes back to a checkpoint when it has diverged
CUT = 0.5  # share of the learning rate that each return leaves
ADVICE = "run again with a lower --learning-rate, with --clip global, or with --precision float32"


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    iteration: int
    seconds: float
    interrupted: bool
    progress: dict[str, float] | None  # as last measured
    measured: int  # at which iteration
    plateau: bool = False  # it gets no better


MeasureSwap = Callable[[Swapper], dict[str, float]]  # how good a model that swaps is now
MeasureDrawn = Callable[[Draw], dict[str, float]]  # the same of one that draws
Measure = MeasureSwap | MeasureDrawn
Show = Callable[[Swapper], np.ndarray]  # (H, W, 3) uint8 RGB; of a model that swaps


def train(model: FaceModel, faces: dict[str, Faces], folder: Path, plan: Plan,
          measure: Measure | None = None, begin: Begin | None = None, devices: Devices = ONE_DEVICE,
          show: Show | None = None) -> Outcome:
    """Trains `model` on `faces` until the plan ends, Ctrl-C or SIGTERM, and saves into `folder`;
    resumes from its newest checkpoint.

    `measure` says how good the swap of the held-out faces is, or what a model draws that does not
    swap; it is logged as `progress`. `begin` changes the new networks. What `show` draws stands
    below the preview. Each report is told to the caller of the job. Raises Stopped, after saving,
    where that asks to stop, and FaceswapError for a damaged folder, losses that stay no numbers, or
    a full disk (what was saved before stays).
    """
    return _Run(model, faces, folder, plan, measure, begin, devices, show).to_its_end()


class _Run:
    """One run of the loop, and how far it is."""

    def __init__(self, model: FaceModel, faces: dict[str, Faces], folder: Path, plan: Plan,
                 measure: Measure | None, begin: Begin | None, devices: Devices,
                 show: Show | None = None):
        self.faces, self.folder, self.plan, self.devices = faces, folder, plan, devices
        self.parts = make_parts(model, faces, plan, begin, devices)
        self.step = make_step(self.parts)
        self.first = devices.worker == 0  # of several machines, the one that saves and tells
        self.record = Record(folder, plan)
        self.optimizer = optimize.described(plan.updates, plan.float16, plan.frozen)

        self.iteration, self.seconds, self.cut = 0, 0.0, 1.0
        self.returns = 0  # in a row
        self.went_back = False  # and what is fed must, too
        self.fresh: list[np.ndarray] | None = None  # optimizers' variables as they began
        self.at_once = 1  # iterations a call
        self.stopped = threading.Event()  # by a signal or on the page
        self.asked_to_stop: Stopped | None = None  # by the caller of the job
        self.done = False  # it gets no better
        self.resume()
        self.saved = self.reported = self.iteration

        best = {**self.parts.networks, **self.parts.averages}
        self.view = model.viewer(best, faces)
        self.exports = partial(model.exports, best)
        maker = _swapper(model, best) if model.swaps else measure and model.drawer(best)
        self.measure, self.show = measure and partial(measure, maker), show and partial(show, maker)
        self.clock = Clock(plan, self.seconds)

    def resume(self) -> None:
        """Reads the newest checkpoint, if there is one."""
        newest = checkpoint.newest(self.folder)
        if newest is not None:
            path, state = newest
            self.step.sync()
            networks = self.stored(path, self.parts.networks, "weights")
            weights.load_networks(path, networks, averaged=False)
            if self.parts.averages:
                weights.load_networks(path, self.parts.averages,
                                      averaged=weights.has_averages(path))
            if state.optimizer in (None, self.optimizer):
                weights.load_optimizers(path, self.stored(path, self.parts.optimizers, "optimizer"))
            else:
                logger.warning("The optimizer starts anew: it, or what it updates, is not what the "
                               "checkpoint was made with.")
                self.reset_optimizers()
            if self.first:
                checkpoint.set_aside_newer(self.folder, state.iteration)
            self.iteration, self.seconds, self.cut = state.iteration, state.seconds, state.cut
            cut = f", with {state.cut:.3g} of the learning rate, since training had diverged" \
                if state.cut < 1 else ""
            logger.info("Resuming from iteration %d (%.1f minutes of training)%s.", state.iteration,
                        state.seconds / 60, cut)
        if self.first:
            self.record.resume(self.iteration)

    def stored(self, path: Path, parts: Networks | Optimizers, kind: str) -> dict:
        """Those networks or optimizers that a checkpoint holds, or should: a finishing stage adds
        some later.
        """
        added = self.parts.model.added
        return {name: part for name, part in parts.items()
                if name not in added or (path / f"{name}.{kind}.h5").exists()}

    def reset_optimizers(self) -> None:
        """Makes them what they were at first."""
        variables = [variable for optimizer in self.parts.optimizers.values()
                     for variable in optimizer.variables]
        if self.fresh is None:
            self.fresh = [variable.numpy() for variable in variables]
        for variable, value in zip(variables, self.fresh):
            variable.assign(value)

    def to_its_end(self) -> Outcome:
        self.done = self.plan.until_plateau and plateau(self.record.history)
        asked = [self.first and self.done, self.first and self.plan_over()]
        self.done, over = map(bool, self.devices.agreed(asked))
        if self.done or over:
            more = "it no longer gets better. Leave --until plateau out to go on" if self.done \
                else "ask for more with -i/--iterations or --minutes"
            logger.info("%s is trained already, %d iterations, %.1f minutes: %s.", self.folder,
                        self.iteration, self.seconds / 60, more)
            return self.outcome(interrupted=False)
        with stop_on_signals() as self.stopped, contextlib.ExitStack() as stack:
            if self.first:
                self.check_room()
                logger.info("Compiling the networks first, which can take half a minute.")
                stack.enter_context(self.record)
            self.repeat(stack)
            if self.first and self.iteration > self.reported:  # stopped after the last report
                self.report()
            if self.first and self.iteration > self.saved:
                self.save()
        if self.asked_to_stop:
            raise self.asked_to_stop
        return self.outcome(self.stopped.is_set())

    def repeat(self, stack: contextlib.ExitStack) -> None:
        """Iterations, until the plan, a signal or the caller ends them."""
        feed = stack.enter_context(contextlib.closing(self.feed()))
        while True:
            # All machines stop, or go back, together
            over = self.first and (self.done or bool(self.asked_to_stop) or self.plan_over())
            stop, back = self.devices.agreed([self.stopped.is_set() or over, self.went_back])
            if back:
                if not self.went_back:
                    self.resume()
                feed.close()
                feed = stack.enter_context(contextlib.closing(self.feed()))
                self.went_back = False
            elif stop:
                return
            self.train_on(feed)
            if self.first and not self.went_back:
                self.look_after()

    def look_after(self) -> None:
        """Reports, measures, saves and shows what is due."""
        wishes = self.record.wishes()
        if "stop" in wishes:
            self.stopped.set()
        over = self.plan_over() or self.stopped.is_set()
        measuring = self.measure is not None and not self.stopped.is_set() and (
            self.clock.due("progress", self.seconds) or (over and bool(self.record.history)))
        saving = self.clock.due("save", self.seconds, at_once="save" in wishes)
        if self.clock.due("report", self.seconds, at_once=measuring or over or saving):
            self.report(measuring)
            self.done = self.plan.until_plateau and plateau(self.record.history)
        if saving and self.iteration > self.saved:
            with self.clock.stopped():
                self.save()
        elif self.clock.due("preview", self.seconds, at_once="preview" in wishes):
            with self.clock.stopped():
                self.record.show(self.sheet())
                self.record.plot()

    def plan_over(self) -> bool:
        return self.plan.over(self.iteration, self.seconds)

    def check_room(self) -> None:
        """Raises FaceswapError where not even one checkpoint would fit on the disk: better now than
        after minutes of training.
        """
        try:
            make_folder(self.folder)
            checkpoint.check_room(self.folder, self.parts.networks, self.parts.averages,
                                  self.parts.optimizers)
        except OSError as error:
            raise FaceswapError(f"{self.folder}: {error.strerror} for a checkpoint. Make room, or "
                                "name a folder on another disk with -m.") from error

    def feed(self) -> Feed:
        return make_feed(self.parts.model, self.faces, self.plan, self.iteration, self.devices)

    def train_on(self, feed: Feed) -> None:
        """As many iterations as one call takes."""
        plan = self.plan
        limits = [plan.iterations - self.iteration] if plan.iterations else []
        limits += [plan.snapshots - self.iteration % plan.snapshots] if plan.snapshots else []
        # Any other number of iterations would be compiled anew
        count = self.at_once if all(self.at_once <= limit for limit in limits) else 1
        rates = self.rates(count)
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
                self.save_snapshot()

    def rates(self, count: int) -> np.ndarray:
        """(count,) learning rates of the next iterations."""
        return self.plan.rates(self.iteration, count, self.seconds, self.record.losses, self.cut)

    def quick_call(self, feed: Feed) -> int:
        """How many iterations to give to the device at once, so that the host does not hold it up.
        """
        plan = self.plan
        limits = [plan.iterations - self.iteration] if plan.iterations else []
        limits += [plan.snapshots - self.iteration % plan.snapshots - 1] if plan.snapshots else []
        iterations = min([TIMED, *limits])
        for _ in range(iterations):
            self.step(feed.take(1), self.iteration, self.rates(1))
            self.iteration += 1
        self.step.wait()
        taken = self.clock.seconds() - self.seconds
        quick = iterations and taken / iterations * MOST_AT_ONCE <= CALL_SECONDS
        return MOST_AT_ONCE if quick else 1

    def report(self, measuring: bool = False) -> None:
        """Records and tells how it goes."""
        if not self.step.count:
            return
        losses = self.step.report()
        if not all(np.isfinite(value) for value in losses.values()):
            return self.go_back("The loss is")
        speed = self.clock.speed(self.iteration - self.reported)
        self.reported = self.iteration
        row = {"iteration": self.iteration, "seconds": round(self.seconds, 2), **losses,
               "rate": self.rate, "speed": speed,
               "images": round(len(self.faces) * self.plan.batch * speed, 1)}
        progress = None
        if measuring:
            with self.clock.stopped():
                self.step.sync()
                progress = self.measure()
        self.record.report(row, progress)
        try:
            tell("train", self.iteration, self.plan.iterations, "iteration")
        except Stopped as stop:  # save first
            self.asked_to_stop = stop

    def save(self) -> None:
        self.step.sync()
        # A loss tells of the weights before its step: the last step may have broken them
        if not _finite(self.parts.networks):
            return self.go_back("A weight is")
        record = self.record
        scores = {"loss": record.losses[-1][1]} if record.losses else {}
        if record.history and record.history[-1][0] > self.saved:
            scores["swap"] = score(record.history[-1][1])
        state = checkpoint.State(self.iteration, self.seconds, scores=scores, cut=self.cut,
                              optimizer=self.optimizer)
        try:
            checkpoint.save(self.folder, self.parts.networks, self.parts.averages,
                            self.parts.optimizers, state, self.plan.keep)
            for name, data in self.exports().items():
                write_bytes(self.folder / name, data)
        except OSError as error:
            reason = str(error.strerror or error).splitlines()[0]
            raise FaceswapError(f"Cannot save into {self.folder}: {reason}. The checkpoint before "
                                "this one is untouched; make room and run the same command again."
                                ) from error
        self.saved, self.returns = self.iteration, 0
        record.save(self.iteration, self.sheet(), self.weights() if self.plan.histograms else {})

    def save_snapshot(self) -> None:
        """A checkpoint that is kept for good."""
        if not self.went_back:
            self.save()
        if not self.went_back:
            with unessential(self.folder / "snapshots"):
                checkpoint.keep_for_good(checkpoint.saves(self.folder)[0])

    def weights(self) -> dict[str, np.ndarray]:
        """All trained weights, by names for histograms."""
        return {f"{name}/{number:02d} {variable.name}": variable.numpy()
                for name, network in self.parts.networks.items()
                for number, variable in enumerate(network.trainable_variables)}

    def sheet(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB: faces as they are drawn now."""
        self.step.sync()
        return self.view() if self.show is None else stacked(self.view(), self.show())

    def go_back(self, what: str) -> None:
        """To the newest checkpoint, and on with a lower learning rate. Raises FaceswapError where
        there is none, or that did not help before.
        """
        mishap = f"{what} no longer a number at iteration {self.iteration}."
        if not checkpoint.saves(self.folder):
            raise FaceswapError(f"{mishap} There is no checkpoint to go back to: {ADVICE}.")
        if self.returns == RETURNS:
            raise FaceswapError(f"{mishap} Going back to the last checkpoint with a lower learning "
                                f"rate did not help {RETURNS} times. The last good checkpoint in "
                                f"{self.folder} is untouched: {ADVICE}.")
        self.returns += 1
        self.step.forget()
        cut = self.cut * CUT
        self.resume()
        self.cut = min(self.cut, cut)
        self.saved = self.reported = self.iteration
        self.clock.back_to(self.seconds)
        self.went_back = True
        logger.warning("%s Went back to the checkpoint of iteration %d; the learning rate is %.3g "
                       "of what it was.", mishap, self.iteration, self.cut)

    def outcome(self, interrupted: bool) -> Outcome:
        history = self.record.history
        measured, progress = history[-1] if history else (0, None)
        return Outcome(self.iteration, self.seconds, interrupted, progress, measured, self.done)


def _finite(networks: Networks) -> bool:
    return all(np.isfinite(weight).all() for network in networks.values()
               for weight in network.get_weights())


def _swapper(model: FaceModel, networks: Networks) -> Swapper:
    """What swaps towards B. Raises FaceswapError where the model says another size than it draws."""
    network = model.swapper(networks, "b")
    side = network.output_shape[1]
    if side not in (None, model.drawn):
        raise FaceswapError(f"The model draws faces of {side} pixels and declares {model.drawn}. "
                            f"Set `drawn = {side}` in its class.")
    return Swapper(network, model.size, model.drawn, model.coverage)
