from __future__ import annotations

from dataclasses import dataclass

import keras

from lib.options import option
from lib.plugin import OPTIMIZERS, Optimizer


@OPTIMIZERS.register
@dataclass
class RMSprop(Optimizer):
    """Half of Adam's memory: no mean gradient is kept.

    "Lecture 6.5: rmsprop", Hinton's course on neural networks, 2012.
    """

    rho: float = option(0.9, "Decay of the mean squared gradient.",
                        low=0.0, high=0.999999)
    epsilon: float = option(1e-7, "Small number that keeps divisions stable.", low=0.0,
                            high=1.0)

    def make(self, learning_rate: float) -> keras.optimizers.Optimizer:
        return keras.optimizers.RMSprop(learning_rate, self.rho, epsilon=self.epsilon)
