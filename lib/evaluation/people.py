"""Whose face it is: mean identity embeddings of people, from face sets, footage or pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lib.errors import FaceswapError
from lib.faces.faceset import is_face_folder, list_faces, read_face
from lib.faces.geometry import crop
from lib.media.files import PICTURE_ENDINGS, VIDEO_ENDINGS, natural_key
from lib.media.source import open_source
from lib.plugin import Aligner, Detector, Recognizer
from lib.types import AlignedFace, Face, Frame

LOOKED_AT = 24  # faces of a person: enough for a steady mean


def mean_embedding(path: Path, detector: Detector, aligner: Aligner, recognizer: Recognizer) -> np.ndarray:
    """(D,) float32: the mean over up to LOOKED_AT faces of a face folder, a video, a folder of pictures or a picture.

    Of several faces in a frame the largest is taken. Raises FaceswapError where there is no face.
    """
    if is_face_folder(path):
        files = list_faces(path)
        faces = [read_face(files[index]).aligned for index in _spread(len(files))]
    else:
        faces = _faces_in_footage(path, detector, aligner)
    if not faces:
        raise FaceswapError(f"No faces found in {path}. Name footage, pictures or extracted faces of one person.")
    return recognizer.embed(faces).mean(0)


def gallery(folder: Path, detector: Detector, aligner: Aligner, recognizer: Recognizer) -> dict[str, np.ndarray]:
    """Mean embeddings by name: each subfolder, picture or video in `folder` is a person. Raises FaceswapError if there are none."""
    if not folder.is_dir():
        raise FaceswapError(f"{folder} is not a folder. A gallery is a folder with a picture, a video or a folder of each person.")
    people = [path for path in sorted(folder.iterdir(), key=lambda path: natural_key(path.name)) if not path.name.startswith(".")
              and (path.is_dir() or path.suffix.lower() in PICTURE_ENDINGS | VIDEO_ENDINGS)]
    if not people:
        raise FaceswapError(f"The gallery {folder} is empty. Put a picture, a video or a folder of each person into it.")
    return {f"gallery/{path.name}": mean_embedding(path, detector, aligner, recognizer) for path in people}


def _spread(count: int) -> list[int]:
    """Up to LOOKED_AT indices, evenly."""
    return np.linspace(0, count - 1, min(count, LOOKED_AT)).round().astype(int).tolist()


def _faces_in_footage(path: Path, detector: Detector, aligner: Aligner) -> list[AlignedFace]:
    source = open_source(path)
    detector = detector.settle(None)
    if source.count is None:
        found = [_largest(frame, detector, aligner) for frame in source.frames(0, LOOKED_AT)]
    else:
        found = [_largest(frame, detector, aligner) for index in _spread(source.count) for frame in source.frames(index, index + 1)]
    return [face for face in found if face is not None]


def _largest(frame: Frame, detector: Detector, aligner: Aligner) -> AlignedFace | None:
    detections = detector.detect([frame.image])[0]
    if not detections:
        return None
    largest = max(detections, key=lambda found: found.box[2] - found.box[0])
    return crop(frame.image, Face(largest, aligner.align(frame.image, largest.box[None])[0]))
