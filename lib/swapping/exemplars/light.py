"""The light of the person filmed on a swapped face, so that skin meets forehead, ears and neck in
tone."""

from __future__ import annotations

import cv2
import numpy as np

from lib.faces.bending import spread
from lib.faces.masks import eroded, hull
from lib.swapping.composite import DARK
from lib.swapping.exemplars.drawing import Bent, grid, skin_weights
from lib.swapping.exemplars.skin import skin_mask

# Sigma of the light, of the face's size: in the middle, at the edge, and between the halves
BROAD, FINE, SIDE = 0.35, 0.1, 0.06
RIM = 0.14  # width of the edge, likewise
SMALL = 64  # pixels a side on which it is measured
OUTLIER = 0.4  # difference from the light around at which a place counts for 1/e
MOST = 1.0  # change of the logarithm of brightness that is believed


class Skin:
    """The person filmed: picture, landmarks and where bare skin is seen."""

    def __init__(self, picture: np.ndarray, points: np.ndarray, front: np.ndarray):
        """`picture` (S, S, 3) uint8 RGB, `points` (68, 2) in its pixels, `front` (S, S) float32 in
        [0, 1]: hair over the face."""
        self.picture = picture
        self.bare = (skin_mask(picture, points) > 127) & (front < 0.5)


class SkinLight:
    """The light of the person filmed, to be given to a face, measured on skin of both.

    Faces are symmetric, so what differs between their halves is light: that is matched finely, B's
    taken out and the other put in. Of what both halves share only broad differences are matched,
    since finer ones are B's own shape; at the edge, where skin meets skin, all.
    """

    def __init__(self, bent: Bent, skin: Skin):
        self._target, self._weight, self._edge = (
            cv2.resize(part, (SMALL, SMALL), interpolation=cv2.INTER_AREA)
            for part in (skin.picture.astype(np.float32) / 255, skin_weights(bent) * skin.bare,
                         _edge(bent)))
        self._unit = bent.size * SMALL / bent.side
        self._opposite = spread(bent.opposite, SMALL) + grid(SMALL)

    def gain(self, face: np.ndarray) -> np.ndarray:
        """(SMALL, SMALL, 3) float32: the logarithm of what the colours of `face` (S, S, 3) float32
        RGB in [0, 1] are multiplied by."""
        small = cv2.resize(face, (SMALL, SMALL), interpolation=cv2.INTER_AREA)
        ratio = np.clip(np.log(np.maximum(self._target, 0) + DARK)
                        - np.log(np.maximum(small, 0) + DARK), -MOST, MOST)
        known = cv2.merge([ratio * self._weight[..., None], self._weight])
        apart = np.abs(ratio - _mean(self._blurred(known, BROAD))).max(-1)
        weight = self._weight * np.exp(-np.square(apart / OUTLIER))  # a beard is no light
        known = cv2.merge([ratio * weight[..., None], weight])
        fine = _mean(self._blurred(known, FINE))
        mirrored = cv2.remap(known, self._opposite, None, cv2.INTER_LINEAR,
                             borderMode=cv2.BORDER_CONSTANT)
        shared = weight * mirrored[..., 3]
        halves = (ratio * mirrored[..., 3:] - mirrored[..., :3]) * (weight[..., None] / 2)
        side = _mean(self._blurred(cv2.merge([halves, shared]), SIDE))
        broad = side + _mean(self._blurred(known
                                           - cv2.merge([side * weight[..., None], 0 * shared]),
                                           BROAD))
        return broad + self._edge[..., None] * (fine - broad)

    def _blurred(self, known: np.ndarray, width: float) -> np.ndarray:
        return cv2.GaussianBlur(known, (0, 0), width * self._unit)


def _mean(smooth: np.ndarray) -> np.ndarray:
    return smooth[..., :3] / (smooth[..., 3:] + 1e-3)


def _edge(bent: Bent) -> np.ndarray:
    """(S, S) float32: 1 at the edge of the face and beyond, 0 in its middle."""
    face = hull(bent.points, bent.side)[..., 0]
    inner = eroded(face, RIM * bent.size)
    return 1 - cv2.GaussianBlur(inner, (0, 0), RIM * bent.size / 2)
