"""A light from one side."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from keras import ops

from lib.options import option
from lib.plugin import AUGMENTATIONS, Augmenter
from lib.training.batches.sampling import rounded


@AUGMENTATIONS.register
@dataclass
class Light(Augmenter):
    """A light that grows from one side of the picture to the other."""

    strength: float = option(0.3, "Largest gain at the edge.", low=0.0, high=1.0)
    order = 10
    numbers = ("growth",)  # (N, 2), to the right and downwards

    def draw(self, name, count, size, random):
        return self.strength * random.uniform(-1, 1, (count, 2))

    def on_host(self, picture, numbers):
        if not numbers["growth"].any():
            return picture
        side, (across, down) = len(picture), numbers["growth"]
        axis = np.linspace(-1, 1, side, dtype=np.float32)
        gain = np.repeat(1 + np.float32(across) * axis, 3) + (np.float32(down) * axis)[:, None]
        return cv2.multiply(picture, gain.reshape(side, side, 3), dtype=cv2.CV_8U)

    def on_device(self, pictures, numbers):
        axis = ops.linspace(-1.0, 1.0, pictures.shape[1], dtype="float32")
        across, down = numbers["growth"][:, 0, None, None], numbers["growth"][:, 1, None, None]
        gain = 1 + across * axis[None, None, :] + down * axis[None, :, None]
        return rounded(pictures * gain[..., None])
