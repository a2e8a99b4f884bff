"""What became of each address: FOLDER/gather.json, which people read and the next run goes on
from."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from lib.errors import FaceswapError
from lib.files.reading import read_json
from lib.files.writing import disk_errors, write_text
from lib.words import escaped_lines

NAME = "gather.json"
DONE, DUPLICATE, LEFT_OUT, FAILED = "done", "duplicate", "left out", "failed"
MOST = 128 << 20  # bytes of a report that is read
PAUSE = 1.0  # seconds at least between two times that the report is written
# of the time at most that writing it may take: a report of 100,000 addresses takes a second
SHARE = 0.1


@dataclass(frozen=True)
class Entry:
    """What became of one address. `file` is its name in the folder; of a duplicate, that of the
    file with the same content."""

    address: str
    status: str
    file: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    type: str | None = None  # "picture" or "video"
    width: int | None = None
    height: int | None = None
    error: str | None = None  # why it failed or was left out

    def as_json(self) -> dict:
        return {name: value for name, value in dataclasses.asdict(self).items()
                if value is not None}


class Report:
    """The entries by address, in the order in which they were added, and their file."""

    def __init__(self, folder: Path):
        self.path = folder / NAME
        self.entries = {entry.address: entry for entry in _read(self.path)}
        self._saved, self._took, self._is_new = time.monotonic(), 0.0, False

    def add(self, entry: Entry) -> None:
        self.entries[entry.address] = entry
        self._is_new = True

    @property
    def is_due(self) -> bool:
        """Whether there is news, and the last time it was written is long enough ago."""
        return self._is_new and time.monotonic() - self._saved >= max(PAUSE, self._took / SHARE)

    def save(self) -> None:
        if not self._is_new:
            return
        began = time.monotonic()
        lines = ",\n".join("  " + escaped_lines(json.dumps(entry.as_json(), ensure_ascii=False))
                           for entry in self.entries.values())
        with disk_errors(self.path):
            write_text(self.path, f'{{"addresses": [\n{lines}\n]}}\n')
        self._saved, self._is_new = time.monotonic(), False
        self._took = self._saved - began


def entry_of(fields: dict) -> Entry:
    """Raises TypeError or KeyError where `fields` are not those of an entry."""
    kinds = {field.name: int if "int" in field.type else str for field in dataclasses.fields(Entry)}
    entry = Entry(**{name: value for name, value in fields.items() if name in kinds})
    if not all(isinstance(value, kinds[name]) for name, value in entry.as_json().items()):
        raise TypeError("a field of another kind")
    if entry.file is not None and entry.file != os.path.basename(entry.file):
        raise ValueError("a file of another folder")
    if entry.status in (DONE, DUPLICATE) and not (entry.file and entry.sha256):
        raise KeyError("file")
    return entry


def _read(path: Path) -> list[Entry]:
    try:
        return [entry_of(fields) for fields in read_json(path, MOST, named=False)["addresses"]]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise FaceswapError(f"{path} cannot be read: {error.strerror}. Check its "
                            "permissions.") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise FaceswapError(f"{path} is damaged, or no report of gather. Take it away: files that "
                            "are in the folder already are known by their content, but fetched "
                            "once more.") from None
