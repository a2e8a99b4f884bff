"""Masks of a store's faces, written as files: beside pictures of the faces, or as polygons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lib.alignments.mask_files.pictures import onto_crop
from lib.alignments.mask_files.places import Places
from lib.alignments.mask_files.polygons import polygons_of_mask, to_json
from lib.alignments.masking import SIZE, masks
from lib.alignments.store import AlignmentStore, StoredFace
from lib.faces.geometry import DEFAULT_COVERAGE, crop, crop_matrix, invert
from lib.facesets.face_file import FaceFile, read_face
from lib.facesets.folder import FaceFolder, mask_beside, origin_in
from lib.files.writing import disk_errors, write_json
from lib.media.base import FrameSource
from lib.media.pictures import picture_file
from lib.plugin import MASKERS, Masker
from lib.sampling import evenly
from lib.system import device
from lib.system.parallel import ordered_map
from lib.system.progress import progress
from lib.types import Frame


@dataclass(frozen=True)
class Exported:
    """What was written."""

    faces: int
    kept: int  # masks that were there before and were left as they are
    unread: tuple[int, ...] = ()  # frames that could not be read


@dataclass(frozen=True)
class Selection:
    """Which faces are written, and what their masks are: the first that a face has of `names`, else
    what `masker` makes; without either, everything is face."""

    names: Sequence[str]
    masker: Masker | None
    includes: Callable[[int], bool]  # frames, by their index
    count: int | None  # evenly chosen; None: all

    def faces(self, store: AlignmentStore) -> dict[int, list[int]]:
        """The numbers of the chosen faces by frame."""
        keys = [(index, stored.number) for index, stored in store.all_faces()
                if self.includes(index)]
        if self.names and not self.masker:
            masked = {key for name in self.names for key in store.with_mask(name)}
            keys = [key for key in keys if key in masked]
        chosen: dict[int, list[int]] = {}
        for index, number in evenly(keys, self.count):
            chosen.setdefault(index, []).append(number)
        return chosen

    def stored_mask(self, stored: StoredFace) -> np.ndarray | None:
        """The mask (S, S, 1) float32 that a face has; None where `masker` is to make one."""
        known = next((stored.masks[name] for name in self.names if name in stored.masks), None)
        return np.ones((SIZE, SIZE, 1), np.float32) if known is None and not self.masker else known

    def mask(self, image: np.ndarray, stored: StoredFace) -> np.ndarray:
        """(S, S, 1) float32 of a face of the frame `image` (H, W, 3) uint8 RGB."""
        known = self.stored_mask(stored)
        if known is not None:
            return known
        return masks(image, stored.fitted, [self.masker])[MASKERS.name_of(self.masker)]


def export_pictures(source: FrameSource, store: AlignmentStore, selection: Selection, folder: Path,
                    size: int) -> Exported:
    """Writes pictures of faces, of `size` pixels, and their masks beside them, into `folder`."""
    sink, chosen = FaceFolder(folder), selection.faces(store)

    def write(item: tuple[Frame, list[StoredFace]]) -> tuple[int, list[bool]]:
        frame, faces = item
        written = []
        for stored in faces:
            aligned = crop(frame.image, stored.fitted, size)
            origin = origin_in(source, frame.index, stored.number, frame.name, frame.time)
            path = sink.write(aligned, origin, DEFAULT_COVERAGE)
            mask = selection.mask(frame.image, stored)
            written.append(_write_mask(mask_beside(path), _scaled(mask, size)))
        return frame.index, written

    unread, results = set(chosen), []
    done = ordered_map(write, _frames(source, store, chosen), device.cores())
    for index, written in progress(done, "export", len(chosen)):
        unread.discard(index)
        results += written
    return Exported(len(results), results.count(False), tuple(sorted(unread)))


def export_beside(source: FrameSource, store: AlignmentStore, selection: Selection,
                  paths: Sequence[Path]) -> Exported:
    """Writes masks beside those of the face pictures `paths` that show chosen faces."""
    places, chosen = Places(source, store, SIZE), selection.faces(store)
    results = []
    for path in progress(paths, "export", len(paths), unit="face"):
        file = read_face(path)
        place = places.of_face(file)
        if place and place.stored.number in chosen.get(place.frame, ()):
            mask = _over_picture(selection, place.stored, file)
            results.append(_write_mask(mask_beside(path), mask))
    return Exported(len(results), results.count(False))


def export_polygons(source: FrameSource, store: AlignmentStore, selection: Selection,
                    path: Path) -> Exported:
    """Writes the outlines of masks into the JSON file `path`."""
    chosen, names = selection.faces(store), store.names()
    entries, unread = [], set(chosen)
    frames = progress(_frames(source, store, chosen), "export", len(chosen))
    for frame, faces in frames:
        unread.discard(frame.index)
        for stored in faces:
            mask = selection.mask(frame.image, stored)
            polygons = polygons_of_mask(mask, stored.fitted.landmarks)
            name = {"name": names[frame.index]} if names.get(frame.index) else {}
            entries.append({"frame": frame.index + 1, **name, "number": stored.number,
                            "polygons": to_json(polygons)})
    with disk_errors(path):
        write_json(path, entries, indent=None)
    return Exported(len(entries), 0, tuple(sorted(unread)))


def _frames(source: FrameSource, store: AlignmentStore, chosen: dict[int, list[int]]
            ) -> Iterator[tuple[Frame, list[StoredFace]]]:
    """The frames that show chosen faces, and these."""
    for frame in source.at(list(chosen)):
        yield frame, [stored for stored in store.faces(frame.index)
                      if stored.number in chosen[frame.index]]


def _scaled(mask: np.ndarray, size: int) -> np.ndarray:
    """(size, size) float32 of `mask` (S, S, 1). Where it is read back, the mean of each block of
    pixels must be the pixel that it was: so there are blocks, where they fit."""
    if size % len(mask) == 0:
        return cv2.resize(mask, (size, size), interpolation=cv2.INTER_NEAREST)
    kind = cv2.INTER_LINEAR if size > len(mask) else cv2.INTER_AREA
    return cv2.resize(mask, (size, size), interpolation=kind)


def _over_picture(selection: Selection, stored: StoredFace, file: FaceFile) -> np.ndarray:
    """(S, S) float32: the mask of a face over its picture in `file`, of S pixels."""
    mask = selection.stored_mask(stored)
    if mask is None:
        return selection.masker.mask(file.aligned)[..., 0]
    if file.coverage == DEFAULT_COVERAGE:
        return _scaled(mask, file.size)
    back = invert(crop_matrix(stored.fitted.landmarks, len(mask)))
    onto = file.aligned.matrix @ np.vstack([back, [0, 0, 1]])
    return onto_crop(mask[..., 0], onto, file.size)[..., 0]


def _write_mask(path: Path, mask: np.ndarray) -> bool:
    """Writes `mask` (S, S) float32 to `path`; False where a file is there, which may be painted."""
    if path.exists():
        return False
    picture_file.write(path, np.rint(mask * 255).astype(np.uint8))
    return True
