from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.faces.geometry import transform_points
from lib.faces.masks import hull
from lib.plugin import MASKERS, Masker
from lib.types import AlignedFace


@MASKERS.register
@dataclass
class Hull(Masker):
    """The convex hull of the landmarks, with the brows taken in whole."""

    def mask(self, aligned: AlignedFace) -> np.ndarray:
        return hull(transform_points(aligned.face.landmarks, aligned.matrix), len(aligned.image))
