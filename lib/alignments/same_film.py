"""Whether a video that was encoded anew still shows what was searched, frame by frame, by the looks
that a store keeps.
"""

from __future__ import annotations

import numpy as np

from lib.alignments.store import AlignmentStore
from lib.alignments.tracks import drawing, look
from lib.media.base import FrameSource
from lib.sampling import evenly

COMPARED = 24  # frames
# 8-bit levels by which the looks of another picture differ; correlation of what is drawn,
# whatever its colours
OTHER, ALIKE = 8.0, 0.9
STILL = 1.0  # levels: frames whose looks differ by less show the same
# Of the difference to a frame's own look: a frame of another number that is nearer than this is
# the one that is shown
MOVED = 0.5


def changed_frames(source: FrameSource, store: AlignmentStore) -> tuple[list[int], int]:
    """Those frames of some that are compared that show another picture, or that of another frame,
    and how many were compared.
    """
    looks = dict(store.looks())
    indices = np.array(sorted(looks))
    if not len(indices):
        return [], 0
    known = np.stack([looks[index] for index in indices.tolist()]).astype(np.int16)
    changed, compared = [], 0
    for frame in source.at(evenly(indices.tolist(), COMPARED)):
        compared += 1
        now, own = look(frame.image), looks[frame.index]
        apart = np.abs(known - now.astype(np.int16)).mean((1, 2, 3))
        difference = float(apart[np.searchsorted(indices, frame.index)])
        is_other = difference > OTHER and float(drawing(now) @ drawing(own)) < ALIKE
        is_moved = difference > STILL and apart.min() < MOVED * difference and abs(
            int(indices[apart.argmin()]) - frame.index) > 1
        if is_other or is_moved:
            changed.append(frame.index)
    return changed, compared
