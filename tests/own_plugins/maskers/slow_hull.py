from __future__ import annotations

import time
from dataclasses import dataclass

from lib.faces.geometry import transform_points
from lib.faces.masks import hull
from lib.options import option
from lib.plugin import MASKERS, Masker


@MASKERS.register
@dataclass
class SlowHull(Masker):
    """The hull of the landmarks, made so slowly that there is time to interrupt: a plugin of a user's own."""

    seconds: float = option(0.05, "How long a mask takes.", low=0.0)

    def mask(self, aligned):
        time.sleep(self.seconds)
        return hull(transform_points(aligned.face.landmarks, aligned.matrix), len(aligned.image))
