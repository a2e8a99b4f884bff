"""Half of 1 less the structural similarity under a window of a twelfth of the side."""

from __future__ import annotations

from dataclasses import dataclass

from lib.plugin import LOSSES, Loss
from lib.training.model.losses import dssim


@LOSSES.register
@dataclass
class Dssim(Loss):
    """Half of 1 less the structural similarity under a window of a twelfth of the side."""

    def measure(self, picture, target, weight=None):
        return dssim(picture, target, weight)
