"""A model's folder: what it is, what it has learnt, what it looked like on the way.

    options.json              model, its options, what it is trained on
    saves/00012000/           a save: NETWORK.weights.h5, NETWORK.averaged.weights.h5, GROUP.optimizer.h5, state.json
    snapshots/00025000/       saves that are kept for good, the same files
    log.jsonl                 a line per report
    preview.png, loss.png     made anew at each save; report.html shows them all
    timelapse/00012000.jpg    what preview.png was
    events/                   the log as TensorBoard reads it
    identities.json           mean identity embeddings of the training faces
    .lock, .beat              held while a training is at work; the second tells machines that share the folder

A save is written beside, flushed to the disk and renamed, and those before it are kept: whenever the power fails, the last
good save is there. `state.json` holds the SHA-256 of every file of its save.
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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.errors import FaceswapError
from lib.files import hdf5, reading
from lib.files.writing import (
    PART,
    check_inner_folder,
    copy_file,
    create,
    flush_file,
    flush_folder,
    make_inner_folder,
    part_beside,
    remove_inner_folder,
    write_json,
)
from lib.plugin import DEFAULT_RECOGNIZER, MODELS
from lib.system.lock import SILENT, Beat, Elsewhere, Lock, Locked
from lib.training.saved.description import check_options, check_state

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

COPY = "options.copy.json"  # of options.json
FORMAT = 1
KEPT = 3  # saves, unless a run wants more or fewer
NUMBERED = re.compile(r"[0-9]{1,12}")
BEGUN = re.compile(r"\.[0-9]{1,12}")  # a save that is being written, or that a kill left
SAVED = re.compile(r"state\.json|.+\.h5")  # the files of a save


@dataclass(frozen=True)
class State:
    """How far training had come."""

    iteration: int
    seconds: float  # spent training
    files: dict[str, str] = field(default_factory=dict)  # name -> SHA-256
    scores: dict[str, float] = field(default_factory=dict)  # how good it was, lower is better: "swap" of held-out faces, "loss"
    cut: float = 1.0  # share of the learning rate that mishaps left
    optimizer: str | None = None  # what the optimizers were made with; None before that was noted


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Makes a model folder and keeps other trainings out of it, on other machines too. Raises FaceswapError where one is at work, or
    nothing can be written."""
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = Lock(folder / ".lock")
    except Locked:
        raise FaceswapError(f"Another training is at work in {folder}. Wait for it to end, or name another folder with -m.") from None
    except OSError as error:
        raise FaceswapError(f"Cannot write into {folder}: {error.strerror}. Choose a folder of your own with -m.") from error
    try:
        with Beat(folder / ".beat"):
            yield
    except Elsewhere as error:
        raise FaceswapError(f"Another training is at work in {folder}, on the machine {error}. Wait for it to end, or name another folder "
                            f"with -m. If it is gone, {SILENT:.0f} seconds after its end the folder is free.") from None
    finally:
        lock.release()
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()  # where a mistake ended it before anything was written


def read_json(path: Path, check: Callable[[Any], None]) -> Any:
    """The values in a file of a model folder. Raises FaceswapError where it cannot be read, or `check` raises ValueError."""
    try:
        values = reading.read_json(path, named=False, finite=False)
        check(values)
        return values
    except (OSError, ValueError) as error:
        raise FaceswapError(f"Cannot read {path}: {error}. The model folder is damaged or is none; restore it from a copy.") from error


def write_options(folder: Path, options: dict[str, Any]) -> None:
    """Writes `options.json` of a model folder, and a copy: without it the saves are nothing. Raises OSError."""
    write_json(folder / "options.json", options)
    write_json(folder / COPY, options)


def recognizer_of(folder: Path) -> str:
    """The name of the recognizer that made the embeddings in `identities.json`."""
    try:
        return read_options(folder).get("recognizer", DEFAULT_RECOGNIZER)
    except FaceswapError:  # begun now
        return DEFAULT_RECOGNIZER


