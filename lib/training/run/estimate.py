"""What a model costs before it is trained: parameters, arithmetic, memory, time; and the batch and
learning rate that suit a machine.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.errors import FaceswapError
from lib.files.reading import parse_json
from lib.nn import backend, private
from lib.plugin import MODELS
from lib.system import device
from lib.training.batches.batch import CHANCE, Side
from lib.training.batches.feed import Feed
from lib.training.model.contract import FaceModel
from lib.training.plan import Plan, Updates
from lib.training.step.base import Parts, Step
from lib.training.step.choice import make_step
from lib.version import ROOT

import keras  # isort: skip

SLOWEST = 2.0  # seconds an iteration beyond which no larger batch is tried
# faces of each person that are tried first: a compiled step for each fewer would only take time
FIRST = 16
ROOM = 0.8  # share of the free memory that a batch may take
ITERATIONS = 3  # that are timed
LOWEST_RATE, HIGHEST_RATE, RATES = 1e-7, 0.3, 120  # learning rates that are tried
STEEPEST_OVER = 8  # of these, smoothed


@dataclass(frozen=True)
class Cost:
    """What one network takes."""

    parameters: int
    operations: int  # multiplications and additions to draw one face, forwards
    activations: int  # numbers that one face leaves behind for the way back


def cost(network: keras.Model, size: int) -> Cost:
    """Counted from its layers: everything with a kernel, at each place where it is put to. One that
    takes pictures of any size is counted for `size` pixels; what only remembers things has no
    layers, and costs nothing.
    """
    if not network.layers:
        return Cost(0, 0, 0)
    if None in network.input_shape[1:]:
        network = keras.models.clone_model(network,
                                           keras.Input((size, size, network.input_shape[-1])))
    operations = activations = 0
    for layer in private.layers_of(network, include_self=False):
        kernels = [kernel for name in ("kernel", "depthwise_kernel", "pointwise_kernel")
                   if isinstance(kernel := getattr(layer, name, None), keras.Variable)]
        for inputs, outputs in private.calls_of(layer):
            activations += math.prod(outputs[1:])
            places = math.prod((inputs if "Transpose" in type(layer).__name__ else outputs)[1:-1])
            operations += 2 * places * sum(math.prod(kernel.shape) for kernel in kernels)
    return Cost(network.count_params(), operations, activations)


def memory(costs: Mapping[str, Cost], faces: int, averaged: bool, precision: str) -> int:
    """Bytes that training takes, roughly: weights, gradients, two moments and averages in float32,
    and what so many `faces` leave.
    """
    copies = 5 if averaged else 4
    each = 4 if precision == "float32" else 2
    return sum(4 * copies * network.parameters + 2 * faces * each * network.activations
               for network in costs.values())


def images_per_second(model: FaceModel, parts: Parts, batch: int) -> float:
    """Faces/s of the training step alone, on random pictures."""
    step = make_step(parts)
    return len(model.identities) * batch / _seconds(step, _made_up(model, batch),
                                                    model.learning_rate)


def find_rate(step: Step, feed: Feed, iteration: int = 0) -> list[tuple[float, float]]:
    """(learning rate, sum of the losses) while the rate grows from iteration to iteration, until
    the loss is three times the least.

    "Cyclical Learning Rates for Training Neural Networks", WACV, 2017. The networks of the step are
    not to be used any further.
    """
    points: list[tuple[float, float]] = []
    for number, rate in enumerate(np.geomspace(LOWEST_RATE, HIGHEST_RATE, RATES)):
        step(feed.take(), iteration + number, [float(rate)])
        row = step.report()
        loss = row["a"] + row["b"]
        if not np.isfinite(loss) or (points and loss > 3 * min(before for _, before in points)):
            break
        points.append((float(rate), loss))
    return points


def good_rate(points: Sequence[tuple[float, float]]) -> float:
    """The rate at which the smoothed loss falls most steeply. Raises FaceswapError where it falls
    nowhere.
    """
    rates, losses = np.array(points).T if points else (np.zeros(0), np.zeros(0))
    if len(points) < 3 * STEEPEST_OVER:
        raise FaceswapError("The loss diverged at once: no learning rate can be suggested. Try "
                            "--precision float32 or --clip global.")
    smooth = np.convolve(losses, np.ones(STEEPEST_OVER) / STEEPEST_OVER, "valid")
    rates = np.exp(np.convolve(np.log(rates), np.ones(STEEPEST_OVER) / STEEPEST_OVER, "valid"))
    slopes = np.gradient(smooth, np.log(rates))
    steepest = int(slopes[:int(smooth.argmin()) + 1].argmin())
    if slopes[steepest] >= 0:
        raise FaceswapError("The loss fell at no learning rate: the model may be trained already. "
                            "Leave --find-rate out.")
    return float(f"{rates[steepest]:.1e}")


def largest_batch(name: str, options: Mapping[str, Any], precision: str, plan: Plan,
                  held: int = 0) -> tuple[int, float, str]:
    """The most faces of each person that fit into the memory beside `held` bytes, their images/s,
    and why there are no more of them.

    Tried in a process of its own, by real iterations of twice as many each time; none is tried
    beyond one that takes SLOWEST seconds. It begins with FIRST, with one where those are too many.
    Raises FaceswapError where not even one fits.
    """
    free = device.memory()[0]
    trial = {"name": name, "options": dict(options), "precision": precision,
             "averaged": plan.averaged, "held": held}
    rows = _try(trial | {"batch": FIRST}, ROOM * free)
    if not rows or rows[-1]["seconds"] > SLOWEST:
        rows = _try(trial | {"batch": 1}, ROOM * free)
    if not rows:
        raise FaceswapError("Not even a batch of one face fits into the memory "
                            f"({free / 2**30:.1f} GiB are free). Choose a smaller model, "
                            "or close other programs.")
    batch, seconds = rows[-1]["batch"], rows[-1]["seconds"]
    reason = "more take too long" if rows[-1]["slow"] else "more do not fit"
    return batch, 2 * batch / seconds, reason


def _try(trial: dict[str, Any], most: float) -> list[dict[str, Any]]:
    """What `_try_batches` prints in a process that may take `most` bytes."""
    with subprocess.Popen([sys.executable, "-m", "lib.training.run.estimate", json.dumps(trial)],
                          cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT)}) as child:
        watched = threading.Thread(target=device.end_beyond, args=(child, most), daemon=True)
        watched.start()
        return [parse_json(line) for line in child.stdout if line.startswith("{")]


def _made_up(model: FaceModel, batch: int) -> dict[str, Any]:
    """One iteration's batch of noise."""
    random = np.random.default_rng(0)
    sides: dict[str, Any] = {}
    for identity in model.identities:
        pictures = (random.integers(0, 256, (1, batch, side, side, 3), np.uint8)
                    for side in (model.size, model.taught, model.size))
        sides[identity] = Side(*pictures, random.random((1, batch, 68, 2), np.float32))
    own = model.chance(batch, random)
    return sides | ({CHANCE: type(own)(*(array[None] for array in own))} if own else {})


