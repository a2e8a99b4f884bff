"""Weighted mean of face and frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.plugin import BLENDERS, Blender
from lib.swapping.blending import weighted


@BLENDERS.register
@dataclass
class Alpha(Blender):
    """Weighted mean of face and frame: the mask's feather is the transition."""

    def blend(self, region: np.ndarray, face: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return weighted(region, face, mask)
