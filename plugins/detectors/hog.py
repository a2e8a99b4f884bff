from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import dlib
import numpy as np

from lib.faces.search import resized
from lib.options import option
from lib.plugin import DETECTORS, Detector
from lib.types import Detection


@DETECTORS.register
@dataclass
class Hog(Detector):
    """Frontal faces with dlib; needs no download. Misses profiles and covered faces.

    "Max-Margin Object Detection", 2015, over histograms of oriented gradients.
    """

    search: int = option(640, "Longer side, in pixels, of the frames searched; more finds smaller faces.", low=64, high=8192)
    upsample: int = option(1, "How often that is doubled: finds faces half as large in four times the time.", low=0, high=3)
    min_score: float = option(0.55, "Ignore faces below this score; dlib itself takes 0.5.", low=0.0, high=1.0)

    def __post_init__(self):
        self._detector = dlib.get_frontal_face_detector()
        self._threshold = math.log(max(self.min_score, 1e-6) / max(1 - self.min_score, 1e-6))

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        return [self._detect(image) for image in images]

    def _detect(self, image: np.ndarray) -> list[Detection]:
        searched, scale, doublings = np.ascontiguousarray(image), 1.0, self.upsample
        if max(image.shape[:2]) > self.search:  # brought to its size in one step, not shrunk and doubled
            (searched, scale), doublings = resized(image, self.search << self.upsample), 0
        boxes, margins, _ = self._detector.run(searched, doublings, self._threshold)
        # they come best first; the margin, 0 at dlib's own threshold, as a probability
        return [Detection(np.array([box.left(), box.top(), box.right(), box.bottom()], np.float32) * scale + np.float32((scale - 1) / 2),
                          1 / (1 + math.exp(-margin))) for box, margin in zip(boxes, margins)]