def read_options(folder: Path) -> dict[str, Any]:
    """`options.json` of a model folder, or its copy. Raises FaceswapError where `folder` is none."""
    if not folder.is_dir():
        raise FaceswapError(f"There is no model folder {folder}. Train one first: faceswap.py train -A FACES_A -B FACES_B -m {folder}")
    copy = folder / COPY
    if not (folder / "options.json").exists() and not copy.exists():
        raise FaceswapError(f"{folder} holds no model (no options.json). Name the folder that `train -m` wrote.")
    try:
        options = read_json(folder / "options.json", check_options)
    except FaceswapError:
        if not copy.exists():
            raise
        logger.warning("%s cannot be read; %s, its copy, stands in for it.", folder / "options.json", copy)
        options = read_json(copy, check_options)
    if options.get("format", 0) > FORMAT:
        raise FaceswapError(f"{folder} was written by a newer version of faceswap. Update, then try again.")
    if options["model"] in MODELS.names():
        options["options"] = {**MODELS.load(options["model"]).earlier, **options["options"]}
    return options


def saves(folder: Path) -> list[Path]:
    """The saves of a model folder, newest first."""
    return _numbered(folder / "saves")


def snapshots(folder: Path) -> list[Path]:
    """The saves that are kept for good, newest first."""
    return _numbered(folder / "snapshots")


def _numbered(folder: Path) -> list[Path]:
    check_inner_folder(folder)
    found = [path for path in folder.glob("*") if NUMBERED.fullmatch(path.name) and path.is_dir() and not path.is_symlink()]
    return sorted(found, key=lambda path: int(path.name), reverse=True)


def save(folder: Path, networks: dict[str, keras.Model], averages: dict[str, keras.Model],
         optimizers: dict[str, keras.optimizers.Optimizer], state: State, keep: int = KEPT) -> Path:
    """Writes a save and takes away older ones but for the newest `keep` in all, and the best. There is none of this iteration yet.

    Raises OSError, leaving all earlier saves as they were.
    """
    iteration = state.iteration
    parent = folder / "saves"
    make_inner_folder(parent)
    for leftover in parent.glob(".*"):
        if BEGUN.fullmatch(leftover.name):
            remove_save(leftover)
    beside = parent / f".{iteration:08d}"
    beside.mkdir()
    try:
        check_room(beside, networks, averages, optimizers)
        for name, network in networks.items():
            network.save_weights(beside / f"{name}.weights.h5")
        for name, network in averages.items():
            network.save_weights(beside / f"{name}.averaged.weights.h5")
        for group, optimizer in optimizers.items():
            _save_variables(beside / f"{group}.optimizer.h5", optimizer.variables)
        files = {path.name: _flushed_sum(path) for path in sorted(beside.iterdir())}
        write_json(beside / "state.json", asdict(replace(state, files=files)))
        flush_folder(beside)
        final = parent / f"{iteration:08d}"
        beside.rename(final)
        flush_folder(parent)
    except BaseException:
        remove_save(beside)
        raise
    finest = best(folder)
    for old in saves(folder)[keep:]:
        if old != finest:
            remove_save(old)
    return final


def remove_save(save: Path) -> None:
    """Removes a save with the files that a save consists of; a link, and whatever else lies in it, stays."""
    remove_inner_folder(save, lambda name: bool(SAVED.fullmatch(name) or PART.fullmatch(name)))


def keep_for_good(save: Path) -> Path:
    """Makes a snapshot of a save, which takes room on the disk only once the save itself is gone, where the disk can do that.

    Raises OSError, leaving nothing behind.
    """
    final = save.parent.parent / "snapshots" / save.name
    beside = final.with_name(f".{save.name}")
    make_inner_folder(final.parent)
    if not final.exists():
        _copy_save(save, beside, final)
    return final


def _copy_save(save: Path, beside: Path, final: Path) -> None:
    """Copies a save to `final` by way of `beside`, with hard links where the disk has them. Raises OSError, leaving nothing behind."""
    remove_save(beside)
    try:
        beside.mkdir()
        for file in sorted(save.iterdir()):
            if SAVED.fullmatch(file.name) and file.is_file() and not file.is_symlink():
                copy_file(file, beside / file.name, link=True)
        beside.rename(final)
    except BaseException:
        remove_save(beside)
        raise


