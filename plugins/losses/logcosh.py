"""Mean logarithm of the hyperbolic cosine of the error: square of small errors only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from keras import ops

from lib.plugin import LOSSES, Loss
from lib.training.model.losses import weighted_mean


@LOSSES.register
@dataclass
class LogCosh(Loss):
    """Mean logarithm of the hyperbolic cosine of the error: square of small errors only."""

    def measure(self, picture, target, weight=None):
        error = ops.abs(picture - target)
        return weighted_mean(error + ops.softplus(-2 * error) - float(np.log(2)), weight)
