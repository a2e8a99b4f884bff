"""Sorted names, and how files get them: by copies, or by renaming in place, which can be undone
even after an interruption.

Before any file is renamed, `sort-undo-N.jsonl` in the folder says what is about to happen: a line
with `format` 1, `by` and the `folders` that are made, then a line with `before` and `after` for
each file. No new name was in use before, so each rename is independent: the folder shows which
were done, and they can be undone in any order.
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
from lib.files.writing import (
    copy_file,
    disk_errors,
    make_folder,
    make_inner_folder,
    rename_file,
    write_json,
    write_text,
)
from lib.system.lock import Lock, Locked
from lib.system.progress import progress

FORMAT = 1
LOG = re.compile(r"sort-undo-([0-9]+)\.jsonl")
RANK = re.compile(r"[0-9]{5,}_(?=.)")
MARK = ".sorting.json"  # in a folder of unfinished copies: a description of the sort


@dataclass(frozen=True)
class Move:
    """Names of a file, relative to its folder before and after, "/" between their parts."""

    before: str
    after: str


@dataclass(frozen=True)
class Undo:
    """The last sort in place, and what can be undone of it."""

    log: Path
    by: str
    folders: list[str]  # that the sort made
    moves: list[Move]  # those that were done
    gone: list[str]  # files that have neither name
    blocked: list[Move]  # their old name is in use
    earlier: int  # sorts before this one that can be undone after it


def plain_name(name: str, origin: Origin) -> str:
    """`name` without the rank of an earlier sort; digits of the source's name stay."""
    return name if name.startswith(stem_of(origin)) else RANK.sub("", name, count=1)


def named(groups: Sequence[Group], folder: Path, in_place: bool) -> list[Move]:
    """New names for the faces of `folder`: the group's folder, a rank, the old name. In place, none
    that is in use."""
    taken = set()
    if in_place:
        names = {"", *(group.name for group in groups)}
        taken = {path.relative_to(folder).as_posix().casefold() for name in names
                 for path in (folder / name).glob("*")}
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
def locked_folder(folder: Path) -> Iterator[None]:
    """Within it no other run sorts `folder`. Raises FaceswapError if one does, or if the folder
    cannot be written."""
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

def check_output(output: Path, description: dict[str, Any]) -> None:
    """Raises FaceswapError where `output` holds pictures, other than those of an interrupted run of
    the same `description`."""
    if output.exists() and not output.is_dir():
        raise FaceswapError(f"Cannot write faces into {output}: it is a file. Name a folder with "
                            "-o.")
    try:
        unfinished = read_json(output / MARK, named=False)
    except (OSError, ValueError, NotRegular):
        unfinished = None
    if unfinished != description and (pictures := _pictures(output)):
        raise FaceswapError(f"{output} holds pictures already, such as {min(pictures)}. Empty it, "
                            "or name a new folder with -o.")


def copy(folder: Path, output: Path, moves: Sequence[Move], description: dict[str, Any]) -> None:
    """Copies the faces, or those that an interrupted run left. Raises FaceswapError, before the
    first, if other pictures lie there."""
    sources = {move.after: folder / move.before for move in moves}
    present = _pictures(output)
    strangers = [name for name in present if name not in sources
                 or not filecmp.cmp(sources[name], output / name, shallow=False)]
    if strangers:
        raise FaceswapError(f"{output} holds other pictures already, such as {min(strangers)}. "
                            "Empty it, or name a new folder with -o.")
    with disk_errors(output / MARK):
        make_folder(output)
        write_json(output / MARK, description)
        for name, source in progress(sources.items(), f"copy to {output.name}", len(sources),
                                     unit="face"):
            if name not in present:
                target = output / name
                make_inner_folder(target.parent)
                copy_file(source, target)
        (output / MARK).unlink()


# In place