def best(folder: Path) -> Path | None:
    """The save with the best score: of how held-out faces were swapped, where that was measured, else of the loss."""
    scored: dict[str, list[tuple[float, Path]]] = {"swap": [], "loss": []}
    for path in saves(folder):
        with contextlib.suppress(OSError, ValueError, FaceswapError):
            for kind, value in _read_state(path).get("scores", {}).items():
                if math.isfinite(value) and kind in scored:
                    scored[kind].append((value, path))
    return min(scored["swap"] or scored["loss"], default=(0.0, None))[1]


def restore(folder: Path, which: str) -> State:
    """Makes an earlier save the newest: `which` is "best", "previous", or the iteration of a save or a snapshot.

    Those after it are set aside as `saves/00012000.undone`. Raises FaceswapError where there is none such, or it is damaged.
    """
    wanted, state = find(folder, which, "--restore")
    final = folder / "saves" / wanted.name
    if not final.exists():
        make_inner_folder(final.parent)
        _copy_save(wanted, final.with_name(f".{wanted.name}"), final)
    set_aside_newer(folder, state.iteration, "undone")
    return state


def find(folder: Path, which: str, option: str) -> tuple[Path, State]:
    """An earlier save: "best", "previous", or the iteration of a save or a snapshot. `option` asked for it.

    Raises FaceswapError where there is none such, or it is damaged.
    """
    there = saves(folder)
    if which == "best":
        wanted = best(folder)
    elif which == "previous":
        wanted = there[1] if len(there) > 1 else None
    else:
        wanted = next((path for path in (*there, *snapshots(folder)) if which.isdecimal() and int(path.name) == int(which)), None)
    if wanted is None:
        known = ", ".join(str(int(path.name)) for path in sorted({path.name: path for path in (*there, *snapshots(folder))}.values()))
        raise FaceswapError(f"There is no save {which!r} in {folder}. There are: {known or 'none'}; \"previous\" and \"best\" where there "
                            "are several. Nothing was changed.")
    try:
        return wanted, _checked_state(wanted)
    except (OSError, ValueError, KeyError, TypeError, FaceswapError) as error:
        raise FaceswapError(f"The save {wanted} is damaged ({error}). Nothing was changed; choose another with {option}.") from error


def newest(folder: Path) -> tuple[Path, State] | None:
    """The newest save that is whole, or None where there is none yet. A damaged one is passed over, with a warning.

    Raises FaceswapError where every save is damaged.
    """
    found = saves(folder)
    for path in found:
        try:
            return path, _checked_state(path)
        except PermissionError as error:
            raise FaceswapError(f"Cannot read the save {path}: {error.strerror}. Nothing was changed.") from error
        except (OSError, ValueError, KeyError, TypeError, FaceswapError) as error:
            if _is_replaced(folder, found):
                return newest(folder)
            logger.warning("The save %s is damaged (%s); trying the one before it.", path, error)
    if found:
        raise FaceswapError(f"Every save in {folder / 'saves'} is damaged. Restore the folder from a copy, or train anew in another.")
    return None


def load_newest(folder: Path, networks: dict[str, keras.Model], which: str | None = None) -> tuple[Path, State]:
    """Reads the weights of the newest good save into `networks`, or those of the save called `which` (see `find`), averaged where they are.

    A training that goes on may remove the save meanwhile, since it keeps only some: then the newer one is read. Raises FaceswapError
    where there is none, or it is damaged.
    """
    while True:
        there = saves(folder)
        found = newest(folder) if which is None else find(folder, which, "--save")
        if found is None:
            raise FaceswapError(f"The model in {folder} was never saved. Train it first: faceswap.py train -m {folder} ...")
        try:
            load_networks(found[0], networks, averaged=has_averages(found[0]))
            return found
        except (FaceswapError, OSError):
            if which is not None or not _is_replaced(folder, there):
                raise


def _is_replaced(folder: Path, before: Sequence[Path]) -> bool:
    """Whether another save is the newest now."""
    return saves(folder)[:1] not in ([], before[:1])


