from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.dlib.recognition import MEAN, NUMBERS, SCALE, SIDE, network_file, to_onnx
from lib.errors import FaceswapError
from lib.faces.geometry import MEAN_FACE, similarity_transform, transform_points, warp
from lib.onnx import runtime
from lib.plugin import RECOGNIZERS, Recognizer
from lib.types import AlignedFace

PADDING = 0.25  # around the unit square of the mean face, in its sides
# The points that dlib fits its chips to: nose, eyes and upper lip, not the brows (17 to 26) nor
# the lower lip
FITTED = np.array([point for point in range(27, 68) if not (55 <= point <= 59 or point >= 65)])

# Mean embedding of 192 photographs of some 130 people
AVERAGE = np.array([
    -.091, .097, .071, -.046, -.098, -.009, -.016, -.083, .151, -.066, .212, -.019, -.243, -.051,
    -.013, .117, -.147, -.126, -.103, -.064, .031, .027, .009, .032, -.137, -.310, -.072, -.099,
    .040, -.108, .005, .051, -.178, -.057, .012, .062, -.045, -.073, .188, -.003, -.176, .011, .035,
    .252, .193, .007, .036, -.065, .120, -.258, .054, .150, .110, .076, .084, -.164, .023, .140,
    -.191, .076, .056, -.088, -.019, -.048, .184, .086, -.104, -.134, .167, -.137, -.041, .088,
    -.116, -.171, -.269, .043, .382, .138, -.186, .015, -.095, -.013, .031, .054, -.058, -.036,
    -.103, .027, .197, -.013, -.022, .221, .016, -.011, .032, .042, -.105, -.018, -.104, -.008,
    .022, -.100, -.014, .100, -.181, .166, -.013, -.010, -.027, -.022, -.073, .001, .169, -.267,
    .207, .172, .018, .137, .041, .061, -.011, -.034, -.147, -.092, .035, -.036, .029, .039],
                   np.float32)


@RECOGNIZERS.register
@dataclass
class DlibResnet(Recognizer):
    """dlib's 128 numbers, 5 to 10 ms a face.

    Two good pictures of one person have a likeness of 0.6 or more, of two people 0.5 or less.
    "Deep Residual Learning for Image Recognition", CVPR, 2016, with a metric loss.
    """

    average = AVERAGE
    same = 0.57
    telling = 0.52
    same_distance = 0.6  # dlib's own bound; measured within a person at most 0.49, between two 0.75

    def __post_init__(self):
        path = network_file()
        try:
            self._network = runtime.session(path, to_onnx(path.read_bytes()))
        except (OSError, ValueError) as error:
            raise FaceswapError(
                f"{path} is damaged ({error}). Install its package again.") from error

    def embed(self, faces: Sequence[AlignedFace]) -> np.ndarray:
        embeddings = [np.zeros((0, NUMBERS), np.float32)]
        for start in range(0, len(faces), runtime.BATCH):
            chips = np.stack([chip(face) for face in faces[start:start + runtime.BATCH]])
            inputs = ((chips - MEAN) * SCALE).transpose(0, 3, 1, 2)
            embeddings += self._network.run(None, {"chips": np.ascontiguousarray(inputs)})
        return np.concatenate(embeddings)


def chip(face: AlignedFace) -> np.ndarray:
    """(150, 150, 3) uint8 RGB: the crop that dlib itself would take for its network."""
    template = (MEAN_FACE[FITTED - 17] + PADDING) / (1 + 2 * PADDING) * SIDE
    landmarks = transform_points(face.face.landmarks, face.matrix)
    return warp(face.image, similarity_transform(landmarks[FITTED], template), SIDE)
