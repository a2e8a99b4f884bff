"""From frames to faces with landmarks: detection, other angles, a second look, alignment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from lib.errors import UsageError
from lib.faces.geometry import invert, transform_points
from lib.faces.pose import turned_pose
from lib.faces.search import distinct, search, search_closer, search_farther, shrunk
from lib.plugin import Aligner, Detector
from lib.system.profile import Stages
from lib.types import Alignment, Detection, Face, Shape

ON, OFF = "on", "off"
ANGLES = {None: None, ON: (90, 180, 270), OFF: ()}
NOT_ALIGNED = Alignment(np.zeros((0, 2), np.float32))


class _Turned(NamedTuple):
    """A detection, and the angle in degrees by which its image was turned when it was found."""

    detection: Detection
    angle: int


def find_faces(images: Sequence[np.ndarray], detector: Detector, aligner: Aligner,
               min_face: int = 0, angles: Sequence[int] = (), look_again: bool = False,
               stages: Stages | None = None) -> list[list[Face]]:
    """The faces of each of `images` (H, W, 3) uint8 RGB, best score first, with landmarks in its
    pixels.

    Faces of at least `min_face` pixels are looked for, and smaller ones have no landmarks, (0, 2);
    0 leaves it to the detector. Images in which no face is found, or one that may not stand
    upright, are turned by each of `angles` (degrees, clockwise) too, and each face is taken from
    the angle at which it scores best. `look_again`: without `min_face`, an image that shows no face
    is searched twice more, from farther away and closer.
    """
    stages = stages or Stages()
    with stages("detect"):
        rows = [[_Turned(detection, 0) for detection in row]
                for row in search(detector, images, min_face)]
        if angles:
            _search_turned(images, rows, detector, min_face, angles)
        if look_again and not min_face:
            for image, row in zip(images, rows):
                # Closer last: it takes parts of a face larger than its picture
                # for faces
                if not row:
                    again = search_farther(detector, image) or search_closer(detector, image)
                    row += [_Turned(detection, 0) for detection in again]
    with stages("align"):
        return _aligned(images, rows, aligner, min_face)


def parse_rotate(text: str | None) -> tuple[int, ...] | None:
    """The angles of --rotate: "on", "off", a step ("45": every 45 degrees) or a list ("90,270");
    None for None.

    Raises UsageError.
    """
    if text in ANGLES:
        return ANGLES[text]
    parts = text.replace(",", " ").split()
    numbers = [int(part) for part in parts if part.removeprefix("-").isdecimal()]
    if not parts or len(numbers) < len(parts) or len(numbers) == 1 and not 5 <= numbers[0] <= 180:
        raise UsageError("-r/--rotate needs on, off, a step of 5 to 180 degrees such as 45, or a "
                         f"list of degrees such as 90,270, not {text!r}.")
    angles = range(numbers[0], 360, numbers[0]) if len(numbers) == 1 else numbers
    return tuple(sorted({angle % 360 for angle in angles} - {0}))


def turned(image: np.ndarray, angle: int) -> tuple[np.ndarray, np.ndarray]:
    """`image` (H, W, 3) turned clockwise by `angle` degrees, whole and with black corners, and the
    (2, 3) matrix into it.
    """
    height, width = image.shape[:2]
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    turn = np.array([[cosine, -sine], [sine, cosine]])  # clockwise, since y points down
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]]) @ turn.T
    size = np.ceil(np.ptp(corners, axis=0) + 1 - 1e-6).astype(int)
    matrix = np.column_stack([turn, -corners.min(0)])
    picture = cv2.warpAffine(image, matrix, tuple(size.tolist()), flags=cv2.INTER_LINEAR)
    return picture, matrix


def _search_turned(images: Sequence[np.ndarray], rows: list[list[_Turned]], detector: Detector,
                   min_face: int, angles: Sequence[int]) -> None:
    """Adds to `rows` the faces of turned images, where that is needed; all are searched at once."""
    needing = [place for place, row in enumerate(rows)
               if not row or any(face.detection.score < detector.upright for face in row)]
    pictures, origins = [], []
    for place in needing:
        # turned at the size at which it will be searched, for speed
        size = max(images[place].shape[:2]) if min_face else detector.search
        small, scale = shrunk(images[place], size)
        for angle in angles:
            picture, matrix = turned(small, angle)
            pictures.append(picture)
            origins.append((place, angle, invert(matrix), scale))
    for (place, angle, back, scale), row in zip(origins, search(detector, pictures, min_face)):
        for detection in row:
            box = _box_through(detection.box, back) * scale + np.float32((scale - 1) / 2)
            rows[place].append(_Turned(Detection(box, detection.score), angle))
    for place in needing:
        best = distinct([face.detection for face in rows[place]])
        rows[place] = [rows[place][index] for index in best]


def _aligned(images: Sequence[np.ndarray], rows: Sequence[Sequence[_Turned]], aligner: Aligner,
             min_face: int) -> list[list[Face]]:
    """The faces, with landmarks where they are large enough.

    Landmarks are fitted where the face stands upright: in its image turned by its angle.
    """
    pictures, boxes, origins = [], [], []
    for number, (image, row) in enumerate(zip(images, rows)):
        large = [place for place, face in enumerate(row)
                 if min(_size(face.detection.box)) >= min_face]
        for angle in sorted({row[place].angle for place in large}):
            places = [place for place in large if row[place].angle == angle]
            picture, matrix = turned(image, angle) if angle else (image, None)
            pictures.append(picture)
            boxes.append(np.stack([_box_through(row[place].detection.box, matrix)
                                   for place in places]))
            origins.append((number, places, matrix))
    alignments = {}
    for (number, places, matrix), fits in zip(origins, aligner.fit(pictures, boxes)):
        for place, alignment in zip(places, fits):
            alignments[number, place] = alignment if matrix is None else _turned_back(alignment,
                                                                                      matrix)
    faces = []
    for number, row in enumerate(rows):
        fits = [alignments.get((number, place), NOT_ALIGNED) for place in range(len(row))]
        faces.append([Face(face.detection, fit.landmarks, shape=fit.shape)
                      for face, fit in zip(row, fits)])
    return faces


def _turned_back(alignment: Alignment, matrix: np.ndarray) -> Alignment:
    """What was seen in a picture that `matrix` (2, 3) turned, in the picture's own pixels."""
    back = invert(matrix)
    landmarks = transform_points(alignment.landmarks, back).astype(np.float32)
    shape = alignment.shape
    if shape is None:
        return Alignment(landmarks)
    irises = shape.irises.copy()
    irises[:, :2] = transform_points(irises[:, :2], back)
    return Alignment(landmarks, Shape(shape.score, turned_pose(shape.pose, back), shape.depth,
                                      irises))


def _size(box: np.ndarray) -> np.ndarray:
    """(2,) width and height."""
    return box[2:] - box[:2]


def _box_through(box: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    """(4,) float32: the upright box as large as `box` around where its middle goes; `box` itself
    without a matrix.
    """
    if matrix is None:
        return box
    half = _size(box) / 2
    middle = transform_points((box[:2] + box[2:])[None] / 2, matrix)[0]
    return np.hstack([middle - half, middle + half]).astype(np.float32)
