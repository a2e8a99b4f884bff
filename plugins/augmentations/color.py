"""Brightness, contrast and tint."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lib.options import option
from lib.plugin import AUGMENTATIONS, Augmenter
from lib.training.batches.sampling import rounded


@AUGMENTATIONS.register
@dataclass
class Color(Augmenter):
    """Random brightness, contrast and tint."""

    strength: float = option(0.1, "Largest change, as a share.", low=0.0, high=0.5)
    order = 20
    numbers = ("gain", "lift")  # (N, 3) by which colours grow around mid grey, and what is added

    def draw(self, name, count, size, random):
        if name == "lift":
            return np.repeat(random.uniform(-1, 1, (count, 1)), 3, 1) * self.strength * 128
        contrast, tint = random.uniform(-1, 1, (count, 1)), random.uniform(-1, 1, (count, 3))
        return 1 + self.strength * (contrast + tint / 3)

    def on_host(self, picture, numbers):
        gain, lift = numbers["gain"], numbers["lift"]
        if not ((gain != 1).any() or lift.any()):
            return picture
        levels = (np.arange(256, dtype=np.float32)[:, None] - 128) * gain + 128 + lift
        return cv2.LUT(picture, np.clip(levels, 0, 255).round().astype(np.uint8)[None])

    def on_device(self, pictures, numbers):
        gain, lift = numbers["gain"][:, None, None], numbers["lift"][:, None, None]
        return rounded((pictures - 128.0) * gain + 128.0 + lift)
