from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.faces.geometry import transform_points
from lib.faces.masks import hull, shaped
from lib.options import option
from lib.plugin import MASKERS, Masker
from lib.types import AlignedFace


@MASKERS.register
@dataclass
class Hull(Masker):
    """The convex hull of the landmarks, with the brows taken in whole."""

    dilation: float = option(0.0, "Move the mask's edge outwards by this share of the face's size; "
                             "less than 0 moves it inwards.", low=-0.25, high=0.25)
    feather: float = option(0.0, "Width of the mask's soft edge, inside it, as a share of the "
                            "face's size.", low=0.0, high=0.5)
    from_landmarks = True

    def mask(self, aligned: AlignedFace) -> np.ndarray:
        mask = hull(transform_points(aligned.face.landmarks, aligned.matrix), len(aligned.image))
        return shaped(mask, aligned, self.dilation, self.feather)