def rename(folder: Path, by: str, moves: Sequence[Move]) -> list[str]:
    """Renames the files that have another name, after writing a log. Returns the files that are
    gone."""
    moves = [move for move in moves if move.after != move.before]
    if not moves:
        return []
    parents = {str(PurePosixPath(move.after).parent) for move in moves} - {"."}
    folders = sorted(parent for parent in parents if not (folder / parent).exists())
    log = folder / f"sort-undo-{max(_logs(folder), default=0) + 1}.jsonl"
    lines = [{"format": FORMAT, "by": by, "folders": folders}, *map(asdict, moves)]
    with disk_errors(log):
        write_text(log, "".join(json.dumps(line) + "\n" for line in lines))
        for name in folders:
            (folder / name).mkdir()
        return _rename(folder, [(move.before, move.after) for move in moves])


def read_undo(folder: Path) -> Undo:
    """The last sort in `folder`. Raises FaceswapError if there was none, or if its log is
    damaged.
    """
    logs = _logs(folder)
    if not logs:
        raise FaceswapError(f"There is nothing to take back in {folder}: no sort in place has left "
                            "its sort-undo file there.")
    log = folder / f"sort-undo-{max(logs)}.jsonl"
    try:
        head, *lines = [parse_json(line) for line in read_text(log, named=False).splitlines()]
        if head["format"] != FORMAT:
            raise ValueError(f"format {head['format']}, this program reads {FORMAT}")
        logged = [Move(_inside(line["before"]), _inside(line["after"])) for line in lines]
        folders = [_inside(name) for name in head["folders"]]
        by = str(head["by"])
    except OSError as error:
        raise FaceswapError(f"Cannot read {log}: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError) as error:
        raise FaceswapError(f"{log} is damaged ({str(error)[:200]}), so this sort cannot be taken "
                            "back. Take that file away.") from error
    done, gone, blocked = [], [], []
    for move in logged:
        before, after = (folder / move.before).exists(), (folder / move.after).exists()
        if after:
            (blocked if before else done).append(move)
        elif not before:
            gone.append(move.after)
    return Undo(log, by, folders, done, gone, blocked, len(logs) - 1)


def undo(folder: Path, plan: Undo) -> None:
    """Gives the files their old names back. The log stays while a file's old name is in use."""
    with disk_errors(plan.log):
        _rename(folder, [(move.after, move.before) for move in plan.moves])
        for name in plan.folders:
            try:
                (folder / name).rmdir()
            except OSError:
                pass  # other files lie there, or it is gone
        if not plan.blocked:
            plan.log.unlink()


def _rename(folder: Path, names: Sequence[tuple[str, str]]) -> list[str]:
    gone = []
    for name in {str(PurePosixPath(name).parent) for pair in names for name in pair}:
        if name != ".":
            _check_no_link(folder / name)
    for before, after in names:
        if (folder / after).exists():  # nothing is ever overwritten
            raise FaceswapError(f"{folder / after} appeared while the faces were renamed. Move it "
                                "away and run sort --undo.")
        try:
            rename_file(folder / before, folder / after)
        except FileNotFoundError:
            gone.append(before)
    return gone


def _logs(folder: Path) -> list[int]:
    """The numbers of the logs."""
    matches = (LOG.fullmatch(path.name) for path in folder.iterdir())
    return [int(match[1]) for match in matches if match]


def _pictures(folder: Path) -> set[str]:
    """The PNG files of `folder` and its subfolders, "/" between the parts of their names."""
    if not folder.is_dir():
        return set()
    folders = [folder, *(path for path in folder.iterdir() if path.is_dir())]
    return {path.relative_to(folder).as_posix() for inner in folders for path in list_faces(inner)}


def _check_no_link(inner: Path) -> None:
    """Raises FaceswapError for a link: files would move out of the sorted folder, or into it."""
    if inner.is_symlink():
        raise FaceswapError(f"{inner} is a link to another place, so no face is moved there. "
                            "Replace it by the folder itself.")


def _inside(name: str) -> str:
    """`name`, if it leads to a place in the folder. Raises ValueError: a log from elsewhere must
    not move files of other folders."""
    path = Path(name)
    if path.anchor or ".." in path.parts or len(path.parts) not in (1, 2):
        raise ValueError(f"{name[:100]!r} leads out of the folder")
    return name
