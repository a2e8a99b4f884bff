"""1 less the structural similarity, 0 to 2."""

from __future__ import annotations

from dataclasses import dataclass

from lib.nn.pictures import WINDOW, similarity, to_planes
from lib.plugin import LOSSES, Loss
from lib.training.model.losses import weighted_mean


@LOSSES.register
@dataclass
class StructuralSimilarity(Loss):
    """1 less the structural similarity, 0 to 2.

    "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE Transactions
    on Image Processing, 2004.
    """

    def measure(self, picture, target, weight=None):
        light, structure = similarity(to_planes(picture), to_planes(target), WINDOW, "reflect")
        return weighted_mean(1 - light * structure, None if weight is None else to_planes(weight))
