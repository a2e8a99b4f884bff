"""Which face of a store a file shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from lib.alignments.store import AlignmentStore, StoredFace
from lib.errors import FaceswapError
from lib.faces.geometry import crop_matrix, upsampled
from lib.facesets.face_file import FaceFile, NotAFace, read_face
from lib.facesets.folder import origin_in, stem_of
from lib.media.base import FrameSource


@dataclass(frozen=True)
class Place:
    """A face of the store, and where a picture shows it."""

    stored: StoredFace
    frame: int  # index from 0
    matrix: np.ndarray  # (2, 3) float64, frame pixels -> those of the picture ...
    size: int  # ... at so many pixels a side

    def matrix_at(self, size: int) -> np.ndarray:
        """`matrix` of the picture at `size` pixels a side."""
        return upsampled(self.matrix, size / self.size)


class Places:
    """Finds the faces of a store that files show: by what their metadata say, else by their
    names."""

    def __init__(self, source: FrameSource, store: AlignmentStore, size: int):
        self._source, self._store, self._size = source, store, size
        self._names = store.names()
        self._pictures = {name: index for index, name in self._names.items() if name}

    def of_face(self, file: FaceFile) -> Place | None:
        """The face in `file`; None where it is none of the store's, as it is now."""
        origin = file.origin
        index = self._pictures.get(origin.name, -1) if origin.name else origin.frame
        for stored in self._store.faces(index, dropped=True):
            if stored.is_shown_by(file.aligned.face.landmarks):
                return Place(stored, index, file.aligned.matrix, file.size)
        return None

    def beside(self, face: Path) -> Place:
        """The face in the file `face`, or that a file of this name would show. Raises FaceswapError
        where there is none."""
        try:
            place = self.of_face(read_face(face)) if face.is_file() else self._by_name(face.stem)
        except NotAFace:  # a paint program saved it without its metadata
            place = self._by_name(face.stem)
        if place is None:
            raise FaceswapError(f"{face.name} is no face of {self._source.path.name} as its faces "
                                "are now. Name the source that it was exported from, or export it "
                                "again.")
        return place

    def _by_name(self, stem: str) -> Place | None:
        if stem not in self._stems:
            return None
        index, number = self._stems[stem]
        stored = next(stored for stored in self._store.faces(index, dropped=True)
                      if stored.number == number)
        matrix = crop_matrix(stored.fitted.landmarks, self._size)
        return Place(stored, index, matrix, self._size)

    @cached_property
    def _stems(self) -> dict[str, tuple[int, int]]:
        """Frame and number of each face by the name of the file that extract and export write."""
        faces = ((index, stored.number) for index, stored in self._store.all_faces(dropped=True))
        return {stem_of(origin_in(self._source, index, number, self._names.get(index, ""))):
                (index, number) for index, number in faces}
