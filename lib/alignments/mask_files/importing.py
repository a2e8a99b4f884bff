"""Masks that were painted or drawn elsewhere, read back into a store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lib.alignments.mask_files.pictures import onto_crop, read_mask
from lib.alignments.mask_files.places import Place, Places
from lib.alignments.mask_files.polygons import from_json, from_labelme, mask_of_polygons
from lib.alignments.masking import SIZE
from lib.alignments.store import AlignmentStore, StoredFace
from lib.errors import FaceswapError
from lib.faces.geometry import DEFAULT_SIZE, crop_matrix, invert
from lib.facesets.face_file import MOST_FRAMES
from lib.facesets.folder import MASK
from lib.files.names import PICTURE_ENDINGS, natural_key
from lib.files.reading import check_regular, read_json
from lib.media.base import FrameSource
from lib.system.progress import progress

SIDECAR = ".json"  # beside a face's picture, as labelme writes it
MOST = 16 << 20  # bytes of one: labelme's may hold the picture, too


@dataclass
class Imported:
    """What was read."""

    faces: int = 0
    left_out: list[str] = field(default_factory=list)  # files or faces that were not, a line each


@dataclass(frozen=True)
class _MaskFile:
    """A mask in a folder: a picture, or labelme's JSON."""

    path: Path
    face: Path  # the picture of the face beside it


def import_folder(source: FrameSource, store: AlignmentStore, name: str, folder: Path) -> Imported:
    """Stores the masks in `folder` and the folders in it, under `name`.

    Of a face with polygons of labelme these are taken, and its painted mask is not looked at.
    Raises FaceswapError where there is no mask at all.
    """
    files, imported = _list(folder), Imported()
    if not files:
        raise FaceswapError(f"{folder} holds no masks. Their files are called like those of the "
                            f"faces, with {MASK} added: clip_000012_0{MASK}.png.")
    places = Places(source, store, DEFAULT_SIZE)
    taken: dict[tuple[int, int], Path] = {}

    def read(file: _MaskFile) -> tuple[int, int, np.ndarray]:
        place = places.beside(file.face)
        key = place.frame, place.stored.number
        if key in taken:
            raise FaceswapError(f"{file.path} is of the same face as {taken[key]}, which was "
                                "taken. Leave one of them out.")
        mask = _drawn(file.path, place) if file.path.suffix.lower() == SIDECAR else _painted(
            file.path, place)
        taken[key] = file.path
        return *key, mask

    imported.faces = store.add_painted(name, _each(files, read, imported))
    return imported


def import_polygons(source: FrameSource, store: AlignmentStore, name: str, path: Path) -> Imported:
    """Stores the masks that the polygons in the JSON file `path` describe, under `name`. Raises
    FaceswapError where it is no list of faces."""
    try:
        entries = read_json(path)
    except ValueError as error:
        raise FaceswapError(f"{path} is no valid JSON: {error}. Export it again.") from None
    if not isinstance(entries, list):
        raise FaceswapError(f"{path} is no list of faces with polygons. Name a file that mask "
                            "export wrote; JSON of labelme lies beside the pictures of a folder.")
    names = {name: index for index, name in store.names().items() if name}
    imported = Imported()

    def read(item: tuple[int, Any]) -> tuple[int, int, np.ndarray]:
        place, entry = item
        try:
            stored, index = _face_of(entry, names, store)
            mask = mask_of_polygons(from_json(entry.get("polygons")), stored.fitted.landmarks, SIZE)
        except ValueError as error:
            raise FaceswapError(f"{path}: entry {place}: {error}.") from None
        return index, stored.number, mask

    imported.faces = store.add_painted(name, _each(list(enumerate(entries, 1)), read, imported))
    return imported


def _each(items: list, read: Callable[[Any], tuple[int, int, np.ndarray]],
          imported: Imported) -> Iterator[tuple[int, int, np.ndarray]]:
    """What `read` makes of each of `items`; what it refuses is noted."""
    for item in progress(items, "import", len(items), unit="face"):
        try:
            yield read(item)
        except FaceswapError as error:
            imported.left_out.append(str(error))


def _list(folder: Path) -> list[_MaskFile]:
    """The masks in `folder` and the folders in it; those of labelme first."""
    files = []
    for place, _, names in os.walk(folder):
        known = set(names)
        stems = {Path(name).stem for name in names if Path(name).suffix.lower() in PICTURE_ENDINGS}
        for name in names:
            path = Path(place, name)
            ending = path.suffix.lower()
            if name.startswith("."):
                continue
            if ending == SIDECAR and f"{path.stem}.png" in known:
                files.append(_MaskFile(path, path.with_suffix(".png")))
            # a file that no program of ours opens is told, unless it was also saved as a picture
            elif path.stem.endswith(MASK) and (ending in PICTURE_ENDINGS
                                               or path.stem not in stems):
                face = path.stem.removesuffix(MASK)
                files.append(_MaskFile(path, path.with_name(f"{face}.png")))
    drawn = {file.face for file in files if file.path.suffix.lower() == SIDECAR}
    kept = [file for file in files
            if file.face not in drawn or file.path.suffix.lower() == SIDECAR]
    return sorted(kept, key=lambda file: natural_key(str(file.path)))


def _painted(path: Path, place: Place) -> np.ndarray:
    """(SIZE, SIZE, 1) float32: the mask in a picture that lies over the face's picture."""
    if path.is_symlink():
        raise FaceswapError(f"{path} is a link. Put the file itself there.")
    check_regular(path)
    mask = read_mask(path)
    return onto_crop(mask, _onto(place, len(mask)), SIZE)


def _onto(place: Place, size: int) -> np.ndarray:
    """(2, 3) from the pixels of a face's picture, `size` a side, to those of its stored masks."""
    onto = crop_matrix(place.stored.fitted.landmarks, SIZE)
    return onto @ np.vstack([invert(place.matrix_at(size)), [0, 0, 1]])


def _drawn(path: Path, place: Place) -> np.ndarray:
    """(SIZE, SIZE, 1) float32: the mask that labelme's polygons describe."""
    try:
        polygons = from_labelme(read_json(path, MOST, named=False), place.size, place.matrix)
    except OSError as error:
        raise FaceswapError(f"Cannot read {path}: {error.strerror}.") from error
    except ValueError as error:
        raise FaceswapError(f"{path} cannot be imported: {error}.") from None
    return mask_of_polygons(polygons, place.stored.fitted.landmarks, SIZE)


def _face_of(entry: Any, names: dict[str, int], store: AlignmentStore) -> tuple[StoredFace, int]:
    """The face that an entry of our JSON means, and its frame. Raises ValueError."""
    if not isinstance(entry, dict):
        raise ValueError('a face must have "frame", "number" and "polygons"')
    frame, number, name = entry.get("frame"), entry.get("number"), entry.get("name", "")
    if not all(type(value) is int and 0 <= value < MOST_FRAMES for value in (frame, number)):
        raise ValueError('"frame" and "number" must be whole numbers, of frames from 1')
    if not isinstance(name, str):
        raise ValueError('"name" must be a text')
    index = names.get(name, -1) if name else frame - 1
    for stored in store.faces(index, dropped=True):
        if stored.number == number:
            return stored, index
    raise ValueError(f"{name or f'frame {frame}'} has no face with the number {number}")
