"""Mean squared difference of the spectra, each frequency weighted by how far it is off."""

from __future__ import annotations

from dataclasses import dataclass

from keras import ops

from lib.nn.pictures import to_planes
from lib.plugin import LOSSES, Loss
from lib.training.model.losses import masked


@LOSSES.register
@dataclass
class FocalFrequency(Loss):
    """Mean squared difference of the spectra, each frequency weighted by how far it is off.

    "Focal Frequency Loss for Image Reconstruction and Synthesis", ICCV, 2021.
    """

    def measure(self, picture, target, weight=None):
        error = to_planes(masked(picture - target, weight))
        real, imaginary = ops.fft2((error, ops.zeros_like(error)))
        squared = (ops.square(real) + ops.square(imaginary)) / (error.shape[2] * error.shape[3])
        off = ops.sqrt(ops.stop_gradient(squared))
        largest = ops.maximum(ops.max(off, (2, 3), keepdims=True), 1e-6)
        return ops.mean(ops.clip(off / largest, 0, 1) * squared)
