from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.errors import FaceswapError
from lib.plugin import DETECTORS, Detector
from lib.types import Detection

logger = logging.getLogger(__name__)


@DETECTORS.register
@dataclass
class Auto(Detector):
    """yunet where its weights can be had, else hog, which needs no download."""

    def __post_init__(self):
        try:
            self.chosen = DETECTORS.create("yunet")
        except FaceswapError as error:
            logger.warning("%s Using the detector hog instead: it misses faces that yunet finds.", error)
            self.chosen = DETECTORS.create("hog")

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        return self.chosen.detect(images)
