"""What the blenders share."""

from __future__ import annotations

import cv2
import numpy as np


def weighted(region: np.ndarray, face: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`region` (H, W, 3) uint8 RGB and `face`, likewise float32 in [0, 1]; `mask` (H, W, 1) float32 says how much of the face counts."""
    weights = np.ascontiguousarray(mask[..., 0])
    return cv2.blendLinear(region, cv2.convertScaleAbs(face, alpha=255), 1 - weights, weights)
