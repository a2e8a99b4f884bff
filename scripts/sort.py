"""`faceswap.py sort`: a face folder in an order in which what does not belong there is found at a glance."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from lib.errors import DONE, SOME_FAILED, FaceswapError, UsageError
from lib.facesets.folder import FaceFile, NotAFace, list_faces, read_face
from lib.facesets.sorting import moves
from lib.facesets.sorting.moves import LOG, Move
from lib.facesets.sorting.order import Group, SortedFace, arranged, measured
from lib.files.names import natural_key, same_path
from lib.options import option
from lib.plugin import Recognizer
from lib.settings import Settings
from lib.system import device
from lib.system.logs import counted
from lib.system.parallel import ordered_map
from lib.system.progress import progress
from lib.words import escaped

logger = logging.getLogger(__name__)

SHOWN = 10  # lines of a dry run; files named in a warning


def run(options: Sort) -> int:
    folder = Path(os.path.abspath(options.input))
    _check(options, folder)
    in_place = options.output is None
    mark = {"input": str(folder), "by": options.by, "group": options.group}
    if not (in_place or options.undo):
        moves.check_output(options.output, mark)
    with moves.alone(folder) if in_place and not options.dry_run else nullcontext():
        if options.undo:
            return _undo(folder, options.dry_run)
        recognizer = options.create("recognizer") if options.by == "identity" else None
        faces, damaged = _measured(folder, options.by, recognizer)
        groups = arranged(options.by, faces, options.group, recognizer.apart if recognizer else 0.0)
        planned = moves.named(groups, folder, in_place)
        if options.dry_run:
            _show(groups, planned)
            logger.info("%s would be sorted by %s. Nothing was changed.", counted(len(faces), "face"), options.by)
        elif in_place:
            _rename(folder, options.by, groups, planned)
        else:
            moves.copy(folder, options.output, planned, mark)
            _tell(groups)
            logger.info("Copied %s, sorted by %s, into %s.", counted(len(faces), "face"), options.by, options.output)
    return SOME_FAILED if damaged else DONE


def _check(options: Sort, folder: Path) -> None:
    if options.undo and (given := [f"--{name}" for name in ("output", "by", "group") if getattr(options, name) is not None]):
        raise UsageError(f"--undo takes the last sort in place back: leave {' and '.join(given)} out.")
    if not options.undo and options.by is None:
        raise UsageError("sort needs --by, or --undo. See: faceswap.py sort --help")
    if not folder.is_dir():
        raise FaceswapError(f"{folder} {'is a file' if folder.exists() else 'does not exist'}. Name a folder of faces made by extract.")
    if options.output and same_path(options.output, folder):
        raise FaceswapError(f"Input and output are the same, {options.input}. Leave -o out to rename the faces where they are.")


def _measured(folder: Path, by: str, recognizer: Recognizer | None) -> tuple[list[SortedFace], int]:
    """The faces of `folder` in the order of time, and how many are damaged. Raises FaceswapError where there is none."""
    paths = list_faces(folder)
    if not paths:
        undo = " They were moved into groups: --undo takes that back." if any(LOG.fullmatch(path.name) for path in folder.iterdir()) else ""
        raise FaceswapError(f"There are no faces (PNG files made by extract) in {folder} itself; folders in it are not looked into.{undo}")
    if recognizer:
        def describe(file: FaceFile) -> np.ndarray:
            return recognizer.embed([file.aligned])[0]
    else:
        describe = partial(measured, by)
    cv2.setNumThreads(1)  # the threads are here
    faces_read = ordered_map(partial(_face, describe=describe), paths, device.cores())
    read = list(progress(faces_read, f"measure {folder.name}", len(paths), unit="face"))
    faces = [one for one in read if isinstance(one, SortedFace)]
    damaged = [one for one in read if isinstance(one, FaceswapError) and not isinstance(one, NotAFace)]
    if not faces:
        raise next(one for one in read if isinstance(one, FaceswapError))
    strangers = [path.name for path, one in zip(paths, read) if isinstance(one, NotAFace)]
    strangers += sorted(path.name for path in folder.iterdir() if path.is_file() and path.suffix.lower() != ".png"
                        and not path.name.startswith(".") and not LOG.fullmatch(path.name))
    if strangers:
        logger.warning("Left alone, since extract did not make them: %s.", _listed(strangers))
    for error in damaged:
        logger.warning("Left alone: %s", error)
    return sorted(faces, key=lambda face: (natural_key(face.origin.source), face.origin.frame, face.origin.number,
                                           natural_key(face.plain))), len(damaged)


def _face(path: Path, describe: Callable[[FaceFile], np.ndarray]) -> SortedFace | FaceswapError:
    """The face in a file, or what is wrong with it. The picture itself is let go of."""
    try:
        file = read_face(path)
        return SortedFace(path, moves.plain_name(path.name, file.origin), file.origin, describe(file))
    except FaceswapError as error:
        return error
    except ValueError as error:
        return FaceswapError(f"The landmarks in {path} make no face ({error}). Delete it, or extract the faces again.")


def _rename(folder: Path, by: str, groups: list[Group], planned: list[Move]) -> None:
    if all(move.after == move.before for move in planned):
        logger.info("%s are in this order already.", counted(len(planned), "face"))
        return
    gone = moves.rename(folder, by, planned)
    if gone:
        logger.warning("Taken away while the faces were measured: %s.", _listed(gone))
    _tell(groups)
    logger.info("Sorted %s by %s. faceswap.py sort -i %s --undo takes it back.", counted(len(planned) - len(gone), "face"), by, folder)


def _undo(folder: Path, dry_run: bool) -> int:
    plan = moves.read_undo(folder)
    if dry_run:
        _print([Move(move.after, move.before) for move in plan.moves])
        logger.info("%s would get their names of before the sort by %s. Nothing was changed.", counted(len(plan.moves), "file"), plan.by)
        return DONE
    moves.undo(folder, plan)
    if plan.gone:
        logger.info("Gone since then: %s.", _listed(plan.gone))
    logger.info("Took the sort by %s back: %s have their names of before.", plan.by, counted(len(plan.moves), "file"))
    if plan.blocked:
        logger.warning("Another file has the old name of: %s. Take that away and run --undo again.",
                       _listed([f"{move.after} ({move.before})" for move in plan.blocked]))
        return SOME_FAILED
    if plan.earlier:
        logger.info("%s can be taken back likewise.", counted(plan.earlier, "earlier sort"))
    return DONE


def _show(groups: list[Group], planned: list[Move]) -> None:
    _print(planned)
    for group in groups:
        if group.name:
            print(escaped(f"{len(group.faces):7} in {group.name}"))


def _print(planned: list[Move]) -> None:
    for move in planned[:SHOWN]:
        print(escaped(f"{move.before} -> {move.after}"))
    if len(planned) > SHOWN:
        print(f"... and {len(planned) - SHOWN} more")


def _tell(groups: list[Group]) -> None:
    for group in groups:
        if group.name:
            logger.info("%6d in %s", len(group.faces), group.name)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


@dataclass(kw_only=True)
class Sort(Settings):
    """Put faces into an order or into groups, so that those to delete lie side by side.

    sort -i faces -o sorted --by blur            copies named 00000_..., so that a file browser shows them in order
    sort -i faces --by pose-yaw                  the same by renaming the files where they are; sort -i faces --undo takes it back
    sort -i faces -o people --by identity --group 5

    The order: blur from sharp to blurred; pose-yaw turned from left to right (of the picture), pose-pitch from down to up,
    pose-roll tilted from counter-clockwise to clockwise; size (pixels in the frame) from large to small; color from dark to
    bright skin; time by source and frame; expression from shut to open mouth and, among mouths that are open alike, by the
    eyes; histogram: each face is followed by the one whose picture has the most similar colours; identity: person by person,
    the most frequent first, each from the most typical face to the least.

    --group N makes folders. Poses: N ranges of the same width in degrees (none where it would be empty); blur, size and time: N
    parts with the same number of faces; color, histogram and expression: N clusters of faces that are alike; identity: the N
    most frequent people, and `other`.

    What extract wrote once it does not write again, whatever name it has now, and what you delete stays deleted. But after --group
    without -o the folder itself holds no face: train and all other commands read the faces of a folder itself, not those of
    folders in it, so give train one of the groups or move what is to stay back; and extract takes the folder for an emptied one
    and would fill it anew.
    """

    input: Path = option(help="Folder of faces made by extract.", short="-i")
    output: Path | None = option(None, "New folder for sorted copies; without it the files of the input are renamed.", short="-o")
    by: str | None = option(None, "What decides.", choices=("blur", "pose-yaw", "pose-pitch", "pose-roll", "identity", "color", "histogram",
                                                            "size", "time", "expression"))
    group: int | None = option(None, "Into folders, at most N.", low=1)
    recognizer: str = option("dlib_resnet", "Tells people apart, for --by identity.", plugin="recognizers")
    dry_run: bool = option(False, "Say what would be done, and change nothing.")
    undo: bool = option(False, "Take the last sort in place back; again for the one before.")
