"""Eyelids of the swapped face, moved to where those of the person filmed are.

A decoder has learnt how far its person's eyes are open on the whole, and opens and shuts them less
than the person filmed does. So the lids are measured on the face that it drew, and the picture
around each eye is stretched or squeezed across the eye.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from lib.faces import geometry
from lib.plugin import Aligner
from lib.swapping.gaze import looking
from lib.types import SwappedFace

MEASURED_AT = 256  # least side, pixels, of the picture on which the lids are measured
# Of the correction: of drawn eyes an aligner sees but a part of the change, since their lids are
# soft
GAIN = 1.4
CLOSING, OPENING = 2.5, 0.5  # a picture is squeezed and stretched by no more than this
LEAST_OPEN = 0.02
REAL_GAIN = 0.6  # of real eyes, whose lids an aligner sees well
# Height by width of an eye, as landmarks have it, that is shut, and that is surely not
SHUT, OPEN = 0.18, 0.28
# Reach of the change, of the eye's width: Gaussian across the eye, flat along it
ACROSS, ALONG = 0.38, 0.55


@dataclass(frozen=True)
class EyesFollow:
    """`follow(faces)`: the same with their eyes as far open as the originals' are, and with where
    they look, for irises to be moved (`gaze.py`) once that is steadied.

    How far two people's eyes are open on the whole tells more of what they were filmed doing than
    of who they are, so it is not kept: with it, identity was no nearer and the eyes followed less.
    """

    aligner: Aligner
    gain: float = GAIN
    # Eyes that are shut in the original, or nearly so, stay as they are drawn
    leaves_shut: bool = False

    def after_exemplars(self) -> EyesFollow:
        """The same for faces with real eyes, which are shut where they should be and need less."""
        return replace(self, gain=REAL_GAIN, leaves_shut=True)

    def __call__(self, faces: Sequence[SwappedFace]) -> list[SwappedFace]:
        return looking(list(map(self._moved, faces, self.landmarks(faces))))

    def landmarks(self, faces: Sequence[SwappedFace]) -> list[np.ndarray]:
        """(68, 2) of each in pixels of the swapped picture."""
        pictures, boxes, factors = zip(*map(self._enlarged, faces)) if faces else ((), (), ())
        return [(fit + 0.5) / factor - 0.5
                for (fit,), factor in zip(self.aligner.align(pictures, boxes), factors)]

    def _enlarged(self, swapped: SwappedFace) -> tuple[np.ndarray, np.ndarray, int]:
        """The swapped picture enlarged, (S, S, 3) uint8 RGB; the face's box in it (1, 4); and by
        how much it was enlarged."""
        size = swapped.image.shape[0]
        factor = -(-MEASURED_AT // size)
        picture = cv2.convertScaleAbs(np.maximum(swapped.image, 0), alpha=255)
        picture = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        aligned = swapped.aligned
        matrix = geometry.upsampled(aligned.matrix, factor * size / aligned.image.shape[0])
        corners = aligned.face.detection.box.reshape(2, 2)
        middle = geometry.transform_points(corners.mean(0, keepdims=True), matrix)[0]
        half = np.ptp(corners, axis=0) / 2 * geometry.scale_of(matrix)
        return picture, np.hstack([middle - half, middle + half])[None], factor

    def _gain(self, target: float) -> float:
        return self.gain * float(np.clip((target - SHUT) / (OPEN - SHUT), 0,
                                         1)) if self.leaves_shut else self.gain

    def _moved(self, swapped: SwappedFace, points: np.ndarray) -> SwappedFace:
        targets = geometry.eye_openings(swapped.aligned.face.landmarks)
        image = swapped.image.copy()
        for eye, opening, target in zip((geometry.RIGHT_EYE, geometry.LEFT_EYE),
                                        geometry.eye_openings(points), targets):
            target = max(opening + self._gain(target) * (target - opening), LEAST_OPEN)
            _squeeze(image, swapped.image, points[eye],
                     float(np.clip(opening / target, OPENING, CLOSING)))
        return replace(swapped, image=image)


def _squeeze(image: np.ndarray, source: np.ndarray, eye: np.ndarray, factor: float) -> None:
    """Draws `source` (S, S, 3) into `image` with what lies around `eye` (6, 2) squeezed across it
    by `factor`; below 1 stretched."""
    middle, along = eye.mean(0), eye[3] - eye[0]
    width = float(np.linalg.norm(along))
    if width < 1:
        return
    along /= width
    reach = 1.2 * width
    left, top = np.clip(np.floor(middle - reach).astype(int), 0, image.shape[0])
    right, bottom = np.clip(np.ceil(middle + reach).astype(int) + 1, 0, image.shape[0])
    if left >= right or top >= bottom:
        return
    x, y = np.meshgrid(np.arange(left, right, dtype=np.float32),
                       np.arange(top, bottom, dtype=np.float32))
    u = ((x - middle[0]) * along[0] + (y - middle[1]) * along[1]) / width
    v = ((y - middle[1]) * along[0] - (x - middle[0]) * along[1]) / width
    shift = ((factor - 1) * width * v
             * np.exp(-0.5 * ((v / ACROSS) ** 2 + np.square((u / ALONG) ** 2)))).astype(np.float32)
    image[top:bottom, left:right] = cv2.remap(source, (x - shift * along[1]).astype(np.float32),
                                              (y + shift * along[0]).astype(np.float32),
                                              cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
