"""Sorted names, and how files get them: copied, or renamed in their folder so that it can be taken back, whatever stops it.

Before any file is renamed, `sort-undo-N.jsonl` in the folder says what is about to happen: a line with `format` 1, `by` and the
`folders` that are made, then a line with `before` and `after` for each file. No name that is given was taken before, so each
rename stands for itself: how many of them were done shows in the folder, and all can be taken back in any order.
"""

from __future__ import annotations

import filecmp
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lib.errors import FaceswapError
from lib.facesets.face_file import Origin
from lib.facesets.folder import list_faces, stem_of
from lib.facesets.sorting.order import Group
from lib.files.reading import NotRegular, parse_json, read_json, read_text
from lib.files.writing import copy_file, disk_errors, make_folder, make_inner_folder, rename_file, write_json, write_text
from lib.system.lock import Lock, Locked
from lib.system.progress import progress

FORMAT = 1
LOG = re.compile(r"sort-undo-([0-9]+)\.jsonl")
RANK = re.compile(r"[0-9]{5,}_(?=.)")
MARK = ".sorting.json"  # in a folder of copies that are not finished: what of


@dataclass(frozen=True)
class Move:
    """Names of a file, relative to the folder before and to the folder after, "/" between their parts."""

    before: str
    after: str


@dataclass(frozen=True)
class Undo:
    """What there is to be taken back."""

    log: Path
    by: str
    folders: list[str]  # that sorting made
    moves: list[Move]  # those that were done
    gone: list[str]  # files that are there under neither name
    blocked: list[Move]  # their old name is taken
    earlier: int  # how many sorts before this one can be taken back after it


def plain_name(name: str, origin: Origin) -> str:
    """`name` without the rank that sorting put before it; digits that belong to the source's name stay."""
    return name if name.startswith(stem_of(origin)) else RANK.sub("", name, count=1)


