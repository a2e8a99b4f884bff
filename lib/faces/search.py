"""Where detectors look for faces: at a bounded size, so that neither time nor memory grow with a
frame's resolution.

Small faces are looked for closer, in tiles no larger than what a detector searches at a time. What
is found in tiles and in the whole, or at several angles, is joined. Also the box that detectors
agree on, since landmark fits depend on it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lib.options import option
from lib.plugin import Detector
from lib.types import Detection

MOST_ENLARGED = 2.0  # beyond this nothing is to be gained: enlarged pixels tell nothing new
LEAST_SEARCHED = 320  # pixels, longer side: a face that fills its frame must keep some surroundings
CLOSER = 3  # times smaller are the faces of a second look
# By how much tiles overlap further than the largest face that may lie across a border
MARGIN = 1.25
# Share of the smaller of two boxes within the larger, from which on they are of one face
SAME_FACE = 0.5


@dataclass(kw_only=True)
class BoundedDetector(Detector):
    """A detector whose users set the size at which frames are searched."""

    search: int = option(640, "Longer side, in pixels, at which frames are searched. Larger finds "
                         "smaller faces.", low=64, high=8192)


def search(detector: Detector, images: Sequence[np.ndarray],
           min_face: float = 0) -> list[list[Detection]]:
    """Faces in each of `images` (H, W, 3) uint8 RGB, best score first, down to `min_face` pixels.

    With 0, or a detector that does not tell its smallest face, images are searched as the detector
    does by itself. Else the whole is searched, shrunk as far as `min_face` allows, and where that
    is not close enough, tiles at twice its scale, at four times ... The detector gets no picture
    beyond its bound, and tiles are cut from one image at a time.
    """
    if not min_face or not detector.smallest:
        return detector.detect(images)
    return [_searched(detector, image, detector.smallest / min_face) for image in images]


def search_farther(detector: Detector, image: np.ndarray) -> list[Detection]:
    """A look at `image` from farther away, for a face that is about as large as the picture, or
    larger.
    """
    if max(image.shape[:2]) <= LEAST_SEARCHED:
        return []
    return _in_frame(detector.detect([resized(image, LEAST_SEARCHED)[0]])[0], image, LEAST_SEARCHED)


def search_closer(detector: Detector, image: np.ndarray) -> list[Detection]:
    """A second look at `image`, for faces a third as large as the detector's own look finds."""
    if not detector.smallest:
        return []
    return search(detector, [image], smallest_found(detector, image) / CLOSER)[0]


def smallest_found(detector: Detector, image: np.ndarray) -> float:
    """Side, in pixels of `image`, of the smallest face that the detector is sure to find."""
    return detector.smallest * max(1.0, max(image.shape[:2]) / detector.search)


def _searched(detector: Detector, image: np.ndarray, scale: float) -> list[Detection]:
    """Faces in `image`, looked for at `scale` (searched pixels for each of its own)."""
    # The whole, where that is close enough
    longer = max(image.shape[:2])
    scale = min(max(scale, min(1.0, LEAST_SEARCHED / longer)), MOST_ENLARGED)
    side = max(1, round(longer * scale))
    if side <= detector.search:
        return _in_frame(detector.detect([resized(image, side)[0]])[0], image, side)

    # Tiles, each time at half the scale
    detections = detector.detect([image])[0]
    while scale > detector.search / longer:
        side = detector.search / scale  # of a tile, in pixels of the image
        # Faces twice as large are found at half the scale
        overlap = min(2 * MARGIN * detector.smallest / scale, side / 2)
        for left, top, tile in _tiles(image, math.ceil(side), math.ceil(overlap)):
            picture = resized(tile, min(detector.search, round(max(tile.shape[:2]) * scale)))[0]
            detections += _in_frame(detector.detect([picture])[0], tile, max(picture.shape[:2]),
                                    left, top)
        scale /= 2
    return [detections[place] for place in distinct(detections)]


