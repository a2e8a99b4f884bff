"""Faces of one person bent to the pose and expression of another's.

A decoder has to draw what its person was never filmed doing: the other's turned head, the other's
open mouth. So some training faces of each identity are warped until their landmarks stand like
those of a face of the other identity. No warp opens closed lips on teeth: what is between them
comes from the other face, in the colours of the first.
"""

from __future__ import annotations

import cv2
import numpy as np

# height of the opening between the lips as a share of the mouth's width: below this nothing is seen
# of it
LEAST_OPEN = 0.06
# deviations from a face's mean colour that are believed of a mouth: more is a lamp's reflection
BRIGHTEST = 2.0
STEEPEST = 1.0  # growth of a light's logarithm over half a crop
LOGARITHMS = np.log1p(np.arange(3 * 255 + 1, dtype=np.float32))

WEIGHTS = np.ones(68, np.float32)
WEIGHTS[:17], WEIGHTS[36:48], WEIGHTS[48:60], WEIGHTS[60:] = 0.3, 4.0, 2.0, 6.0


def nearest(shapes: np.ndarray, aim: np.ndarray, place: int) -> int:
    """Index of that of `shapes` (N, 68, 2) which is most like `aim` (68, 2); `place` 1: second
    most, and so on.
    """
    differences = shapes - aim.astype(np.float32)
    distances = np.einsum("npc,npc,p->n", differences, differences, WEIGHTS)
    return int(np.argsort(distances, kind="stable")[place]) if place else int(distances.argmin())


def fill_mouth(picture: np.ndarray, lips: np.ndarray, colors: np.ndarray,
               source: np.ndarray, source_lips: np.ndarray, source_colors: np.ndarray) -> None:
    """Draws what is between the lips of the face `source` between those of `picture`, in place,
    where these are open.

    Both (H, W, 3) uint8 RGB; lips (20, 2) in pixels, the last eight round the opening; colours as
    `face_colors` gives them.
    """
    opening = lips[12:]
    width, height = np.linalg.norm(lips[6] - lips[0]), np.linalg.norm(opening[2] - opening[6])
    if height < LEAST_OPEN * width:
        return
    matrix = np.linalg.lstsq(np.column_stack([lips, np.ones(len(lips))]), source_lips,
                             rcond=None)[0].T
    left, top = np.floor(opening.min(0)).astype(int) - 2
    right, bottom = np.ceil(opening.max(0)).astype(int) + 3
    left, top = max(left, 0), max(top, 0)
    area = picture[top:bottom, left:right]
    if not area.size:
        return
    matrix[:, 2] += matrix[:, :2] @ (left, top)
    inside = cv2.warpAffine(source, matrix, area.shape[1::-1],
                            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                            borderMode=cv2.BORDER_REPLICATE)
    inside = np.clip((inside - source_colors[0]) / source_colors[1], -BRIGHTEST,
                     BRIGHTEST) * colors[1] + colors[0]
    mask = cv2.GaussianBlur(_inside(opening - (left, top), *area.shape[:2]), (3, 3), 0)[..., None]
    area[...] = np.clip(area + mask * (inside - area), 0, 255)


def _inside(corners: np.ndarray, height: int, width: int) -> np.ndarray:
    """(height, width) float32: 1 where a pixel's middle lies within the polygon (K, 2)."""
    x, y = np.arange(width)[None], np.arange(height)[:, None]
    inside = np.zeros((height, width), bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, 0)):
        if y0 != y1:
            inside ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside.astype(np.float32)


def lit_like(picture: np.ndarray, reference: np.ndarray, face: np.ndarray) -> np.ndarray:
    """`picture` (D, D, 3) uint8 RGB in a light that grows from left to right as it does on
    `reference` (S, S, 3).

    Of both, `face` (S, S) uint8 counts; D is S or a multiple.
    """
    places = np.linspace(-1, 1, reference.shape[1], dtype=np.float32)
    weights = face.sum(0, dtype=np.float32)
    if not (face > 127).any():
        return picture
    middle = weights @ places / weights.sum()
    places -= middle
    brighter = LOGARITHMS[_summed(reference)] - LOGARITHMS[_summed(averaged(picture,
                                                                            len(reference)))]
    area = face.sum(dtype=np.float32)
    # of the face as a whole: first with, then without what is far off
    usual = (face * brighter).sum() / area
    usual += (face * np.clip(brighter - usual, -STEEPEST, STEEPEST)).sum() / area
    brighter = np.clip(brighter - usual, -STEEPEST, STEEPEST)
    slope = (face * brighter).sum(0) @ places / max(weights @ places ** 2, 1e-6)
    gain = np.exp(np.clip(slope, -STEEPEST, STEEPEST)
                  * (np.linspace(-1, 1, picture.shape[1], dtype=np.float32) - middle))
    return cv2.multiply(picture, np.tile(np.repeat(gain, 3),
                                         (len(picture), 1)).reshape(picture.shape), dtype=cv2.CV_8U)


def averaged(picture: np.ndarray, side: int) -> np.ndarray:
    """`picture` averaged down to so many pixels, which divide its own."""
    return picture if len(picture) == side else cv2.resize(picture, (side, side),
                                                           interpolation=cv2.INTER_AREA)


def _summed(picture: np.ndarray) -> np.ndarray:
    """The sum of the three channels of each pixel."""
    wide = picture.astype(np.uint16)
    return wide[..., 0] + wide[..., 1] + wide[..., 2]


def face_colors(image: np.ndarray, face: np.ndarray) -> np.ndarray:
    """(2, 3): mean of the colours of `image` where `face` (H, W) uint8 is set, and their deviation,
    one for all channels.
    """
    mean, deviation = cv2.meanStdDev(image, mask=(face > 127).astype(np.uint8))
    return np.stack([mean[:, 0], np.full(3, max(1.0, np.sqrt(np.mean(deviation ** 2))))])
