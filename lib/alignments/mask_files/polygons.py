"""Masks as polygons, and the JSON that holds them.

Ours is a list of faces: `{"frame": 12, "number": 0, "polygons": [{"kind": "face", "points": [[x, y],
...]}, {"kind": "cover", ...}]}`, in pixels of the frame, frames counted from 1; pictures have their
`name`. Polygons lie over each other in their order. That of labelme, of one picture, has `shapes`
with `label`, `shape_type` and `points`, in pixels of the picture, whose corner is 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from lib.faces.geometry import crop_matrix, invert, transform_points, upsampled

FACE, COVER = "face", "cover"
FINE = 4  # pixels of a side in which a stored pixel is drawn, and outlines are followed
TOLERANCE = 0.75  # of these pixels by which an outline may be simplified
FARTHEST = 4  # sides of the crop: what lies farther out is drawn there
BEYOND = 1e6  # pixels: no coordinate lies farther out
SHIFT = 4  # OpenCV draws at 1/16 of a pixel
CORNERS = 3  # least number of a polygon


@dataclass(frozen=True)
class Polygon:
    """A part of a face's mask."""

    is_face: bool  # else it covers the face
    points: np.ndarray  # (K, 2) float64 x, y in frame pixels


def mask_of_polygons(polygons: Sequence[Polygon], fitted: np.ndarray, size: int) -> np.ndarray:
    """(size, size, 1) float32 in [0, 1] over the "whole" crop of a face with the landmarks `fitted`
    (68, 2): drawn in order, faces 1 and covers 0. Where there are only covers, all else is face.
    """
    fine = size * FINE
    matrix = crop_matrix(fitted, fine)
    only_covers = not any(polygon.is_face for polygon in polygons)
    drawn = np.full((fine, fine), 255 * only_covers, np.uint8)
    for polygon in polygons:
        points = np.clip(transform_points(polygon.points, matrix), -FARTHEST * fine,
                         (FARTHEST + 1) * fine)
        cv2.fillPoly(drawn, [np.rint(points * (1 << SHIFT)).astype(np.int32)],
                     255 * polygon.is_face, cv2.LINE_8, SHIFT)
    small = cv2.resize(drawn.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    return small[..., None] / np.float32(255)


def polygons_of_mask(mask: np.ndarray, fitted: np.ndarray) -> list[Polygon]:
    """The outlines at 0.5 of `mask` (S, S, 1) over the "whole" crop of a face with the landmarks
    `fitted` (68, 2), outer ones first. An empty mask is one cover over all of the crop.
    """
    fine = len(mask) * FINE
    back = invert(crop_matrix(fitted, fine))
    large = cv2.resize(mask, (fine, fine), interpolation=cv2.INTER_LINEAR)
    contours, tree = cv2.findContours((large >= 0.5).astype(np.uint8), cv2.RETR_TREE,
                                      cv2.CHAIN_APPROX_NONE)
    if not contours:
        corners = np.array([(0, 0), (fine, 0), (fine, fine), (0, fine)], np.float64) - 0.5
        return [Polygon(False, transform_points(corners, back))]
    depths = _depths(tree[0])
    polygons = []
    for place in sorted(range(len(contours)), key=depths.__getitem__):
        outline = cv2.approxPolyDP(contours[place], TOLERANCE, True)[:, 0].astype(np.float64)
        if len(outline) >= CORNERS:
            polygons.append(Polygon(depths[place] % 2 == 0, transform_points(outline, back)))
    return polygons


def _depths(tree: np.ndarray) -> list[int]:
    """How many contours lie around each, of OpenCV's `tree` (N, 4)."""
    depths = []
    for *_, parent in tree:
        depth = 0
        while parent >= 0:
            depth, parent = depth + 1, tree[parent][3]
        depths.append(depth)
    return depths


def to_json(polygons: Sequence[Polygon]) -> list[dict[str, Any]]:
    """The value of "polygons" in our JSON."""
    return [{"kind": FACE if polygon.is_face else COVER,
             "points": polygon.points.round(2).tolist()} for polygon in polygons]


def from_json(value: Any) -> list[Polygon]:
    """The polygons that `to_json` wrote, or somebody else. Raises ValueError, which says what is
    wrong."""
    if not isinstance(value, list) or not value:
        raise ValueError('"polygons" must be a list with at least one polygon')
    polygons = []
    for number, item in enumerate(value, 1):
        if not isinstance(item, dict) or item.get("kind") not in (FACE, COVER):
            raise ValueError(f'polygon {number} must have the "kind" {FACE} or {COVER}')
        polygons.append(Polygon(item["kind"] == FACE, _points(item.get("points"), number)))
    return polygons


def from_labelme(value: Any, size: int, matrix: np.ndarray) -> list[Polygon]:
    """The polygons that labelme's JSON of a face's picture holds: the label "face" is the face, any
    other what covers it.

    `matrix` (2, 3) carries frame pixels to those of that picture at `size` pixels a side. Raises
    ValueError, which says what is wrong.
    """
    shapes = value.get("shapes") if isinstance(value, dict) else None
    if not isinstance(shapes, list) or not shapes:
        raise ValueError('it has no "shapes", as the JSON of labelme has')
    drawn_on = value.get("imageWidth") or size
    if type(drawn_on) not in (int, float) or not 0 < drawn_on < BEYOND:
        raise ValueError('"imageWidth" must be the number of pixels a side')
    back = invert(upsampled(matrix, drawn_on / size))
    polygons = []
    for number, shape in enumerate(shapes, 1):
        if not isinstance(shape, dict) or shape.get("shape_type", "polygon") != "polygon":
            raise ValueError(f"shape {number} is no polygon: draw polygons only")
        points = _points(shape.get("points"), number) - 0.5  # whose corner is 0, not -0.5
        polygons.append(Polygon(shape.get("label") == FACE, transform_points(points, back)))
    return polygons


def _points(value: Any, number: int) -> np.ndarray:
    good = isinstance(value, list) and len(value) >= CORNERS and all(
        isinstance(point, list) and len(point) == 2
        and all(type(item) in (int, float) and math.isfinite(item) and abs(item) <= BEYOND
                for item in point) for point in value)
    if not good:
        raise ValueError(f'the "points" of polygon {number} must be at least {CORNERS} pairs of '
                         "numbers, x and y")
    return np.array(value, np.float64)
