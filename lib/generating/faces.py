"""Faces in pictures that were drawn, and in those that the generator was taught with: where they are, and whose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from lib.errors import FaceswapError
from lib.faces.finding import find
from lib.faces.geometry import crop
from lib.facesets import packed
from lib.generating.generator import Generator
from lib.plugin import Aligner, Detector, Recognizer
from lib.system import device
from lib.system.parallel import ordered_map
from lib.system.progress import progress
from lib.types import AlignedFace, Detection, Face

SEARCHED = 256  # pixels a side that drawn pictures are enlarged to, to be searched
MARGIN = 0.25  # of the side, around a picture: detectors want to see where a head ends
EMBEDDED = 64  # faces at a time


def face_in(picture: np.ndarray, detector: Detector, aligner: Aligner) -> Face | None:
    """The largest face of a crop (S, S, 3) uint8 RGB, in its pixels; None where no face is found."""
    side = len(picture)
    scale = max(1.0, SEARCHED / side)
    large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) if scale > 1 else picture
    margin = round(MARGIN * len(large))
    framed = cv2.copyMakeBorder(large, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    found = find([framed], detector, aligner)[0]
    if not found:
        return None
    best = max(found, key=lambda face: face.detection.box[2] - face.detection.box[0])
    return Face(Detection(_smaller(best.detection.box, margin, scale), best.detection.score), _smaller(best.landmarks, margin, scale))


def _smaller(coordinates: np.ndarray, margin: int, scale: float) -> np.ndarray:
    """Pixels of the enlarged picture -> pixels of the picture, both counted from the middle of the first."""
    return ((coordinates - margin + 0.5) / scale - 0.5).astype(np.float32)


def aligned_faces(generator: Generator, styles: np.ndarray, detector: Detector, aligner: Aligner) -> Iterator[AlignedFace | None]:
    """What is drawn of each of `styles` (N, L, latent), aligned anew; None where it shows no face."""
    for pictures in generator.batches(styles):
        for picture in pictures:
            face = face_in(picture, detector, aligner)
            yield face and crop(picture, face, generator.size, generator.coverage)


def embedded(faces: Sequence[AlignedFace], recognizer: Recognizer, what: str) -> np.ndarray:
    """(N, D) float32, of any number of faces, on all cores."""
    parts = [faces[start:start + EMBEDDED] for start in range(0, len(faces), EMBEDDED)]
    rows = progress(ordered_map(recognizer.embed, parts, device.cores()), what, len(parts), unit="batch")
    return np.concatenate([np.zeros((0, len(recognizer.average)), np.float32), *rows])


def taught(folders: Iterable[Path]) -> list[AlignedFace]:
    """All faces of these face sets. Raises FaceswapError where one is none, or is not there any more."""
    faces: list[AlignedFace] = []
    for folder in folders:
        if not folder.exists() or not packed.is_face_set(folder):
            raise FaceswapError(f"{folder}, whose faces the model was taught with, {'holds none' if folder.exists() else 'is gone'}. Say "
                                "where they are with --against FOLDER.")
        faces += [file.aligned for file in packed.read_faces(folder, device.cores())]
    return faces
