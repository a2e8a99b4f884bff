"""Which of two faces that overlap in a frame is nearer to the camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from lib.alignments.store import AlignmentStore
from lib.types import Detection, Face, SwappedFace

# Weight of the difference of scores beside the logarithm of the ratio of sizes: a covered face
# scores less
SURE = 2.0
# Size of a head, of the extent of its landmarks; faces whose heads do not meet are never compared
AROUND = 1.3
# Of the smaller extent: middles nearer to each other than this belong to one face that was found
# twice
SAME = 0.3


@dataclass(frozen=True)
class Depth:
    """Tells nearer faces from those behind them.

    The larger and surer face is the nearer one. Two tracks keep their order in all frames in which
    they meet, so that nothing flips from one frame to the next.
    """

    # By how much the first of two tracks, the one with the lower number, is nearer
    ahead: dict[tuple[int, int], float] = field(default_factory=dict)

    @classmethod
    def of(cls, store: AlignmentStore) -> Depth:
        """That of the tracks of `store`."""
        ahead: dict[tuple[int, int], float] = {}
        pairs = (pair for faces in store.crowds() for pair in combinations(faces, 2))
        for pair in pairs:
            (track, detection), (second_track, second) = sorted(pair, key=lambda face: face[0])
            if track != second_track and _meet(detection.box.reshape(2, 2),
                                               second.box.reshape(2, 2)):
                by = _nearness(detection) - _nearness(second)
                ahead[track, second_track] = ahead.get((track, second_track), 0.0) + by
        return cls(ahead)

    def in_front_of(self, face: Face, faces: Sequence[Face]) -> tuple[Face, ...]:
        """Those of `faces` that may cover a part of `face`."""
        extent = _extent(face)

        def covers(candidate: Face) -> bool:
            candidate_extent = _extent(candidate)
            return _meet(extent, candidate_extent) and not _same_face(extent, candidate_extent) \
                and self._is_nearer(candidate, face)

        return tuple(candidate for candidate in faces if candidate is not face
                     and covers(candidate))

    def _is_nearer(self, face: Face, behind: Face) -> bool:
        tracks = face.track, behind.track
        if None not in tracks and (pair := tuple(sorted(tracks))) in self.ahead:
            return (self.ahead[pair] >= 0) == (pair[0] == tracks[0])
        ahead = _nearness(face.detection) - _nearness(behind.detection)
        return ahead > 0 or ahead == 0 and tuple(face.detection.box) < tuple(behind.detection.box)


def far_to_near(faces: Sequence[SwappedFace]) -> list[SwappedFace]:
    """The faces of a frame, those in front after those behind them; otherwise in the order that
    they have."""
    waiting, order = list(faces), []
    while waiting:
        covering = {id(near) for face in waiting for near in face.aligned.nearer}
        ready = [face for face in waiting if id(face.aligned.face) not in covering] or waiting[:1]
        order += ready
        placed = {id(face) for face in ready}
        waiting = [face for face in waiting if id(face) not in placed]
    return order


def _nearness(detection: Detection) -> float:
    size = float(np.ptp(detection.box.reshape(2, 2), axis=0).mean())
    score = detection.score if np.isfinite(detection.score) else 0.0
    return float(np.log(max(size, 1e-6))) + SURE * min(max(score, 0.0), 1.0)


def _extent(face: Face) -> np.ndarray:
    """(2, 2): left and top, right and bottom of its landmarks."""
    return np.stack([face.landmarks.min(0), face.landmarks.max(0)])


def _meet(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether the heads of faces of these extents, (2, 2) each, may overlap."""
    distance = np.abs(first.mean(0) - second.mean(0))
    return bool((distance < AROUND * (np.ptp(first, axis=0) + np.ptp(second, axis=0)) / 2).all())


def _same_face(first: np.ndarray, second: np.ndarray) -> bool:
    smaller = min(float(np.ptp(extent, axis=0).mean()) for extent in (first, second))
    return float(np.linalg.norm(first.mean(0) - second.mean(0))) < SAME * smaller
