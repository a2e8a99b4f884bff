"""Interrupted downloads: FOLDER/.parts holds, for each address, what has come so far and a note of
what a server needs to resume."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

from lib.files.reading import NotRegular, read_json
from lib.files.writing import disk_errors, make_inner_folder, sweep, write_json
from lib.gathering.report import Entry, entry_of

FOLDER = ".parts"


@dataclass(frozen=True)
class Note:
    """What the server said of the file, and, once it is whole and checked, the entry that is to be
    in the report."""

    address: str
    name: str = ""  # as offered
    etag: str | None = None
    modified: str | None = None
    total: int | None = None  # bytes
    can_go_on: bool = True
    outcome: Entry | None = None


class Part:
    """The part file of an address and its note."""

    def __init__(self, folder: Path, address: str):
        key = hashlib.sha256(address.encode("utf-8", "surrogatepass")).hexdigest()[:24]
        self.address = address
        self.path = folder / FOLDER / f"{key}.part"
        self._note_path = folder / FOLDER / f"{key}.json"

    @property
    def size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    @property
    def note(self) -> Note | None:
        """None where there is none, it is damaged, or it belongs to another address."""
        note = _read_note(self._note_path)
        return note if note and note.address == self.address else None

    def write_note(self, note: Note) -> None:
        """In one step; not forced onto the disk, since a lost note only costs a second fetch."""
        with disk_errors(self._note_path):
            write_json(self._note_path, dataclasses.asdict(note), indent=None, durable=False)

    def discard(self) -> None:
        """The note goes first: a part without one is never gone on with."""
        with disk_errors(self.path):
            self._note_path.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)


def make_parts_folder(folder: Path) -> None:
    with disk_errors(folder / FOLDER):
        make_inner_folder(folder / FOLDER)
        sweep(folder / FOLDER)


def remove_parts_folder(folder: Path) -> None:
    """If nothing is in it that a later run can go on with."""
    try:
        (folder / FOLDER).rmdir()
    except OSError:
        pass


def finished(folder: Path) -> list[Note]:
    """Notes of files that were whole when a run was killed, before the report told of them."""
    notes = [_read_note(path) for path in sorted((folder / FOLDER).glob("*.json"))]
    return [note for note in notes if note and note.outcome]


def _read_note(path: Path) -> Note | None:
    try:
        fields = read_json(path, named=False)
        outcome = entry_of(fields["outcome"]) if fields.get("outcome") else None
        note = Note(**fields | {"outcome": outcome})
        are_texts = all(isinstance(text, str) for text in (note.address, note.name))
        are_marks = all(isinstance(text, str | None) for text in (note.etag, note.modified))
        is_count = note.total is None or type(note.total) is int
        return note if are_texts and are_marks and is_count else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, NotRegular):
        return None
