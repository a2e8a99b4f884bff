"""How differently a face recognition network sees the two, 0 to 2, over five depths of it."""

from __future__ import annotations

from dataclasses import dataclass

from lib.nn.dlib_features import feature_distance
from lib.plugin import LOSSES, Loss
from lib.training.model.losses import masked


@LOSSES.register
@dataclass
class Perceptual(Loss):
    """How differently a face recognition network sees the two, 0 to 2, over five depths of it."""

    def measure(self, picture, target, weight=None):
        return feature_distance(masked(picture, weight), masked(target, weight))
