"""Face PNG files: aligned faces that say where they are from.

The JSON in a file holds: `format` 1, `coverage`, `size` (pixels a side; files of earlier versions
lack it), `landmarks` (68 x 2, frame pixels), `matrix` (2 x 3, frame -> crop pixels of that size),
`box`, `score`, and `origin`: `source`, `frame`, `number`, `name`, `time`. The picture may have been
scaled since.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lib.errors import FaceswapError
from lib.faces.geometry import (
    COVERAGES,
    invert,
    resized_matrix,
    template_matrix,
    transform_points,
    upsampled,
    warp,
)
from lib.faces.quality import check_landmarks, check_matrix
from lib.facesets.png import LARGEST, MOST_BYTES, foreign_tool, picture_of, text_of
from lib.files.reading import parse_json, read_bytes
from lib.types import AlignedFace, Detection, Face

FORMAT = 1
LONGEST_REASON = 200  # characters of the error of a damaged file that are shown
MOST_FRAMES, MOST_FACES = 1 << 40, 1 << 20  # of a source; of a frame
DAMAGE = (ValueError, TypeError, KeyError, AttributeError, cv2.error)


@dataclass(frozen=True)
class Origin:
    """Which face of which frame of what."""

    source: str  # path of the video or of the folder of pictures
    frame: int
    number: int  # of the face within its frame, from 0
    name: str = ""  # file name of the picture; "" in a video
    time: float | None = None  # seconds into the video


@dataclass(frozen=True)
class FaceFile:
    """What a face PNG holds."""

    aligned: AlignedFace
    coverage: str  # a name in COVERAGES
    origin: Origin

    @property
    def image(self) -> np.ndarray:
        """(S, S, 3) uint8 RGB."""
        return self.aligned.image

    @property
    def size(self) -> int:
        """Pixels a side."""
        return len(self.aligned.image)

    @property
    def landmarks(self) -> np.ndarray:
        """(68, 2) in crop pixels; `aligned.face.landmarks` has them in frame pixels."""
        return transform_points(self.aligned.face.landmarks, self.aligned.matrix)

    def recrop(self, size: int, coverage: str) -> AlignedFace:
        """The part of it that a crop of `size` pixels and a `coverage` no larger than its own
        shows."""
        to_template = np.vstack([invert(template_matrix(self.size, self.coverage)), [0, 0, 1]])
        matrix = template_matrix(size, coverage) @ to_template
        from_frame = matrix @ np.vstack([self.aligned.matrix, [0, 0, 1]])
        return AlignedFace(self.aligned.face, warp(self.image, matrix, size), from_frame)


class NotAFace(FaceswapError):
    """A PNG that does not say where its face is."""


class ForeignFace(NotAFace):
    """A face picture that another tool made, whose metadata is not read."""


def make_text(aligned: AlignedFace, origin: Origin, coverage: str) -> str:
    """The JSON text of a face."""
    face = aligned.face
    return json.dumps({
        "format": FORMAT, "coverage": coverage, "size": len(aligned.image),
        "landmarks": face.landmarks.astype(float).round(3).tolist(),
        "matrix": aligned.matrix.tolist(),
        "box": face.detection.box.astype(float).round(3).tolist(),
        "score": round(face.detection.score, 5), "origin": asdict(origin)})


def read_face(path: Path) -> FaceFile:
    """The face in a PNG file. Raises NotAFace where the file is another picture, FaceswapError
    where it is damaged; both name the file."""
    return read_face_and_text(path)[0]


def read_face_and_text(path: Path) -> tuple[FaceFile, str]:
    """The same, and the JSON text."""
    data = read_data(path)
    text = text_of(data)
    values = _parse(path, text)
    try:
        return face_of(values, picture_of(data)), text
    except DAMAGE as error:
        raise _damaged(path, error) from error


def read_origin(path: Path) -> tuple[Origin, np.ndarray]:
    """Where the face in a PNG file is from, and its landmarks (68, 2) float32 in frame pixels; the
    picture is not decoded. Raises as `read_face` does."""
    values = _parse(path, text_of(read_data(path)))
    try:
        landmarks = _array(values["landmarks"], (68, 2), np.float32)
        check_landmarks(landmarks)
        return origin_of(values["origin"]), landmarks
    except DAMAGE as error:
        raise _damaged(path, error) from error


def face_of(values: dict[str, Any], image: np.ndarray) -> FaceFile:
    """The face with the picture `image` (S, S, 3) uint8 RGB and the `values` of its JSON text.

    Raises ValueError, TypeError, KeyError or AttributeError for values that make no sense.
    """
    if values["format"] != FORMAT:
        raise ValueError(f"format {values['format']}, this program reads {FORMAT}")
    if values["coverage"] not in COVERAGES:
        raise ValueError(f"coverage {values['coverage']!r}")
    box = _array(values["box"], (4,), np.float32)
    score = float(_array(values["score"], (), np.float64))
    face = Face(Detection(box, score), _array(values["landmarks"], (68, 2), np.float32))
    matrix = _array(values["matrix"], (2, 3), np.float64)
    check_landmarks(face.landmarks)
    check_matrix(matrix)
    size = values.get("size")
    if "size" not in values:
        matrix = resized_matrix(matrix, face.landmarks, len(image), values["coverage"])
    elif type(size) is not int or not 0 < size <= LARGEST:
        raise ValueError(f"size {size!r}")
    elif size != len(image):
        matrix = upsampled(matrix, len(image) / size)
    return FaceFile(AlignedFace(face, image, matrix), values["coverage"],
                    origin_of(values["origin"]))


def origin_of(values: dict[str, Any]) -> Origin:
    """The origin in a face's JSON text. Raises TypeError or ValueError where it makes no sense."""
    origin = Origin(**values)
    are_texts = isinstance(origin.source, str) and isinstance(origin.name, str)
    are_numbers = all(type(number) is int and 0 <= number < most for number, most in (
        (origin.frame, MOST_FRAMES), (origin.number, MOST_FACES)))
    is_time = origin.time is None or (type(origin.time) in (int, float)
                                      and abs(origin.time) < MOST_FRAMES)
    if not (are_texts and are_numbers and is_time):
        raise ValueError("it does not say where it is from")
    return origin


