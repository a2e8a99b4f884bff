"""Faces in generated pictures and in the training set: where they are, and their embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lib.errors import FaceswapError
from lib.faces.finding import find_faces
from lib.faces.geometry import crop
from lib.facesets.face_set import is_face_set, read_faces
from lib.generating.generator import Generator
from lib.plugin import Aligner, Detector, Recognizer
from lib.system import device
from lib.system.parallel import ordered_map
from lib.system.progress import progress
from lib.types import AlignedFace, Detection, Face

SEARCHED_SIDE = 256  # pixels: smaller pictures are enlarged before they are searched
MARGIN = 0.25  # of the side, added around a picture: detectors need to see where a head ends
BATCH = 64  # faces that are embedded at a time


@dataclass(frozen=True)
class Tools:
    """Plugins that find faces and tell people apart."""

    detector: Detector
    aligner: Aligner
    recognizer: Recognizer


def find_face(picture: np.ndarray, tools: Tools) -> Face | None:
    """The largest face of `picture` (S, S, 3) uint8 RGB, in its pixels; None where there is
    none.
    """
    scale = max(1.0, SEARCHED_SIDE / len(picture))
    large = picture if scale == 1 else cv2.resize(
        picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    margin = round(MARGIN * len(large))
    framed = cv2.copyMakeBorder(large, *[margin] * 4, cv2.BORDER_REPLICATE)
    faces = find_faces([framed], tools.detector, tools.aligner)[0]
    if not faces:
        return None

    def in_picture(points: np.ndarray) -> np.ndarray:
        return ((points - margin + 0.5) / scale - 0.5).astype(np.float32)

    largest = max(faces, key=lambda face: face.detection.box[2] - face.detection.box[0])
    detection = Detection(in_picture(largest.detection.box), largest.detection.score)
    return Face(detection, in_picture(largest.landmarks))


def draw_aligned(generator: Generator, styles: np.ndarray, tools: Tools
                 ) -> Iterator[AlignedFace | None]:
    """The picture of each of `styles` (N, L, latent), aligned anew; None where it shows no face."""
    for pictures in generator.batches(styles):
        for picture in pictures:
            face = find_face(picture, tools)
            yield face and crop(picture, face, generator.size, generator.coverage)


def embed_all(faces: Sequence[AlignedFace], recognizer: Recognizer, stage: str) -> np.ndarray:
    """(N, D) float32, on all cores; `stage` is what the progress bar says."""
    parts = [faces[start:start + BATCH] for start in range(0, len(faces), BATCH)]
    rows = progress(ordered_map(recognizer.embed, parts, device.cores()), stage, len(parts),
                    unit="batch")
    return np.concatenate([np.zeros((0, len(recognizer.average)), np.float32), *rows])


def read_training_faces(folders: Iterable[Path]) -> list[AlignedFace]:
    """All faces of these face sets. Raises FaceswapError where one is missing or no face set."""
    faces: list[AlignedFace] = []
    for folder in folders:
        if not folder.exists() or not is_face_set(folder):
            problem = "holds none" if folder.exists() else "is gone"
            raise FaceswapError(f"{folder}, whose faces the model was trained on, {problem}. Say "
                                "where they are with --against FOLDER.")
        faces += [file.aligned for file in read_faces(folder, device.cores())]
    return faces
