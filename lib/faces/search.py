"""Looking for faces at a bounded size, so that the time for a frame does not grow with its resolution."""

from __future__ import annotations

import cv2
import numpy as np


def shrunk(image: np.ndarray, side: int) -> tuple[np.ndarray, float]:
    """`resized`, but never larger than `image` is."""
    return resized(image, min(side, max(image.shape[:2])))


def resized(image: np.ndarray, side: int) -> tuple[np.ndarray, float]:
    """`image` (H, W, 3) with its longer side `side` pixels, and by how much its coordinates must grow to fit `image`.

    Pixel centres are integers: a coordinate x of the result stands for `x * scale + (scale - 1) / 2`.
    """
    height, width = image.shape[:2]
    scale = max(height, width) / side
    if scale == 1:
        return np.ascontiguousarray(image), 1.0
    size = (max(round(width / scale), 1), max(round(height / scale), 1))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR), scale
