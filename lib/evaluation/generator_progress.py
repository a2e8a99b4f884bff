"""Progress of a generator in training: its faces against the training faces, as distributions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lib.evaluation.distance import diversity, frechet
from lib.evaluation.held_out import in_crop
from lib.faces.geometry import MEAN_FACE, crop, template_matrix, transform_points
from lib.plugin import Recognizer
from lib.sampling import evenly
from lib.types import AlignedFace, Detection, Face

FACES, TRAINING_FACES = 192, 1024  # generated; compared with, at most


class GeneratedFaces:
    """Measures generated faces against the training set `faces`; `size` and `coverage` are those of
    generated pictures."""

    def __init__(self, faces: Sequence[AlignedFace], size: int, coverage: str,
                 recognizer: Recognizer):
        self._known = recognizer.embed([at_generated_size(face, size, coverage)
                                        for face in evenly(faces, TRAINING_FACES)])
        self._coverage, self._recognizer = coverage, recognizer

    def measure(self, draw: Callable[[int], np.ndarray]) -> dict[str, float]:
        """Values by the keys of `measures.GENERATED`; `draw(count)` gives (count, S, S, 3) float
        RGB in [0, 1]."""
        pictures = (np.clip(draw(FACES), 0, 1) * 255).round().astype(np.uint8)
        faces = [mean_aligned(picture, self._coverage) for picture in pictures]
        embeddings = self._recognizer.embed(faces)
        variety = diversity(embeddings) / max(diversity(self._known), 1e-9)
        return {"frechet": round(frechet(embeddings, self._known), 5), "variety": round(variety, 5)}


def at_generated_size(face: AlignedFace, size: int, coverage: str) -> AlignedFace:
    """A training face in as few pixels as generated ones have: fewer pixels alone change an
    embedding."""
    return mean_aligned(crop(face.image, in_crop(face), size, coverage).image, coverage)


def mean_aligned(picture: np.ndarray, coverage: str) -> AlignedFace:
    """A crop (S, S, 3) uint8 RGB as an aligned face with the mean face's landmarks; those of the
    jaw are 0."""
    inner = transform_points(MEAN_FACE, template_matrix(len(picture), coverage))
    landmarks = np.concatenate([np.zeros((17, 2)), inner])
    box = np.concatenate([landmarks[17:].min(0), landmarks[17:].max(0)])
    face = Face(Detection(box.astype(np.float32), 1.0), landmarks.astype(np.float32))
    return AlignedFace(face, picture, np.eye(2, 3))
