"""Faces of consecutive frames of a video, of which the detector searches a few alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lib.faces.finding import find_faces
from lib.faces.geometry import INNER, LEFT_EYE, RIGHT_EYE, similarity_transform, transform_points
from lib.faces.quality import LEAST_SURE
from lib.plugin import Aligner, Detector
from lib.system.profile import Stages
from lib.types import Alignment, Detection, Face

# Of the distance between the eyes: landmarks of one face in one frame, followed and detected, are
# nearer to each other than this
SAME = 0.15
SHORTEST = 3  # frames


def follow_faces(images: Sequence[np.ndarray], detector: Detector, aligner: Aligner,
                 min_face: int, angles: Sequence[int], stages: Stages) -> list[list[Face]]:
    """The faces of each of `images`, consecutive frames (H, W, 3) uint8 RGB, as `find_faces` has
    them.

    The detector searches the first and the last. Where the aligner follows all faces of the first
    to those of the last, and is sure of them on the way, they are the faces of the frames between;
    else the detector searches these, too.
    """
    if len(images) < SHORTEST:
        return find_faces(images, detector, aligner, min_face, angles, stages=stages)
    first, last = find_faces([images[0], images[-1]], detector, aligner, min_face, angles,
                             stages=stages)
    with stages("align"):
        followed = _followed(images[1:], first, aligner)
        order = _partners(followed[-1], last) if followed else None
    if order is None:
        between = find_faces(images[1:-1], detector, aligner, min_face, angles, stages=stages)
        return [first, *between, last]
    rows = []
    for place, alignments in enumerate(followed[:-1], 1):
        share = place / (len(images) - 1)
        rows.append([_face(alignment, before, last[partner], share)
                     for alignment, before, partner in zip(alignments, first, order)])
    return [first, *rows, last]


def _followed(images: Sequence[np.ndarray], faces: Sequence[Face],
              aligner: Aligner) -> list[list[Alignment]]:
    """`faces`, of the frame before the first of `images`, in each of these; nothing where one is
    lost."""
    if not all(face.shape and face.shape.score >= LEAST_SURE for face in faces):
        return []
    rows = aligner.follow(images, [Alignment(face.landmarks, face.shape) for face in faces])
    sure = all(alignment.shape.score >= LEAST_SURE for row in rows for alignment in row)
    return rows if sure and len(rows) == len(images) else []


def _partners(followed: Sequence[Alignment], detected: Sequence[Face]) -> list[int] | None:
    """For each face followed to a frame, its place among those `detected` there; None where they
    are not the same faces."""
    if len(followed) != len(detected) or not all(len(face.landmarks) for face in detected):
        return None
    partners = []
    for alignment in followed:
        eyes = np.linalg.norm(alignment.landmarks[RIGHT_EYE].mean(0)
                              - alignment.landmarks[LEFT_EYE].mean(0))
        distances = [np.linalg.norm(alignment.landmarks - face.landmarks, axis=1)[INNER].mean()
                     for face in detected]
        partners.append(int(np.argmin(distances)))
        if distances[partners[-1]] > SAME * eyes:
            return None
    return partners if len(set(partners)) == len(partners) else None


def _face(alignment: Alignment, before: Face, after: Face, share: float) -> Face:
    """The face of a frame that lies `share` of the way from one in which it was detected to another
    one; its box moves with its landmarks."""
    boxes = [_moved(face.detection.box, face.landmarks, alignment.landmarks)
             for face in (before, after)]
    box = (1 - share) * boxes[0] + share * boxes[1]
    score = min(before.detection.score, after.detection.score)
    return Face(Detection(box.astype(np.float32), score), alignment.landmarks,
                shape=alignment.shape)


def _moved(box: np.ndarray, landmarks: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """(4,) `box` of a face with `landmarks` (68, 2) where these lie at `onto`."""
    matrix = similarity_transform(landmarks[INNER].astype(np.float64),
                                  onto[INNER].astype(np.float64))
    centre = transform_points(((box[:2] + box[2:]) / 2)[None].astype(np.float64), matrix)[0]
    half = (box[2:] - box[:2]) / 2 * np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    return np.hstack([centre - half, centre + half])
