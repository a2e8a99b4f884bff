"""Faces and masks, and the rows that stand for them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lib.faces.quality import check_landmarks
from lib.types import Detection, Face, Shape

# That `stored_face` reads
COLUMNS = "number, box, score, landmarks, smooth, track, filled, person, dropped, shape"
ROUNDING = 0.01  # pixels by which landmarks in a face picture may differ
LARGEST_MASK = 4096  # pixels of a side
LOOK_SHAPE = (18, 32, 3)
SHAPE_NUMBERS = 78


@dataclass(frozen=True)
class StoredFace:
    """A face as the store keeps it."""

    face: Face
    # By masker: (S, S, 1) float32 in [0, 1] over the "whole" crop of `fitted`
    masks: dict[str, np.ndarray] = field(default_factory=dict)
    # (68, 2) landmarks as the aligner fitted them, where those of `face` are smoothed
    raw: np.ndarray | None = None
    filled: bool = False  # the detector missed it; its neighbours in time told where it is
    dropped: str | None = None  # why it is left out: a key of `left_out.REASONS`

    @property
    def fitted(self) -> Face:
        """The face with the landmarks as the aligner fitted them."""
        return self.face if self.raw is None else replace(self.face, landmarks=self.raw)

    def is_shown_by(self, landmarks: np.ndarray) -> bool:
        """Whether a face picture with these fitted landmarks (68, 2), which are written with three
        decimals, shows this face.
        """
        return float(np.abs(landmarks - self.fitted.landmarks).max()) < ROUNDING

    @property
    def number(self) -> int:
        """Within its frame, once it is stored."""
        return self.face.number

    @property
    def track(self) -> int | None:
        return self.face.track

    @property
    def person(self) -> int | None:
        return self.face.person


def face_row(index: int, number: int, stored: StoredFace) -> tuple:
    """Values of `faces`, but for embedding and recognizer, of the `number`-th face of frame
    `index`.
    """
    smooth = None if stored.raw is None else to_bytes(stored.face.landmarks)
    return (index, number, to_bytes(stored.face.detection.box), float(stored.face.detection.score),
            to_bytes(stored.fitted.landmarks), smooth, stored.track, int(stored.filled),
            stored.person, stored.dropped, shape_row(stored.face.shape))


def stored_face(index: int, row: Sequence, masks: dict[str, np.ndarray]) -> StoredFace:
    """The face of frame `index` that the values `row` of COLUMNS stand for. Raises ValueError or
    TypeError for others.
    """
    number, box, score, landmarks, smooth, track, filled, person, dropped, shape = row
    fitted = face_of(index, number, box, score, landmarks)
    face = fitted if smooth is None else face_of(index, number, box, score, smooth)
    if dropped is None:
        check_landmarks(face.landmarks)
        check_landmarks(fitted.landmarks)
    face = replace(face, track=track, person=person, left_out=dropped is not None,
                   shape=shape_of(shape))
    return StoredFace(face, masks, None if smooth is None else fitted.landmarks, bool(filled),
                      dropped)


def face_of(index: int, number: int, box: bytes, score: float, landmarks: bytes) -> Face:
    """A face without track and person. Raises ValueError or TypeError for values that stand for
    none.
    """
    face = Face(Detection(array(box, (4,)), float(score)), array(landmarks, (68, 2)), index, number)
    if not (np.isfinite(face.landmarks).all() and np.isfinite(face.detection.box).all()):
        raise ValueError("a coordinate is not a number")
    return face


def shape_row(shape: Shape | None) -> bytes | None:
    """A value of `shape`."""
    if shape is None:
        return None
    return to_bytes(np.concatenate([[shape.score], shape.pose, shape.depth,
                                    shape.irises.reshape(-1)]))


def shape_of(data: bytes | None) -> Shape | None:
    """What a value of `shape` stands for. Raises ValueError or TypeError for another."""
    if data is None:
        return None
    numbers = array(data, (SHAPE_NUMBERS,))
    if not np.isfinite(numbers).all():
        raise ValueError("a shape has what is not a number")
    return Shape(float(numbers[0]), numbers[1:4], numbers[4:72], numbers[72:].reshape(2, 3))


def mask_row(index: int, number: int, name: str, mask: np.ndarray) -> tuple:
    """Values of `masks` of a mask (S, S, 1) float32 in [0, 1]."""
    pixels = np.rint(mask * 255).astype(np.uint8).tobytes()
    return index, number, name, len(mask), zlib.compress(pixels, 1)


def mask_print(pixels: bytes) -> str:
    """A fingerprint of a stored mask by its compressed `pixels`."""
    return f"{zlib.crc32(pixels):08x}"


def mask_of(size: int, pixels: bytes) -> np.ndarray:
    """(S, S, 1) float32 in [0, 1]. Raises ValueError, TypeError or zlib.error for values that stand
    for none.
    """
    if not 0 < size <= LARGEST_MASK:
        raise ValueError(f"a mask of size {size}")
    flat = np.frombuffer(zlib.decompressobj().decompress(pixels, size * size + 1), np.uint8)
    return flat.reshape(size, size, 1) / np.float32(255)


def look_of(data: bytes | None) -> np.ndarray | None:
    """(18, 32, 3) uint8 RGB; None where there is none, or one of another size."""
    if data is None or len(data) != np.prod(LOOK_SHAPE):
        return None
    return np.frombuffer(data, np.uint8).reshape(LOOK_SHAPE)


def array(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """float32 of this shape. Raises ValueError or TypeError where `data` does not fill it."""
    return np.frombuffer(data, "<f4").reshape(shape)


def to_bytes(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, "<f4").tobytes()
