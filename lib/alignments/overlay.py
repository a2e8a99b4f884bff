"""Pictures of masks to look at."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

TINT, OUTLINE = (255, 40, 120), (255, 255, 0)  # colours that few faces have
STRENGTH = 0.4  # of the tint where the mask is 1
BAR = 24  # pixels above each picture for its name


def masks_side_by_side(image: np.ndarray, masks: Mapping[str, np.ndarray]) -> np.ndarray:
    """`image` (S, S, 3) uint8 RGB as it is, then once for each of `masks` (M, M, 1) float32 by name, tinted where the mask is.

    A line runs where a mask is 0.5. Returns (S + BAR, (1 + number of masks) * S, 3) uint8 RGB.
    """
    pictures = [_named(image, "")]
    for name, mask in masks.items():
        mask = cv2.resize(mask, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        share = STRENGTH * mask[..., None]
        tinted = np.rint(image * (1 - share) + np.float32(TINT) * share).astype(np.uint8)
        outlines, _ = cv2.findContours((mask >= 0.5).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        pictures.append(_named(cv2.drawContours(tinted, outlines, -1, OUTLINE, 1), name))
    return np.hstack(pictures)


def _named(image: np.ndarray, name: str) -> np.ndarray:
    bar = np.zeros((BAR, image.shape[1], 3), np.uint8)
    cv2.putText(bar, name, (6, BAR - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return np.vstack([bar, image])
