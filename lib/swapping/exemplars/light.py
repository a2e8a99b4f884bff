"""The light of the person filmed on a swapped face, so that skin meets forehead, ears and neck in tone."""

from __future__ import annotations

import cv2
import numpy as np

from lib.faces.masks import eroded, hull
from lib.swapping.exemplars.drawing import DARK, Bent, skin_weights
from lib.swapping.exemplars.skin import skin_mask

BROAD, FINE = 0.35, 0.1  # sigma of the light, of the face's size
RIM = 0.14  # width of the edge, likewise
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
    skin of both: broad ones in the middle of the face, whose finer ones are B's own shape, finer ones at its edge, where skin meets skin."""
    weights = skin_weights(bent) * skin.bare
    first, second, weight, edge = (cv2.resize(part, (SMALL, SMALL), interpolation=cv2.INTER_AREA) for part in (
        image, skin.picture.astype(np.float32) / 255, weights, _edge(bent)))
    ratio = np.clip(np.log(np.maximum(second, 0) + DARK) - np.log(np.maximum(first, 0) + DARK), -MOST, MOST) * weight[..., None]
    both = cv2.merge([ratio, weight])
    broad, fine = (_mean(cv2.GaussianBlur(both, (0, 0), width * bent.size * SMALL / bent.side)) for width in (BROAD, FINE))
    gain = np.exp(broad + edge[..., None] * (fine - broad))
    return np.clip((image + DARK) * cv2.resize(gain, image.shape[1::-1], interpolation=cv2.INTER_LINEAR) - DARK, 0, 1)


def _mean(smooth: np.ndarray) -> np.ndarray:
    return smooth[..., :3] / (smooth[..., 3:] + 1e-3)


def _edge(bent: Bent) -> np.ndarray:
    """(S, S) float32: 1 at the edge of the face and beyond, 0 in its middle."""
    face = hull(bent.points, bent.side)[..., 0]
    inner = eroded(face, RIM * bent.size)
    return 1 - cv2.GaussianBlur(inner, (0, 0), RIM * bent.size / 2)
