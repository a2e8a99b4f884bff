"""The file itself: opened under a lock, checked before anything is read from it, renewed, and its
errors in words.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from lib.alignments.database import schema
from lib.alignments.database.formats import APPLICATION, FORMAT, RENEWALS, SCHEMA
from lib.errors import FaceswapError
from lib.files.reading import check_regular
from lib.files.writing import make_folder
from lib.system.lock import Lock, Locked, locks_bytes

# Ends a journal that names another one, which SQLite deletes afterwards
SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")
LONGEST_REASON = 200  # letters of what an error says of a damaged file
AT_A_TIME = 500  # rows that are read
SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)  # the latter of its own messages, too
WRONG_VALUE = (TypeError, ValueError, zlib.error)


class Database:
    """A connection to an alignments file; a context manager, which commits and closes at its end.

    One process writes at a time; others may read meanwhile. Every method raises FaceswapError if
    the file is damaged.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: Lock | None):
        self.path = path
        self._connection: sqlite3.Connection | None = connection
        self._watch = schema.Watch(connection)
        self._lock = lock

    @classmethod
    def open(cls, path: Path, read_only: bool = False) -> Self:
        """The file at `path`, made if there is none and it is not `read_only`."""
        path = Path(os.path.abspath(path))
        if path.is_dir():
            raise FaceswapError(f"{path} is a folder, not an alignments file. Name a file with -p.")
        if read_only and not path.is_file():
            raise FaceswapError(f"There is no alignments file {path}. Run extract first, or name "
                                "the file with -p.")
        check_regular(path)
        _check_companions(path)
        lock = None if read_only else locked(path)
        database = None
        try:
            without_locks = not locks_bytes(path.parent)
            if without_locks and not read_only:
                raise FaceswapError(f"The disk of {path} has no file locks, as some network shares "
                                    "do not, and an alignments file needs them while it is "
                                    "written. Name a file on another disk with -p.")
            mode = "ro" if read_only else "rwc"
            uri = f"{path.as_uri()}?mode={mode}{'&nolock=1' if without_locks else ''}"
            # a reader may be asked from any thread
            database = cls(path, schema.connect(uri, check_same_thread=not read_only), lock)
            database._check_format()
        except BaseException as error:
            if database is not None:
                database._connection.close()
            if lock is not None:
                lock.release()
            if isinstance(error, SQLITE_ERRORS):
                raise _in_words(path, error) from error
            raise
        return database

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self.close()

    def close(self) -> None:
        """Commits and closes; a second call does nothing."""
        try:
            if self._connection is not None:
                self.commit()
        finally:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            if self._lock is not None:
                self._lock.release()
            self._lock = None

    def commit(self) -> None:
        """Writes what was added since the last commit in one transaction."""

    @property
    def read_only(self) -> bool:
        return self._lock is None

    # Queries

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if isinstance(error, SQLITE_ERRORS):
                raise self._trouble(error) from error
            raise

    def _rows(self, query: str, values: tuple = ()) -> list[tuple]:
        try:
            return self._connection.execute(query, values).fetchall()
        except SQLITE_ERRORS as error:
            raise self._trouble(error) from error

    def _each(self, query: str, values: tuple = ()) -> Iterator[tuple]:
        """The rows of a query, a few at a time."""
        try:
            cursor = self._connection.execute(query, values)
            while rows := cursor.fetchmany(AT_A_TIME):
                yield from rows
        except SQLITE_ERRORS as error:
            raise self._trouble(error) from error

    @contextmanager
    def _reading(self, index: int) -> Iterator[None]:
        """Values that stand for nothing, read within the block, are damage of frame `index`."""
        try:
            yield
        except WRONG_VALUE as error:
            raise damaged(self.path, f"frame {index + 1}: {error}") from error

    def _trouble(self, error: sqlite3.Error | UnicodeDecodeError) -> BaseException:
        if _code(error) == sqlite3.SQLITE_INTERRUPT and not self._watch.late:
            return KeyboardInterrupt()
        return _in_words(self.path, error)

    # The format

    def _check_format(self) -> None:
        """Makes a new file, or checks and renews the one there is. Raises FaceswapError where it is
        none of ours.
        """
        (application,), = self._rows("PRAGMA application_id")
        (version,), = self._rows("PRAGMA user_version")
        tables = self._rows("SELECT 1 FROM sqlite_master LIMIT 1")
        if application == version == 0 and not tables and not self.read_only:
            with self._transaction() as connection:
                for statement in SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
                connection.execute(f"PRAGMA user_version = {FORMAT}")
            return
        if application != APPLICATION:
            raise FaceswapError(f"{self.path} is not an alignments file of this program. Name "
                                "another file with -p.")
        if version not in RENEWALS and version != FORMAT:
            raise FaceswapError(f"The alignments file {self.path} has format {version}, this "
                                f"program reads format {FORMAT}. Use the version of the program "
                                "that made it, or name another file with -p.")
        self._check_content(version)
        if version in RENEWALS:
            self._renew(version)

    def _check_content(self, version: int) -> None:
        seconds = schema.SECONDS + self.path.stat().st_size / schema.SPEED
        self._watch.deadline = time.monotonic() + seconds
        try:
            schema.check_schema(self._connection, version)
            (verdict,), *_ = self._rows("PRAGMA quick_check(1)")
            if verdict != "ok":
                raise damaged(self.path, verdict)
            schema.check_values(self._connection)
        except SQLITE_ERRORS as error:
            raise self._trouble(error) from error
        except schema.Unfit as error:
            raise damaged(self.path, error) from error
        self._watch.deadline = None

    def _renew(self, version: int) -> None:
        """Makes this format of an earlier one."""
        writer = self._connection if self._lock else schema.connect(self.path.as_uri())
        try:
            writer.execute("BEGIN IMMEDIATE")
            for older in range(version, FORMAT):
                for statement in RENEWALS[older].split(";"):
                    writer.execute(statement)
            writer.execute(f"PRAGMA user_version = {FORMAT}")
            writer.execute("COMMIT")
        except SQLITE_ERRORS as error:
            raise self._trouble(error) from error
        finally:
            if writer is not self._connection:
                writer.close()


