from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import ops

from lib.options import option
from lib.plugin import OPTIMIZERS, Optimizer


class Breaking(keras.optimizers.SGD):
    def __init__(self, at: int, below: float, **kwargs):
        super().__init__(**{"momentum": 0.5} | kwargs)
        self.at, self.below = at, below

    def update_step(self, gradient, variable, learning_rate):
        breaks = ops.logical_and(self.iterations >= self.at, learning_rate > self.below)
        super().update_step(ops.where(breaks, float("nan"), gradient), variable, learning_rate)

    def get_config(self):
        return super().get_config() | {"at": self.at, "below": self.below}


@OPTIMIZERS.register
@dataclass
class Brittle(Optimizer):
    """For tests: numbers leave all bounds at an iteration, unless the learning rate is low."""

    at: int = option(60, "The iteration.", low=0)
    below: float = option(1e-4, "Learning rates up to this are low.", low=0.0)

    def make(self, learning_rate: float) -> keras.optimizers.Optimizer:
        return Breaking(self.at, self.below, learning_rate=learning_rate)
