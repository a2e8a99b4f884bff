"""The alignments store: what was found in each frame of one source, in one SQLite file that is written as the work goes on.

Format 4 (`PRAGMA application_id` 0x46535750, `PRAGMA user_version` 4; numbers little-endian; coordinates in frame pixels):
- `settings(key, value)`: JSON values: `source`, how the faces were found, and in `maskers` with which options each masker made its masks.
- `frames(frame, name, time, look, stamp, content)`: one row for each frame looked at, with or without faces; the `name` of a picture,
  the `time` in seconds of a video's frame; `look` 32 x 18 x 3 bytes RGB, by which cuts are found, or NULL; `stamp` and `content` the
  size and times of a picture's file and the fingerprint of its bytes when it was searched (see `media/fingerprint`), or NULL.
- `faces(frame, number, box, score, landmarks, smooth, track, filled, person, embedding, dropped, recognizer)`: `box` 4 float32,
  `landmarks` 68 x 2 float32, or nothing where none were fitted; `number` from 0, best score first; `smooth` the landmarks without
  jitter, `track` the number of the face's track, `person` whose face it is, from 1, the most frequent first, `embedding` D float32
  by the `recognizer` of that name: NULL where there are none; `filled` 1 where the detector missed the face and its neighbours in time
  told where it is; `dropped` why the face is left out (a key of `left_out.REASONS`), NULL where it is not.
- `masks(frame, number, name, size, pixels)`: `size` squared bytes, zlib-compressed, 255 = face, over the crop of
  coverage "whole" by `landmarks`, not by `smooth`.
- `written(folder, frame, number)`: faces that lie in a face folder, so that what a user deletes there stays deleted.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import sqlite3
import time as clock
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lib.alignments.database import schema
from lib.errors import FaceswapError
from lib.faces.quality import check_landmarks
from lib.files.names import printable
from lib.files.reading import check_regular
from lib.files.writing import make_folder, part_beside, publish
from lib.system.lock import Lock, Locked, locks_bytes
from lib.types import Detection, Face

APPLICATION = 0x46535750
FORMAT = 4
ENDING, LONGEST = ".alignments.db", 200  # of the name of a store; bytes of a source's name in one that is shortened
SECONDS_BETWEEN_COMMITS = 1.0
SCHEMA = """
CREATE TABLE settings(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE frames(frame INTEGER PRIMARY KEY, name TEXT NOT NULL, time REAL, look BLOB, stamp TEXT, content TEXT);
CREATE TABLE faces(frame INTEGER NOT NULL, number INTEGER NOT NULL, box BLOB NOT NULL, score REAL NOT NULL, landmarks BLOB NOT NULL,
    smooth BLOB, track INTEGER, filled INTEGER NOT NULL DEFAULT 0, person INTEGER, embedding BLOB, dropped TEXT,
    recognizer TEXT, PRIMARY KEY(frame, number)) WITHOUT ROWID;
CREATE TABLE masks(frame INTEGER NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL, pixels BLOB NOT NULL,
    PRIMARY KEY(frame, number, name));
CREATE TABLE written(folder TEXT NOT NULL, frame INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY(folder, frame, number))
    WITHOUT ROWID;
"""
FROM_FORMAT_1 = """
ALTER TABLE frames ADD COLUMN look BLOB;
ALTER TABLE faces ADD COLUMN smooth BLOB;
ALTER TABLE faces ADD COLUMN track INTEGER;
ALTER TABLE faces ADD COLUMN filled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE faces ADD COLUMN person INTEGER;
ALTER TABLE faces ADD COLUMN embedding BLOB;
ALTER TABLE faces ADD COLUMN dropped TEXT;
INSERT OR IGNORE INTO settings SELECT 'maskers', '{"hull": {"dilation": 0.0, "feather": 0.0}}' WHERE EXISTS (SELECT 1 FROM masks);
UPDATE settings SET key = 'min_face' WHERE key = 'min_size'
"""
FROM_FORMAT_2 = """
ALTER TABLE written RENAME TO written_frames;
CREATE TABLE written(folder TEXT NOT NULL, frame INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY(folder, frame, number))
    WITHOUT ROWID;
INSERT INTO written SELECT folder, frame, faces.number FROM written_frames JOIN faces USING (frame)
    WHERE COALESCE(dropped, 'removed') = 'removed';
DROP TABLE written_frames
"""
FROM_FORMAT_3 = """
ALTER TABLE frames ADD COLUMN stamp TEXT;
ALTER TABLE frames ADD COLUMN content TEXT;
ALTER TABLE faces ADD COLUMN recognizer TEXT;
UPDATE faces SET embedding = NULL WHERE embedding IS NOT NULL AND (length(embedding) <> 512 OR
    COALESCE((SELECT value FROM settings WHERE key = 'recognizer'), '"dlib_resnet"') <> '"dlib_resnet"');
UPDATE faces SET recognizer = 'dlib_resnet' WHERE embedding IS NOT NULL
"""
RENEWALS = {1: FROM_FORMAT_1, 2: FROM_FORMAT_2, 3: FROM_FORMAT_3}  # by the format that they make the next one of
COLUMNS = "number, box, score, landmarks, smooth, track, filled, person, dropped"
SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")  # ends a journal that names another one, which SQLite deletes afterwards
ADD_MASK = "INSERT OR REPLACE INTO masks VALUES (?, ?, ?, ?, ?)"
LARGEST_MASK = 4096
LONGEST_REASON = 200  # letters of what an error says of a damaged file
NO_FACES = "('size', 'landmarks')"


@dataclass(frozen=True)
class StoredFace:
    """A face as the store keeps it."""

    face: Face
    masks: dict[str, np.ndarray] = field(default_factory=dict)  # by masker: (S, S, 1) float32 in [0, 1] over the "whole" crop of `fitted`
    raw: np.ndarray | None = None  # (68, 2) landmarks as the aligner fitted them, where those of `face` are smoothed
    track: int | None = None
    filled: bool = False  # the detector missed it
    person: int | None = None  # whose face it is, from 1
    dropped: str | None = None  # why it is left out: a key of left_out.REASONS
    number: int = 0  # within its frame, once it is stored

    @property
    def fitted(self) -> Face:
        """The face with the landmarks as the aligner fitted them."""
        return self.face if self.raw is None else Face(self.face.detection, self.raw)


def default_store(source: Path) -> Path:
    """Where the store of a video or of a folder of pictures lies: beside it, since the folder itself may be read-only.

    The name is shortened where file systems, which take 255 bytes, would not take it with what SQLite adds.
    """
    path = Path(os.path.abspath(source) + ENDING)
    if len(os.fsencode(path.name + "-journal")) > 255:  # a letter takes up to 4 bytes
        path = path.with_name(f"{path.name[:LONGEST // 4]}~{zlib.crc32(os.fsencode(path.name)):08x}{ENDING}")
    return path


@contextmanager
def new_store(path: Path) -> Iterator[AlignmentStore]:
    """A store that appears at `path`, whole, when the block ends without an error. FaceswapError if something is there already."""
    path = Path(os.path.abspath(path))
    lock = _lock(path)
    part = part_beside(path)
    leftovers = part, part.with_name(part.name + "-journal")
    try:
        if path.exists():
            raise FaceswapError(f"{path} exists already, and is not overwritten. Move it away, or name another file.")
        with AlignmentStore.open(part) as store:
            yield store
        publish(part, path)
    except BaseException:
        for file in leftovers:
            file.unlink(missing_ok=True)
        raise
    finally:
        lock.release()


class AlignmentStore:
    """Open with `AlignmentStore.open`; a context manager, which commits and closes however the block is left.

    One process writes at a time; others may read meanwhile. Every method raises FaceswapError if the file is damaged.
    """

    def __init__(self, path: Path, database: sqlite3.Connection, lock: Lock | None):
        self.path = path
        self._database = database
        self._watch = schema.Watch(database)
        self._lock = lock
        self._frames: dict[int, tuple] = {}  # what is not committed yet, by frame: name, time, faces, look, file
        self._pending: list[tuple[str, tuple]] = []  # other statements
        self._committed = clock.monotonic()

    @classmethod
    def open(cls, path: Path, read_only: bool = False) -> AlignmentStore:
        """The store at `path`, made if there is none and it is not `read_only`."""
        path = Path(os.path.abspath(path))
        if path.is_dir():
            raise FaceswapError(f"{path} is a folder, not an alignments file. Name a file with -p.")
        if read_only and not path.is_file():
            raise FaceswapError(f"There is no alignments file {path}. Run extract first, or name the file with -p.")
        check_regular(path)
        _check_companions(path)
        lock = None if read_only else _lock(path)
        store = None
        try:
            lockless = not locks_bytes(path.parent)
            if lockless and not read_only:
                raise FaceswapError(f"The disk of {path} knows no file locks, as some network shares do not, and an alignments file needs "
                                    "them while it is written. Name a file on another disk with -p.")
            uri = f"{path.as_uri()}?mode={'ro' if read_only else 'rwc'}{'&nolock=1' if lockless else ''}"
            # a reader may be asked from any thread; isolation_level None: transactions are begun here alone
            store = cls(path, schema.connect(uri, check_same_thread=not read_only), lock)
            store._check_format(read_only)
        except BaseException as error:
            if store is not None:
                store._database.close()
            if lock is not None:
                lock.release()
            if isinstance(error, (sqlite3.Error, UnicodeDecodeError)):
                raise _trouble(path, error) from error
            raise
        return store

    def __enter__(self) -> AlignmentStore:
        return self

    def __exit__(self, kind, error, traceback) -> None:
        self.close()

    def close(self) -> None:
        """Commits and closes; a second call does nothing."""
        try:
            if self._database is not None:
                self.commit()
        finally:
            if self._database is not None:
                self._database.close()
            self._database = None
            if self._lock is not None:
                self._lock.release()
            self._lock = None

    @property
    def read_only(self) -> bool:
        return self._lock is None

    # What is in it

    def done(self) -> set[int]:
        """Indices of the frames that were looked at, with or without faces."""
        return {row[0] for row in self._rows("SELECT frame FROM frames")} | set(self._frames)

    def names(self) -> dict[int, str]:
        """Picture name by frame index ("" in a video)."""
        return dict(self._rows("SELECT frame, name FROM frames"))

    def faces(self, index: int, dropped: bool = False) -> list[StoredFace]:
        """The faces of frame `index`, best score first; with `dropped` also those that are left out, if they have landmarks."""
        if index in self._frames:
            self.commit()
        faces = self._rows(f"SELECT {COLUMNS} FROM faces WHERE frame = ? AND {_kept(dropped)} ORDER BY number", (index,))
        masks: dict[int, dict[str, np.ndarray]] = {}
        if faces:
            for number, name, size, pixels in self._rows("SELECT number, name, size, pixels FROM masks WHERE frame = ?", (index,)):
                masks.setdefault(number, {})[name] = self._mask(index, size, pixels)
        return [self._stored(index, row, masks.get(row[0], {})) for row in faces]

    def all_faces(self, dropped: bool = False) -> Iterator[tuple[int, StoredFace]]:
        """Frame index and face of all faces, in order, without their masks; with `dropped` as `faces` has them."""
        self._flush_for_reading()
        for index, *row in self._each(f"SELECT frame, {COLUMNS} FROM faces WHERE {_kept(dropped)} ORDER BY frame, number"):
            yield index, self._stored(index, row, {})

    def boxes(self) -> Iterator[tuple[int, list[int], np.ndarray]]:
        """Frames with faces that can be followed through time, in order: the numbers of these faces and their boxes (K, 4)."""
        self._flush_for_reading()
        rows = self._each(f"SELECT frame, number, box FROM faces WHERE COALESCE(dropped, '') NOT IN {NO_FACES} ORDER BY frame, number")
        for index, group in itertools.groupby(rows, lambda row: row[0]):
            numbers, boxes = zip(*((number, self._array(index, box, (4,))) for _, number, box in group))
            yield index, list(numbers), np.stack(boxes)

    def crowds(self) -> Iterator[list[tuple[int, Detection]]]:
        """Of each frame with several faces that belong to a track, in order: their tracks and detections."""
        self._flush_for_reading()
        rows = self._each("SELECT frame, track, box, score FROM faces WHERE track IS NOT NULL AND frame IN (SELECT frame FROM faces "
                          "WHERE track IS NOT NULL GROUP BY frame HAVING COUNT(*) > 1) ORDER BY frame, number")
        for index, group in itertools.groupby(rows, lambda row: row[0]):
            yield [(track, Detection(self._array(index, box, (4,)), float(score))) for _, track, box, score in group]

    def raw_faces(self, indices: Iterable[tuple[int, int]]) -> Iterator[Face]:
        """The faces of these (frame, number) with their landmarks as the aligner fitted them. Masks are not read."""
        self._flush_for_reading()
        for index, number in indices:
            rows = self._rows("SELECT box, score, landmarks FROM faces WHERE frame = ? AND number = ?", (index, number))
            face = self._face(index, *rows[0])
            self._check_landmarks(index, face.landmarks)
            yield face

    def looks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Frames that have one, in order, and their look (18, 32, 3) uint8 RGB."""
        self._flush_for_reading()
        for index, look in self._each("SELECT frame, look FROM frames WHERE length(look) = 1728 ORDER BY frame"):
            yield index, self._look(look)

    def files(self) -> Iterator[tuple[int, str | None, str | None, np.ndarray | None]]:
        """Frames in order, with stamp and fingerprint of the files that were searched, and their look: None where it is not known."""
        self._flush_for_reading()
        for index, stamp, content, look in self._each("SELECT frame, stamp, content, look FROM frames ORDER BY frame"):
            yield index, stamp, content, self._look(look)

    def counts(self, every: int = 1) -> tuple[int, int, int]:
        """(faces, frames with a face, frames looked at) among every `every`-th frame."""
        self._flush_for_reading()
        faces, with_face = self._rows("SELECT COUNT(*), COUNT(DISTINCT frame) FROM faces WHERE frame % ? = 0 AND dropped IS NULL",
                                      (every,))[0]
        return faces, with_face, self._rows("SELECT COUNT(*) FROM frames WHERE frame % ? = 0", (every,))[0][0]

    def track_counts(self) -> tuple[int, int]:
        """(tracks, faces that the detector missed)."""
        self._flush_for_reading()
        return self._rows("SELECT COUNT(DISTINCT track), COALESCE(SUM(filled), 0) FROM faces WHERE dropped IS NULL")[0]

    def tracks(self) -> list[dict[int, int]]:
        """For each track the number of its face in each of its frames."""
        self._flush_for_reading()
        found: dict[int, dict[int, int]] = {}
        for track, frame, number in self._each("SELECT track, frame, number FROM faces WHERE track IS NOT NULL ORDER BY track, frame"):
            found.setdefault(track, {})[frame] = number
        return list(found.values())

    def dropped_counts(self) -> dict[str, int]:
        """How many faces are left out, by the reason."""
        self._flush_for_reading()
        return dict(self._rows("SELECT dropped, COUNT(*) FROM faces WHERE dropped IS NOT NULL GROUP BY dropped ORDER BY 2 DESC"))

    def frame_counts(self) -> Iterator[tuple[int, str, float | None, int]]:
        """Index, name, time and number of faces of each frame that was looked at, in order."""
        self._flush_for_reading()
        yield from self._each("SELECT frame, name, time, (SELECT COUNT(*) FROM faces WHERE faces.frame = frames.frame AND dropped IS NULL) "
                              "FROM frames ORDER BY frame")

    def mask_counts(self) -> dict[str, int]:
        """How many masks there are of each masker."""
        self._flush_for_reading()
        return dict(self._rows("SELECT name, COUNT(*) FROM masks GROUP BY name ORDER BY name"))

    def embeddings(self, recognizer: str) -> Iterator[tuple[int, int, np.ndarray]]:
        """Frame, number and embedding (D,) float32 of the faces that have one by the recognizer of that name."""
        self._flush_for_reading()
        for index, number, embedding in self._each("SELECT frame, number, embedding FROM faces WHERE embedding IS NOT NULL "
                                                   "AND recognizer = ? ORDER BY frame, number", (recognizer,)):
            yield index, number, self._array(index, embedding, (-1,))

    def people(self) -> dict[int, int]:
        """How many faces there are of each person, the most frequent first; those left out for being somebody else's count too."""
        self._flush_for_reading()
        return dict(self._rows("SELECT person, COUNT(*) FROM faces WHERE person IS NOT NULL AND COALESCE(dropped, 'person') = 'person' "
                               "GROUP BY person ORDER BY person"))

    def whose(self) -> dict[int | None, list[tuple[int, int]]]:
        """The faces (frame, number) of each person, the most frequent first; nobody's, under None, come last."""
        self._flush_for_reading()
        found: dict[int | None, list[tuple[int, int]]] = {}
        for person, *face in self._each("SELECT person, frame, number FROM faces WHERE dropped IS NULL "
                                        "ORDER BY person IS NULL, person, frame, number"):
            found.setdefault(person, []).append(tuple(face))
        return found

    def digest(self) -> str:
        """SHA-256 of the faces that are not left out: their landmarks, tracks, people and masks."""
        self._flush_for_reading()
        digest = hashlib.sha256()
        for row in self._each("SELECT frame, number, landmarks, smooth, track, person FROM faces WHERE dropped IS NULL "
                              "ORDER BY frame, number"):
            digest.update(repr(row).encode())
        for row in self._each("SELECT frame, number, name, pixels FROM masks ORDER BY frame, number, name"):
            digest.update(repr(row).encode())
        return digest.hexdigest()

    @property
    def settings(self) -> dict[str, Any]:
        """How the faces were found, and in what: a copy; `update` changes it."""
        try:
            return schema.read_settings(self._rows("SELECT key, value FROM settings"))
        except ValueError as error:
            raise self._damaged(error) from error

    def update(self, values: Mapping[str, Any]) -> None:
        """Sets settings to JSON values and commits."""
        self.commit()
        with self._transaction() as database:
            database.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", [(key, json.dumps(values[key])) for key in values])

    # Writing

    def add(self, index: int, name: str, time: float | None, faces: list[StoredFace], look: np.ndarray | None = None,
            file: tuple[str, str] | None = None) -> None:
        """Notes that frame `index` was looked at and what was found; committed about every second.

        `look` (18, 32, 3) uint8 RGB; None leaves what is known of an earlier one. `file` is the stamp and the fingerprint of a picture's
        file.
        """
        self._frames[index] = (name, time, faces, look, file)
        self._commit_now_and_then()

    def add_face(self, index: int, stored: StoredFace) -> int:
        """Adds a face to those of frame `index`, and returns its number."""
        self.commit()
        (number,), = self._rows("SELECT COALESCE(MAX(number) + 1, 0) FROM faces WHERE frame = ?", (index,))
        with self._transaction() as database:
            self._insert(index, number, stored)
            database.execute("DELETE FROM written WHERE frame = ? AND number = ?", (index, number))
        return number

    def add_masks(self, index: int, number: int, masks: Mapping[str, np.ndarray]) -> None:
        """Adds masks (S, S, 1) float32 in [0, 1] to a face, or replaces those of the same name; committed about every second."""
        self._pending += [(ADD_MASK, _mask_row(index, number, name, mask)) for name, mask in masks.items()]
        self._commit_now_and_then()

    def begin_masks(self, made_with: Mapping[str, Any]) -> None:
        """Notes what masks are made with from now on, JSON values by masker; masks that were made with anything else are forgotten."""
        self.commit()
        recorded = self.settings.get("maskers", {})
        changed = {name: options for name, options in made_with.items() if recorded.get(name) != options}
        if not changed:
            return
        with self._transaction() as database:
            database.executemany("DELETE FROM masks WHERE name = ?", [(name,) for name in changed])
            database.execute("INSERT OR REPLACE INTO settings VALUES ('maskers', ?)", (json.dumps(recorded | changed),))

    def add_embedding(self, index: int, number: int, embedding: np.ndarray, recognizer: str) -> None:
        """Notes the embedding (D,) of a face by the recognizer of that name, in place of any other; committed about every second."""
        self._pending.append(("UPDATE faces SET embedding = ?, recognizer = ? WHERE frame = ? AND number = ?",
                              (_floats(embedding), recognizer, index, number)))
        self._commit_now_and_then()

    def add_look(self, index: int, time: float | None, look: np.ndarray) -> None:
        """Notes time in seconds and look (18, 32, 3) uint8 RGB of a frame that is known already; committed about every second."""
        self._pending.append(("UPDATE frames SET time = ?, look = ? WHERE frame = ?", (time, look.tobytes(), index)))
        self._commit_now_and_then()

    def set_files(self, rows: Mapping[int, tuple[str, str]]) -> None:
        """Sets stamp and fingerprint of the files of frames that are known already."""
        self.commit()
        with self._transaction() as database:
            database.executemany("UPDATE frames SET stamp = ?, content = ? WHERE frame = ?",
                                 ((*file, index) for index, file in rows.items()))

    def forget(self, indices: Iterable[int]) -> None:
        """Forgets all that is known of these frames, as if they had not been looked at."""
        self.commit()
        rows = [(index,) for index in indices]
        with self._transaction() as database:
            for table in ("frames", "faces", "masks", "written"):
                database.executemany(f"DELETE FROM {table} WHERE frame = ?", rows)

    def set_tracks(self, rows: Iterable[tuple[int, int, int, np.ndarray | None]]) -> None:
        """Sets track and smoothed landmarks (68, 2) of faces, given as (frame, number, track, landmarks); all others have none."""
        self.commit()
        with self._transaction() as database:
            database.execute("UPDATE faces SET track = NULL, smooth = NULL")
            database.executemany("UPDATE faces SET track = ?, smooth = ? WHERE frame = ? AND number = ?",
                                 ((track, None if smooth is None else _floats(smooth), frame, number)
                                  for frame, number, track, smooth in rows))

    def set_people(self, rows: Iterable[tuple[int, int, int]]) -> None:
        """Sets whose face it is, given as (frame, number, person); all others are nobody's."""
        self.commit()
        with self._transaction() as database:
            database.execute("UPDATE faces SET person = NULL")
            database.executemany("UPDATE faces SET person = ? WHERE frame = ? AND number = ?",
                                 ((person, frame, number) for frame, number, person in rows))

    def drop(self, reason: str, faces: Iterable[tuple[int, int]]) -> None:
        """Leaves out these (frame, number) for `reason`, a key of left_out.REASONS; all others left out for it come back."""
        self.commit()
        with self._transaction() as database:
            database.execute("UPDATE faces SET dropped = NULL WHERE dropped = ?", (reason,))
            database.executemany("UPDATE faces SET dropped = ? WHERE frame = ? AND number = ? AND dropped IS NULL",
                                 ((reason, *face) for face in faces))

    def add_written(self, folder: Path, index: int, numbers: Iterable[int]) -> None:
        """Notes that these faces of frame `index` lie in the face folder `folder`."""
        key = self.folder_key(folder)
        self._pending += [("INSERT OR REPLACE INTO written VALUES (?, ?, ?)", (key, index, number)) for number in numbers]
        self._commit_now_and_then()

    def written(self, folder: Path) -> set[tuple[int, int]]:
        """The faces (frame, number) that were written into `folder` before."""
        self._flush_for_reading()
        return set(self._rows("SELECT frame, number FROM written WHERE folder = ?", (self.folder_key(folder),)))

    def unwritten(self, folder: Path) -> set[int]:
        """Frames with a face that was never written into `folder`."""
        self._flush_for_reading()
        return {row[0] for row in self._rows(
            "SELECT DISTINCT frame FROM faces WHERE dropped IS NULL AND NOT EXISTS (SELECT 1 FROM written WHERE folder = ? "
            "AND written.frame = faces.frame AND written.number = faces.number)", (self.folder_key(folder),))}

    def folders(self) -> list[Path]:
        """The face folders that faces were written into."""
        self._flush_for_reading()
        return [Path(os.path.normpath(self.path.parent / key)) for key, in self._rows("SELECT DISTINCT folder FROM written ORDER BY 1")]

    def without_mask(self, masker: str) -> set[int]:
        """Frames with a face of which there is no mask by `masker`."""
        self._flush_for_reading()
        return {row[0] for row in self._rows(
            "SELECT DISTINCT frame FROM faces WHERE dropped IS NULL AND NOT EXISTS (SELECT 1 FROM masks WHERE masks.frame = faces.frame "
            "AND masks.number = faces.number AND masks.name = ?)", (masker,))}

    def forget_written(self, folder: Path) -> None:
        """The faces in `folder` are gone altogether, and shall be written anew."""
        self.commit()
        with self._transaction() as database:
            database.execute("DELETE FROM written WHERE folder = ?", (self.folder_key(folder),))

    def take(self, part: AlignmentStore) -> list[int]:
        """Adds the frames of `part` that are not here, with all that is known of them but tracks and people.

        Returns the frames that both have and in which not the same faces were found; those here stay.
        """
        self.commit()
        here = "(SELECT frame FROM main.frames)"
        found = "SELECT frame, number, box, landmarks FROM {}.faces WHERE filled = 0 AND frame IN (SELECT frame FROM {}.frames)"
        ours, theirs = found.format("main", "part"), found.format("part", "main")
        self._rows("ATTACH ? AS part", (f"{part.path.as_uri()}?mode=ro",))
        try:
            differing = [row[0] for row in self._rows(f"SELECT frame FROM (SELECT * FROM ({ours} EXCEPT {theirs}) UNION ALL "
                                                      f"SELECT * FROM ({theirs} EXCEPT {ours})) GROUP BY frame ORDER BY frame")]
            with self._transaction() as database:
                database.execute("INSERT INTO faces SELECT frame, number, box, score, landmarks, NULL, NULL, filled, NULL, embedding, "
                                 f"dropped, recognizer FROM part.faces WHERE frame NOT IN {here}")
                database.execute(f"INSERT INTO masks SELECT * FROM part.masks WHERE frame NOT IN {here}")
                for folder in part.folders():
                    database.execute("INSERT OR IGNORE INTO written SELECT ?, frame, number FROM part.written WHERE folder = ?",
                                     (self.folder_key(folder), part.folder_key(folder)))
                database.execute(f"INSERT INTO frames SELECT * FROM part.frames WHERE frame NOT IN {here}")
        finally:
            self._rows("DETACH part")
        return differing

    def renumber(self, names: list[str]) -> None:
        """Fits the store to a folder whose pictures are now `names`, in order: pictures were added, taken away or reordered."""
        self.commit()
        place = {name: index for index, name in enumerate(names)}
        moves = [(place.get(name), index) for index, name in self._rows("SELECT frame, name FROM frames")]
        moves = [(new if new is not None else -len(names) - 1, old) for new, old in moves]
        with self._transaction() as database:
            for table in ("frames", "faces", "masks", "written"):
                # by way of negative numbers, so that no row meets one that has not moved yet; gone pictures go first
                database.executemany(f"DELETE FROM {table} WHERE frame = ?", [(old,) for new, old in moves if new < 0])
                database.executemany(f"UPDATE {table} SET frame = ? WHERE frame = ?", [(-new - 1, old) for new, old in moves if new >= 0])
                database.execute(f"UPDATE {table} SET frame = -frame - 1 WHERE frame < 0")

    def commit(self) -> None:
        """Writes what was added since the last commit in one transaction."""
        self._committed = clock.monotonic()
        if not self._frames and not self._pending:
            return
        with self._transaction() as database:
            for index, (name, time, faces, look, file) in self._frames.items():
                database.execute("INSERT INTO frames VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(frame) DO UPDATE SET "
                                 "name = ?2, time = ?3, look = COALESCE(?4, look), stamp = ?5, content = ?6",
                                 (index, name, time, None if look is None else look.tobytes(), *(file or (None, None))))
                for table in ("faces", "masks"):
                    database.execute(f"DELETE FROM {table} WHERE frame = ?", (index,))
                for number, stored in enumerate(faces):
                    self._insert(index, number, stored)
            for statement in self._pending:
                database.execute(*statement)
        self._frames.clear()
        self._pending.clear()

    def _insert(self, index: int, number: int, stored: StoredFace) -> None:
        detection, raw = stored.face.detection, stored.fitted.landmarks
        self._database.execute("INSERT INTO faces VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, NULL)", (
            index, number, _floats(detection.box), float(detection.score), _floats(raw),
            None if stored.raw is None else _floats(stored.face.landmarks), stored.track, int(stored.filled), stored.person,
            stored.dropped))
        self._database.executemany(ADD_MASK, [_mask_row(index, number, name, mask) for name, mask in stored.masks.items()])

    def _commit_now_and_then(self) -> None:
        if clock.monotonic() - self._committed >= SECONDS_BETWEEN_COMMITS:
            self.commit()

    def _flush_for_reading(self) -> None:
        if self._lock is not None:
            self.commit()

    # The file

    def _check_format(self, read_only: bool) -> None:
        (application,), = self._rows("PRAGMA application_id")
        (version,), = self._rows("PRAGMA user_version")
        if not read_only and application == version == 0 and not self._rows("SELECT 1 FROM sqlite_master LIMIT 1"):
            with self._transaction() as database:
                for statement in SCHEMA.split(";"):
                    database.execute(statement)
                database.execute(f"PRAGMA application_id = {APPLICATION}")
                database.execute(f"PRAGMA user_version = {FORMAT}")
            return
        if application != APPLICATION:
            raise FaceswapError(f"{self.path} is not an alignments file of this program. Name another file with -p.")
        if version not in RENEWALS and version != FORMAT:
            raise FaceswapError(f"The alignments file {self.path} has format {version}, this program reads format {FORMAT}. "
                                "Use the version of the program that made it, or name another file with -p.")
        self._watch.deadline = clock.monotonic() + schema.SECONDS + self.path.stat().st_size / schema.SPEED
        try:
            schema.check_schema(self._database, version)
            (verdict,), *_ = self._rows("PRAGMA quick_check(1)")
            if verdict != "ok":
                raise self._damaged(verdict)
            schema.check_values(self._database)
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter of its own words, too
            raise self._trouble(error) from error
        except schema.Unfit as error:
            raise self._damaged(error) from error
        self._watch.deadline = None
        if version in RENEWALS:
            self._renew(version)

    def _renew(self, version: int) -> None:
        """Makes this format of an earlier one."""
        writer = self._database if self._lock else schema.connect(self.path.as_uri())
        try:
            writer.execute("BEGIN IMMEDIATE")
            for older in range(version, FORMAT):
                for statement in RENEWALS[older].split(";"):
                    writer.execute(statement)
            writer.execute(f"PRAGMA user_version = {FORMAT}")
            writer.execute("COMMIT")
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter of its own words, too
            raise self._trouble(error) from error
        finally:
            if writer is not self._database:
                writer.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield self._database
            self._database.execute("COMMIT")
        except BaseException as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            if isinstance(error, (sqlite3.Error, UnicodeDecodeError)):
                raise self._trouble(error) from error
            raise

    def _rows(self, query: str, values: tuple = ()) -> list[tuple]:
        try:
            return self._database.execute(query, values).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter of its own words, too
            raise self._trouble(error) from error

    def _stored(self, index: int, row: Sequence, masks: dict[str, np.ndarray]) -> StoredFace:
        number, box, score, landmarks, smooth, track, filled, person, dropped = row
        face = self._face(index, box, score, landmarks if smooth is None else smooth)
        raw = None if smooth is None else self._face(index, box, score, landmarks).landmarks
        if dropped is None:
            for points in (face.landmarks,) if raw is None else (face.landmarks, raw):
                self._check_landmarks(index, points)
        return StoredFace(face, masks, raw, track, bool(filled), person, dropped, number)

    def _each(self, query: str, values: tuple = ()) -> Iterator[tuple]:
        """The rows of a query, a few at a time."""
        try:
            cursor = self._database.execute(query, values)
            while rows := cursor.fetchmany(500):
                yield from rows
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter of its own words, too
            raise self._trouble(error) from error

    def _look(self, data: bytes | None) -> np.ndarray | None:
        return np.frombuffer(data, np.uint8).reshape(18, 32, 3) if data is not None and len(data) == 1728 else None

    def _array(self, index: int, data: bytes, shape: tuple[int, ...]) -> np.ndarray:
        try:
            return np.frombuffer(data, "<f4").reshape(shape)
        except (TypeError, ValueError) as error:
            raise self._damaged(f"frame {index}: {error}") from error

    def _face(self, index: int, box: bytes, score: float, landmarks: bytes) -> Face:
        face = Face(Detection(self._array(index, box, (4,)), float(score)), self._array(index, landmarks, (68, 2)))
        if not (np.isfinite(face.landmarks).all() and np.isfinite(face.detection.box).all()):
            raise self._damaged(f"frame {index}: a coordinate is not a number")
        return face

    def _check_landmarks(self, index: int, landmarks: np.ndarray) -> None:
        try:
            check_landmarks(landmarks)
        except ValueError as error:
            raise self._damaged(f"frame {index}: {error}") from error

    def _mask(self, index: int, size: int, pixels: bytes) -> np.ndarray:
        try:
            if not 0 < size <= LARGEST_MASK:
                raise ValueError(f"a mask of size {size}")
            flat = np.frombuffer(zlib.decompressobj().decompress(pixels, size * size + 1), np.uint8)
            return flat.reshape(size, size, 1) / np.float32(255)
        except (TypeError, ValueError, zlib.error) as error:
            raise self._damaged(f"frame {index}: {error}") from error

    def _trouble(self, error: sqlite3.Error | UnicodeDecodeError) -> BaseException:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT and not self._watch.late:
            return KeyboardInterrupt()
        return _trouble(self.path, error)

    def _damaged(self, why: Any) -> FaceswapError:
        return _damaged(self.path, why)

    def folder_key(self, folder: Path) -> str:
        """Relative to the store, so that the two may be moved together."""
        try:
            return printable(Path(os.path.relpath(folder, self.path.parent)).as_posix())
        except ValueError:  # another drive
            return printable(Path(os.path.abspath(folder)).as_posix())


def _trouble(path: Path, error: sqlite3.Error | UnicodeDecodeError) -> FaceswapError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return FaceswapError(f"{path} is not an alignments file, or its beginning is damaged. Name another file with -p.")
    if code == sqlite3.SQLITE_INTERRUPT:
        return _damaged(path, "checking it takes far too long")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG):
        return _damaged(path, error)
    if code == sqlite3.SQLITE_FULL:
        return FaceswapError(f"The disk is full: {path} could not be written. Make room and run the same command again.")
    if code == sqlite3.SQLITE_BUSY:
        return FaceswapError(f"The alignments file {path} is in use by another program. Wait for it to end, or name another file with -p.")
    return FaceswapError(f"The alignments file {path} cannot be used: {error}. Check that it and its folder can be written, "
                         "or name another file with -p.")


