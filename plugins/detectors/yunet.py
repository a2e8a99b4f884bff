from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lib.faces.search import shrunk
from lib.options import option
from lib.plugin import DETECTORS, Detector
from lib.types import Detection
from lib.weights import weights

RIGHT_EYE, LEFT_EYE, RIGHT_MOUTH, LEFT_MOUTH = (slice(4, 6), slice(6, 8), slice(10, 12), slice(12, 14))


@DETECTORS.register
@dataclass
class YuNet(Detector):
    """Small and fast on a CPU; finds profiles and small faces too. Its weights (0.3 MB) are fetched once.

    "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research, 2023.
    """

    min_score: float = option(0.8, "Ignore faces below this score.", low=0.0, high=1.0)
    search: int = option(640, "Longer side, in pixels, at which frames are searched; more finds smaller faces.", low=64, high=8192)

    def __post_init__(self):
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # OpenCV 5 warns about a target that was never asked for
        try:
            self._net = cv2.FaceDetectorYN.create(str(weights("yunet_n")), "", (0, 0), self.min_score)
        finally:
            cv2.utils.logging.setLogLevel(level)

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        return [self._detect(image) for image in images]

    def _detect(self, image: np.ndarray) -> list[Detection]:
        small, scale = shrunk(image, self.search)
        self._net.setInputSize(small.shape[1::-1])
        _, rows = self._net.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        if rows is None:
            return []
        # each row (15,): x, y, width, height, five points (eyes, nose, mouth corners), score
        found = [Detection(_dlib_box(row) * scale + (scale - 1) / 2, float(min(row[14], 1))) for row in rows]
        return sorted(found, key=lambda detection: -detection.score)


def _dlib_box(row: np.ndarray) -> np.ndarray:
    """The square that dlib's own detector would have drawn, on which its landmark fit depends, from the five points.

    The network's own box spoils a quarter of the fits. The three numbers were fitted to dlib's boxes of hand-marked faces.
    """
    eyes = (row[RIGHT_EYE] + row[LEFT_EYE]) / 2
    mouth = (row[RIGHT_MOUTH] + row[LEFT_MOUTH]) / 2
    unit = max(np.linalg.norm(row[LEFT_EYE] - row[RIGHT_EYE]), np.linalg.norm(mouth - eyes), 1e-3)
    centre = (eyes + mouth) / 2 + np.array([0.02, 0.0175]) * unit
    half = 2.455 * unit / 2
    return np.hstack([centre - half, centre + half]).astype(np.float32)
