"""Stored masks without flicker: each is held against those of the same face just before and after.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import cv2
import numpy as np

from lib.alignments.masking import MaskedFace, laid_over
from lib.alignments.store import AlignmentStore, StoredFace
from lib.faces.geometry import crop_matrix, invert
from lib.plugin import MASKERS, Masker

AROUND = 2  # frames to either side
NEAR = (1.0, 0.8, 0.4)  # how much masks count by their distance in frames ...
ALIKE = 0.3  # ... where they differ by no more than about this: a hand that moves leaves no trail
SPREAD = 2.0  # pixels within which the difference is taken


class SteadyFaces:
    """The faces of a store's frames, whose masks by networks are steadied within their tracks.

    Ask for frames in order, so that few are read more than once.
    """

    def __init__(self, store: AlignmentStore):
        self._store = store
        self._names = [name for name in store.state.maskers
                       if name in MASKERS.names()
                       and cast("type[Masker]", MASKERS.load(name)).flickers]
        self._held: dict[int, list[StoredFace]] = {}

    def __call__(self, index: int) -> list[tuple[StoredFace, MaskedFace]]:
        """All faces of frame `index`, also those that are left out."""
        if not self._names:
            return [(stored, MaskedFace.of(stored))
                    for stored in self._store.faces(index, dropped=True)]
        self._held = {place: faces for place, faces in self._held.items()
                      if abs(place - index) <= 2 * AROUND}
        return [(stored, self._steadied(index, stored)) for stored in self._faces(index)]

    def _faces(self, index: int) -> list[StoredFace]:
        if index not in self._held:
            self._held[index] = self._store.faces(index, dropped=True)
        return self._held[index]

    def _steadied(self, index: int, stored: StoredFace) -> MaskedFace:
        face = MaskedFace.of(stored)
        if stored.track is None:
            return face
        series = {place: other for place in range(max(0, index - AROUND), index + AROUND + 1)
                  for other in self._faces(place) if other.track == stored.track}
        series[index] = stored
        masks = dict(face.masks)
        for name in self._names:
            if name in masks:
                masks[name] = _steady([(abs(place - index), other)
                                       for place, other in series.items() if name in other.masks],
                                      stored, name)
        return replace(face, masks=masks)


def _steady(series: list[tuple[int, StoredFace]], stored: StoredFace, name: str) -> np.ndarray:
    """(S, S, 1) float32: the mask `name` of `stored`, steadied by a `series` of faces, each with
    its distance in frames.
    """
    own = stored.masks[name]
    size = len(own)
    # Over the face as it stands without jitter: where the aligner shook, so did the crop
    matrix = crop_matrix(stored.face.landmarks, size)
    here = laid_over(own, stored.fitted.landmarks, matrix, size)[..., 0]
    total, weight = NEAR[0] * here, np.full_like(here, NEAR[0])
    for distance, other in series:
        if distance == 0:
            continue
        mask = laid_over(other.masks[name], other.fitted.landmarks,
                         crop_matrix(other.face.landmarks, size), size)[..., 0]
        apart = cv2.GaussianBlur(np.abs(mask - here), (0, 0), SPREAD)
        share = NEAR[distance] * np.exp(-(apart / ALIKE) ** 2)
        total += share * mask
        weight += share
    back = crop_matrix(stored.fitted.landmarks, size) @ np.vstack([invert(matrix), [0, 0, 1]])
    return cv2.warpAffine(total / weight, back, (size, size),
                          borderMode=cv2.BORDER_REPLICATE)[..., None]