def _tiles(image: np.ndarray, side: int, overlap: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """Left, top and pixels of squares of `side` that cover `image`, evenly laid, with `overlap` in
    common or more.
    """
    height, width = image.shape[:2]
    for top in _starts(height, side, overlap):
        for left in _starts(width, side, overlap):
            yield left, top, image[top:top + side, left:left + side]


def _starts(length: int, side: int, overlap: int) -> list[int]:
    if length <= side:
        return [0]
    count = 1 + math.ceil((length - side) / (side - overlap))
    return [round(place * (length - side) / (count - 1)) for place in range(count)]


def _in_frame(detections: Sequence[Detection], image: np.ndarray, side: int, left: int = 0,
              top: int = 0) -> list[Detection]:
    """Where in the frame those faces are that were found in `image`, resized to a longer side of
    `side`.

    `image` was cut out of the frame at (left, top).
    """
    scale = max(image.shape[:2]) / side
    shift = np.array([left, top, left, top]) + (scale - 1) / 2
    boxes = [(detection.box * scale + shift).astype(np.float32) for detection in detections]
    return [Detection(box, detection.score) for box, detection in zip(boxes, detections)]


def distinct(detections: Sequence[Detection]) -> list[int]:
    """Places in `detections` of those that stand for a face each, best score first: non-maximum
    suppression.

    Boxes are of one face if half of the smaller lies within the larger: a tile's border may cut a
    face.
    """
    kept: list[int] = []
    for place in sorted(range(len(detections)), key=lambda place: -detections[place].score):
        if all(_shared(detections[place].box, detections[better].box) < SAME_FACE
               for better in kept):
            kept.append(place)
    return kept


def _shared(first: np.ndarray, second: np.ndarray) -> float:
    """Share of the smaller box that lies within the larger."""
    inner = np.prod(np.maximum(np.minimum(first[2:], second[2:])
                               - np.maximum(first[:2], second[:2]), 0))
    smaller = min(np.prod(first[2:] - first[:2]), np.prod(second[2:] - second[:2]))
    return float(inner / max(smaller, 1e-6))


def intersection_over_union(first: np.ndarray, second: np.ndarray) -> float:
    """Of two boxes (4,), 0 to 1."""
    width, height = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return float(shared / (np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2])
                           - shared))


def dlib_box(eyes: np.ndarray, mouth: np.ndarray, side: float | None = None) -> np.ndarray:
    """(4,) float32: the square that dlib's own detector would have drawn, on which its landmark fit
    depends.

    `eyes` (2, 2) are the eyes' centres, `mouth` (2, 2) the mouth's corners, in pixels; `side` is
    another estimate of the box's side, with which that from the points is averaged. The numbers
    were fitted to dlib's boxes of hand-marked faces.
    """
    above, below = eyes.mean(0), mouth.mean(0)
    unit = max(np.linalg.norm(eyes[1] - eyes[0]), np.linalg.norm(below - above), 1e-3)
    centre = (above + below) / 2 + np.array([0.02, 0.0175]) * unit
    half = (2.455 * unit if side is None else (2.455 * unit + side) / 2) / 2
    return np.hstack([centre - half, centre + half]).astype(np.float32)


def shrunk(image: np.ndarray, side: int) -> tuple[np.ndarray, float]:
    """`resized`, but never larger than `image` is."""
    return resized(image, min(side, max(image.shape[:2])))


def resized(image: np.ndarray, side: int) -> tuple[np.ndarray, float]:
    """`image` (H, W, 3) or (H, W) with its longer side `side` pixels, and the factor of its
    coordinates.

    Pixel centres are integers: x in the result stands for `x * factor + (factor - 1) / 2` in
    `image`.
    """
    height, width = image.shape[:2]
    factor = max(height, width) / side
    if factor == 1:
        return np.ascontiguousarray(image), 1.0
    size = (max(round(width / factor), 1), max(round(height / factor), 1))
    halved = image
    # Six times as fast as all at once
    while min(halved.shape[:2]) > 1 and max(halved.shape[:2]) >= 2 * side:
        half = halved.shape[1] // 2, halved.shape[0] // 2
        halved = cv2.resize(halved, half, interpolation=cv2.INTER_AREA)
    method = cv2.INTER_AREA if halved is image and factor > 1 else cv2.INTER_LINEAR
    return cv2.resize(halved, size, interpolation=method), factor
