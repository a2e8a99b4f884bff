"""The compiled training step that every model shares, whatever Keras computes with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lib.errors import FaceswapError
from lib.nn.backend import Devices
from lib.training.batches.batch import Side
from lib.training.model.contract import FaceModel, Networks, Phase

import keras  # isort: skip
from keras import ops  # isort: skip

AHEAD = 2  # calls that a device may have waiting: enough that it never waits itself

Optimizers = Mapping[str, keras.optimizers.Optimizer]
# a dict, tuple or NamedTuple, however deep, of arrays with one entry for each iteration along their
# first axis
Fed = Any
Held = Any  # likewise, on the device, the same for every iteration
Prepare = Callable[[Fed, Held], dict[str, Any]]
# by group, of each of its variables; None for one that the losses do not depend on
Gradients = Mapping[str, Sequence]


def as_floats(fed: Mapping[str, Any], held: Held = ()) -> dict[str, Any]:
    """A batch of uint8 pictures, as the data threads make it -> float32 in [0, 1]; the rest
    unchanged.
    """
    return {name: Side(*(ops.cast(picture, "float32") / 255 for picture in part[:3]),
                       part.landmarks) if isinstance(part, Side) else part
            for name, part in fed.items()}


@dataclass(frozen=True)
class Parts:
    """What a step trains, and how."""

    model: FaceModel
    networks: Networks
    averages: Networks  # moving averages of the networks of the same names; {}: none
    optimizers: Optimizers  # by group
    prepare: Prepare = as_floats  # fed and held -> the model's batch, in `keras.ops`
    held: Held = ()
    averaged: float = 0.0  # decay of the averages
    devices: Devices = Devices()
    frozen: frozenset[str] = frozenset()  # networks whose weights do not change
    phases: tuple[Phase, ...] = field(init=False)
    trained: dict[str, list[keras.Variable]] = field(init=False, default_factory=dict)  # by group
    # an average, and what it follows
    slow: list[tuple[keras.Variable, keras.Variable]] = field(init=False, default_factory=list)

    def __post_init__(self):
        object.__setattr__(self, "phases", self.model.phases())
        if self.model.adversarial and self.devices.count > 1:
            raise FaceswapError("A model of networks that work against each other trains on one "
                                "device. Leave --devices and TF_CONFIG out.")
        for group, names in self.model.groups().items():
            chosen = [name for name in names or self.networks if name not in self.frozen]
            self.trained[group] = [variable for name in chosen
                                   for variable in self.networks[name].trainable_variables]
            self.optimizers[group].build(self.trained[group])
        for name, average in self.averages.items():
            self.slow.extend(zip(average.weights, self.networks[name].weights))

    def scaled(self, losses) -> dict[str, Any]:
        """By group the sum of its losses, scaled up where small gradients would vanish in float16.
        """
        return {group: self.optimizers[group].scale_loss(sum(parts.values()))
                for group, parts in losses.minimise.items()}

    def apply(self, gradients: Gradients, rate) -> None:
        """Updates the networks."""
        for group, of_group in gradients.items():
            self.optimizers[group].learning_rate = rate * self.model.share_of_rate(group)
            pairs = [(gradient, variable) for gradient, variable in zip(of_group,
                                                                        self.trained[group])
                     if gradient is not None]
            if pairs:
                self.optimizers[group].apply(*map(list, zip(*pairs)))

    def norms(self, gradients: Gradients) -> dict[str, Any]:
        """By group the norm of its gradients, in models of several groups: a sign of lost balance.
        """
        if len(self.trained) == 1:
            return {}
        return {f"gradient {group}": ops.sqrt(sum(ops.sum(ops.square(ops.cast(gradient, "float32")))
                                                  for gradient in of_group if gradient is not None))
                / self.optimizers[group].scale_loss(1.0) for group, of_group in gradients.items()}

    def follow(self, share) -> None:
        """Moves the averages towards the weights by `share` of the way."""
        for slow, fast in self.slow:
            slow.assign_add((fast - slow) * ops.cast(share, slow.dtype))

    @staticmethod
    def named(losses) -> dict[str, Any]:
        """Every loss by the name under which it is reported."""
        return losses.report | {f"{group} {name}": value for group, parts in losses.minimise.items()
                                for name, value in parts.items()
                                if losses.report.get(name) is not value}


class Step(ABC):
    """Compiled iterations: losses, gradients, optimizers and averages, without the host.

    Losses since the last `report()` are summed on the device.
    """

    def __init__(self, parts: Parts):
        self.parts = parts
        self._names: list[list[str]] = [[] for _ in parts.phases]  # of what each phase reports
        self._sums: Any = None
        self._under_way: list = []  # sums of the last calls
        self.count = 0  # iterations since the last report

    def __call__(self, fed: Fed, iteration: int, rates: Sequence[float]) -> None:
        """Trains as many iterations as there are `rates`, learning rates; the first is number
        `iteration`, from 0.
        """
        numbers = np.arange(iteration, iteration + len(rates), dtype=np.int32)
        # averages follow quickly at first
        shares = [1 - min(self.parts.averaged, (1 + number) / (10 + number))
                  for number in numbers.tolist()]
        if len(self._under_way) == AHEAD:
            ops.convert_to_numpy(self._under_way.pop(0))
        sums = self._run(fed, numbers, np.float32(rates), np.float32(shares))
        self._under_way.append(sums)
        self._sums = sums if self._sums is None else self._sums + sums
        self.count += len(rates)

    def wait(self) -> None:
        """Waits until the device has finished."""
        if self._sums is not None:
            ops.convert_to_numpy(self._sums)

    def report(self) -> dict[str, float]:
        """Mean of every loss since the last report, of phases that ran; waits for the device.
        """
        values, means = iter(ops.convert_to_numpy(self._sums).tolist()), {}
        for names in self._names:
            sums = [next(values) for _ in names]
            if count := next(values):
                means |= {name: value / count for name, value in zip(names, sums)}
        self._sums, self.count = None, 0
        return means

    def forget(self) -> None:
        """Drops the losses since the last report."""
        self._sums, self.count = None, 0

    def sync(self) -> None:  # noqa: B027  most steps keep nothing on the device
        """Copies weights from the device to the networks and optimizers, where they are apart.
        """

    @abstractmethod
    def _run(self, fed: Fed, numbers: np.ndarray, rates: np.ndarray, shares: np.ndarray) -> Any:
        """Trains, and returns the sum of the rows of all phases, in their order, over the
        iterations.
        """

    def _row(self, place: int, named: Mapping[str, Any], gradients: Gradients) -> Any:
        """The report of phase number `place`: losses, norms of gradients, and a 1 that is counted.
        """
        if self.parts.phases[place].every == 1:
            named = {**named, **self.parts.norms(gradients)}
        self._names[place] = list(named)
        return ops.stack([ops.cast(value, "float32") for value in (*named.values(), 1.0)])

    def _nothing(self, place: int) -> Any:
        """The row of a phase that is not due: traced after `_row`."""
        return ops.zeros(len(self._names[place]) + 1, "float32")
