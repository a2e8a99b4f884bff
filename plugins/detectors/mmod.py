from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import dlib
import numpy as np

from lib.dlib.predictors import PACKAGE, shape_predictor
from lib.faces.search import BoundedDetector, shrunk
from lib.net.weights import package_file
from lib.options import option
from lib.plugin import DETECTORS
from lib.types import Detection

LEAST = 100  # pixels of both sides: the network crashes on strips


@DETECTORS.register
@dataclass
class Mmod(BoundedDetector):
    """dlib's network: turned and covered faces, but no small ones. No download. A second a frame.

    "Max-Margin Object Detection", 2015, with a convolutional network.
    """

    min_score: float = option(0.5, "Ignore faces below this score; nearly all score 1, the most "
                              "covered 0.2 to 0.5.", low=0.0, high=1.0)
    smallest = 72.0  # it found 9 of 9 faces at 72 pixels, none at 64

    def __post_init__(self):
        self._network, self._in_use = _network()
        self._five = shape_predictor(5)

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        return [self._detect(image) for image in images]

    def _detect(self, image: np.ndarray) -> list[Detection]:
        small, scale = shrunk(image, self.search)
        height, width = small.shape[:2]
        if min(height, width) < LEAST:
            small = cv2.copyMakeBorder(small, 0, max(0, LEAST - height), 0, max(0, LEAST - width),
                                       cv2.BORDER_CONSTANT)
        with self._in_use:
            answers = self._network(small, 0)
        detections = []
        for answer in sorted(answers, key=lambda answer: -min(answer.confidence, 1.0)):
            if answer.confidence >= self.min_score:
                box = self._box(small, answer.rect) * scale + np.float32((scale - 1) / 2)
                detections.append(Detection(box, min(answer.confidence, 1.0)))
        return detections

    def _box(self, image: np.ndarray, rectangle: dlib.rectangle) -> np.ndarray:
        """The square that the detector hog would have drawn, from five points fitted in the
        network's box.

        The network's boxes have few sizes and places: they spoil a ninth of the fits of 68 points.
        The numbers were fitted to hand-marked faces.
        """
        points = np.array([(point.x, point.y) for point in self._five(image, rectangle).parts()],
                          float)
        eyes, nose = points[:4].mean(0), points[4]  # the corners of both eyes, and below the nose
        unit = max(np.linalg.norm(points[0] + points[1] - points[2] - points[3]) / 2,
                   1.3 * np.linalg.norm(nose - eyes), 1e-3)
        centre = eyes + 0.3 * (nose - eyes) + np.array([0, 0.2]) * unit
        return np.hstack([centre - 1.2 * unit, centre + 1.2 * unit]).astype(np.float32)


# Half a gigabyte at work, and a call keeps several cores busy: all threads take turns with it
@cache
def _network() -> tuple[dlib.cnn_face_detection_model_v1, threading.Lock]:
    path = package_file(PACKAGE, "models/mmod_human_face_detector.dat")
    return dlib.cnn_face_detection_model_v1(str(path)), threading.Lock()
