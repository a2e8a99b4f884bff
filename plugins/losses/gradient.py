"""Mean squared differences between the first and second derivatives, over pixels, halved."""

from __future__ import annotations

from dataclasses import dataclass

from keras import ops

from lib.plugin import LOSSES, Loss
from lib.training.model.losses import weighted_mean


@LOSSES.register
@dataclass
class Derivatives(Loss):
    """Mean squared differences between the first and second derivatives, over pixels, halved."""

    def measure(self, picture, target, weight=None):
        error = ops.pad(picture - target, ((0, 0), (1, 1), (1, 1), (0, 0)), "symmetric")
        here, left, right = error[:, 1:-1, 1:-1], error[:, 1:-1, :-2], error[:, 1:-1, 2:]
        above, below = error[:, :-2, 1:-1], error[:, 2:, 1:-1]
        corners = (error[:, 2:, 2:] + error[:, :-2, :-2] - error[:, 2:, :-2]
                   - error[:, :-2, 2:])
        parts = ((right - left) / 2, (below - above) / 2, left + right - 2 * here,
                 above + below - 2 * here, corners / 2)
        return weighted_mean(sum(ops.square(part) for part in parts) / 2, weight)
