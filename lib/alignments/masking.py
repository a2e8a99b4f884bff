"""Masks of a store's faces: made while faces are found, or added later to those that lack them; and
laid over other crops of them.

They lie over the "whole" crop by the landmarks as they were fitted, which smoothing does not
change.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from lib.alignments.store import AlignmentStore, StoredFace, default_store
from lib.errors import FaceswapError, UsageError
from lib.faces.geometry import crop, crop_matrix, invert, upsampled
from lib.facesets.face_file import FaceFile
from lib.files.reading import as_json
from lib.media.base import FrameSource
from lib.options import REQUIRED
from lib.plugin import MASKERS, Masker
from lib.system import device
from lib.system.logs import counted
from lib.system.parallel import ordered_map
from lib.system.progress import progress
from lib.types import AlignedFace, Face, Frame

logger = logging.getLogger(__name__)
IN_FRONT = "occlusion"  # name of the masks that say what is in front of faces
SIZE = 128  # side of the stored masks: a face's outline takes about a kilobyte
MADE_AT = 256  # side of the crops that maskers look at: networks want to see more than the outline


@dataclass(frozen=True)
class MaskedFace(Face):
    """A face with the masks that a store has of it."""

    # By masker: (S, S, 1) float32 in [0, 1] over the "whole" crop ...
    masks: Mapping[str, np.ndarray] = field(default_factory=dict)
    # ... by these landmarks, (68, 2) float32; None: by `landmarks`
    fitted: np.ndarray | None = None

    @classmethod
    def of(cls, stored: StoredFace) -> MaskedFace:
        return cls(**vars(stored.face), masks=stored.masks, fitted=stored.fitted.landmarks)


@dataclass(frozen=True)
class StoredMask(Masker):
    """The mask called `name` that a store has of each face, a `MaskedFace`."""

    name: str
    # What stands for it where a face has none; None: each face must have one
    otherwise: Masker | None = None

    @property
    def tells_covers(self) -> bool:  # type: ignore[override]
        return self.name == IN_FRONT

    def mask(self, aligned: AlignedFace) -> np.ndarray:
        face = aligned.face
        if self.otherwise and not (isinstance(face, MaskedFace) and self.name in face.masks):
            return self.otherwise.mask(aligned)
        assert isinstance(face, MaskedFace), "only faces of a store have stored masks"
        return laid_over(face.masks[self.name], face.landmarks if face.fitted is None
                         else face.fitted, aligned.matrix, len(aligned.image))


@dataclass(frozen=True)
class Everything(Masker):
    """The whole crop."""

    def mask(self, aligned: AlignedFace) -> np.ndarray:
        return np.ones((*aligned.image.shape[:2], 1), np.float32)


def laid_over(mask: np.ndarray, fitted: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """A store's `mask` (S, S, 1) of a face with the landmarks `fitted` (68, 2), as (size, size, 1)
    float32 over the crop by `matrix`.
    """
    onto = matrix @ np.vstack([invert(crop_matrix(fitted, len(mask))), [0, 0, 1]])
    return cv2.warpAffine(mask, onto, (size, size), flags=cv2.INTER_LINEAR)[..., None]


def usable(name: str, store: AlignmentStore | None) -> Masker:
    """What makes masks called `name` for the faces of `store`: the masks that it has, or the masker
    with its defaults.

    Masks from landmarks alone are rather made again, finer than they are stored, if the masker's
    defaults are what they were made with. Where all masks of that name were imported, they say
    nothing against faces without one. Raises UsageError where there is no such masker, or it would
    need options.
    """
    recorded = store.state.maskers.get(name) if store else None
    if store and recorded is None and is_imported(name, store):
        return StoredMask(name, Everything())
    needs_options = any(item.default is REQUIRED for item in MASKERS.declaration(name).options)
    fresh = None if needs_options else MASKERS.create(name)
    if fresh and (recorded is None or fresh.from_landmarks
                  and as_json(fresh.made_with(), str) == recorded):
        return fresh
    if recorded is None:
        raise UsageError(f"The mask {name} needs options of its own. Make it beforehand: "
                         f"faceswap.py mask -i INPUT -M {name} ... (or extract -M), then it is "
                         "taken from the alignments.")
    return StoredMask(name)


def is_imported(name: str, store: AlignmentStore) -> bool:
    """Whether `store` has masks called `name` that no masker made."""
    return name in store.state.painted or (name not in MASKERS.names()
                                           and name in store.mask_counts())


def check_stored(store: AlignmentStore, maskers: Sequence[Masker], source: Path) -> None:
    """Raises FaceswapError where a face lacks one of the masks that are to be taken from `store`,
    whose faces are those of `source`.
    """
    for masker in maskers:
        if not isinstance(masker, StoredMask) or not (lacking := store.without_mask(masker.name)):
            continue
        if masker.otherwise is None:
            raise FaceswapError(f"{store.path} has no mask {masker.name} of the faces in "
                                f"{len(lacking)} of its frames. Run faceswap.py mask -i {source} "
                                f"-M {masker.name}, with the options that it needs.")
        logger.info("No mask %s of the faces in %s: nothing of them is taken to be covered.",
                    masker.name, counted(len(lacking), "frame"))


def masks_of_files(files: Sequence[FaceFile], name: str, path: Path | None) -> list[np.ndarray]:
    """(S, S) float32 in [0, 1] for each of `files`, over its picture: the mask called `name` from
    the alignments file of its source; several joined by * are multiplied.

    That lies at `path`, or in its usual place beside the source. Where a mask was imported, the
    hull stands for it on faces without one. Raises FaceswapError where a face has no mask of a
    masker.
    """
    first, *others = (_masks_of_files(files, factor.strip(), path) for factor in name.split("*"))
    for masks in others:
        first = [mask * factor for mask, factor in zip(first, masks, strict=True)]
    return first


def _masks_of_files(files: Sequence[FaceFile], name: str, path: Path | None) -> list[np.ndarray]:
    """`masks_of_files` for one name."""
    masks: list[np.ndarray | None] = [None] * len(files)
    by_store: dict[Path, list[int]] = {}
    for place, file in enumerate(files):
        by_store.setdefault(path or default_store(Path(file.origin.source)), []).append(place)
    for store_path, places in by_store.items():
        with AlignmentStore.open(store_path, read_only=True) as store:
            frames = {name: index for index, name in store.names().items() if name}
            made = name in store.state.maskers or name in MASKERS.names() and not is_imported(
                name, store)
            for place in places:
                masks[place] = _mask_of_file(files[place], name, store, frames)
                if masks[place] is None and not made:
                    masks[place] = MASKERS.create("hull").mask(files[place].aligned)[..., 0]
        if lacking := [files[place] for place in places if masks[place] is None]:
            source = Path(lacking[0].origin.source)
            raise FaceswapError(f"{store_path} has no mask {name} of {len(lacking)} of the "
                                f"{len(places)} faces from {source.name}. Run faceswap.py mask -i "
                                f"{source} -M {name} first, or choose another -M/--mask.")
    return masks


def _mask_of_file(file: FaceFile, name: str, store: AlignmentStore,
                  frames: Mapping[str, int]) -> np.ndarray | None:
    """`frames` are those of the store by picture name, since pictures may have moved since the face
    was written.
    """
    index = frames.get(file.origin.name, -1) if file.origin.name else file.origin.frame
    for stored in store.faces(index, dropped=True):
        if name in stored.masks and stored.is_shown_by(file.aligned.face.landmarks):
            return laid_over(stored.masks[name], stored.fitted.landmarks, file.aligned.matrix,
                             file.size)[..., 0]
    return None


def masks(image: np.ndarray, face: Face, maskers: Sequence[Masker],
          aligned: AlignedFace | None = None) -> dict[str, np.ndarray]:
    """The mask by each masker, by its name, of a face of `image` (H, W, 3) uint8 RGB: (SIZE, SIZE,
    1) float32 over the "whole" crop.

    `aligned` is that crop, where it was made before.
    """
    if aligned is None or len(aligned.image) < MADE_AT:
        aligned = crop(image, face, MADE_AT)
    elif len(aligned.image) > MADE_AT:
        smaller = cv2.resize(aligned.image, (MADE_AT, MADE_AT), interpolation=cv2.INTER_AREA)
        matrix = upsampled(aligned.matrix, MADE_AT / len(aligned.image))
        aligned = AlignedFace(face, smaller, matrix, aligned.coverage)
    return {MASKERS.name_of(masker): cv2.resize(masker.mask(aligned), (SIZE, SIZE),
                                                interpolation=cv2.INTER_AREA)[..., None]
            for masker in maskers}


def missing_maskers(stored: StoredFace, maskers: Sequence[Masker]) -> list[Masker]:
    """Those of `maskers` by which the face has no mask yet."""
    return [masker for masker in maskers if MASKERS.name_of(masker) not in stored.masks]


def begin(store: AlignmentStore, maskers: Sequence[Masker]) -> None:
    """Notes how masks are made from now on; those that the same maskers made with other options are
    forgotten.
    """
    store.begin_masks({MASKERS.name_of(masker): as_json(masker.made_with(), str)
                       for masker in maskers})


@dataclass(frozen=True)
class AddedMasks:
    """What `add_masks` did."""

    faces: int
    frames: int  # with these faces
    unread: list[int]  # frames that could not be read, whose faces still lack a mask


def add_masks(source: FrameSource, store: AlignmentStore, maskers: Sequence[Masker]) -> AddedMasks:
    """Masks of all faces of `store` that have none by one of `maskers`, from the frames of
    `source`, on all cores.

    They are kept as they are made: an interrupted run resumes where it stopped.
    """
    begin(store, maskers)
    lacking = sorted({index for masker in maskers
                      for index in store.without_mask(MASKERS.name_of(masker))})
    total = len({index for index, _ in store.all_faces()})

    def work(frame: Frame, faces: list[StoredFace]) -> tuple[int, dict[int, dict[str, np.ndarray]]]:
        by_face = {}
        for stored in faces:
            missing = missing_maskers(stored, maskers)
            if missing:
                by_face[stored.number] = masks(frame.image, stored.fitted, missing)
        return frame.index, by_face

    def frames() -> Iterator[tuple[Frame, list[StoredFace]]]:
        for frame in source.at(lacking):
            yield frame, store.faces(frame.index)

    faces, unread = 0, set(lacking)
    results = ordered_map(lambda job: work(*job), frames(), device.cores())
    for index, by_face in progress(results, "mask", total, total - len(lacking)):
        for number, by_masker in by_face.items():
            store.add_masks(index, number, by_masker)
        faces += len(by_face)
        unread.discard(index)
    store.commit()
    return AddedMasks(faces, len(lacking) - len(unread), sorted(unread))
