from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.dlib.landmarks import shape_predictor
from lib.faces.geometry import invert, transform_points
from lib.faces.pose import yaw_pitch_roll
from lib.faces.quality import LEAST_SURE
from lib.mesh import networks
from lib.mesh.points import Region, fitted, landmarks_of, lids_of
from lib.options import option
from lib.plugin import ALIGNERS, Aligner
from lib.types import Alignment, Shape

BOX_WIDTHS = 1.6  # of the first region around a detector's box, which the next look corrects
LOOKS = 2  # at a face that was detected, each in the region around what the one before saw
WIDEST = 0.1  # by how much the widest crop is wider than the region
EYES, INSIDE = slice(36, 48), slice(17, 36)  # lids; brows and nose
# Crops for dlib's trees, and in them the box that its detector would draw: left, top, right, bottom
TREES_SIZE = 256
TREES_BOX = (np.array([0.511, 0.527, 0.511, 0.527])
             + 0.38 * np.array([-1, -1, 1, 1])) * TREES_SIZE
MOVES = 0.03 * np.array([[1, 0.6], [-1, -0.6]])  # of the box, for a fit each, in its sides
# Degrees that a head may be turned for its landmarks to be dlib's, altogether and in part
FRONTAL, TURNED = 20, 40
APART = 0.13  # of the box: landmarks of the nose and brows that lie farther from dlib's are no good


@ALIGNERS.register
@dataclass
class Mesh(Aligner):
    """MediaPipe's Face Mesh, with depth, irises and its own score; no download.

    The eyelids are those of the iris network. The other landmarks of a face that is not turned are
    dlib's, fitted where the mesh lies, which follow lips and brows further; those of a turned one
    are made of the mesh by a fixed map (docs/landmarks.md).
    """

    crops: int = option(2, "Crops of each face, a little narrower and wider; the points are the "
                        "mean of all.", low=1, high=9)

    follows = True

    def __post_init__(self):
        self._trees = shape_predictor()

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
        for _ in range(LOOKS if pictures else 0):
            points, _ = networks.mesh(pictures, regions)
            regions = [fitted(face)[0] for face in points]
        faces = iter(self._finished(pictures, *self._points(pictures, regions))
                     if pictures else ())
        return [[next(faces) for _ in range(count)] for count in counts]

    def follow(self, images: Sequence[np.ndarray],
               faces: Sequence[Alignment]) -> list[list[Alignment]]:
        if not faces:
            return [[] for _ in images]
        regions = [fitted(np.column_stack([face.landmarks, face.shape.depth]))[0]
                   for face in faces]
        rows = []
        for image in images:
            points, scores = self._points([image] * len(faces), regions)
            if scores.min() < LEAST_SURE:
                break
            rows.append((points, scores))
            regions = [fitted(face)[0] for face in points]
        if not rows:
            return []
        pictures = [image for image in images[:len(rows)] for _ in faces]
        alignments = self._finished(pictures, *map(np.concatenate, zip(*rows)))
        return [alignments[start:start + len(faces)]
                for start in range(0, len(alignments), len(faces))]

    def _points(self, pictures: Sequence[np.ndarray],
                regions: Sequence[Region]) -> tuple[np.ndarray, np.ndarray]:
        """Points (N, 468, 3) and scores (N,) of the face in each region: the means of crops."""
        factors = 1 + WIDEST * np.linspace(-1, 1, self.crops) if self.crops > 1 else [1.0]
        crops = [networks.mesh(pictures, regions, factor) for factor in factors]
        points, scores = zip(*crops)
        return np.mean(points, 0), np.mean(scores, 0)

    def _finished(self, pictures: Sequence[np.ndarray], points: np.ndarray,
                  scores: np.ndarray) -> list[Alignment]:
        """What the points (N, 468, 3) say, with lids, irises, and what dlib's trees see."""
        landmarks = landmarks_of(points)
        outlines, irises = networks.eyes(pictures, points)
        poses, regions = [], []
        for face in points:
            region, rotation = fitted(face)
            poses.append(yaw_pitch_roll(rotation))
            regions.append(region)
        trees = self._by_trees(pictures, regions)

        # Whether both see the same face, and the landmarks of one that is not turned
        apart = np.linalg.norm(landmarks[:, INSIDE, :2] - trees[:, INSIDE], axis=2).mean(1)
        share = np.clip((TURNED - np.abs(np.array(poses)[:, :1])) / (TURNED - FRONTAL), 0, 1)
        landmarks[..., :2] += share[..., None] * (trees - landmarks[..., :2])
        landmarks[:, EYES, :2] = lids_of(outlines)
        box_side = (TREES_BOX[2] - TREES_BOX[0]) / TREES_SIZE
        agree = [distance < APART * box_side * region.side
                 for distance, region in zip(apart, regions)]
        return [Alignment(np.ascontiguousarray(face[:, :2], np.float32),
                          Shape(float(score) * good, pose.astype(np.float32),
                                face[:, 2].astype(np.float32), iris.astype(np.float32)))
                for face, score, good, pose, iris in zip(landmarks, scores, agree, poses, irises)]

    def _by_trees(self, pictures: Sequence[np.ndarray], regions: Sequence[Region]) -> np.ndarray:
        """(N, 68, 2): dlib's landmarks, fitted in upright crops of the regions."""
        matrices = [region.matrix(TREES_SIZE) for region in regions]
        crops = [networks.seen(picture, matrix, TREES_SIZE)
                 for picture, matrix in zip(pictures, matrices)]
        side = TREES_BOX[2] - TREES_BOX[0]
        boxes = (TREES_BOX + side * np.tile(MOVES, 2)).astype(np.float32)
        fits = self._trees.fit(crops, [boxes] * len(crops))
        return np.stack([transform_points(fit.mean(0).astype(np.float64), invert(matrix))
                         for fit, matrix in zip(fits, matrices)])
