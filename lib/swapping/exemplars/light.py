"""The light of the person filmed on a swapped face, so that skin meets forehead, ears and neck in tone."""

from __future__ import annotations

import cv2
import numpy as np

from lib.swapping.exemplars.drawing import DARK, Bent, skin_weights
from lib.swapping.exemplars.skin import skin_mask

WIDTH = 24 / 160  # sigma of the light, of the face's size
SMALL = 64  # pixels a side on which it is measured
MOST = 1.0  # change of the logarithm of brightness that is believed


class Skin:
    """The person filmed: picture, landmarks and where bare skin is seen."""

    def __init__(self, picture: np.ndarray, points: np.ndarray, front: np.ndarray):
        """`picture` (S, S, 3) uint8 RGB, `points` (68, 2) in its pixels, `front` (S, S) float32 in [0, 1]: hair over the face."""
        self.picture = picture
        self.bare = (skin_mask(picture, points) > 127) & (front < 0.5)


def in_light(image: np.ndarray, bent: Bent, skin: Skin) -> np.ndarray:
    """`image` (S, S, 3) float32 RGB in [0, 1] with the low frequencies of brightness and colour that the person filmed has, measured on
    skin of both."""
    weights = skin_weights(bent) * skin.bare
    first, second, weight = (cv2.resize(part, (SMALL, SMALL), interpolation=cv2.INTER_AREA) for part in (
        image, skin.picture.astype(np.float32) / 255, weights))
    ratio = np.clip(np.log(np.maximum(second, 0) + DARK) - np.log(np.maximum(first, 0) + DARK), -MOST, MOST) * weight[..., None]
    smooth = cv2.GaussianBlur(cv2.merge([ratio, weight]), (0, 0), WIDTH * bent.size * SMALL / bent.side)
    gain = np.exp(smooth[..., :3] / (smooth[..., 3:] + 1e-3))
    return np.clip((image + DARK) * cv2.resize(gain, image.shape[1::-1], interpolation=cv2.INTER_LINEAR) - DARK, 0, 1)
