from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import dlib
import numpy as np

from lib.dlib.predictors import fit, shape_predictor
from lib.faces.search import BoundedDetector, resized
from lib.options import option
from lib.plugin import DETECTORS
from lib.types import Detection

SURE = 0.2  # margin over dlib's threshold from which on a detection needs no second opinion
MOVES = 0.08 * np.array([(0, 0, 0, 0), (1, 0, 1, 0), (-1, 0, -1, 0), (0, 1, 0, 1), (0, -1, 0, -1),
                         (-1, -1, 1, 1), (1, 1, -1, -1)])
# Of the box's side: 0.001 to 0.009 in faces, 0.016 and more in patterns, paws and faces that lie
SPREAD = 0.012


@DETECTORS.register
@dataclass
class Hog(BoundedDetector):
    """Frontal faces with dlib; needs no download. Misses profiles and covered faces.

    A detection with a low score is kept only where five points, fitted in its box moved a little,
    come to lie in the same places: only on faces do they.
    "Max-Margin Object Detection", 2015, over histograms of oriented gradients.
    """

    upsample: int = option(1, "How often that size is doubled: finds faces half as large in four "
                           "times the time.", low=0, high=3)
    min_score: float = option(0.47, "Ignore faces below this score; dlib itself takes 0.5.",
                              low=0.0, high=1.0)

    def __post_init__(self):
        self._detector = dlib.get_frontal_face_detector()
        self._five = shape_predictor(5)
        self._threshold = math.log(max(self.min_score, 1e-6) / max(1 - self.min_score, 1e-6))

    @property
    def smallest(self) -> float:
        # Once doubled it found 26 of 26 faces at 36 pixels, 25 at 32, 9 at 28
        return 72 / (1 << self.upsample)

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        return [self._detect(image) for image in images]

    def _detect(self, image: np.ndarray) -> list[Detection]:
        # Finds as much as colours in two thirds of the time
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        # enlarged in one step, not shrunk and doubled
        searched, scale = resized(gray, min(self.search, max(gray.shape)) << self.upsample)
        if max(gray.shape) <= self.search:  # dlib's own doubling gives the steadier boxes
            boxes, margins, _ = self._detector.run(gray, self.upsample, self._threshold)
            to_frame, to_searched = 1.0, 1 / scale
        else:
            boxes, margins, _ = self._detector.run(searched, 0, self._threshold)
            to_frame, to_searched = scale, 1.0
        detections = []
        for box, margin in zip(boxes, margins):  # they come best first
            square = np.array([box.left(), box.top(), box.right(), box.bottom()], np.float32)
            if margin >= SURE or self._is_steady(searched,
                                                 square * to_searched + (to_searched - 1) / 2):
                # The margin, 0 at dlib's own threshold, as a probability
                score = 1 / (1 + math.exp(-margin))
                detections.append(Detection(square * to_frame + np.float32((to_frame - 1) / 2),
                                            score))
        return detections

    def _is_steady(self, image: np.ndarray, box: np.ndarray) -> bool:
        """Whether five points fitted in the box and in others around it come to lie in the same
        places.
        """
        side = box[2] - box[0]
        fits = [fit(self._five, image, box + side * move) for move in MOVES]
        return np.array(fits).std(0).mean() < SPREAD * side
