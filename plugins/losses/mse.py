"""Mean squared error: minds few large differences more than many small ones."""

from __future__ import annotations

from dataclasses import dataclass

from lib.plugin import LOSSES, Loss
from lib.training.model.losses import mean_squared


@LOSSES.register
@dataclass
class MeanSquared(Loss):
    """Mean squared error: minds few large differences more than many small ones."""

    def measure(self, picture, target, weight=None):
        return mean_squared(picture, target, weight)
