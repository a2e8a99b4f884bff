from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lib.errors import FaceswapError
from lib.plugin import DETECTORS, Detector
from lib.types import Detection

logger = logging.getLogger(__name__)


@DETECTORS.register
@dataclass
class Auto(Detector):
    """yunet where its weights can be had, else hog, which needs no download."""

    chooses = True

    def resolve(self, recorded: str | None, **options: Any) -> Detector:
        if recorded:
            return DETECTORS.create(recorded, **options)
        try:
            return DETECTORS.create("yunet")
        except FaceswapError as error:
            logger.warning("%s Using the detector hog instead: it misses faces that yunet finds.",
                           error)
            return DETECTORS.create("hog")

    @cached_property
    def _chosen(self) -> Detector:
        return self.resolve(None)

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        return self._chosen.detect(images)
