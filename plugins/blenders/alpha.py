"""Weighted mean of face and frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lib.plugin import BLENDERS, Blender


@BLENDERS.register
@dataclass
class Alpha(Blender):
    """Weighted mean of face and frame: the mask's feather is the transition."""

    def blend(self, region: np.ndarray, face: np.ndarray, mask: np.ndarray) -> np.ndarray:
        weights = np.ascontiguousarray(mask[..., 0])
        return cv2.blendLinear(region, cv2.convertScaleAbs(face, alpha=255), 1 - weights, weights)
