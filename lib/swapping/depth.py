"""Which of two faces that overlap in a frame is nearer to the camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lib.alignments.store import AlignmentStore
from lib.types import Detection, Face, SwappedFace

SURE = 2.0  # weight of the difference of scores beside the logarithm of the ratio of sizes: a covered face scores less
AROUND = 1.3  # size of a head, of the extent of its landmarks; faces whose heads do not meet are never compared
SAME = 0.3  # of the smaller extent: middles nearer to each other than this belong to one face that was found twice


@dataclass(frozen=True)
class Depth:
    """Tells nearer faces from those behind them.

    The larger and surer face is the nearer one. Two tracks keep their order in all frames in which they meet, so that
    nothing flips from one frame to the next.
    """

    # By how much the first of two tracks, the one with the lower number, is nearer
    ahead: dict[tuple[int, int], float] = field(default_factory=dict)

    @classmethod
    def of(cls, store: AlignmentStore) -> Depth:
        """That of the tracks of `store`."""
        ahead: dict[tuple[int, int], float] = {}
        for faces in store.crowds():
            for place, (track, detection) in enumerate(faces):
                for other_track, other in faces[place + 1:]:
                    if track != other_track and _meet(detection.box.reshape(2, 2), other.box.reshape(2, 2)):
                        first, second = sorted(((track, detection), (other_track, other)), key=lambda each: each[0])
                        pair = first[0], second[0]
                        ahead[pair] = ahead.get(pair, 0.0) + _nearness(first[1]) - _nearness(second[1])
        return cls(ahead)

    def in_front_of(self, face: Face, faces: Sequence[Face]) -> tuple[Face, ...]:
        """Those of `faces` that may cover a part of `face`."""
        extent = _extent(face)
        return tuple(other for other in faces if other is not face and _meet(extent, _extent(other))
                     and not _one_face(extent, _extent(other)) and self._nearer(other, face))

    def _nearer(self, face: Face, other: Face) -> bool:
        tracks = face.track, other.track
        if None not in tracks and (pair := tuple(sorted(tracks))) in self.ahead:
            return (self.ahead[pair] >= 0) == (pair[0] == tracks[0])
        ahead = _nearness(face.detection) - _nearness(other.detection)
        return ahead > 0 or ahead == 0 and tuple(face.detection.box) < tuple(other.detection.box)


def far_to_near(faces: Sequence[SwappedFace]) -> list[SwappedFace]:
    """The faces of a frame, those in front after those behind them; otherwise in the order that they have."""
    waiting, order = list(faces), []
    while waiting:
        covering = {id(near) for face in waiting for near in face.aligned.nearer}
        ready = [face for face in waiting if id(face.aligned.face) not in covering] or waiting[:1]
        order += ready
        waiting = [face for face in waiting if all(face is not other for other in ready)]
    return order


def _nearness(detection: Detection) -> float:
    size = float(np.ptp(detection.box.reshape(2, 2), axis=0).mean())
    score = detection.score if np.isfinite(detection.score) else 0.0
    return float(np.log(max(size, 1e-6))) + SURE * min(max(score, 0.0), 1.0)


def _extent(face: Face) -> np.ndarray:
    """(2, 2): left and top, right and bottom of its landmarks."""
    return np.stack([face.landmarks.min(0), face.landmarks.max(0)])


def _meet(extent: np.ndarray, other: np.ndarray) -> bool:
    apart = np.abs(extent.mean(0) - other.mean(0))
    return bool((apart < AROUND * (np.ptp(extent, axis=0) + np.ptp(other, axis=0)) / 2).all())


def _one_face(extent: np.ndarray, other: np.ndarray) -> bool:
    smaller = min(float(np.ptp(each, axis=0).mean()) for each in (extent, other))
    return float(np.linalg.norm(extent.mean(0) - other.mean(0))) < SAME * smaller
