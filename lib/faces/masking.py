"""Masks of a store's faces: made while faces are found, or added later to those that lack them.

They lie over the "whole" crop by the landmarks as they were fitted, which smoothing does not change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lib import device
from lib.faces.geometry import crop, upsampled
from lib.faces.store import AlignmentStore
from lib.media.base import FrameSource
from lib.parallel import ordered_map
from lib.plugin import MASKERS, Masker
from lib.progress import progress
from lib.types import AlignedFace, Face, Frame

SIZE = 128  # side of the stored masks: a face's outline takes about a kilobyte
MADE_AT = 256  # side of the crops that maskers look at: networks want to see more than the outline


@dataclass(frozen=True)
class Added:
    """What `add_masks` did."""

    faces: int
    frames: int  # with these faces
    unread: list[int]  # frames that could not be read, whose faces still lack a mask


def masks(image: np.ndarray, face: Face, maskers: Sequence[Masker], aligned: AlignedFace | None = None) -> dict[str, np.ndarray]:
    """What each masker, by its name, says of a face of `image` (H, W, 3) uint8 RGB: (SIZE, SIZE, 1) float32 over the "whole" crop.

    `aligned` is that crop, where it was made before.
    """
    if aligned is None or len(aligned.image) < MADE_AT:
        aligned = crop(image, face, MADE_AT)
    elif len(aligned.image) > MADE_AT:
        smaller = cv2.resize(aligned.image, (MADE_AT, MADE_AT), interpolation=cv2.INTER_AREA)
        aligned = AlignedFace(face, smaller, upsampled(aligned.matrix, MADE_AT / len(aligned.image)))
    return {MASKERS.name_of(masker): cv2.resize(masker.mask(aligned), (SIZE, SIZE), interpolation=cv2.INTER_AREA)[..., None]
            for masker in maskers}


def begin(store: AlignmentStore, maskers: Sequence[Masker]) -> None:
    """Notes how masks are made from now on; those that the same maskers made with other options are forgotten."""
    store.begin_masks({MASKERS.name_of(masker): masker.made_with() for masker in maskers})


def add_masks(source: FrameSource, store: AlignmentStore, maskers: Sequence[Masker]) -> Added:
    """Masks of all faces of `store` that have none by one of `maskers`, from the frames of `source`, on all cores.

    They are kept as they are made: what an interrupted run made is not made again.
    """
    begin(store, maskers)
    wanted = sorted(set().union(*(store.without_mask(MASKERS.name_of(masker)) for masker in maskers)))
    total = len({index for index, _ in store.all_faces()})

    def jobs() -> Iterator[tuple[Frame, list[tuple[int, Face, list[Masker]]]]]:
        for frame in source.at(wanted):
            faces = [(stored.number, stored.fitted, [masker for masker in maskers if MASKERS.name_of(masker) not in stored.masks])
                     for stored in store.faces(frame.index)]
            yield frame, [job for job in faces if job[2]]

    def work(job: tuple[Frame, list[tuple[int, Face, list[Masker]]]]) -> tuple[int, list[tuple[int, dict[str, np.ndarray]]]]:
        frame, faces = job
        return frame.index, [(number, masks(frame.image, face, missing)) for number, face, missing in faces]

    faces = 0
    unread = set(wanted)
    for index, made in progress(ordered_map(work, jobs(), device.cores()), "mask", total, total - len(wanted)):
        for number, its_masks in made:
            store.add_masks(index, number, its_masks)
        faces += len(made)
        unread.discard(index)
    store.commit()
    return Added(faces, len(wanted) - len(unread), sorted(unread))
