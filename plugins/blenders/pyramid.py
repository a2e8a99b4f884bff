"""Fine detail joined over a narrow edge, broad light over a wide one."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lib.options import option
from lib.plugin import BLENDERS, Blender

LEAST = 8  # pixels: the shorter side of the coarsest level
# Of the mask: from here on inwards the pyramid is all that is seen, and at its end nothing of it
WITHIN = 0.25


@BLENDERS.register
@dataclass
class Pyramid(Blender):
    """Each band of detail joined over a width of its own.

    "A Multiresolution Spline With Application to Image Mosaics", ACM Transactions on Graphics,
    1983. Differences of light between face and frame fade over more than the mask's feather.
    """

    bands: int = option(
        5, "Bands of detail, each twice as coarse as the one before.", low=1, high=8)

    def blend(self, region: np.ndarray, face: np.ndarray, mask: np.ndarray) -> np.ndarray:
        most = np.float32(np.iinfo(region.dtype).max)
        frame, face, weights = region / most, face / most, np.ascontiguousarray(mask[..., 0])
        joined = self._joined(frame, face, weights)
        shown = np.clip(weights / WITHIN, 0, 1)[..., None]
        return np.rint(np.clip(frame + shown * (joined - frame), 0, 1) * most).astype(region.dtype)

    def _joined(self, frame: np.ndarray, face: np.ndarray, mask: np.ndarray) -> np.ndarray:
        bands = min(self.bands, max(1, int(np.log2(max(min(mask.shape) / LEAST, 1)))))
        levels = []
        for _ in range(bands):
            coarser = [cv2.pyrDown(picture) for picture in (frame, face, mask)]
            size = frame.shape[1::-1]
            frame_band, face_band = (picture - cv2.pyrUp(coarse, dstsize=size)
                          for picture, coarse in zip((frame, face), coarser))
            levels.append(frame_band + mask[..., None] * (face_band - frame_band))
            frame, face, mask = coarser
        joined = frame + mask[..., None] * (face - frame)
        for level in reversed(levels):
            joined = level + cv2.pyrUp(joined, dstsize=level.shape[1::-1])
        return joined
