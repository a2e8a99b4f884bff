"""The face's gradients between the frame's colours at its edge."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lib.plugin import BLENDERS, Blender
from lib.swapping.blending import weighted

SOLVED = 128  # pixels: side of the crop on which the equation is solved; what it finds is smooth
GRID = 32  # places along each side that are kept of it
INSIDE = 0.1  # of the mask: from here on a pixel is the face's
LEAST = 6  # pixels of SOLVED: a mask of less height or width has no inside


@BLENDERS.register
@dataclass
class Poisson(Blender):
    """The face's gradients between the frame's colours at its edge: no light of its own is left.

    "Poisson Image Editing", ACM Transactions on Graphics, 2003. What it adds is steadied over the
    frames, since hair or a hand at the edge would else make the face flicker.
    """

    measures = True

    def measure(self, face: np.ndarray, original: np.ndarray,
                mask: np.ndarray) -> np.ndarray | None:
        face, original, mask = (cv2.resize(picture, (SOLVED, SOLVED), interpolation=cv2.INTER_AREA)
                                for picture in (face, original, mask))
        inside = np.uint8(255) * (mask > INSIDE)
        # The equation wants an edge all around
        inside[:2] = inside[-2:] = inside[:, :2] = inside[:, -2:] = 0
        left, top, width, height = cv2.boundingRect(inside)
        if min(width, height) < LEAST:
            return None
        own, frame = (cv2.convertScaleAbs(picture, alpha=255) for picture in (face, original))
        weights = cv2.erode(inside, np.ones((3, 3), np.uint8)).astype(np.float32) / 255
        # Changes its mask
        cloned = cv2.seamlessClone(own, frame, inside, (left + width // 2, top + height // 2),
                                   cv2.NORMAL_CLONE)
        added = (cloned.astype(np.float32) - own) / 255 * weights[..., None]
        added, weights = (_coarse(picture) for picture in (added, weights))
        return added / (weights[..., None] + 1e-3)

    def blend(self, region: np.ndarray, face: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return weighted(region, face, mask)


def _coarse(picture: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(cv2.resize(picture, (GRID, GRID), interpolation=cv2.INTER_AREA), (0, 0),
                            1.0)
