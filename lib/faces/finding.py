"""From frames to faces with landmarks: detection, other angles, a second look, alignment."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from lib.errors import UsageError
from lib.faces.geometry import invert, transform_points
from lib.faces.search import closer, distinct, farther, search, shrunk
from lib.plugin import Aligner, Detector
from lib.system.profile import Stages
from lib.types import Detection, Face

ON, OFF = "on", "off"


def find(images: Sequence[np.ndarray], detector: Detector, aligner: Aligner, min_face: int = 0,
         angles: Sequence[int] = (), again: bool = False,
         stages: Stages | None = None) -> list[list[Face]]:
    """The faces of each of `images` (H, W, 3) uint8 RGB, best score first, with landmarks in pixels
    of the image.

    Faces of at least `min_face` pixels are looked for, and smaller ones have no landmarks, (0, 2);
    0 leaves it to the detector. Images in which no face is found, or one that may not stand
    upright, are turned by each of `angles` (degrees, clockwise) too, and each face is taken from
    the angle at which it scores best. `again`: without `min_face`, what shows no face is looked at
    twice more, from farther away and closer.
    """
    stages = stages or Stages()
    with stages("detect"):
        rows = [[(found, 0) for found in row] for row in search(detector, images, min_face)]
        if angles:
            _turn(images, rows, detector, min_face, angles)
        if again and not min_face:
            for image, row in zip(images, rows):
                # Closer in last: it takes parts of a face that is larger than its
                # picture for faces
                if not row:
                    row += [(found, 0) for found in farther(detector, image)
                            or closer(detector, image)]
    with stages("align"):
        return _aligned(images, rows, aligner, min_face)


def angles_of(text: str | None) -> tuple[int, ...] | None:
    """The angles that --rotate asks for: "on", "off", a step ("45": every 45 degrees) or a list
    ("90,270"); None for None.

    Raises UsageError.
    """
    if text is None or text in (ON, OFF):
        return {None: None, ON: (90, 180, 270), OFF: ()}[text]
    parts = text.replace(",", " ").split()
    if not parts or not all(part.removeprefix("-").isdecimal() for part in parts) or (len(parts) == 1 and not 5 <= int(parts[0]) <= 180):
        raise UsageError("-r/--rotate needs on, off, a step of 5 to 180 degrees such as 45, or a "
                         f"list of degrees such as 90,270, not {text!r}.")
    numbers = range(int(parts[0]), 360, int(parts[0])) if len(parts) == 1 else [int(part) % 360 for part in parts]
    return tuple(sorted({number for number in numbers if number}))


def turned(image: np.ndarray, angle: int) -> tuple[np.ndarray, np.ndarray]:
    """`image` turned clockwise by `angle` degrees, whole and with black corners, and the (2, 3)
    matrix into it.
    """
    height, width = image.shape[:2]
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    turn = np.array([[cosine, -sine], [sine, cosine]])  # clockwise, since y points down
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]]) @ turn.T
    shift = -corners.min(0)
    size = np.ceil(np.ptp(corners, axis=0) + 1 - 1e-6).astype(int)
    matrix = np.column_stack([turn, shift])
    return cv2.warpAffine(image, matrix, (int(size[0]), int(size[1])), flags=cv2.INTER_LINEAR), matrix


def _turn(images: Sequence[np.ndarray], rows: list[list[tuple[Detection, int]]], detector: Detector,
          min_face: int, angles: Sequence[int]) -> None:
    """Adds to `rows` what is found in the images that need it when they are turned, all of them
    searched in one go.
    """
    needing = [place for place, row in enumerate(rows)
               if not row or any(found.score < detector.upright for found, _ in row)]
    pictures, origins = [], []
    for place in needing:
        # turned at the size at which it will be searched, for speed
        small, scale = shrunk(images[place], max(images[place].shape[:2]) if min_face
                              else detector.search)
        for angle in angles:
            picture, matrix = turned(small, angle)
            pictures.append(picture)
            origins.append((place, angle, invert(matrix), scale))
    for (place, angle, back, scale), row in zip(origins, search(detector, pictures, min_face)):
        for found in row:
            box = _box_through(found.box, back) * scale + np.float32((scale - 1) / 2)
            rows[place].append((Detection(box, found.score), angle))
    for place in needing:
        rows[place] = [rows[place][best] for best in distinct([found for found, _ in rows[place]])]


def _aligned(images: Sequence[np.ndarray], rows: Sequence[Sequence[tuple[Detection, int]]],
             aligner: Aligner, min_face: int) -> list[list[Face]]:
    """The faces, with landmarks where they are large enough, fitted where they stand upright: in
    their image turned by their angle.
    """
    pictures, boxes, places = [], [], []
    for number, (image, row) in enumerate(zip(images, rows)):
        large = [place for place, (found, _) in enumerate(row)
                 if min(found.box[2:] - found.box[:2]) >= min_face]
        for angle in sorted({row[place][1] for place in large}):
            chosen = [place for place in large if row[place][1] == angle]
            picture, matrix = turned(image, angle) if angle else (image, None)
            pictures.append(picture)
            upright = [row[place][0].box for place in chosen]
            boxes.append(np.stack(upright if matrix is None
                                  else [_box_through(box, matrix) for box in upright]))
            places.append((number, chosen, matrix))
    landmarks = {}
    for (number, chosen, matrix), fits in zip(places, aligner.align(pictures, boxes)):
        for place, fit in zip(chosen, fits):
            landmarks[number, place] = fit if matrix is None else transform_points(fit, invert(matrix)).astype(np.float32)
    nothing = np.zeros((0, 2), np.float32)
    return [[Face(found, landmarks.get((number, place), nothing)) for place, (found, _) in enumerate(row)]
            for number, row in enumerate(rows)]


def _box_through(box: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(4,) float32: the upright box as large as `box` around where its middle goes."""
    half = (box[2:] - box[:2]) / 2
    middle = transform_points((box[:2] + box[2:])[None] / 2, matrix)[0]
    return np.hstack([middle - half, middle + half]).astype(np.float32)
