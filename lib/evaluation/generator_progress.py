"""How far a training of a generator is: faces that it draws, as a distribution, against those that it learns from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lib.evaluation.distance import diversity, frechet
from lib.evaluation.held_out import in_crop
from lib.faces.geometry import MEAN_FACE, crop, template_matrix, transform_points
from lib.plugin import Recognizer
from lib.sampling import evenly
from lib.types import AlignedFace, Detection, Face

FACES, KNOWN = 192, 1024  # that are drawn, and at most that are compared with


class GeneratedFaces:
    """`faces` are those of a training, as a face set holds them; `size` and `coverage` are those of what is drawn."""

    def __init__(self, faces: Sequence[AlignedFace], size: int, coverage: str, recognizer: Recognizer):
        self._known = recognizer.embed([at_generated_size(face, size, coverage) for face in evenly(faces, KNOWN)])
        self._coverage, self._recognizer = coverage, recognizer

    def measured(self, draw: Callable[[int], np.ndarray]) -> dict[str, float]:
        """By keys of `measures.DRAWN`; `draw(count)` gives (N, S, S, 3) float RGB in [0, 1]."""
        pictures = (np.clip(draw(FACES), 0, 1) * 255).round().astype(np.uint8)
        made = self._recognizer.embed([mean_aligned(picture, self._coverage) for picture in pictures])
        return {"frechet": round(frechet(made, self._known), 5), "variety": round(diversity(made) / max(diversity(self._known), 1e-9), 5)}


def at_generated_size(face: AlignedFace, size: int, coverage: str) -> AlignedFace:
    """A face of a set with no more pixels than what is drawn has, to be compared with that: fewer pixels alone change an embedding."""
    return mean_aligned(crop(face.image, in_crop(face), size, coverage).image, coverage)


def mean_aligned(picture: np.ndarray, coverage: str) -> AlignedFace:
    """A crop (S, S, 3) uint8 RGB as an aligned face whose landmarks are where crops have them on average; the jaw's are not known."""
    landmarks = np.concatenate([np.zeros((17, 2)), transform_points(MEAN_FACE, template_matrix(len(picture), coverage))])
    box = np.concatenate([landmarks[17:].min(0), landmarks[17:].max(0)])
    return AlignedFace(Face(Detection(box.astype(np.float32), 1.0), landmarks.astype(np.float32)), picture, np.eye(2, 3))
