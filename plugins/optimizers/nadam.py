from __future__ import annotations

from dataclasses import dataclass

import keras

from lib.options import option
from lib.plugin import OPTIMIZERS, Optimizer


@OPTIMIZERS.register
@dataclass
class Nadam(Optimizer):
    """Adam with Nesterov momentum.

    "Incorporating Nesterov Momentum into Adam", ICLR workshop, 2016.
    """

    beta_1: float = option(0.9, "Decay of the mean gradient.", low=0.0,
                           high=0.9999)
    beta_2: float = option(0.999, "Decay of the mean squared gradient.", low=0.0,
                           high=0.999999)
    epsilon: float = option(1e-7, "Small number that keeps divisions stable.", low=0.0,
                            high=1.0)

    def make(self, learning_rate: float) -> keras.optimizers.Optimizer:
        return keras.optimizers.Nadam(learning_rate, self.beta_1, self.beta_2, self.epsilon)
