from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.faces.geometry import transform_points
from lib.faces.masks import ShapedMasker, extended
from lib.plugin import MASKERS
from lib.types import AlignedFace


@MASKERS.register
@dataclass
class Extended(ShapedMasker):
    """The convex hull of the landmarks with the forehead, up to where hair begins on most heads."""

    from_landmarks = True

    def draw(self, aligned: AlignedFace) -> np.ndarray:
        landmarks = transform_points(aligned.face.landmarks, aligned.matrix)
        return extended(landmarks, len(aligned.image))