def damaged(path: Path, why: Any) -> FaceswapError:
    reason = " ".join(str(why).split())[:LONGEST_REASON]
    return FaceswapError(f"The alignments file {path} is damaged ({reason}). Delete it, or move it "
                         "away, and run extract again.")


def locked(path: Path) -> Lock:
    """The lock of who writes the file. Raises FaceswapError where another run has it, or it cannot
    be made.
    """
    try:
        make_folder(path.parent)
        return Lock(path.with_name(path.name + ".lock"))
    except Locked:
        raise FaceswapError(f"Another run is writing the alignments file {path}. Wait for it to "
                            "end, or name another file with -p.") from None
    except OSError as error:
        raise FaceswapError(f"Cannot write the alignments file {path}: {error.strerror}. Name a "
                            "file in another folder with -p.") from error


def _code(error: sqlite3.Error | UnicodeDecodeError) -> int:
    """SQLite's extended code; that of damage where it gives none."""
    if isinstance(error, sqlite3.Error):
        with contextlib.suppress(AttributeError):
            return error.sqlite_errorcode
    return sqlite3.SQLITE_CORRUPT


def _in_words(path: Path, error: sqlite3.Error | UnicodeDecodeError) -> FaceswapError:
    code = _code(error) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return FaceswapError(f"{path} is not an alignments file, or its beginning is damaged. Name "
                             "another file with -p.")
    if code == sqlite3.SQLITE_INTERRUPT:
        return damaged(path, "checking it takes far too long")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH,
                sqlite3.SQLITE_TOOBIG):
        return damaged(path, error)
    if code == sqlite3.SQLITE_FULL:
        return FaceswapError(f"The disk is full: {path} could not be written. Make room and run "
                             "the same command again.")
    if code == sqlite3.SQLITE_BUSY:
        return FaceswapError(f"The alignments file {path} is in use by another program. Wait for "
                             "it to end, or name another file with -p.")
    return FaceswapError(f"The alignments file {path} cannot be used: {error}. Check that it and "
                         "its folder can be written, or name another file with -p.")


def _check_companions(path: Path) -> None:
    """Raises FaceswapError where the files that SQLite keeps beside a store would make it write to,
    or delete, others.
    """
    for ending in "-journal", "-wal", "-shm":
        beside = Path(os.path.realpath(path) + ending)
        if beside.is_symlink() or beside.exists() and not beside.is_file():
            raise FaceswapError(f"{beside} is a link or no file, so {path} is not opened. Delete "
                                "that link; the store itself is not damaged.")
    with contextlib.suppress(OSError), open(f"{os.path.realpath(path)}-journal", "rb") as journal:
        journal.seek(-len(SUPER_JOURNAL), os.SEEK_END)
        if journal.read() == SUPER_JOURNAL:
            raise FaceswapError(f"{path}-journal names another file, which opening {path} would "
                                "delete. No run of this program writes that. Delete the journal, "
                                "and do not trust where the store comes from.")
