from __future__ import annotations

from dataclasses import dataclass

import keras

from lib.nn.optimizers import UNDECAYED
from lib.options import option
from lib.plugin import OPTIMIZERS, Optimizer


@OPTIMIZERS.register
@dataclass
class AdamW(Optimizer):
    """Adam with weight decay, against over-fitting in long runs.

    "Decoupled Weight Decay Regularization", ICLR, 2019.
    """

    beta_1: float = option(0.9, "Decay of the mean gradient.", low=0.0,
                           high=0.9999)
    beta_2: float = option(0.999, "Decay of the mean squared gradient.", low=0.0,
                           high=0.999999)
    epsilon: float = option(1e-7, "Small number that keeps divisions stable.", low=0.0,
                            high=1.0)
    weight_decay: float = option(0.01, "Weight decay, times the learning rate; not of biases.",
                                 low=0.0, high=1.0)

    def make(self, learning_rate: float) -> keras.optimizers.Optimizer:
        optimizer = keras.optimizers.AdamW(learning_rate, self.weight_decay, self.beta_1,
                                           self.beta_2, self.epsilon)
        optimizer.exclude_from_weight_decay(var_names=UNDECAYED)
        return optimizer
