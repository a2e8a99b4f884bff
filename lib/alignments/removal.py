"""Faces that are left out because a user deleted their pictures, and how they come back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.alignments.store import AlignmentStore, StoredFace
from lib.errors import FaceswapError
from lib.facesets.face_file import read_origin
from lib.facesets.folder import is_mask
from lib.system.progress import progress

FaceKey = tuple[int, int]  # frame and number


@dataclass(frozen=True)
class Removed:
    """What `remove_deleted` did, in faces."""

    present: int  # whose picture is in the folder
    removed: int  # left out now that were not before
    returned: int  # left out before, whose picture is there again
    altogether: int  # left out by hand, this folder or another


def remove_deleted(store: AlignmentStore, folder: Path, everything: bool = False) -> Removed:
    """Leaves out the faces whose pictures extract wrote into `folder` and that are not there any
    more, nor in folders inside it.

    A picture may have another name by now. Faces left out before come back where their picture is
    there. An empty folder is refused unless `everything` may go. The folder may also be a copy,
    sorted or not, of one that extract wrote, or its new place. Raises FaceswapError where the
    folder is not of this source, or nothing was deleted.
    """
    if not folder.is_dir():
        raise FaceswapError(f"There is no folder {folder}. Name the folder of faces that extract "
                            "wrote with -f.")
    files = _files(folder)
    if not files and not everything:
        raise FaceswapError(f"{folder} is empty: every face would be left out. Say --all if that "
                            "is meant; extract -o writes them again.")

    # Which faces there are, were left out before, and have a picture
    landmarks = _landmarks_by_frame(files, store)
    known: set[FaceKey] = set()
    before: set[FaceKey] = set()
    kept: set[FaceKey] = set()
    for index, stored in store.all_faces(dropped=True):
        key = index, stored.number
        if stored.dropped in (None, "removed"):
            known.add(key)
            if stored.dropped == "removed":
                before.add(key)
            if _is_shown(stored, landmarks.get(index, [])):
                kept.add(key)
    if files and not kept and not everything:
        raise FaceswapError(f"{_none_of(files, folder, store)} Name one with -f.")

    # Which were deleted
    deleted = (_written(store, folder, kept) & known) - kept
    now = before - kept | deleted
    if not deleted and now == before:
        raise FaceswapError(f"Nothing was deleted in {folder}: all {len(kept)} faces are there.")
    store.drop("removed", sorted(now))
    return Removed(len(kept), len(now - before), len(before - now), len(now))


def faces_shown(store: AlignmentStore, folder: Path) -> set[FaceKey]:
    """The faces of `store` whose pictures are in `folder`, or in folders inside it, under whatever
    name.

    Raises FaceswapError where there is none.
    """
    files = _files(folder) if folder.is_dir() else []
    landmarks = _landmarks_by_frame(files, store)
    shown = {(index, stored.number) for index, stored in store.all_faces()
             if _is_shown(stored, landmarks.get(index, []))}
    if not shown:
        raise FaceswapError(_none_of(files, folder, store))
    return shown


def bring_back(store: AlignmentStore, folder: Path | None = None) -> int:
    """Takes back all faces that were left out by hand, or those written into `folder`; returns how
    many.
    """
    removed = [(index, stored.number) for index, stored in store.all_faces(dropped=True)
               if stored.dropped == "removed"]
    written = store.written(folder) if folder else set()
    stay = [key for key in removed if folder and key not in written]
    store.drop("removed", stay)
    return len(removed) - len(stay)


def _none_of(files: list[Path], folder: Path, store: AlignmentStore) -> str:
    return (f"None of the {len(files)} faces in {folder} is of {store.path}. Folders that extract "
            f"wrote for it: {', '.join(map(str, store.folders())) or 'none'}.")


def _written(store: AlignmentStore, folder: Path, kept: set[FaceKey]) -> set[FaceKey]:
    """The faces that were written into `folder`, or into the one of which it is a copy or the new
    place: that which had all of `kept`.
    """
    if written := store.written(folder):
        return written
    candidates = {path: written for path in store.folders()
                  if kept and kept <= (written := store.written(path))}
    if len({frozenset(written) for written in candidates.values()}) == 1:
        return next(iter(candidates.values()))
    known = ", ".join(map(str, candidates or store.folders())) or "none"
    raise FaceswapError(f"extract wrote no faces of {store.path} into {folder}, and which folder "
                        "it was copied from is not clear. Folders that extract wrote into: "
                        f"{known}. Name one with -f.")


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*")
            if path.suffix.lower() == ".png" and not path.name.startswith(".")
            and not is_mask(path)]


def _is_shown(stored: StoredFace, landmarks: list[np.ndarray]) -> bool:
    return any(map(stored.is_shown_by, landmarks))


def _landmarks_by_frame(files: list[Path], store: AlignmentStore) -> dict[int, list[np.ndarray]]:
    """The landmarks (68, 2) of the faces in `files`, by frame; those of another source differ."""
    places = {name: index for index, name in store.names().items() if name}
    by_frame: dict[int, list[np.ndarray]] = {}
    for path in progress(files, "read faces", len(files), unit="face"):
        origin, landmarks = read_origin(path)
        # Pictures may have moved since
        index = places.get(origin.name, -1) if origin.name else origin.frame
        by_frame.setdefault(index, []).append(landmarks)
    return by_frame
