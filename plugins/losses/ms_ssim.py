"""1 less the product of the structural similarities at five scales, each half the one before."""

from __future__ import annotations

from dataclasses import dataclass

from keras import ops

from lib.nn.pictures import WINDOW, halved, similarity, to_planes
from lib.plugin import LOSSES, Loss
from lib.training.model.losses import masked

EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, the finest first
UNLIKE = 1e-4  # a scale's likeness counts as at least this: roots have no slope at 0

@LOSSES.register
@dataclass
class MultiScaleSimilarity(Loss):
    """1 less the product of the structural similarities at five scales, each half the one before.

    "Multiscale structural similarity for image quality assessment", Asilomar Conference, 2003.
    """

    def measure(self, picture, target, weight=None):
        picture, target = to_planes(masked(picture, weight)), to_planes(masked(target, weight))
        product = 1.0
        for exponent in EXPONENTS:
            part = min(picture.shape[2:]) // 16
            length = WINDOW if part >= WINDOW else max(3, part - 1 + part % 2)
            light, structure = similarity(picture, target, length, "reflect")
            if exponent is EXPONENTS[-1]:
                structure = light * structure
            product = product * ops.maximum(ops.mean(structure, (2, 3)), UNLIKE) ** exponent
            picture, target = halved(picture), halved(target)
        return 1 - ops.mean(product)
