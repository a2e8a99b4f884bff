from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.faces.geometry import transform_points
from lib.faces.masks import ShapedMasker, hull
from lib.plugin import MASKERS
from lib.types import AlignedFace


@MASKERS.register
@dataclass
class Hull(ShapedMasker):
    """The convex hull of the landmarks, with the brows taken in whole."""

    from_landmarks = True

    def draw(self, aligned: AlignedFace) -> np.ndarray:
        landmarks = transform_points(aligned.face.landmarks, aligned.matrix)
        return hull(landmarks, len(aligned.image))
