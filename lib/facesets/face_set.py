"""A face set, be it a folder or a packed file."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2

from lib.errors import FaceswapError
from lib.facesets.face_file import FaceFile, read_face
from lib.facesets.folder import is_face_folder, list_faces
from lib.facesets.packed import PackedFaces, is_packed
from lib.system.logs import listed
from lib.system.parallel import ordered_map
from lib.system.progress import progress

LISTED = 5  # names of damaged files in a message


def is_face_set(path: Path) -> bool:
    """Whether `path` holds aligned faces: a packed face set, or a folder of faces from extract."""
    return is_packed(path) or is_face_folder(path)


def read_faces(path: Path, threads: int) -> list[FaceFile]:
    """The faces in a set, numbers in their names in numeric order.

    Pictures of a packed set are read-only: they lie in the file, and come into memory when they are
    looked at. Raises FaceswapError for what is damaged or no face: all such files of a folder at
    once.
    """
    cv2.setNumThreads(1)  # the threads are here
    show = partial(progress, stage=f"read {path.name}", unit="face")
    if not path.is_dir():
        with PackedFaces(path) as faces:
            places = range(len(faces))
            if faces.compressed:
                return list(show(ordered_map(faces.read, places, threads), total=len(faces)))
            return list(show(map(faces.read, places), total=len(faces)))
    paths = list_faces(path)
    files = list(show(ordered_map(_read_or_error, paths, threads), total=len(paths)))
    damaged = [(file, error) for file, error in zip(paths, files)
               if isinstance(error, FaceswapError)]
    if len(damaged) > 1:
        names = listed([file.name for file, _ in damaged], LISTED)
        raise FaceswapError(f"{len(damaged)} files in {path} are damaged, or no faces: {names}. "
                            f"The first: {damaged[0][1]}")
    if damaged:
        raise damaged[0][1]
    return files


def _read_or_error(path: Path) -> FaceFile | FaceswapError:
    try:
        return read_face(path)
    except FaceswapError as error:
        return error
