"""Files from a list of addresses in a folder: each content once, under a safe name, with a report
that the next run goes on from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lib.errors import FaceswapError
from lib.files.writing import disk_errors, publish
from lib.gathering.addresses import Listed
from lib.gathering.checking import Wishes
from lib.gathering.names import folded, free_name
from lib.gathering.parts import FOLDER, Note, Part, finished, make_parts_folder, remove_parts_folder
from lib.gathering.report import DONE, DUPLICATE, FAILED, LEFT_OUT, Entry, Report
from lib.gathering.workers import Crew
from lib.net.reach import Network
from lib.system.lock import Lock, Locked
from lib.system.progress import progress


def gather(listed: Sequence[Listed], folder: Path, wishes: Wishes, jobs: int, retries: int,
           again: bool, network: Network | None = None) -> list[Entry]:
    """What became of each address in the list. Finished addresses are not asked for anything.

    `again`: except those whose file was deleted. `network`: how hosts are found and connected to,
    if not as this machine does.
    """
    make_parts_folder(folder)
    with _lock(folder):
        shelf = Shelf(folder)
        try:
            for line in listed:
                if line.problem:
                    reason = f"line {line.number}: {line.problem}"
                    shelf.report.add(Entry(line.address, FAILED, error=reason))
            missing = [line.address for line in listed
                       if not line.problem and not shelf.is_finished(line.address, wishes, again)]
            with Crew(folder, missing, wishes, jobs, retries, network) as crew:
                done = len(listed) - len(missing)
                for entry in progress(crew.outcomes(), "gather", len(listed), done, unit="file"):
                    shelf.take(entry)
        finally:
            shelf.save()
    return [shelf.report.entries[line.address] for line in listed]


class Shelf:
    """The folder with its files and its report. Used by one thread."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.report = Report(folder)
        self._settled: list[Part] = []  # whose notes can go once the report is written
        self._digests: dict[str, str | None] = {}  # of files of before, as they are needed
        for note in finished(folder):
            self._recover(note)
        self._by_content = {entry.sha256: entry.file for entry in self.report.entries.values()
                            if entry.status == DONE}
        self._sizes = _names_by_size(folder)
        self._names = set(map(folded, [*os.listdir(folder), *self._by_content.values()]))

    def is_finished(self, address: str, wishes: Wishes, again: bool) -> bool:
        """Whether an earlier run was done with `address`. What the user deleted stays deleted,
        unless `again`."""
        entry = self.report.entries.get(address)
        if entry is None or entry.status == FAILED:
            return False
        if entry.status == LEFT_OUT:
            return wishes.against(entry.type, entry.width, entry.height) is not None
        return not again or (self.folder / entry.file).is_file()

    def take(self, entry: Entry) -> None:
        """Gives the file of an outcome its name, and adds it to the report."""
        if entry.status == DONE:
            entry = self._place(entry)
        self.report.add(entry)
        if self.report.is_due:
            self.save()

    def save(self) -> None:
        """Writes the report, then deletes the notes of what it tells."""
        self.report.save()
        for part in self._settled:
            part.discard()
        self._settled = []

    def _place(self, entry: Entry) -> Entry:
        part = Part(self.folder, entry.address)
        if twin := self._twin(entry):
            part.discard()
            return replace(entry, status=DUPLICATE, file=twin)
        earlier = self.report.entries.get(entry.address)
        if earlier and earlier.file and not (self.folder / earlier.file).exists():
            self._names.discard(folded(earlier.file))  # free for it again
        name = free_name(entry.file, self._names)
        entry = replace(entry, file=name)
        self._names.add(folded(name))
        self._by_content[entry.sha256] = name
        # Before the file has its name, so that after a kill the next run does not download it again
        part.write_note(replace(part.note, outcome=entry))
        with disk_errors(self.folder / name):
            publish(part.path, self.folder / name)
        self._settled.append(part)
        return entry

    def _twin(self, entry: Entry) -> str | None:
        """The name of another file with the same content, also of one that the user deleted."""
        earlier = self.report.entries.get(entry.address)
        twin = self._by_content.get(entry.sha256)
        is_itself = earlier is not None and earlier.file == twin
        if twin and (not is_itself or (self.folder / twin).is_file()):
            return twin
        return next((name for name in self._sizes.get(entry.bytes, ())
                     if self._digest(name) == entry.sha256), None)

    def _digest(self, name: str) -> str | None:
        if name not in self._digests:
            try:
                with open(self.folder / name, "rb") as file:
                    self._digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError:  # taken away since then, or not ours to read
                self._digests[name] = None
        return self._digests[name]

    def _recover(self, note: Note) -> None:
        """A run was killed after it had checked this file: it has its name, or gets it from the
        part that is still there."""
        part = Part(self.folder, note.address)
        if part.path.exists():  # whole: it is checked and named once more
            part.write_note(replace(note, outcome=None, total=note.outcome.bytes, can_go_on=True))
            return
        self.report.add(note.outcome)
        self._settled.append(part)


def _names_by_size(folder: Path) -> dict[int, list[str]]:
    """Of the files in the folder itself, by their bytes: only files of the same size need to be
    read to be compared."""
    names = {}
    with os.scandir(folder) as files:
        for file in files:
            if file.is_file():
                names.setdefault(file.stat().st_size, []).append(file.name)
    return names


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    path = folder / FOLDER / "lock"
    try:
        with disk_errors(path):
            lock = Lock(path)
    except Locked:
        raise FaceswapError(f"Another gather is writing to {folder}. Wait for it, or name another "
                            "folder with -o.") from None
    try:
        yield
    finally:
        lock.release()
        remove_parts_folder(folder)
