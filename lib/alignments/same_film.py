"""Whether a video that was encoded again shows what was searched, by the looks in the store."""

from __future__ import annotations

import numpy as np

from lib.alignments.store import AlignmentStore
from lib.alignments.tracks import drawing, look
from lib.media.base import FrameSource
from lib.sampling import evenly

COMPARED = 24  # frames
# 8-bit levels by which the looks of another picture differ, and correlation of its drawing
DIFFERENT, ALIKE = 8.0, 0.9
STILL = 1.0  # levels: frames whose looks differ by less show the same
# A look is that of another frame if it is nearer to it than this share of the distance to its own
MOVED = 0.5


def changed_frames(source: FrameSource, store: AlignmentStore) -> tuple[list[int], int]:
    """Frames that show another picture, or that of another frame; and how many were compared."""
    looks = dict(store.looks())
    indices = np.array(sorted(looks))
    if not len(indices):
        return [], 0
    known = np.stack([looks[index] for index in indices.tolist()]).astype(np.int16)
    changed, compared = [], 0
    for frame in source.at(evenly(indices.tolist(), COMPARED)):
        compared += 1
        now, own = look(frame.image), looks[frame.index]
        differences = np.abs(known - now.astype(np.int16)).mean((1, 2, 3))
        difference = float(differences[np.searchsorted(indices, frame.index)])
        is_different = difference > DIFFERENT and float(drawing(now) @ drawing(own)) < ALIKE
        nearest = int(indices[differences.argmin()])
        is_moved = (difference > STILL and differences.min() < MOVED * difference
                    and abs(nearest - frame.index) > 1)
        if is_different or is_moved:
            changed.append(frame.index)
    return changed, compared
