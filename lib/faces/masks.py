"""Masks made from landmarks alone, and what is done to the edge of any mask."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lib.faces.geometry import (
    INNER,
    LEFT_EYE,
    MEAN_FACE,
    RIGHT_EYE,
    invert,
    scale_of,
    similarity_transform,
    template_matrix,
    transform_points,
)
from lib.options import option
from lib.plugin import Masker
from lib.types import AlignedFace

BROWS = slice(17, 27)
EYES = slice(36, 48)
# Of the distance from the eyes to the brow points, which run through the hairs: above them is as
# much brow again ...
BROW_HEIGHT = 0.45
# ... and at least this share of the distance between the eyes: a frown shortens the other one
LEAST_BROW_HEIGHT = 0.36
# How high above each brow point the forehead is taken in, in sides of the mean face's unit
# square: just below most hairlines.
FOREHEAD = 0.35 * np.array([0.6, 0.8, 0.95, 1, 1, 1, 1, 0.95, 0.8, 0.6])
# Standard deviations of `middle`, across and down, in sides of the mean face's unit square
SPOT = ((0.22,), (0.13,))
SHIFT = 4  # OpenCV draws at 1/16 of a pixel
CHEEKS_AND_NOSE = [1, 2, 3, 4, 48, 50, 52, 54, 12, 13, 14, 15, 45, 42, 27, 39, 36]
EYES_MOUTH_BROWS = [slice(36, 42), slice(42, 48), slice(48, 60), slice(17, 22), slice(22, 27)]


def with_whole_brows(landmarks: np.ndarray) -> np.ndarray:
    """(68, 2) float64: `landmarks` with the brow points above the brows."""
    points = np.asarray(landmarks, np.float64).copy()
    upwards = points[BROWS].mean(0) - points[EYES].mean(0)
    eye_distance = np.linalg.norm(points[LEFT_EYE].mean(0) - points[RIGHT_EYE].mean(0))
    height = max(BROW_HEIGHT * float(np.linalg.norm(upwards)),
                 LEAST_BROW_HEIGHT * float(eye_distance))
    points[BROWS] += height * upwards / max(float(np.linalg.norm(upwards)), 1e-6)
    return points


def hull(landmarks: np.ndarray, size: int) -> np.ndarray:
    """(size, size, 1) float32 in [0, 1], 1 = face: the convex hull of `landmarks` (68, 2) in crop
    pixels, with the brows.

    The brow points are moved away from the eyes first: a hull through the brows leaves those of the
    face below visible.
    """
    return _convex(with_whole_brows(landmarks), size)


def extended(landmarks: np.ndarray, size: int) -> np.ndarray:
    """`hull` with the forehead, up to where hair begins on most heads; upwards as the face stands,
    however it is turned.
    """
    up = -invert(similarity_transform(landmarks[INNER], MEAN_FACE))[:, 1]
    return _convex(np.vstack([with_whole_brows(landmarks),
                              landmarks[BROWS] + FOREHEAD[:, None] * up]), size)


def _convex(points: np.ndarray, size: int) -> np.ndarray:
    outline = cv2.convexHull(np.rint(points * (1 << SHIFT)).astype(np.int32))
    mask = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(mask, outline, 255, cv2.LINE_AA, SHIFT)
    return (mask / np.float32(255))[..., None]


def middle(size: int, coverage: str) -> np.ndarray:
    """(size, size, 1) float32: a soft spot, 1 in its middle, on nose and cheeks of any aligned
    face, mostly skin.
    """
    matrix = template_matrix(size, coverage)
    scale, centre = matrix[0, 0], matrix @ (0.5, 0.5, 1)
    x, y = np.exp(-0.5 * ((np.arange(size) - centre[:, None]) / (np.array(SPOT) * scale)) ** 2)
    return (x[None] * y[:, None]).astype(np.float32)[..., None]


@dataclass(kw_only=True)
class ShapedMasker(Masker):
    """A masker whose edge can be moved and softened."""

    dilation: float = option(0.0, "Move the mask's edge outwards by this share of the face's size; "
                             "less than 0 moves it inwards.", low=-0.25, high=0.25)
    feather: float = option(0.0, "Width of the mask's soft edge, inside it, as a share of the "
                            "face's size.", low=0.0, high=0.5)

    @abstractmethod
    def draw(self, aligned: AlignedFace) -> np.ndarray:
        """(S, S, 1) float32 in [0, 1], 1 = face: the mask before its edge is moved."""

    def mask(self, aligned: AlignedFace) -> np.ndarray:
        # the face's size is the side of the mean face's unit square, in pixels of the crop
        landmarks = transform_points(aligned.face.landmarks, aligned.matrix)
        unit = 1 / scale_of(similarity_transform(landmarks[INNER], MEAN_FACE))
        mask = eroded(self.draw(aligned)[..., 0], -self.dilation * unit)
        return feathered(mask, self.feather * unit)[..., None]


def eroded(mask: np.ndarray, pixels: float) -> np.ndarray:
    """`mask` (S, S) float32 in [0, 1] with its edge moved inwards by `pixels`, or outwards where
    that is negative.
    """
    side = 2 * round(abs(pixels)) + 1
    if side == 1:
        return mask
    change = cv2.erode if pixels > 0 else cv2.dilate
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return change((mask * 255).astype(np.uint8), kernel) * np.float32(1 / 255)


def trimmed(mask: np.ndarray, sides: Sequence[float]) -> np.ndarray:
    """`mask` (S, S) float32 with its edge moved inwards by as many pixels as `sides` says: top,
    right, bottom, left.

    A negative number moves it outwards.
    """
    for place, pixels in enumerate(sides):
        length = round(abs(pixels)) + 1
        if length == 1:
            continue
        upright = place % 2 == 0
        # the line of pixels that is looked at ends, or begins, at each
        anchor = length - 1 if (place in (0, 3)) == (pixels > 0) else 0
        kernel = np.ones((length, 1) if upright else (1, length), np.uint8)
        change = cv2.erode if pixels > 0 else cv2.dilate
        mask = change(mask, kernel, anchor=(0, anchor) if upright else (anchor, 0),
                      borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return mask


def feathered(mask: np.ndarray, pixels: float) -> np.ndarray:
    """`mask` (S, S) float32 in [0, 1] with a smooth ramp of `pixels` inside its edge.

    A straight edge blurred is 0.5 where it was, so the upper half of the blurred values is a ramp
    that ends there.
    """
    if pixels <= 0:
        return mask
    left, top, width, height = cv2.boundingRect((mask > 0).astype(np.uint8))
    area = slice(top, top + height), slice(left, left + width)  # all else is 0
    feathered = np.zeros_like(mask)
    if width:
        blurred = cv2.GaussianBlur(np.ascontiguousarray(mask[area]), (0, 0), pixels / 2,
                                   borderType=cv2.BORDER_CONSTANT)
        ramp = np.maximum(2 * blurred - 1, 0)
        feathered[area] = ramp * ramp * (3 - 2 * ramp)
    return feathered


def inner_skin(landmarks: np.ndarray, size: int) -> np.ndarray:
    """(size, size, 1) float32: cheeks and nose without eyes, mouth and brows; `landmarks` (68, 2)
    in crop pixels.
    """
    width = max(1, round(size / 64))
    skin = np.zeros((size, size), np.uint8)
    _fill(skin, landmarks[CHEEKS_AND_NOSE], 255)
    # Off the jaw's edge
    cv2.polylines(skin, [_fixed(landmarks[CHEEKS_AND_NOSE])], True, 0, 2 * width, cv2.LINE_8, SHIFT)
    for part in EYES_MOUTH_BROWS:
        _fill(skin, landmarks[part], 0)
        cv2.polylines(skin, [_fixed(landmarks[part])], True, 0, 2 * width, cv2.LINE_8, SHIFT)
    return (skin * np.float32(1 / 255))[..., None]


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.round(points * (1 << SHIFT)).astype(np.int32)


def _fill(image: np.ndarray, points: np.ndarray, value: int) -> None:
    cv2.fillPoly(image, [_fixed(points)], value, cv2.LINE_AA, SHIFT)
