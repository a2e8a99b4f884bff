"""The largest error of each channel (the L-infinity norm), on average."""

from __future__ import annotations

from dataclasses import dataclass

from keras import ops

from lib.plugin import LOSSES, Loss
from lib.training.model.losses import masked


@LOSSES.register
@dataclass
class Largest(Loss):
    """The largest error of each channel (the L-infinity norm), on average."""

    def measure(self, picture, target, weight=None):
        return ops.mean(ops.max(ops.abs(masked(picture - target, weight)), (1, 2)))
