"""What a store is asked: frames, faces, masks, tracks, people, and what is still to be done."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lib.alignments.database import schema
from lib.alignments.database.connection import Database, damaged
from lib.alignments.database.rows import (
    COLUMNS,
    StoredFace,
    array,
    face_of,
    look_of,
    mask_of,
    stored_face,
)
from lib.alignments.database.state import StoreState
from lib.faces.quality import check_landmarks
from lib.files.names import printable
from lib.types import Detection, Face

# Reasons for which faces are left out that cannot be followed through time
NO_FACES = "('size', 'landmarks', 'unsure')"


class Queries(Database):
    """Reads the store. Frames are indices from 0, in order; a face goes by its frame and number."""

    def _flush(self, index: int | None = None) -> None:
        """Called before a query that is to find what was added, of frame `index` or of any."""

    def _select(self, query: str, values: tuple = ()) -> list[tuple]:
        """The rows of a query that is to find all that was added."""
        self._flush()
        return self._rows(query, values)

    def _each(self, query: str, values: tuple = ()) -> Iterator[tuple]:
        self._flush()
        return super()._each(query, values)

    @property
    def settings(self) -> dict[str, Any]:
        """What `state` reads, as the JSON values that the file holds."""
        try:
            return schema.read_settings(self._rows("SELECT key, value FROM settings"))
        except ValueError as error:
            raise damaged(self.path, error) from error

    @property
    def state(self) -> StoreState:
        """Of what source it is, how its faces were found and what is done; `AlignmentStore.update`
        changes it.
        """
        return StoreState.from_json(self.settings)

    # Frames

    def done(self) -> set[int]:
        """Frames that were searched, with or without faces."""
        return {index for index, in self._select("SELECT frame FROM frames")}

    def names(self) -> dict[int, str]:
        """Picture name by frame ("" in a video)."""
        return dict(self._rows("SELECT frame, name FROM frames"))

    def looks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Frames that have one, and their look (18, 32, 3) uint8 RGB."""
        for index, look in self._each("SELECT frame, look FROM frames WHERE length(look) = 1728 "
                                      "ORDER BY frame"):
            yield index, look_of(look)

    def files(self) -> Iterator[tuple[int, str | None, str | None, np.ndarray | None]]:
        """Frames with stamp and fingerprint of the files that were searched, and their look; None
        where not known.
        """
        for index, stamp, content, look in self._each("SELECT frame, stamp, content, look FROM "
                                                      "frames ORDER BY frame"):
            yield index, stamp, content, look_of(look)

    def frame_counts(self) -> Iterator[tuple[int, str, float | None, int]]:
        """Index, name, time in seconds and number of faces of each frame that was searched."""
        yield from self._each("SELECT frame, name, time, (SELECT COUNT(*) FROM faces WHERE "
                              "faces.frame = frames.frame AND dropped IS NULL) FROM frames ORDER "
                              "BY frame")

    def counts(self, every: int = 1) -> tuple[int, int, int]:
        """(faces, frames with a face, frames searched) among every `every`-th frame."""
        faces, with_face = self._select("SELECT COUNT(*), COUNT(DISTINCT frame) FROM faces WHERE "
                                      "frame % ? = 0 AND dropped IS NULL", (every,))[0]
        return faces, with_face, self._select("SELECT COUNT(*) FROM frames WHERE frame % ? = 0",
                                            (every,))[0][0]

    # Faces

    def faces(self, index: int, dropped: bool = False) -> list[StoredFace]:
        """The faces of frame `index`, best score first; with `dropped` also those left out, if they
        have landmarks.
        """
        self._flush(index)
        rows = self._rows(f"SELECT {COLUMNS} FROM faces WHERE frame = ? AND {_kept(dropped)} ORDER "
                          "BY number", (index,))
        masks: dict[int, dict[str, np.ndarray]] = {}
        with self._reading(index):
            for number, name, *mask in self._masks(index) if rows else ():
                masks.setdefault(number, {})[name] = mask_of(*mask)
            return [stored_face(index, row, masks.get(row[0], {})) for row in rows]

    def _masks(self, index: int) -> list[tuple]:
        query = "SELECT number, name, size, pixels FROM masks WHERE frame = ?"
        return self._rows(query, (index,))

    def all_faces(self, dropped: bool = False) -> Iterator[tuple[int, StoredFace]]:
        """Frame and face of all faces, without their masks; with `dropped` as `faces` has them."""
        for index, *row in self._each(f"SELECT frame, {COLUMNS} FROM faces WHERE {_kept(dropped)} "
                                      "ORDER BY frame, number"):
            with self._reading(index):
                stored = stored_face(index, row, {})
            yield index, stored

    def raw_faces(self, faces: Iterable[tuple[int, int]]) -> Iterator[Face]:
        """The faces of these (frame, number) with their landmarks as the aligner fitted them. Masks
        are not read.
        """
        self._flush()
        for index, number in faces:
            (row,) = self._rows("SELECT box, score, landmarks FROM faces WHERE frame = ? AND "
                                "number = ?", (index, number))
            with self._reading(index):
                face = face_of(index, number, *row)
                check_landmarks(face.landmarks)
            yield face

    def dropped_counts(self) -> dict[str, int]:
        """How many faces are left out, by the reason, the most frequent first."""
        return dict(self._select("SELECT dropped, COUNT(*) FROM faces WHERE dropped IS NOT NULL "
                               "GROUP BY dropped ORDER BY 2 DESC"))

    def digest(self) -> str:
        """SHA-256 of the faces that are not left out: their landmarks, tracks, people and masks."""
        digest = hashlib.sha256()
        for row in self._each("SELECT frame, number, landmarks, smooth, track, person FROM faces "
                              "WHERE dropped IS NULL ORDER BY frame, number"):
            digest.update(repr(row).encode())
        for row in self._each("SELECT frame, number, name, pixels FROM masks ORDER BY frame, "
                              "number, name"):
            digest.update(repr(row).encode())
        return digest.hexdigest()

    # Masks

    def mask_counts(self) -> dict[str, int]:
        """How many masks there are of each masker."""
        return dict(self._select("SELECT name, COUNT(*) FROM masks GROUP BY name ORDER BY name"))

    def with_mask(self, name: str) -> set[tuple[int, int]]:
        """(frame, number) of the faces that have a mask called `name`."""
        return set(self._select("SELECT frame, number FROM masks WHERE name = ?", (name,)))

    def without_mask(self, masker: str) -> set[int]:
        """Frames with a face of which there is no mask by `masker`."""
        return {index for index, in self._select("SELECT DISTINCT frame FROM faces WHERE dropped "
                                                 "IS NULL AND NOT EXISTS (SELECT 1 FROM masks "
                                                 "WHERE masks.frame = faces.frame AND "
                                                 "masks.number = faces.number AND masks.name = ?)",
                                                 (masker,))}

    # Tracks

    def boxes(self) -> Iterator[tuple[int, list[int], np.ndarray]]:
        """Frames with faces that can be followed through time: the numbers of these faces and their
        boxes (K, 4).
        """
        rows = self._each("SELECT frame, number, box FROM faces WHERE COALESCE(dropped, '') NOT "
                          f"IN {NO_FACES} ORDER BY frame, number")
        for index, group in itertools.groupby(rows, lambda row: row[0]):
            with self._reading(index):
                numbers, boxes = zip(*((number, array(box, (4,))) for _, number, box in group))
            yield index, list(numbers), np.stack(boxes)

    def crowds(self) -> Iterator[list[tuple[int, Detection]]]:
        """Of each frame with several faces that belong to a track: their tracks and detections."""
        rows = self._each("SELECT frame, track, box, score FROM faces WHERE track IS NOT NULL AND "
                          "frame IN (SELECT frame FROM faces WHERE track IS NOT NULL GROUP BY "
                          "frame HAVING COUNT(*) > 1) ORDER BY frame, number")
        for index, group in itertools.groupby(rows, lambda row: row[0]):
            with self._reading(index):
                crowd = [(track, Detection(array(box, (4,)), float(score)))
                         for _, track, box, score in group]
            yield crowd

    def track_counts(self) -> tuple[int, int]:
        """(tracks, faces that the detector missed)."""
        return self._select("SELECT COUNT(DISTINCT track), COALESCE(SUM(filled), 0) FROM faces "
                            "WHERE dropped IS NULL")[0]

    def tracks(self) -> list[dict[int, int]]:
        """For each track the number of its face in each of its frames."""
        tracks: dict[int, dict[int, int]] = {}
        for track, index, number in self._each("SELECT track, frame, number FROM faces WHERE track "
                                               "IS NOT NULL ORDER BY track, frame"):
            tracks.setdefault(track, {})[index] = number
        return list(tracks.values())

    # People

    def embeddings(self, recognizer: str) -> Iterator[tuple[int, int, np.ndarray]]:
        """Frame, number and embedding (D,) float32 of the faces that have one by the recognizer of
        that name.
        """
        for index, number, embedding in self._each("SELECT frame, number, embedding FROM faces "
                                                   "WHERE embedding IS NOT NULL AND recognizer = "
                                                   "? ORDER BY frame, number", (recognizer,)):
            with self._reading(index):
                values = array(embedding, (-1,))
            yield index, number, values

    def people(self) -> dict[int, int]:
        """How many faces each person has, the most frequent first; with those left out for being
        somebody else's.
        """
        return dict(self._select("SELECT person, COUNT(*) FROM faces WHERE person IS NOT NULL AND "
                               "COALESCE(dropped, 'person') = 'person' GROUP BY person ORDER BY "
                               "person"))

    def whose(self) -> dict[int | None, list[tuple[int, int]]]:
        """The faces (frame, number) of each person, the most frequent first; those of nobody, under
        None, come last.
        """
        faces: dict[int | None, list[tuple[int, int]]] = {}
        for person, *face in self._each("SELECT person, frame, number FROM faces WHERE dropped IS "
                                        "NULL ORDER BY person IS NULL, person, frame, number"):
            faces.setdefault(person, []).append(tuple(face))
        return faces

    # Face folders

    def written(self, folder: Path) -> set[tuple[int, int]]:
        """The faces (frame, number) that were written into `folder`."""
        return set(self._select("SELECT frame, number FROM written WHERE folder = ?",
                              (self.folder_key(folder),)))

    def unwritten(self, folder: Path) -> set[int]:
        """Frames with a face that was never written into `folder`."""
        return {index for index, in self._select("SELECT DISTINCT frame FROM faces WHERE dropped "
                                                 "IS NULL AND NOT EXISTS (SELECT 1 FROM written "
                                                 "WHERE folder = ? AND written.frame = "
                                                 "faces.frame AND written.number = faces.number)",
                                                 (self.folder_key(folder),))}

    def folders(self) -> list[Path]:
        """The face folders that faces were written into."""
        keys = self._select("SELECT DISTINCT folder FROM written ORDER BY 1")
        return [Path(os.path.normpath(self.path.parent / key)) for key, in keys]

    def folder_key(self, folder: Path) -> str:
        """`folder` relative to the store, so that the two may be moved together."""
        try:
            return printable(Path(os.path.relpath(folder, self.path.parent)).as_posix())
        except ValueError:  # another drive
            return printable(Path(os.path.abspath(folder)).as_posix())


def _kept(dropped: bool) -> str:
    """The condition of the faces that are meant."""
    return "length(landmarks) > 0" if dropped else "dropped IS NULL"
