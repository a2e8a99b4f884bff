"""A blur of the input."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from keras import ops

from lib.options import option
from lib.plugin import AUGMENTATIONS, Augmenter
from lib.training.batches.sampling import rounded

LEAST = 0.1  # sigma, pixels


@AUGMENTATIONS.register
@dataclass
class Blur(Augmenter):
    """A random blur of the input."""

    strength: float = option(0.01, "Largest sigma, as a share of the crop.", low=0.0, high=0.1)
    changes = "input"
    order = 20
    numbers = ("sigma",)  # (N,) pixels

    def draw(self, name, count, size, random):
        if not self.strength:
            return np.zeros(count)
        return np.maximum(LEAST, size * random.uniform(0, self.strength, count))

    def on_host(self, picture, numbers):
        if not numbers["sigma"]:
            return picture
        return cv2.GaussianBlur(picture, (0, 0), float(numbers["sigma"]))

    def on_device(self, pictures, numbers):
        """As wide as OpenCV makes it for 8-bit pictures: an odd number of pixels, at least 6 sigma
        + 1.
        """
        sigma, largest = numbers["sigma"], max(self.strength * pictures.shape[1], LEAST)
        reach = int(round(largest * 6 + 1) | 1) // 2
        distance = ops.convert_to_tensor(np.arange(-reach, reach + 1, dtype=np.float32)[None])
        half = ops.floor((ops.round(sigma * 6 + 1)) / 2)[:, None]
        gaussian = ops.exp(-0.5 * ops.square(distance / sigma[:, None]))
        weights = ops.where(ops.abs(distance) <= half, gaussian, 0.0)
        weights = weights / ops.sum(weights, 1, keepdims=True)
        for axis in (1, 2):
            pads = [(0, 0)] * 4
            pads[axis] = (reach, reach)
            padded, size = ops.pad(pictures, pads, mode="reflect"), pictures.shape[axis]
            parts = [padded[:, start:start + size] if axis == 1
                     else padded[:, :, start:start + size] for start in range(2 * reach + 1)]
            pictures = sum(weights[:, number, None, None, None] * part
                           for number, part in enumerate(parts))
        return rounded(pictures)
