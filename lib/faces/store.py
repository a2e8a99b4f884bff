"""The alignments store: what was found in each frame of one source, in one SQLite file that is written as the work goes on.

Format 1 (`PRAGMA application_id` 0x46535750, `PRAGMA user_version` 1; numbers little-endian; coordinates in frame pixels):
- `settings(key, value)`: JSON values: `source` and how the faces were found.
- `frames(frame, name, time)`: one row for each frame looked at, with or without faces; the `name` of a picture, the `time` in
  seconds of a video's frame.
- `faces(frame, number, box, score, landmarks)`: `box` 4 float32, `landmarks` 68 x 2 float32; `number` from 0, best score first.
- `masks(frame, number, name, size, pixels)`: `size` squared bytes, zlib-compressed, 255 = face, over the crop of coverage "whole".
- `written(folder, frame)`: frames whose faces lie in a face folder, so that what a user deletes there stays deleted.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time as clock
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lib.errors import FaceswapError
from lib.lock import Lock, Locked
from lib.types import Detection, Face

APPLICATION = 0x46535750
FORMAT = 1
SECONDS_BETWEEN_COMMITS = 1.0
SCHEMA = """
CREATE TABLE settings(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE frames(frame INTEGER PRIMARY KEY, name TEXT NOT NULL, time REAL);
CREATE TABLE faces(frame INTEGER NOT NULL, number INTEGER NOT NULL, box BLOB NOT NULL, score REAL NOT NULL, landmarks BLOB NOT NULL,
    PRIMARY KEY(frame, number)) WITHOUT ROWID;
CREATE TABLE masks(frame INTEGER NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL, pixels BLOB NOT NULL,
    PRIMARY KEY(frame, number, name));
CREATE TABLE written(folder TEXT NOT NULL, frame INTEGER NOT NULL, PRIMARY KEY(folder, frame)) WITHOUT ROWID;
"""
LARGEST_MASK = 4096


@dataclass(frozen=True)
class StoredFace:
    """A face as the store keeps it."""

    face: Face
    masks: dict[str, np.ndarray] = field(default_factory=dict)  # by masker: (S, S, 1) float32 in [0, 1] over the "whole" crop


def default_store(source: Path) -> Path:
    """Where the store of a video or of a folder of pictures lies: beside it, since the folder itself may be read-only."""
    return Path(os.path.abspath(source) + ".alignments.db")


class AlignmentStore:
    """Open with `AlignmentStore.open`; a context manager, which commits and closes however the block is left.

    One process writes at a time; others may read meanwhile. Every method raises FaceswapError if the file is damaged.
    """

    def __init__(self, path: Path, database: sqlite3.Connection, lock: Lock | None):
        self.path = path
        self._database = database
        self._lock = lock
        self._frames: dict[int, tuple] = {}  # what is not committed yet, by frame
        self._written: list[tuple[str, int]] = []
        self._committed = clock.monotonic()

    @classmethod
    def open(cls, path: Path, read_only: bool = False) -> AlignmentStore:
        """The store at `path`, made if there is none and it is not `read_only`."""
        path = Path(os.path.abspath(path))
        if path.is_dir():
            raise FaceswapError(f"{path} is a folder, not an alignments file. Name a file with -p.")
        if read_only and not path.is_file():
            raise FaceswapError(f"There is no alignments file {path}. Run extract first, or name the file with -p.")
        lock = None if read_only else _lock(path)
        store = None
        try:
            uri = f"{path.as_uri()}?mode={'ro' if read_only else 'rwc'}"
            # a reader may be asked from any thread; isolation_level None: transactions are begun here alone
            store = cls(path, sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None, check_same_thread=not read_only), lock)
            store._check_format(read_only)
        except BaseException:
            if store is not None:
                store._database.close()
            if lock is not None:
                lock.release()
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

    # What is in it

    def done(self) -> set[int]:
        """Indices of the frames that were looked at, with or without faces."""
        return {row[0] for row in self._rows("SELECT frame FROM frames")} | set(self._frames)

    def names(self) -> dict[int, str]:
        """Picture name by frame index ("" in a video)."""
        return dict(self._rows("SELECT frame, name FROM frames"))

    def faces(self, index: int) -> list[StoredFace]:
        """The faces of frame `index`, best score first; none if it has none or was not looked at."""
        if index in self._frames:
            self.commit()
        faces = self._rows("SELECT number, box, score, landmarks FROM faces WHERE frame = ? ORDER BY number", (index,))
        masks: dict[int, dict[str, np.ndarray]] = {}
        if faces:
            for number, name, size, pixels in self._rows("SELECT number, name, size, pixels FROM masks WHERE frame = ?", (index,)):
                masks.setdefault(number, {})[name] = self._mask(index, size, pixels)
        return [StoredFace(self._face(index, *row), masks.get(number, {})) for number, *row in faces]

    def all_faces(self) -> Iterator[tuple[int, StoredFace]]:
        """Frame index and face of all faces, in order."""
        self._flush_for_reading()
        for (index,) in self._rows("SELECT DISTINCT frame FROM faces ORDER BY frame"):
            for face in self.faces(index):
                yield index, face

    def counts(self, every: int = 1) -> tuple[int, int, int]:
        """(faces, frames with a face, frames looked at) among every `every`-th frame."""
        self._flush_for_reading()
        faces, with_face = self._rows("SELECT COUNT(*), COUNT(DISTINCT frame) FROM faces WHERE frame % ? = 0", (every,))[0]
        return faces, with_face, self._rows("SELECT COUNT(*) FROM frames WHERE frame % ? = 0", (every,))[0][0]

    @property
    def settings(self) -> dict[str, Any]:
        """How the faces were found, and in what: a copy; `update` changes it."""
        try:
            return {key: json.loads(value) for key, value in self._rows("SELECT key, value FROM settings")}
        except ValueError as error:
            raise self._damaged(error) from error

    def update(self, values: Mapping[str, Any]) -> None:
        """Sets settings to JSON values and commits."""
        self.commit()
        with self._transaction() as database:
            database.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", [(key, json.dumps(values[key])) for key in values])

    # Writing

    def add(self, index: int, name: str, time: float | None, faces: list[StoredFace]) -> None:
        """Notes that frame `index` was looked at and what was found; committed about every second."""
        self._frames[index] = (name, time, faces)
        self._commit_now_and_then()

    def add_written(self, folder: Path, index: int) -> None:
        """Notes that the faces of frame `index` lie in the face folder `folder`."""
        self._written.append((self._folder_key(folder), index))
        self._commit_now_and_then()

    def written(self, folder: Path) -> set[int]:
        """Frames whose faces were written into `folder` before."""
        self._flush_for_reading()
        return {row[0] for row in self._rows("SELECT frame FROM written WHERE folder = ?", (self._folder_key(folder),))}

    def without_mask(self, masker: str) -> set[int]:
        """Frames with a face of which there is no mask by `masker`."""
        self._flush_for_reading()
        return {row[0] for row in self._rows(
            "SELECT DISTINCT frame FROM faces WHERE NOT EXISTS (SELECT 1 FROM masks WHERE masks.frame = faces.frame "
            "AND masks.number = faces.number AND masks.name = ?)", (masker,))}

    def forget_written(self, folder: Path) -> None:
        """The faces in `folder` are gone altogether, and shall be written anew."""
        self.commit()
        with self._transaction() as database:
            database.execute("DELETE FROM written WHERE folder = ?", (self._folder_key(folder),))

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
        if not self._frames and not self._written:
            return
        with self._transaction() as database:
            for index, (name, time, faces) in self._frames.items():
                database.execute("INSERT OR REPLACE INTO frames VALUES (?, ?, ?)", (index, name, time))
                for table in ("faces", "masks"):
                    database.execute(f"DELETE FROM {table} WHERE frame = ?", (index,))
                for number, stored in enumerate(faces):
                    detection = stored.face.detection
                    database.execute("INSERT INTO faces VALUES (?, ?, ?, ?, ?)", (
                        index, number, _floats(detection.box), float(detection.score), _floats(stored.face.landmarks)))
                    for masker, mask in stored.masks.items():
                        pixels = zlib.compress(np.rint(mask * 255).astype(np.uint8).tobytes(), 1)
                        database.execute("INSERT INTO masks VALUES (?, ?, ?, ?, ?)", (index, number, masker, len(mask), pixels))
            database.executemany("INSERT OR REPLACE INTO written VALUES (?, ?)", self._written)
        self._frames.clear()
        self._written.clear()

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
        if version != FORMAT:
            raise FaceswapError(f"The alignments file {self.path} has format {version}, this program reads format {FORMAT}. "
                                "Use the version of the program that made it, or name another file with -p.")
        (verdict,), *_ = self._rows("PRAGMA quick_check(1)")
        if verdict != "ok":
            raise self._damaged(verdict)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield self._database
            self._database.execute("COMMIT")
        except BaseException as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise self._trouble(error) from error
            raise

    def _rows(self, query: str, values: tuple = ()) -> list[tuple]:
        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._trouble(error) from error

    def _face(self, index: int, box: bytes, score: float, landmarks: bytes) -> Face:
        try:
            face = Face(Detection(np.frombuffer(box, "<f4").reshape(4), float(score)), np.frombuffer(landmarks, "<f4").reshape(68, 2))
        except (TypeError, ValueError) as error:
            raise self._damaged(f"frame {index}: {error}") from error
        if not (np.isfinite(face.landmarks).all() and np.isfinite(face.detection.box).all()):
            raise self._damaged(f"frame {index}: a coordinate is not a number")
        return face

    def _mask(self, index: int, size: int, pixels: bytes) -> np.ndarray:
        try:
            if not 0 < size <= LARGEST_MASK:
                raise ValueError(f"a mask of size {size}")
            flat = np.frombuffer(zlib.decompressobj().decompress(pixels, size * size + 1), np.uint8)
            return flat.reshape(size, size, 1) / np.float32(255)
        except (TypeError, ValueError, zlib.error) as error:
            raise self._damaged(f"frame {index}: {error}") from error

    def _trouble(self, error: sqlite3.Error) -> Exception:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code == sqlite3.SQLITE_NOTADB:
            return FaceswapError(f"{self.path} is not an alignments file, or its beginning is damaged. Name another file with -p, "
                                 "or delete it and run extract again.")
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH):
            return self._damaged(error)
        if code == sqlite3.SQLITE_FULL:
            return FaceswapError(f"The disk is full: {self.path} could not be written. Make room and run the same command again.")
        return FaceswapError(f"The alignments file {self.path} cannot be used: {error}. Check that its folder can be written, "
                             "or name another file with -p.")

    def _damaged(self, why: Any) -> FaceswapError:
        reason = " ".join(str(why).split())
        return FaceswapError(f"The alignments file {self.path} is damaged ({reason}). Delete it, or move it away, and run extract again.")

    def _folder_key(self, folder: Path) -> str:
        """Relative to the store, so that the two may be moved together."""
        try:
            return Path(os.path.relpath(folder, self.path.parent)).as_posix()
        except ValueError:  # another drive
            return Path(os.path.abspath(folder)).as_posix()


def _lock(path: Path) -> Lock:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return Lock(path.with_name(path.name + ".lock"))
    except Locked:
        raise FaceswapError(f"Another run is writing the alignments file {path}. Wait for it to end, "
                            "or name another file with -p.") from None
    except OSError as error:
        raise FaceswapError(f"Cannot write the alignments file {path}: {error.strerror}. Name a file in another folder with -p.") from error


def _floats(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, "<f4").tobytes()
