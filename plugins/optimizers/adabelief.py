from __future__ import annotations

from dataclasses import dataclass

import keras

from lib.nn.optimizers import UNDECAYED
from lib.nn.optimizers import AdaBelief as KerasAdaBelief
from lib.options import option
from lib.plugin import OPTIMIZERS, Optimizer


@OPTIMIZERS.register
@dataclass
class AdaBelief(Optimizer):
    """Large steps where gradients agree with their mean, small ones where they do not.

    "AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients", NeurIPS, 2020.
    """

    beta_1: float = option(0.9, "Decay of the mean gradient.", low=0.0,
                           high=0.9999)
    beta_2: float = option(0.999, "Decay of the mean squared distance from it.", low=0.0,
                           high=0.999999)
    epsilon: float = option(1e-14, "Small number that keeps divisions stable.", low=0.0,
                            high=1.0)
    weight_decay: float = option(0.0, "Weight decay, times the learning rate; not of biases.",
                                 low=0.0, high=1.0)

    def make(self, learning_rate: float) -> keras.optimizers.Optimizer:
        optimizer = KerasAdaBelief(learning_rate, self.beta_1, self.beta_2, self.epsilon,
                                   weight_decay=self.weight_decay or None)
        optimizer.exclude_from_weight_decay(var_names=UNDECAYED)
        return optimizer