def crop_landmarks(files: Sequence[FaceFile]) -> np.ndarray:
    """(N, 68, 2) float64: the `landmarks` of each of `files`, all at once."""
    return transform_points(np.stack([file.aligned.face.landmarks for file in files]),
                            np.stack([file.aligned.matrix for file in files]))


def read_data(path: Path) -> bytes:
    """The bytes of a face file. Raises FaceswapError where it cannot be read."""
    try:
        return read_bytes(path, MOST_BYTES)
    except OSError as error:
        raise FaceswapError(f"Cannot read {path}: {error.strerror}.") from error
    except ValueError as error:
        raise _damaged(path, error) from error


def _parse(path: Path, text: str | None) -> dict[str, Any]:
    """The values of a face's JSON text. Raises NotAFace or FaceswapError."""
    if text is None:
        raise NotAFace(f"{path} does not say where its face is: extract did not write it, or "
                       "another program saved it anew. Move it away, or extract the faces again.")
    if tool := foreign_tool(text):
        raise ForeignFace(f"{path} is a face picture of {tool}, whose metadata is not read. "
                          "Extract the faces of the video or pictures that it was made from, or "
                          "those in these face pictures, with faceswap.py extract.")
    try:
        values = parse_json(text)
        if values["format"] != FORMAT:
            raise ValueError(f"format {values['format']}, this program reads {FORMAT}")
        return values
    except DAMAGE as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> FaceswapError:
    reason = " ".join(str(error).split())[:LONGEST_REASON]
    return FaceswapError(f"The face file {path} is damaged ({reason}). Delete it, or extract the "
                         "faces again.")


def _array(values: Any, shape: tuple[int, ...], kind: type) -> np.ndarray:
    array = np.array(values, kind).reshape(shape)
    if not np.isfinite(array).all():
        raise ValueError("a coordinate is not a number")
    return array
