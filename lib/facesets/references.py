"""Faces of people, from face sets, footage or pictures, and their mean identity embeddings."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.errors import FaceswapError
from lib.faces.geometry import crop
from lib.facesets.face_file import read_face
from lib.facesets.folder import is_face_folder, list_faces
from lib.files.names import PICTURE_ENDINGS, VIDEO_ENDINGS, natural_key
from lib.media.base import FrameSource
from lib.media.endpoints.source import open_source
from lib.plugin import Aligner, Detector, Recognizer
from lib.sampling import evenly
from lib.types import AlignedFace, Face, Frame

logger = logging.getLogger(__name__)
AVERAGED = 24  # faces of a person: enough for a steady mean


@dataclass(frozen=True)
class NamedFace:
    """A face and where it is from: the name of the file or picture, or "frame 12" of a video (from
    1)."""

    name: str
    aligned: AlignedFace


def reference_faces(path: Path, detector: Detector, aligner: Aligner, most: int | None = None
                    ) -> Iterator[NamedFace]:
    """The faces of a face folder; or of a video, folder of pictures or picture the largest of each
    frame.

    Reads up to `most` files or frames, evenly spread; all for None.
    """
    if path.is_dir() and is_face_folder(path):
        for file in evenly(list_faces(path), most):
            yield NamedFace(file.name, read_face(file).aligned)
        return
    detector, source = detector.resolve(None), open_source(path)
    for frame in _frames(source, most):
        aligned = _largest(frame, detector, aligner)
        if aligned is not None:
            yield NamedFace(frame.name or f"frame {frame.index + 1}", aligned)
    for loss in source.losses:
        logger.warning("Incomplete input: %s", loss)


def mean_embedding(path: Path, detector: Detector, aligner: Aligner, recognizer: Recognizer
                   ) -> np.ndarray:
    """(D,) float32: mean embedding of up to AVERAGED faces that `reference_faces` reads.

    Raises FaceswapError where there is no face.
    """
    faces = [face.aligned for face in reference_faces(path, detector, aligner, AVERAGED)]
    if not faces:
        raise FaceswapError(f"No faces found in {path}. Name footage, pictures or extracted faces "
                            "of one person.")
    return recognizer.embed(faces).mean(0)


def gallery_embeddings(folder: Path, detector: Detector, aligner: Aligner, recognizer: Recognizer
                       ) -> dict[str, np.ndarray]:
    """Mean embeddings (D,) float32 by name: each subfolder, picture or video in `folder` shows a
    person. Raises FaceswapError if there are none."""
    if not folder.is_dir():
        raise FaceswapError(f"{folder} is not a folder. A gallery is a folder with a picture, a "
                            "video or a folder of each person.")
    endings = PICTURE_ENDINGS | VIDEO_ENDINGS
    paths = [path for path in folder.iterdir() if not path.name.startswith(".")
             and (path.is_dir() or path.suffix.lower() in endings)]
    if not paths:
        raise FaceswapError(f"The gallery {folder} is empty. Put a picture, a video or a folder of "
                            "each person into it.")
    embeddings = {}
    for path in sorted(paths, key=lambda path: natural_key(path.name)):
        try:
            name = f"gallery/{path.name}"
            embeddings[name] = mean_embedding(path, detector, aligner, recognizer)
        except FaceswapError as error:
            logger.warning("Left out of the gallery: %s", error)
    if not embeddings:
        raise FaceswapError(f"Nobody in the gallery {folder} shows a face.")
    return embeddings


def _frames(source: FrameSource, most: int | None) -> Iterator[Frame]:
    if most is None or source.count is None:
        yield from source.frames(0, most)
        return
    for index in evenly(range(source.count), most):
        yield from source.frames(index, index + 1)


def _largest(frame: Frame, detector: Detector, aligner: Aligner) -> AlignedFace | None:
    detections = detector.detect([frame.image])[0]
    if not detections:
        return None
    largest = max(detections, key=lambda detection: detection.box[2] - detection.box[0])
    landmarks = aligner.align([frame.image], [largest.box[None]])[0][0]
    return crop(frame.image, Face(largest, landmarks))
