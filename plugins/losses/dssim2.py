"""The mean of dssim under two windows, of a twelfth and a twenty-fourth of the side."""

from __future__ import annotations

from dataclasses import dataclass

from lib.plugin import LOSSES, Loss
from lib.training.model.losses import dssim


@LOSSES.register
@dataclass
class DssimAtTwoScales(Loss):
    """The mean of dssim under two windows, of a twelfth and a twenty-fourth of the side."""

    def measure(self, picture, target, weight=None):
        return dssim(picture, target, weight, (11.6, 23.2))