def _seconds(step: Step, fed: dict[str, Any], rate: float) -> float:
    """Of one iteration, the least of a few."""
    times = []
    for number in range(ITERATIONS):
        began = time.perf_counter()
        step(fed, number, [rate * 1e-3])
        step.wait()
        times.append(time.perf_counter() - began)
    return min(times[1:])


def _try_batches(trial: dict[str, Any]) -> None:
    """Prints a line for each batch that fits, each twice as large as the one before."""
    from lib.training.step import optimize

    backend.set_up(trial["precision"])
    model = MODELS.create(trial["name"], **trial["options"])
    networks = model.networks()
    averages = model.networks() if trial["averaged"] else {}
    ballast = keras.ops.zeros((trial["held"],), "uint8")  # room for the faces on a GPU
    optimizers = optimize.make_optimizers(model, model.learning_rate, Updates(),
                                          trial["precision"] == "float16", 0)
    step = make_step(Parts(model, networks, averages, optimizers, averaged=trial["averaged"]))
    batch = trial["batch"]
    while True:
        seconds = _seconds(step, _made_up(model, batch), model.learning_rate)
        slow = 2 * seconds > SLOWEST  # the next would be
        print(json.dumps({"batch": batch, "seconds": seconds, "slow": slow}), flush=True)
        if slow:
            break
        batch *= 2
    del ballast


if __name__ == "__main__":
    _try_batches(parse_json(sys.argv[1]))
