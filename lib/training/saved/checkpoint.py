"""Checkpoints: what a model has learnt, saved while it trains.

A checkpoint is a folder `saves/00012000` of the model's folder. It is written beside, flushed to
the disk and renamed, and those before it are kept: whenever the power fails, the last good one is
there. `state.json` holds the SHA-256 of every file. Those that are kept for good lie in
`snapshots`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import logging
import math
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.errors import FaceswapError
from lib.files import reading, writing
from lib.training.saved import weights
from lib.training.saved.description import check_state

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

KEPT = 3  # checkpoints, unless a run wants more or fewer
NUMBERED = re.compile(r"[0-9]{1,12}")
UNFINISHED = re.compile(r"\.[0-9]{1,12}")  # one that is being written, or that a kill left
FILES = re.compile(r"state\.json|.+\.h5")  # of a checkpoint
DAMAGE = (OSError, ValueError, KeyError, TypeError, FaceswapError)


@dataclass(frozen=True)
class State:
    """How far training had come."""

    iteration: int
    seconds: float  # spent training
    files: dict[str, str] = field(default_factory=dict)  # name -> SHA-256
    # Lower is better: "swap" of held-out faces, "loss"
    scores: dict[str, float] = field(default_factory=dict)
    cut: float = 1.0  # share of the learning rate that is left after training diverged
    optimizer: str | None = None  # what the optimizers were made with; None in old checkpoints


def saves(folder: Path) -> list[Path]:
    """The checkpoints of a model folder, newest first."""
    return _numbered(folder / "saves")


def snapshots(folder: Path) -> list[Path]:
    """The checkpoints that are kept for good, newest first."""
    return _numbered(folder / "snapshots")


def _numbered(folder: Path) -> list[Path]:
    writing.check_inner_folder(folder)
    paths = [path for path in folder.glob("*")
             if NUMBERED.fullmatch(path.name) and path.is_dir() and not path.is_symlink()]
    return sorted(paths, key=lambda path: int(path.name), reverse=True)


def save(folder: Path, networks: Mapping[str, keras.Model], averages: Mapping[str, keras.Model],
         optimizers: Mapping[str, keras.optimizers.Optimizer], state: State,
         keep: int = KEPT) -> Path:
    """Writes a checkpoint and removes older ones but for the newest `keep` in all, and the best.
    There is none of this iteration yet.

    Raises OSError, leaving all earlier ones as they were.
    """
    parent = folder / "saves"
    writing.make_inner_folder(parent)
    for leftover in parent.glob(".*"):
        if UNFINISHED.fullmatch(leftover.name):
            remove(leftover)
    beside, final = parent / f".{state.iteration:08d}", parent / f"{state.iteration:08d}"
    beside.mkdir()
    try:
        check_room(beside, networks, averages, optimizers)
        weights.write(beside, networks, averages, optimizers)
        files = {path.name: _flushed_sum(path) for path in sorted(beside.iterdir())}
        writing.write_json(beside / "state.json", asdict(replace(state, files=files)))
        writing.flush_folder(beside)
        beside.rename(final)
        writing.flush_folder(parent)
    except BaseException:
        remove(beside)
        raise
    finest = best(folder)
    for old in saves(folder)[keep:]:
        if old != finest:
            remove(old)
    return final


def remove(path: Path) -> None:
    """Removes a checkpoint with its own files; a link, and whatever else lies in it, stays."""
    writing.remove_inner_folder(path, lambda name: bool(FILES.fullmatch(name)
                                                        or writing.PART.fullmatch(name)))


def keep_for_good(path: Path) -> Path:
    """Makes a snapshot of a checkpoint, which takes room on the disk only once the checkpoint
    itself is gone, where the disk can do that.

    Raises OSError, leaving nothing behind.
    """
    final = path.parent.parent / "snapshots" / path.name
    writing.make_inner_folder(final.parent)
    if not final.exists():
        _copy(path, final)
    return final


def _copy(path: Path, final: Path) -> None:
    """Copies a checkpoint to `final`, with hard links where the disk has them. Raises OSError,
    leaving nothing behind.
    """
    beside = final.with_name(f".{final.name}")
    remove(beside)
    try:
        beside.mkdir()
        for file in sorted(path.iterdir()):
            if FILES.fullmatch(file.name) and file.is_file() and not file.is_symlink():
                writing.copy_file(file, beside / file.name, link=True)
        beside.rename(final)
    except BaseException:
        remove(beside)
        raise


def best(folder: Path) -> Path | None:
    """The checkpoint with the best score: of the swap of held-out faces, where that was measured,
    else of the loss.
    """
    scored: dict[str, list[tuple[float, Path]]] = {"swap": [], "loss": []}
    for path in saves(folder):
        with contextlib.suppress(OSError, ValueError, FaceswapError):
            for kind, value in _read_state(path).get("scores", {}).items():
                if math.isfinite(value) and kind in scored:
                    scored[kind].append((value, path))
    return min(scored["swap"] or scored["loss"], default=(0.0, None))[1]


def restore(folder: Path, which: str) -> State:
    """Makes an earlier checkpoint the newest: `which` as in `find`.

    Those after it are set aside as `saves/00012000.undone`. Raises FaceswapError where there is
    none such, or it is damaged.
    """
    path, state = find(folder, which, "--restore")
    final = folder / "saves" / path.name
    if not final.exists():
        writing.make_inner_folder(final.parent)
        _copy(path, final)
    set_aside_newer(folder, state.iteration, "undone")
    return state


def find(folder: Path, which: str, option: str) -> tuple[Path, State]:
    """An earlier checkpoint: "best", "previous", or the iteration of a checkpoint or a snapshot.
    `option` asked for it.

    Raises FaceswapError where there is none such, or it is damaged.
    """
    recent = saves(folder)
    by_name = {path.name: path for path in (*snapshots(folder), *recent)}
    if which == "best":
        path = best(folder)
    elif which == "previous":
        path = recent[1] if len(recent) > 1 else None
    else:
        path = next((path for name, path in by_name.items()
                     if which.isdecimal() and int(name) == int(which)), None)
    if path is None:
        iterations = ", ".join(str(int(name)) for name in sorted(by_name))
        raise FaceswapError(f"There is no checkpoint {which!r} in {folder}. There are: "
                            f"{iterations or 'none'}; \"previous\" and \"best\" where there are "
                            "several. Nothing was changed.")
    try:
        return path, _checked_state(path)
    except DAMAGE as error:
        raise FaceswapError(f"The checkpoint {path} is damaged ({error}). Nothing was changed; "
                            f"choose another with {option}.") from error


def newest(folder: Path) -> tuple[Path, State] | None:
    """The newest checkpoint that is whole, or None where there is none yet. A damaged one is passed
    over, with a warning.

    Raises FaceswapError where every one is damaged.
    """
    paths = saves(folder)
    for path in paths:
        try:
            return path, _checked_state(path)
        except PermissionError as error:
            raise FaceswapError(f"Cannot read the checkpoint {path}: {error.strerror}. Nothing was "
                                "changed.") from error
        except DAMAGE as error:
            if _is_replaced(folder, paths):
                return newest(folder)
            logger.warning("The checkpoint %s is damaged (%s); trying the one before it.", path,
                           error)
    if paths:
        raise FaceswapError(f"Every checkpoint in {folder / 'saves'} is damaged. Restore the "
                            "folder from a copy, or train anew in another.")
    return None


def load_newest(folder: Path, networks: Mapping[str, keras.Model],
                which: str | None = None) -> tuple[Path, State]:
    """Reads the newest good checkpoint into `networks`, or that called `which` (see `find`), with
    averaged weights where there are.

    A training that goes on may remove the checkpoint meanwhile, since it keeps only some: then the
    newer one is read. Raises FaceswapError where there is none, or it is damaged.
    """
    while True:
        before = saves(folder)
        chosen = newest(folder) if which is None else find(folder, which, "--checkpoint")
        if chosen is None:
            raise FaceswapError(f"The model in {folder} was never saved. Train it first: "
                                f"faceswap.py train -m {folder} ...")
        path = chosen[0]
        try:
            weights.load_networks(path, networks, averaged=weights.has_averages(path))
            return chosen
        except (FaceswapError, OSError):
            if which is not None or not _is_replaced(folder, before):
                raise


def _is_replaced(folder: Path, before: Sequence[Path]) -> bool:
    """Whether another checkpoint is the newest now."""
    return saves(folder)[:1] not in ([], before[:1])


def set_aside_newer(folder: Path, iteration: int, why: str = "damaged") -> None:
    """Renames the checkpoints beyond `iteration`, which must not count among those kept, nor stand
    where new ones will.
    """
    for path in saves(folder):
        if int(path.name) > iteration:
            names = (path.with_name(f"{path.name}.{why}{number or ''}")
                     for number in itertools.count())
            path.rename(next(aside for aside in names if not aside.exists()))


def check_room(folder: Path, networks: Mapping, averages: Mapping, optimizers: Mapping) -> None:
    """Raises OSError where a checkpoint would not fit: a disk that fills up under HDF5 takes the
    process down when the file is freed.
    """
    holders = (*networks.values(), *averages.values(), *optimizers.values())
    shapes = [variable.shape for holder in holders for variable in holder.variables]
    needed = sum(4 * math.prod(shape) + 4096 for shape in shapes)  # each has a header of its own
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC,
                      f"No space left on the disk, {needed / 1e6:.1f} MB are needed")
    if hasattr(os, "posix_fallocate"):  # which knows of quotas too
        room = writing.part_beside(folder / "room")
        with writing.create(room) as file:
            try:
                os.posix_fallocate(file.fileno(), 0, needed)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                    raise
        room.unlink()


def _read_state(path: Path) -> dict[str, Any]:
    """What `state.json` of a checkpoint says. Raises OSError, ValueError, or FaceswapError."""
    state = reading.read_json(path / "state.json", named=False, finite=False)
    check_state(state)
    return state


def _checked_state(path: Path) -> State:
    values = _read_state(path)
    state = State(**{item.name: values[item.name] for item in fields(State)
                     if item.name in values})
    if state.iteration != int(path.name):
        raise FaceswapError(f"state.json says iteration {state.iteration}")
    for name, expected in state.files.items():
        with reading.opened(path / Path(name).name, named=False) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                raise FaceswapError(f"{name} was changed")
    return state


def _flushed_sum(path: Path) -> str:
    writing.flush_file(path)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
