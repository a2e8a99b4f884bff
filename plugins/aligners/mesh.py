from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.faces.pose import yaw_pitch_roll
from lib.mesh import networks
from lib.mesh.points import Region, fitted, landmarks_of
from lib.options import option
from lib.plugin import ALIGNERS, Aligner
from lib.types import Alignment, Shape

BOX_WIDTHS = 1.6  # of the first region around a detector's box, which the second look corrects
LOOKS = 2  # at a face that was detected, each in the region around what the one before saw
WIDEST = 0.1  # by how much the widest crop is wider than the region


@ALIGNERS.register
@dataclass
class Mesh(Aligner):
    """MediaPipe's Face Mesh: 468 points with depth, and the irises; no download.

    The 68 landmarks are made of the points by a fixed map (docs/landmarks.md).
    """

    crops: int = option(3, "Crops of each face, a little narrower and wider; the points are the "
                        "mean of all.", low=1, high=9)

    follows = True

    def align(self, images: Sequence[np.ndarray], boxes: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.array([face.landmarks for face in faces], np.float32).reshape(-1, 68, 2)
                for faces in self.fit(images, boxes)]

    def fit(self, images: Sequence[np.ndarray],
            boxes: Sequence[np.ndarray]) -> list[list[Alignment]]:
        counts = [len(of_image) for of_image in boxes]
        pictures = [image for image, count in zip(images, counts) for _ in range(count)]
        regions = [Region((box[:2] + box[2:]) / 2,
                          max(BOX_WIDTHS * float((box[2:] - box[:2]).max()), 1.0), 0.0)
                   for of_image in boxes for box in np.asarray(of_image, np.float64)]
        faces = iter(self._seen(pictures, regions, LOOKS))
        return [[next(faces) for _ in range(count)] for count in counts]

    def follow(self, image: np.ndarray, before: Sequence[Alignment]) -> list[Alignment]:
        regions = [fitted(np.column_stack([face.landmarks, face.shape.depth]))[0]
                   for face in before]
        return self._seen([image] * len(regions), regions, 0)

    def _seen(self, pictures: Sequence[np.ndarray], regions: Sequence[Region],
              looks: int) -> list[Alignment]:
        """What there is in each of `pictures` around its region."""
        if not pictures:
            return []
        for _ in range(looks):
            points, _ = networks.mesh(pictures, regions)
            regions = [fitted(face)[0] for face in points]
        factors = 1 + WIDEST * np.linspace(-1, 1, self.crops) if self.crops > 1 else [1.0]
        points, scores = map(np.mean, zip(*[networks.mesh(pictures, regions, factor)
                                            for factor in factors]), (0, 0))
        return list(map(_alignment, pictures, points, scores))


def _alignment(picture: np.ndarray, points: np.ndarray, score: float) -> Alignment:
    """What the mesh `points` (468, 3) in `picture` say."""
    landmarks = landmarks_of(points).astype(np.float32)
    pose = yaw_pitch_roll(fitted(points)[1]).astype(np.float32)
    return Alignment(np.ascontiguousarray(landmarks[:, :2]),
                     Shape(float(score), pose, landmarks[:, 2].copy(),
                           networks.irises(picture, points)))
