from __future__ import annotations

from dataclasses import dataclass

import keras

from lib.nn.optimizers import UNDECAYED
from lib.options import option
from lib.plugin import OPTIMIZERS, Optimizer


@OPTIMIZERS.register
@dataclass
class Lion(Optimizer):
    """The sign of the mean gradient; half of Adam's memory.

    Wants a third to a tenth of Adam's learning rate.

    "Symbolic Discovery of Optimization Algorithms", NeurIPS, 2023.
    """

    beta_1: float = option(0.9, "Weight of the mean gradient in an update.", low=0.0,
                           high=0.9999)
    beta_2: float = option(0.99, "Decay of the mean gradient.", low=0.0, high=0.999999)
    weight_decay: float = option(0.0, "Weight decay, times the learning rate; not of biases.",
                                 low=0.0, high=1.0)

    def make(self, learning_rate: float) -> keras.optimizers.Optimizer:
        optimizer = keras.optimizers.Lion(learning_rate, max(self.beta_1, 1e-9), self.beta_2,
                                          weight_decay=self.weight_decay or None)
        optimizer.exclude_from_weight_decay(var_names=UNDECAYED)
        return optimizer