def _damaged(path: Path, why: Any) -> FaceswapError:
    reason = " ".join(str(why).split())[:LONGEST_REASON]
    return FaceswapError(f"The alignments file {path} is damaged ({reason}). Delete it, or move it away, and run extract again.")


def _lock(path: Path) -> Lock:
    try:
        make_folder(path.parent)
        return Lock(path.with_name(path.name + ".lock"))
    except Locked:
        raise FaceswapError(f"Another run is writing the alignments file {path}. Wait for it to end, "
                            "or name another file with -p.") from None
    except OSError as error:
        raise FaceswapError(f"Cannot write the alignments file {path}: {error.strerror}. Name a file in another folder with -p.") from error


def _check_companions(path: Path) -> None:
    """Raises FaceswapError where the files that SQLite keeps beside a store would make it write to, or delete, others than these."""
    for ending in "-journal", "-wal", "-shm":
        beside = Path(os.path.realpath(path) + ending)
        if beside.is_symlink() or beside.exists() and not beside.is_file():
            raise FaceswapError(f"{beside} is a link or no file, so {path} is not opened. Delete that link; the store itself is not damaged.")
    with contextlib.suppress(OSError), open(f"{os.path.realpath(path)}-journal", "rb") as journal:
        journal.seek(-len(SUPER_JOURNAL), os.SEEK_END)
        if journal.read() == SUPER_JOURNAL:
            raise FaceswapError(f"{path}-journal names another file, which opening {path} would delete. No run of this program writes "
                                "that. Delete the journal, and do not trust where the store comes from.")


def _kept(dropped: bool) -> str:
    """Which faces are meant, as a condition."""
    return "length(landmarks) > 0" if dropped else "dropped IS NULL"


def _mask_row(index: int, number: int, name: str, mask: np.ndarray) -> tuple:
    return index, number, name, len(mask), zlib.compress(np.rint(mask * 255).astype(np.uint8).tobytes(), 1)


def _floats(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, "<f4").tobytes()
