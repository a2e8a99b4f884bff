from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.dlib.landmarks import shape_predictor
from lib.options import option
from lib.plugin import ALIGNERS, Aligner

# How far the boxes of further fits are moved and how much wider each side is, of the box's width
MOVED, RESIZED = 0.03, 0.02


@ALIGNERS.register
@dataclass
class Dlib68(Aligner):
    """dlib's 68 points; two milliseconds a face, no download.

    A fit follows its box a little, and the eyelids of a dark or small face most: the mean of
    several fits is steadier.
    "One Millisecond Face Alignment with an Ensemble of Regression Trees", CVPR, 2014.
    """

    refeed: int = option(2, "Further fits of each face, from its box moved a little; the points "
                         "are the mean of all.", low=0, high=64)

    def __post_init__(self):
        self._trees = shape_predictor()

    def align(self, images: Sequence[np.ndarray], boxes: Sequence[np.ndarray]) -> list[np.ndarray]:
        around = [self._around(np.asarray(of_image, np.float32).reshape(-1, 4))
                  for of_image in boxes]
        fits = self._trees.fit([np.ascontiguousarray(image) for image in images], around)
        return [fit.reshape(-1, 1 + self.refeed, *fit.shape[1:]).mean(1) for fit in fits]

    def _around(self, boxes: np.ndarray) -> np.ndarray:
        """(K, 4) -> ((1 + refeed) K, 4): each box, and `refeed` others in a ring around it, by
        turns smaller and larger.
        """
        angle = 2 * np.pi * (np.arange(self.refeed) + 0.5) / max(1, self.refeed)
        moved = MOVED * np.column_stack([np.cos(angle), np.sin(angle)] * 2)
        larger = RESIZED * np.outer(np.resize((-1, 1), self.refeed), (-1, -1, 1, 1))
        changes = np.vstack([np.zeros((1, 4)), moved + larger])
        widths = boxes[:, 2] - boxes[:, 0]
        return (boxes[:, None] + widths[:, None, None] * changes).astype(np.float32).reshape(-1, 4)
