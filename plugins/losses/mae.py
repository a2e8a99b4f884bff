"""Mean absolute error: differences between pixels."""

from __future__ import annotations

from dataclasses import dataclass

from lib.plugin import LOSSES, Loss
from lib.training.model.losses import mean_absolute


@LOSSES.register
@dataclass
class MeanAbsolute(Loss):
    """Mean absolute error: differences between pixels."""

    def measure(self, picture, target, weight=None):
        return mean_absolute(picture, target, weight)
