"""Faces through time: looks of frames, cuts between shots, tracks, and gaps in which a face was
missed for a moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from lib.faces.search import intersection_over_union

LOOK = (32, 18)  # pixels: what is kept of a frame, to find cuts by
FINE = 180  # pixels, shorter side: about what is looked at for that
CUT = 20.0  # 8-bit levels: two frames whose looks differ by less, on average, may be of one shot
# Correlation of what two looks draw, whatever their light, from which on they are of one shot
SAME_DRAWING = 0.8
AROUND = 6  # frames to either side that a cut is held against
OVERLAP = 0.25  # intersection over union from which on two boxes may be of one track
LONGEST_GAP = 12  # frames that a face may be missing within its track


def look(image: np.ndarray) -> np.ndarray:
    """(18, 32, 3) uint8 of a frame (H, W, 3) uint8."""
    step = max(1, min(image.shape[:2]) // FINE)  # some of the pixels tell as much
    return cv2.resize(np.ascontiguousarray(image[::step, ::step]), LOOK,
                      interpolation=cv2.INTER_AREA)


def drawing(picture: np.ndarray) -> np.ndarray:
    """What is drawn in a small picture (H, W, 3), whatever its light: (H * W,) gray levels against
    those around, of unit length.
    """
    gray = picture.astype(np.float32).mean(-1)
    contrast = gray - cv2.GaussianBlur(gray, (0, 0), 3)
    contrast /= np.sqrt(cv2.GaussianBlur(contrast * contrast, (0, 0), 3)) + 3
    return (contrast / max(float(np.linalg.norm(contrast)), 1e-6)).ravel()


class _Look(NamedTuple):
    frame: int
    levels: np.ndarray  # (18, 32, 3) int16
    drawing: np.ndarray

    def is_like(self, other: _Look) -> bool:
        return (np.abs(self.levels - other.levels).mean() < CUT
                or float(self.drawing @ other.drawing) > SAME_DRAWING)


def cuts(looks: Iterable[tuple[int, np.ndarray]]) -> set[int]:
    """Frames that begin a new shot; `looks` are frames and their looks, in order, of which a few
    are held at a time.

    None of the frames before looks like any of those after: a flash has its like on both sides, and
    changes the light alone.
    """
    starts: set[int] = set()
    held: list[_Look] = []
    place = 1  # in `held`, to be decided next
    for frame, picture in looks:
        held.append(_Look(frame, picture.astype(np.int16), drawing(picture)))
        while len(held) - place >= AROUND:
            starts |= _cut(held, place)
            place += 1
        if place > AROUND:
            held.pop(0)
            place -= 1
    for last in range(place, len(held)):
        starts |= _cut(held, last)
    return starts


def _cut(looks: Sequence[_Look], place: int) -> set[int]:
    """The frame at `place`, if it begins a shot."""
    before, after = looks[max(0, place - AROUND):place], looks[place:place + AROUND]
    if before[-1].is_like(after[0]) or any(earlier.is_like(later) for earlier in before
                                           for later in after):
        return set()
    return {after[0].frame}


@dataclass
class Track:
    """One face from frame to frame within one shot: for each frame the number of the face there."""

    faces: dict[int, int] = field(default_factory=dict)

    @property
    def frames(self) -> list[int]:
        return sorted(self.faces)


class _Lead(NamedTuple):
    """The end of a track that may go on."""

    track: Track
    frame: int
    box: np.ndarray  # (4,)
    motion: np.ndarray  # (4,) of the box, a frame

    def overlap(self, frame: int, box: np.ndarray) -> float:
        """Boxes jump a little from frame to frame: where the face was counts as much as where it
        seemed to go.
        """
        expected = self.box + self.motion * (frame - self.frame)
        return max(intersection_over_union(expected, box), intersection_over_union(self.box, box))


def link(boxes: Iterable[tuple[int, list[int], np.ndarray]], shots: set[int]) -> list[Track]:
    """Tracks of all faces; `boxes` are frames, in order, with the numbers of the faces there and
    their boxes (K, 4).

    A track ends where one of `shots` begins, or where its face is gone for more than LONGEST_GAP
    frames.
    """
    tracks: list[Track] = []
    leads: list[_Lead] = []
    starts = sorted(shots, reverse=True)
    for frame, numbers, frame_boxes in boxes:
        while starts and starts[-1] <= frame:
            starts.pop()
            leads = []
        leads = [lead for lead in leads if frame - lead.frame <= LONGEST_GAP + 1]
        taken = _continue(leads, frame, numbers, frame_boxes)
        for place, box in enumerate(frame_boxes):
            if place not in taken:
                tracks.append(Track({frame: numbers[place]}))
                leads.append(_Lead(tracks[-1], frame, box, np.zeros(4)))
    return tracks


def _continue(leads: list[_Lead], frame: int, numbers: list[int], boxes: np.ndarray) -> set[int]:
    """Continues tracks with the boxes that overlap them most; returns the places of these boxes."""
    pairs = sorted(((lead.overlap(frame, box), row, place) for row, lead in enumerate(leads)
                    for place, box in enumerate(boxes)), reverse=True)
    rows: set[int] = set()
    taken: set[int] = set()
    for overlap, row, place in pairs:
        if overlap < OVERLAP:
            break
        if row in rows or place in taken:
            continue
        rows.add(row)
        taken.add(place)
        lead = leads[row]
        lead.track.faces[frame] = numbers[place]
        leads[row] = _Lead(lead.track, frame, boxes[place],
                           (boxes[place] - lead.box) / (frame - lead.frame))
    return taken


def split(track: Track, strangers: set[tuple[int, int]]) -> list[Track]:
    """The track in parts, each of which after the first begins with one of the faces (frame,
    number) in `strangers`.
    """
    parts = [Track()]
    for frame in track.frames:
        if (frame, track.faces[frame]) in strangers and parts[-1].faces:
            parts.append(Track())
        parts[-1].faces[frame] = track.faces[frame]
    return parts


def gaps(track: Track) -> list[tuple[int, int]]:
    """(last frame before, first frame after) of each stretch in which the face was missed."""
    frames = track.frames
    return [(before, after) for before, after in zip(frames, frames[1:]) if after - before > 1]


def between(before: np.ndarray, after: np.ndarray, share: float) -> np.ndarray:
    """Boxes or landmarks `share` of the way from `before` to `after`."""
    return before + (after - before) * share
