"""The alignments store: what was found in each frame of one source, in one SQLite file that is
written as the work goes on.

`database/` holds what lies below: the format, the file, the rows, and the queries.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lib.alignments.database.connection import locked
from lib.alignments.database.queries import Queries
from lib.alignments.database.rows import StoredFace, face_row, mask_print, mask_row, to_bytes
from lib.alignments.database.state import to_json
from lib.errors import FaceswapError
from lib.files.writing import part_beside, publish

ENDING = ".alignments.db"
LONGEST_NAME = 255  # bytes of a file's name
# Letters of a source's name in one that is shortened; a letter takes up to 4 bytes
LONGEST_STEM = 50
SECONDS_BETWEEN_COMMITS = 1.0
ADD_MASK = "INSERT OR REPLACE INTO masks VALUES (?, ?, ?, ?, ?)"


def default_store(source: Path) -> Path:
    """Where the store of a video or of a folder of pictures lies: beside it, since the folder may
    be read-only.

    The name is shortened where file systems would not take it with what SQLite adds.
    """
    path = Path(os.path.abspath(source) + ENDING)
    if len(os.fsencode(path.name + "-journal")) > LONGEST_NAME:
        checksum = zlib.crc32(os.fsencode(path.name))
        path = path.with_name(f"{path.name[:LONGEST_STEM]}~{checksum:08x}{ENDING}")
    return path


@contextmanager
def new_store(path: Path) -> Iterator[AlignmentStore]:
    """A store that appears at `path`, whole, when the block ends without an error. FaceswapError if
    it exists already.
    """
    path = Path(os.path.abspath(path))
    lock = locked(path)
    part = part_beside(path)
    leftovers = part, part.with_name(part.name + "-journal")
    try:
        if path.exists():
            raise FaceswapError(f"{path} exists already, and is not overwritten. Move it away, or "
                                "name another file.")
        with AlignmentStore.open(part) as store:
            yield store
        publish(part, path)
    except BaseException:
        for file in leftovers:
            file.unlink(missing_ok=True)
        raise
    finally:
        lock.release()


class AlignmentStore(Queries):
    """Reads and writes the store. Open it with `AlignmentStore.open`; a context manager."""

    def __init__(self, *connection: Any):
        super().__init__(*connection)
        # What is not committed yet, by frame: name, time, faces, look, file
        self._frames: dict[int, tuple] = {}
        self._pending: list[tuple[str, tuple]] = []  # other statements
        self._committed = time.monotonic()

    def commit(self) -> None:
        self._committed = time.monotonic()
        if not self._frames and not self._pending:
            return
        with self._transaction() as database:
            for index, frame in self._frames.items():
                self._write_frame(index, *frame)
            for statement in self._pending:
                database.execute(*statement)
        self._frames.clear()
        self._pending.clear()

    def _flush(self, index: int | None = None) -> None:
        if not self.read_only and (index is None or index in self._frames):
            self.commit()

    def _commit_now_and_then(self) -> None:
        if time.monotonic() - self._committed >= SECONDS_BETWEEN_COMMITS:
            self.commit()

    def _write_frame(self, index: int, name: str, seconds: float | None, faces: list[StoredFace],
                     look: np.ndarray | None, file: tuple[str, str] | None) -> None:
        self._connection.execute("INSERT INTO frames VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON "
                                 "CONFLICT(frame) DO UPDATE SET name = ?2, time = ?3, look = "
                                 "COALESCE(?4, look), stamp = ?5, content = ?6",
                                 (index, name, seconds, None if look is None else look.tobytes(),
                                  *(file or (None, None))))
        for table in ("faces", "masks"):
            self._connection.execute(f"DELETE FROM {table} WHERE frame = ?", (index,))
        for number, stored in enumerate(faces):
            self._write_face(index, number, stored)

    def _write_face(self, index: int, number: int, stored: StoredFace) -> None:
        self._connection.execute("INSERT INTO faces VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, "
                                 "NULL, ?)", face_row(index, number, stored))
        self._connection.executemany(ADD_MASK,
                                     [mask_row(index, number, name, mask)
                                      for name, mask in stored.masks.items()])

    # Frames and faces

    def add(self, index: int, name: str, seconds: float | None, faces: list[StoredFace],
            look: np.ndarray | None = None, file: tuple[str, str] | None = None) -> None:
        """Notes that frame `index`, at `seconds` of a video, was searched and what it shows;
        committed about every second.

        `look` (18, 32, 3) uint8 RGB; None leaves what is known of an earlier one. `file` is the
        stamp and the fingerprint of a picture's file.
        """
        self._frames[index] = (name, seconds, faces, look, file)
        self._commit_now_and_then()

    def add_face(self, index: int, stored: StoredFace) -> int:
        """Adds a face to those of frame `index`, and returns its number."""
        self.commit()
        (number,), = self._rows("SELECT COALESCE(MAX(number) + 1, 0) FROM faces WHERE frame = ?",
                                (index,))
        with self._transaction() as database:
            self._write_face(index, number, stored)
            database.execute("DELETE FROM written WHERE frame = ? AND number = ?", (index, number))
        return number

    def add_look(self, index: int, seconds: float | None, look: np.ndarray) -> None:
        """Notes time and look (18, 32, 3) uint8 RGB of a frame that is known already; committed
        about every second.
        """
        self._pending.append(("UPDATE frames SET time = ?, look = ? WHERE frame = ?",
                              (seconds, look.tobytes(), index)))
        self._commit_now_and_then()

    def set_files(self, files: Mapping[int, tuple[str, str]]) -> None:
        """Sets stamp and fingerprint of the files of frames that are known already."""
        self.commit()
        with self._transaction() as database:
            database.executemany("UPDATE frames SET stamp = ?, content = ? WHERE frame = ?",
                                 ((*file, index) for index, file in files.items()))

    def forget(self, indices: Iterable[int]) -> None:
        """Forgets all that is known of these frames, as if they had not been searched."""
        self.commit()
        rows = [(index,) for index in indices]
        with self._transaction() as database:
            for table in ("frames", "faces", "masks", "written"):
                database.executemany(f"DELETE FROM {table} WHERE frame = ?", rows)

    def drop(self, reason: str, faces: Iterable[tuple[int, int]]) -> None:
        """Leaves out these (frame, number) for `reason`, a key of `left_out.REASONS`; all others
        left out for it come back.
        """
        self.commit()
        with self._transaction() as database:
            database.execute("UPDATE faces SET dropped = NULL WHERE dropped = ?", (reason,))
            database.executemany("UPDATE faces SET dropped = ? WHERE frame = ? AND number = ? AND "
                                 "dropped IS NULL", ((reason, *face) for face in faces))

    # What is added to faces later

    def begin_masks(self, made_with: Mapping[str, Any]) -> None:
        """Notes what masks are made with from now on, JSON values by masker; masks made with
        anything else are forgotten, but not imported ones.
        """
        self.commit()
        recorded = self.state.maskers
        changed = {name: options for name, options in made_with.items()
                   if recorded.get(name) != options}
        if not changed:
            return
        with self._transaction():
            for name in changed:
                self._forget_masks(name, set(self.state.painted.get(name, ())))
            self._write_settings(to_json(maskers=recorded | changed))

    def _forget_masks(self, name: str, kept: set[str]) -> None:
        """Forgets the masks called `name` but those with the fingerprints `kept`."""
        rows = self._each("SELECT frame, number, pixels FROM masks WHERE name = ?", (name,))
        self._connection.executemany(
            "DELETE FROM masks WHERE frame = ? AND number = ? AND name = ?",
            [(index, number, name) for index, number, pixels in rows
             if mask_print(pixels) not in kept])

    def add_painted(self, name: str, masks: Iterable[tuple[int, int, np.ndarray]]) -> int:
        """Adds masks called `name` that were made by hand, as (frame, number, mask), in place of
        any others; no masker replaces them. Returns how many.
        """
        prints: list[str] = []
        try:
            for index, number, mask in masks:
                row = mask_row(index, number, name, mask)
                self._pending.append((ADD_MASK, row))
                prints.append(mask_print(row[-1]))
                self._commit_now_and_then()
        finally:
            painted = self.state.painted
            self.update(painted=painted | {name: sorted({*painted.get(name, ()), *prints})})
        return len(prints)

    def add_masks(self, index: int, number: int, masks: Mapping[str, np.ndarray]) -> None:
        """Adds masks (S, S, 1) float32 in [0, 1] to a face, or replaces those of that name;
        committed about every second.
        """
        self._pending += [(ADD_MASK, mask_row(index, number, name, mask))
                          for name, mask in masks.items()]
        self._commit_now_and_then()

    def add_embedding(self, index: int, number: int, embedding: np.ndarray,
                      recognizer: str) -> None:
        """Notes the embedding (D,) of a face by the recognizer of that name, in place of any other;
        committed about every second.
        """
        self._pending.append(("UPDATE faces SET embedding = ?, recognizer = ? WHERE frame = ? AND "
                              "number = ?", (to_bytes(embedding), recognizer, index, number)))
        self._commit_now_and_then()

    def set_tracks(self, rows: Iterable[tuple[int, int, int, np.ndarray | None]]) -> None:
        """Sets track and smoothed landmarks (68, 2) of faces, as (frame, number, track, landmarks);
        all others get none.
        """
        self.commit()
        with self._transaction() as database:
            database.execute("UPDATE faces SET track = NULL, smooth = NULL")
            database.executemany("UPDATE faces SET track = ?, smooth = ? WHERE frame = ? AND "
                                 "number = ?",
                                 ((track, None if smooth is None else to_bytes(smooth), index,
                                   number) for index, number, track, smooth in rows))

    def set_people(self, rows: Iterable[tuple[int, int, int]]) -> None:
        """Sets whose face it is, as (frame, number, person); all others are nobody's."""
        self.commit()
        with self._transaction() as database:
            database.execute("UPDATE faces SET person = NULL")
            database.executemany("UPDATE faces SET person = ? WHERE frame = ? AND number = ?",
                                 ((person, index, number) for index, number, person in rows))

    # Face folders

    def add_written(self, folder: Path, index: int, numbers: Iterable[int]) -> None:
        """Notes that these faces of frame `index` were written into `folder`; committed about every
        second.
        """
        key = self.folder_key(folder)
        self._pending += [("INSERT OR REPLACE INTO written VALUES (?, ?, ?)", (key, index, number))
                          for number in numbers]
        self._commit_now_and_then()

    def forget_written(self, folder: Path) -> None:
        """The faces in `folder` are gone altogether, and are to be written again."""
        self.commit()
        with self._transaction() as database:
            database.execute("DELETE FROM written WHERE folder = ?", (self.folder_key(folder),))

    # The whole

    def update(self, **changes: Any) -> None:
        """Sets fields of `state`, and commits."""
        self.update_settings(to_json(**changes))

    def update_settings(self, settings: Mapping[str, Any]) -> None:
        """Sets JSON values that were read as `settings`, of another store, and commits."""
        self.commit()
        with self._transaction():
            self._write_settings(settings)

    def _write_settings(self, settings: Mapping[str, Any]) -> None:
        self._connection.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)",
                                     [(key, json.dumps(value)) for key, value in settings.items()])

    def take(self, part: AlignmentStore) -> list[int]:
        """Adds the frames of `part` that are not here, with all that is known of them but tracks
        and people.

        Returns the frames that both have and in which not the same faces were found; those here
        stay.
        """
        self.commit()
        known = "(SELECT frame FROM main.frames)"
        shared = ("SELECT frame, number, box, landmarks FROM {}.faces "
                  "WHERE filled = 0 AND frame IN (SELECT frame FROM {}.frames)")
        ours, theirs = shared.format("main", "part"), shared.format("part", "main")
        self._rows("ATTACH ? AS part", (f"{part.path.as_uri()}?mode=ro",))
        try:
            differing = self._rows(f"SELECT frame FROM (SELECT * FROM ({ours} EXCEPT {theirs}) "
                                   f"UNION ALL SELECT * FROM ({theirs} EXCEPT {ours})) GROUP BY "
                                   "frame ORDER BY frame")
            with self._transaction() as database:
                database.execute("INSERT INTO faces SELECT frame, number, box, score, landmarks, "
                                 "NULL, NULL, filled, NULL, embedding, dropped, recognizer, shape "
                                 f"FROM part.faces WHERE frame NOT IN {known}")
                database.execute("INSERT INTO masks SELECT * FROM part.masks WHERE frame NOT IN "
                                 f"{known}")
                for folder in part.folders():
                    database.execute("INSERT OR IGNORE INTO written SELECT ?, frame, number FROM "
                                     "part.written WHERE folder = ?",
                                     (self.folder_key(folder), part.folder_key(folder)))
                database.execute("INSERT INTO frames SELECT * FROM part.frames WHERE frame NOT IN "
                                 f"{known}")
        finally:
            self._rows("DETACH part")
        return [index for index, in differing]

    def renumber(self, names: list[str]) -> None:
        """Fits the store to a folder whose pictures are now `names`, in order: some were added,
        taken away or reordered.
        """
        self.commit()
        places = {name: index for index, name in enumerate(names)}
        moves = [(places.get(name), index)
                 for index, name in self._rows("SELECT frame, name FROM frames")]
        gone = [(index,) for place, index in moves if place is None]
        # by way of negative numbers, so that no row meets one that has not moved yet
        moved = [(-place - 1, index) for place, index in moves if place is not None]
        with self._transaction() as database:
            for table in ("frames", "faces", "masks", "written"):
                database.executemany(f"DELETE FROM {table} WHERE frame = ?", gone)
                database.executemany(f"UPDATE {table} SET frame = ? WHERE frame = ?", moved)
                database.execute(f"UPDATE {table} SET frame = -frame - 1 WHERE frame < 0")