def named(groups: Sequence[Group], folder: Path, in_place: bool) -> list[Move]:
    """A name for each face of `folder`: in its group's folder, a rank before its old name. In place, none that is taken."""
    taken = {path.relative_to(folder).as_posix().casefold() for name in {"", *(group.name for group in groups)}
             for path in (folder / name).glob("*")} if in_place else set()
    digits = max(5, len(str(sum(len(group.faces) for group in groups) - 1)))
    moves = []
    for group in groups:
        for face in group.faces:
            plain, before = Path(face.plain), face.path.name
            start = f"{group.name}/" * bool(group.name) + f"{len(moves):0{digits}}_"
            after, tries = start + plain.name, 1
            while after != before and after.casefold() in taken:
                tries += 1
                after = f"{start}{plain.stem}-{tries}{plain.suffix}"
            moves.append(Move(before, after))
    return moves


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else sorts in `folder` meanwhile. Raises FaceswapError if somebody does, or if it cannot be written."""
    try:
        with disk_errors(folder / "sort.lock"):
            lock = Lock(folder / ".sort.lock")
    except Locked:
        raise FaceswapError(f"Another run is sorting {folder}. Wait until it has ended.") from None
    try:
        yield
    finally:
        lock.release()


# Copies

def check_output(output: Path, mark: dict[str, Any]) -> None:
    """Raises FaceswapError where `output` holds pictures, but for what an interrupted run described by `mark` put there."""
    if output.exists() and not output.is_dir():
        raise FaceswapError(f"Cannot write faces into {output}: it is a file. Name a folder with -o.")
    try:
        unfinished = read_json(output / MARK, named=False)
    except (OSError, ValueError, NotRegular):
        unfinished = None
    if unfinished != mark and (there := _pictures(output)):
        raise FaceswapError(f"{output} holds pictures already, such as {min(there)}. Empty it, or name a new folder with -o.")


def copy(folder: Path, output: Path, moves: Sequence[Move], mark: dict[str, Any]) -> None:
    """Copies the faces, or those that an interrupted run did not come to. Raises FaceswapError before the first if others lie there."""
    sources = {move.after: folder / move.before for move in moves}
    there = _pictures(output)
    if others := [name for name in there if name not in sources or not filecmp.cmp(sources[name], output / name, shallow=False)]:
        raise FaceswapError(f"{output} holds other pictures already, such as {min(others)}. Empty it, or name a new folder with -o.")
    with disk_errors(output / MARK):
        make_folder(output)
        write_json(output / MARK, mark)
        for name, source in progress(sources.items(), f"copy to {output.name}", len(sources), unit="face"):
            if name not in there:
                target = output / name
                make_inner_folder(target.parent)
                copy_file(source, target)
        (output / MARK).unlink()


# In place

def rename(folder: Path, by: str, moves: Sequence[Move]) -> list[str]:
    """Renames what is not named so yet, after saying so in a log. Returns the files that somebody took away meanwhile."""
    moves = [move for move in moves if move.after != move.before]
    if not moves:
        return []
    folders = sorted({parent for move in moves if (parent := str(PurePosixPath(move.after).parent)) != "."
                      and not (folder / parent).exists()})
    log = folder / f"sort-undo-{max(_logs(folder), default=0) + 1}.jsonl"
    lines = [{"format": FORMAT, "by": by, "folders": folders}, *map(asdict, moves)]
    with disk_errors(log):
        write_text(log, "".join(json.dumps(line) + "\n" for line in lines))
        for name in folders:
            (folder / name).mkdir()
        return _rename(folder, [(move.before, move.after) for move in moves])


def read_undo(folder: Path) -> Undo:
    """What the last sort in `folder` did. Raises FaceswapError if there was none, or if its log is damaged."""
    logs = _logs(folder)
    if not logs:
        raise FaceswapError(f"There is nothing to take back in {folder}: no sort in place has left its sort-undo file there.")
    log = folder / f"sort-undo-{max(logs)}.jsonl"
    try:
        head, *lines = [parse_json(line) for line in read_text(log, named=False).splitlines()]
        if head["format"] != FORMAT:
            raise ValueError(f"format {head['format']}, this program reads {FORMAT}")
        said = [Move(_inside(line["before"]), _inside(line["after"])) for line in lines]
        folders = [_inside(name) for name in head["folders"]]
        by = str(head["by"])
    except OSError as error:
        raise FaceswapError(f"Cannot read {log}: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError) as error:
        raise FaceswapError(f"{log} is damaged ({str(error)[:200]}), so this sort cannot be taken back. Take that file away.") from error
    done, gone, blocked = [], [], []
    for move in said:
        before, after = (folder / move.before).exists(), (folder / move.after).exists()
        if after:
            (blocked if before else done).append(move)
        elif not before:
            gone.append(move.after)
    return Undo(log, by, folders, done, gone, blocked, len(logs) - 1)


def undo(folder: Path, plan: Undo) -> None:
    """Gives the files their old names back; the log stays as long as a file cannot get its own."""
    with disk_errors(plan.log):
        _rename(folder, [(move.after, move.before) for move in plan.moves])
        for name in plan.folders:
            try:
                (folder / name).rmdir()
            except OSError:
                pass  # something else lies there by now, or it is gone
        if not plan.blocked:
            plan.log.unlink()


def _rename(folder: Path, names: Sequence[tuple[str, str]]) -> list[str]:
    gone = []
    for name in {str(PurePosixPath(name).parent) for pair in names for name in pair}:
        if name != ".":
            _check_no_link(folder / name)
    for before, after in names:
        if (folder / after).exists():  # came meanwhile: nothing is ever overwritten
            raise FaceswapError(f"{folder / after} came while the faces were renamed. Take it away and run sort --undo.")
        try:
            rename_file(folder / before, folder / after)
        except FileNotFoundError:
            gone.append(before)
    return gone


def _logs(folder: Path) -> list[int]:
    """Their numbers."""
    return [int(found[1]) for path in folder.iterdir() if (found := LOG.fullmatch(path.name))]


def _pictures(folder: Path) -> set[str]:
    """The PNG files of `folder` and of the folders in it, "/" between the parts of their names."""
    if not folder.is_dir():
        return set()
    folders = [folder, *(path for path in folder.iterdir() if path.is_dir())]
    return {path.relative_to(folder).as_posix() for one in folders for path in list_faces(one)}


def _check_no_link(inner: Path) -> None:
    """Raises FaceswapError where a folder with faces is a link, so that files would move out of the sorted folder or into it."""
    if inner.is_symlink():
        raise FaceswapError(f"{inner} is a link to another place, so no face is moved there. Replace it by the folder itself.")


def _inside(name: str) -> str:
    """`name`, if it leads to a place in the folder: a log from elsewhere may not move files of other folders."""
    path = Path(name)
    if path.anchor or ".." in path.parts or len(path.parts) not in (1, 2):
        raise ValueError(f"{name[:100]!r} leads out of the folder")
    return name
