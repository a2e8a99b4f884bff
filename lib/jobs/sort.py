"""A face folder put into an order, or into groups."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from lib.errors import FaceswapError, UsageError
from lib.facesets.face_file import FaceFile, NotAFace, read_face
from lib.facesets.folder import list_faces
from lib.facesets.sorting import moves
from lib.facesets.sorting.moves import LOG, Move, Undo
from lib.facesets.sorting.order import Group, SortedFace, arrange, measure
from lib.files.names import natural_key, same_path
from lib.options import option
from lib.plugin import Recognizer
from lib.settings import Settings
from lib.system import device
from lib.system.parallel import ordered_map
from lib.system.progress import job, progress

Describe = Callable[[FaceFile], np.ndarray]  # (D,) float32 of a face


@dataclass(kw_only=True)
class SortSettings(Settings):
    """Sort faces, or put them into groups, so that those to delete lie side by side.

    sort -i faces -o sorted --by blur   copies, named 00000_... so that file browsers keep the order
    sort -i faces --by pose-yaw         renames in place; sort -i faces --undo takes it back
    sort -i faces -o people --by identity --group 5

    The order: blur from sharp to blurred; pose-yaw turned from left to right (of the picture),
    pose-pitch from down to up, pose-roll tilted from counter-clockwise to clockwise; size (pixels
    in the frame) from large to small; color from dark to bright skin; time by source and frame;
    expression from a closed to an open mouth, and for equally open mouths by the eyes; histogram:
    each face is followed by the one with the most similar colours; identity: person by person, the
    most frequent first, each from the most typical face to the least.

    --group N makes folders. Poses: N ranges of equal width in degrees (empty ones are left out);
    blur, size and time: N parts with equally many faces; color, histogram and expression: N
    clusters of similar faces; identity: the N most frequent people, and `other`.

    extract does not write a renamed or deleted face again. But commands read only the faces
    directly in a folder, not those in its subfolders. After --group without -o, give train one of
    the groups, or move the faces to keep back; extract would fill the emptied folder again.
    """

    input: Path = option(help="Folder of faces made by extract.", short="-i")
    output: Path | None = option(
        None, "New folder for sorted copies. Default: rename the files of the input.", short="-o")
    by: str | None = option(
        None, "What to sort by.",
        choices=("blur", "pose-yaw", "pose-pitch", "pose-roll", "identity", "color", "histogram",
                 "size", "time", "expression"))
    group: int | None = option(None, "Put the faces into at most N folders.", low=1)
    recognizer: str = option(
        "dlib_resnet", "Tells people apart, for --by identity.", plugin="recognizers")
    dry_run: bool = option(False, "Show what would be done, and change nothing.")
    undo: bool = option(False, "Take back the last sort in place; repeat for the one before.")


@dataclass(frozen=True)
class SortResult:
    """What `sort` did, or with `dry_run` would do."""

    moves: tuple[Move, ...]  # old and new name of each face, in order
    groups: tuple[Group, ...]  # a single one without a name where no groups were asked for
    not_faces: tuple[str, ...]  # names of files that extract did not make; left alone
    damaged: tuple[FaceswapError, ...]  # files that were left alone
    vanished: tuple[str, ...] = ()  # names of files that somebody took away during the run

    @property
    def changed(self) -> bool:
        """Whether any file has another name than before."""
        return any(move.after != move.before for move in self.moves)


@job
def sort(settings: SortSettings) -> SortResult:
    """Copies or renames the faces of a folder. Raises FaceswapError where it holds none, or the
    output holds other pictures."""
    folder, by, output = Path(os.path.abspath(settings.input)), settings.by, settings.output
    if by is None:
        raise UsageError("sort needs --by, or --undo. See: faceswap.py sort --help")
    _check_folder(folder)
    if output and same_path(output, folder):
        raise FaceswapError(f"Input and output are the same, {settings.input}. Leave -o out to "
                            "rename the faces in place.")
    description = {"input": str(folder), "by": by, "group": settings.group}
    if output:
        moves.check_output(output, description)
    with nullcontext() if output or settings.dry_run else moves.locked_folder(folder):
        recognizer = settings.create("recognizer") if by == "identity" else None
        faces, not_faces, damaged = _measure(folder, by, recognizer)
        groups = arrange(by, faces, settings.group, recognizer.same_distance if recognizer else 0.0)
        planned = moves.named(groups, folder, in_place=not output)
        vanished: list[str] = []
        if output and not settings.dry_run:
            moves.copy(folder, output, planned, description)
        elif not settings.dry_run:
            vanished = moves.rename(folder, by, planned)
    return SortResult(tuple(planned), tuple(groups), tuple(not_faces), tuple(damaged),
                      tuple(vanished))


@job
def undo_sort(settings: SortSettings) -> Undo:
    """Takes back the last sort in place, or with `dry_run` says what that would do.

    Raises FaceswapError where there is none.
    """
    if flags := [f"--{name}" for name in ("output", "by", "group")
                 if vars(settings)[name] is not None]:
        raise UsageError(f"--undo takes back the last sort in place: leave {' and '.join(flags)} "
                         "out.")
    folder = Path(os.path.abspath(settings.input))
    _check_folder(folder)
    with nullcontext() if settings.dry_run else moves.locked_folder(folder):
        undo = moves.read_undo(folder)
        if not settings.dry_run:
            moves.undo(folder, undo)
    return undo


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise FaceswapError(f"{folder} {'is a file' if folder.exists() else 'does not exist'}. "
                            "Name a folder of faces made by extract.")


def _measure(folder: Path, by: str, recognizer: Recognizer | None
             ) -> tuple[list[SortedFace], list[str], list[FaceswapError]]:
    """The faces of `folder` in the order of time, names of other files, and what is damaged."""
    paths = list_faces(folder)
    if not paths:
        was_grouped = any(LOG.fullmatch(path.name) for path in folder.iterdir())
        undo = " They were moved into groups: --undo takes that back." if was_grouped else ""
        raise FaceswapError(f"There are no faces (PNG files made by extract) directly in {folder}; "
                            f"its subfolders are not read.{undo}")

    def embed(file: FaceFile) -> np.ndarray:
        return recognizer.embed([file.aligned])[0]

    describe = embed if recognizer else partial(measure, by)
    cv2.setNumThreads(1)  # the threads are here
    results = list(progress(ordered_map(partial(_measure_face, describe=describe), paths,
                                        device.cores()), f"measure {folder.name}", len(paths),
                            unit="face"))
    faces = [face for face in results if isinstance(face, SortedFace)]
    errors = [error for error in results if isinstance(error, FaceswapError)]
    if not faces:
        raise errors[0]
    not_faces = [path.name for path, error in zip(paths, results) if isinstance(error, NotAFace)]
    not_faces += sorted(path.name for path in folder.iterdir()
                        if path.is_file() and path.suffix.lower() != ".png"
                        and not path.name.startswith(".") and not LOG.fullmatch(path.name))
    faces.sort(key=lambda face: (natural_key(face.origin.source), face.origin.frame,
                                 face.origin.number, natural_key(face.plain)))
    return faces, not_faces, [error for error in errors if not isinstance(error, NotAFace)]


def _measure_face(path: Path, describe: Describe) -> SortedFace | FaceswapError:
    """The face in a file without its picture, or what is wrong with it."""
    try:
        file = read_face(path)
        return SortedFace(path, moves.plain_name(path.name, file.origin), file.origin,
                          describe(file))
    except FaceswapError as error:
        return error
    except ValueError as error:
        return FaceswapError(f"The landmarks in {path} make no face ({error}). Delete it, or "
                             "extract the faces again.")
