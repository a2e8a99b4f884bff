"""What the blenders share."""

from __future__ import annotations

import cv2
import numpy as np


def weighted(region: np.ndarray, face: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`region` and `face` (H, W, 3) RGB, both uint8 or uint16; `mask` (H, W, 1) float32 says how
    much of the face counts."""
    if region.dtype == np.uint16:  # blendLinear knows floats besides, and those not exactly
        return np.rint(region + mask * (face - region.astype(np.float32))).astype(np.uint16)
    weights = np.ascontiguousarray(mask[..., 0])
    return cv2.blendLinear(region, face, 1 - weights, weights)