def set_aside_newer(folder: Path, iteration: int, why: str = "damaged") -> None:
    """Renames the saves beyond `iteration`, which must not count among those kept, nor stand where new ones will."""
    for path in saves(folder):
        if int(path.name) > iteration:
            names = (path.with_name(f"{path.name}.{why}{number or ''}") for number in itertools.count())
            path.rename(next(aside for aside in names if not aside.exists()))


def has_averages(save: Path) -> bool:
    """Whether averaged weights are among what was saved."""
    return any(save.glob("*.averaged.weights.h5"))


def load_networks(save: Path, networks: dict[str, keras.Model], averaged: bool) -> None:
    """Reads the weights of a save into `networks`, averaged ones of those that have them. Raises FaceswapError where they do not fit."""
    for name, network in networks.items():
        path = save / f"{name}.averaged.weights.h5"
        if not averaged or not path.exists():
            path = save / f"{name}.weights.h5"
        _check_size(path, 4 * network.count_params())
        try:
            hdf5.check_numbers(path, named=False)
            network.load_weights(path)
        except (*hdf5.DAMAGE, MemoryError) as error:
            raise FaceswapError(f"{path} does not hold the weights of this model ({(str(error) or 'damaged').splitlines()[0]}). "
                                "Restore the model folder from a copy.") from error


def load_optimizers(save: Path, optimizers: dict[str, keras.optimizers.Optimizer]) -> None:
    """Reads the state of built optimizers. Raises FaceswapError where it does not fit."""
    for group, optimizer in optimizers.items():
        _load_variables(save / f"{group}.optimizer.h5", optimizer.variables)


def _check_size(path: Path, expected: int) -> None:
    """Refuses a file far larger than the network, before memory is taken for it."""
    if not path.exists():
        raise FaceswapError(f"{path} is missing. Restore the model folder from a copy.")
    if path.stat().st_size > 2 * expected + (1 << 20):
        raise FaceswapError(f"{path} is far larger than this model's weights. It belongs to another model.")


def _save_variables(path: Path, variables) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        for number, variable in enumerate(variables):
            file.create_dataset(f"{number:05d}", data=variable.numpy())


def _load_variables(path: Path, variables) -> None:
    try:
        with hdf5.open_hdf5(path, named=False) as file:
            names = sorted(file)
            if len(names) != len(variables) or any(hdf5.dataset(file, name).shape != tuple(variable.shape)
                                                   for name, variable in zip(names, variables)):
                raise ValueError("other shapes")
            for name, variable in zip(names, variables):
                variable.assign(hdf5.numbers(file, name))
    except hdf5.DAMAGE as error:
        raise FaceswapError(f"{path} does not hold this model's optimizer ({(str(error) or 'damaged').splitlines()[0]}). Restore the model folder from a copy.") from error


def check_room(folder: Path, networks: dict, averages: dict, optimizers: dict) -> None:
    """Raises OSError where a save would not fit: a disk that fills up under HDF5 takes the process down when the file is freed."""
    variables = [variable for holder in (*networks.values(), *averages.values(), *optimizers.values()) for variable in holder.variables]
    needed = sum(4 * math.prod(variable.shape) + 4096 for variable in variables)  # each has a header of its own
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, f"No space left on the disk, {needed / 1e6:.1f} MB are needed")
    if hasattr(os, "posix_fallocate"):  # which knows of quotas too
        room = part_beside(folder / "room")
        with create(room) as file:
            try:
                os.posix_fallocate(file.fileno(), 0, needed)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                    raise
        room.unlink()


def _read_state(save: Path) -> dict[str, Any]:
    """What `state.json` of a save says. Raises OSError, ValueError, or FaceswapError."""
    state = reading.read_json(save / "state.json", named=False, finite=False)
    check_state(state)
    return state


def _checked_state(save: Path) -> State:
    known = _read_state(save)
    state = State(**{item.name: known[item.name] for item in fields(State) if item.name in known})
    if state.iteration != int(save.name):
        raise FaceswapError(f"state.json says iteration {state.iteration}")
    for name, expected in state.files.items():
        with reading.opened(save / Path(name).name, named=False) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                raise FaceswapError(f"{name} was changed")
    return state


def _flushed_sum(path: Path) -> str:
    flush_file(path)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

