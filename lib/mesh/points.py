"""From 468 points in space to 68 landmarks, to the pose of the head, and to the square in which the
network sees the face best.

`points.json` has the mean face of the 468 points and the map onto the landmarks, and says where
they come from.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lib.files.reading import read_json

POINTS = 468
MIRRORED_EYE = [3, 2, 1, 0, 5, 4]  # landmarks of a left eye, by those of a right one


class Region(NamedTuple):
    """A square of a picture, turned as the face in it is."""

    centre: np.ndarray  # (2,) x, y in pixels
    side: float  # pixels
    angle: float  # radians, clockwise

    def matrix(self, size: int, factor: float = 1.0) -> np.ndarray:
        """(2, 3) from the picture's pixels to those of the square, `factor` times as wide, at a
        width of `size` pixels."""
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        turn = np.array([[cosine, sine], [-sine, cosine]]) * size / (self.side * factor)
        return np.hstack([turn, ((size - 1) / 2 - turn @ self.centre)[:, None]])


class _Shape(NamedTuple):
    mean: np.ndarray  # (468, 3) float64, in sides of the region
    map: np.ndarray  # (68, 468) float64
    lids: np.ndarray  # (6, 16) float64


@cache
def _shape() -> _Shape:
    data = read_json(Path(__file__).with_name("points.json"))
    weights = np.zeros((68, POINTS))
    for row, shares in zip(weights, data["map"]):
        row[[int(point) for point in shares]] = list(shares.values())
    return _Shape(np.array(data["shape"]), weights, np.array(data["lids"]))


def landmarks_of(points: np.ndarray) -> np.ndarray:
    """(..., 68, C): the landmarks that `points` (..., 468, C) stand for, 300-W order."""
    return _shape().map @ points


def lids_of(outlines: np.ndarray) -> np.ndarray:
    """(..., 12, 2): the landmarks 36 to 47 of the `outlines` (..., 2, 16, 2) of the person's right
    eye and left eye, each from its outer corner along the lower lid, then along the upper one."""
    right, left = np.moveaxis(_shape().lids @ outlines, -3, 0)
    return np.concatenate([right, left[..., MIRRORED_EYE, :]], axis=-2)


def fitted(points: np.ndarray) -> tuple[Region, np.ndarray]:
    """The region around `points` (468 or 68, 3) in pixels, and the (3, 3) rotation of a head that
    faces the camera into this one.

    The mean face is laid over the points by a similarity transform in space, so that size and place
    of the region do not depend on where the head turns or what the mouth does.
    "Least-Squares Estimation of Transformation Parameters Between Two Point Patterns", IEEE
    Transactions on Pattern Analysis and Machine Intelligence, 1991.
    """
    mean = _shape().mean if len(points) == POINTS else landmarks_of(_shape().mean)
    middle, centre = mean.mean(0), points.mean(0)
    source, target = mean - middle, points - centre
    u, lengths, vt = np.linalg.svd(target.T @ source)
    signs = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    rotation = u * signs @ vt
    scale = float(lengths @ signs) / max(float((source ** 2).sum()), 1e-12)
    place = centre - scale * rotation @ middle
    return Region(place[:2], max(scale, 1.0),
                  float(np.arctan2(rotation[1, 0], rotation[0, 0]))), rotation
