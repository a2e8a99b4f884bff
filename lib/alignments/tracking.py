"""What faces are once all frames are known: of one track, without jitter, and there in frames in
which the detector missed them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from lib.alignments.smoothing import smoothed
from lib.alignments.store import AlignmentStore, StoredFace
from lib.alignments.tracks import Track, between, cuts, drawing, gaps, link, split
from lib.faces.geometry import LEFT_EYE, RIGHT_EYE, crop
from lib.facesets.folder import FaceCropper
from lib.media.base import FrameSource
from lib.plugin import Aligner
from lib.types import AlignedFace, Detection, Face, Frame

# Correlation of drawings from which on they are taken for one face, and from which on the face is
# there; measured on 114 gaps
SAME_FACE, FACE_THERE = 0.25, 0.5
DRAWN = 32  # pixels a side of the crops compared
NO_IMAGE = np.zeros((0, 0, 3), np.uint8)
# Of the distance between the eyes: a fit in a filled frame that is farther off the interpolation
# is not believed
TRUSTED = 0.1
# Frames of a track smoothed at a time, and how many beside them are looked at
PIECE, MARGIN = 1000, 30


def follow(source: FrameSource, store: AlignmentStore, aligner: Aligner, smooth: bool | None,
           cropper: FaceCropper) -> list[int]:
    """Tracks and smoothed landmarks of all faces of the store, if they are not what they should be
    yet.

    `smooth` None: as before; the first time, in a video. Returns the frames of the faces that had
    been missed, which are written.
    """
    state, frames = store.state, store.counts()[2]
    if smooth is None:
        smooth = not source.files if state.smooth is None else state.smooth
    if source.files and not smooth and state.smooth is None or (state.smooth,
                                                                state.followed) == (smooth, frames):
        return []
    filled = track(source, store, aligner, smooth, cropper)
    store.update(smooth=smooth, followed=frames)
    return filled


def steady(store: AlignmentStore, smooth: bool) -> None:
    """Smooths the landmarks along the tracks that the store has, or takes the smoothing back; where
    it has none, faces are linked.
    """
    tracks = [Track(faces) for faces in store.tracks()] or link(store.boxes(), cuts(store.looks()))
    store.set_tracks(_rows(store, tracks, smooth))


def track(source: FrameSource, store: AlignmentStore, aligner: Aligner, smooth: bool,
          cropper: FaceCropper) -> list[int]:
    """Links the store's faces through time, fills in those missed within a track, and smooths their
    landmarks.

    Reads the store alone, but for the frames around faces that were missed; writes these with
    `cropper`, if it has a sink, and returns the frame of each.
    """
    shots = cuts(store.looks())
    tracks = link(store.boxes(), shots)
    filled, strangers = _Filling(source, store, aligner, cropper).fill(tracks)
    if filled:
        tracks = link(store.boxes(), shots)
    parts = [part for whole in tracks for part in split(whole, strangers)]
    store.set_tracks(_rows(store, parts, smooth))
    return filled


def _rows(store: AlignmentStore, tracks: Sequence[Track],
          smooth: bool) -> Iterator[tuple[int, int, int, np.ndarray | None]]:
    """Frame, number, track, landmarks of each face; of a long track a piece at a time, so that
    memory does not grow with it.
    """
    for number, faces in enumerate(track.faces for track in tracks):
        for frames in _runs(sorted(faces)):
            if not smooth or len(frames) < 3:
                yield from ((index, faces[index], number, None) for index in frames)
                continue
            for start in range(0, len(frames), PIECE):
                first, last = max(0, start - MARGIN), min(len(frames), start + PIECE + MARGIN)
                fitted = store.raw_faces((index, faces[index]) for index in frames[first:last])
                points = smoothed(np.stack([face.landmarks for face in fitted]))
                for index, landmarks in zip(frames[start:start + PIECE], points[start - first:]):
                    yield index, faces[index], number, landmarks


def _runs(frames: Sequence[int]) -> Iterator[list[int]]:
    """Stretches without a gap."""
    run: list[int] = []
    for index in frames:
        if run and index != run[-1] + 1:
            yield run
            run = []
        run.append(index)
    if run:
        yield run


@dataclass
class _Gap:
    """Frames in which the face of a track was missed, with those before and after them."""

    first: int
    last: int
    number: int  # of the face in the last frame
    before: Face
    after: Face
    # Of the face, from the first frame to the last
    drawings: list[np.ndarray] = field(default_factory=list)
    # Without the frame's image
    missed: list[tuple[Frame, Face, AlignedFace]] = field(default_factory=list)

    def face(self, frame: Frame, aligner: Aligner) -> Face:
        """Where the face is in `frame`."""
        if frame.index in (self.first, self.last):
            return self.before if frame.index == self.first else self.after
        return _between(frame.image, aligner, self.before, self.after,
                        (frame.index - self.first) / (self.last - self.first))

    def is_one_face(self) -> bool:
        """Whether the face before and the one after are alike."""
        return float(self.drawings[0] @ self.drawings[-1]) >= SAME_FACE

    def believed(self) -> list[tuple[Frame, Face, AlignedFace]]:
        """Those that show the face: that look like it did before or does after.

        A flash or a blur leaves what is drawn as it is; somebody who walks past, or a head that is
        turned away, does not.
        """
        before, *between, after = self.drawings
        return [missed for missed, drawn in zip(self.missed, between)
                if max(drawn @ before, drawn @ after) >= FACE_THERE]


@dataclass
class _Filling:
    """Adds the faces that were missed between two frames of a track, where the frames between were
    searched."""

    source: FrameSource
    store: AlignmentStore
    aligner: Aligner
    cropper: FaceCropper
    filled: list[int] = field(default_factory=list)  # the frame of each face that was added
    # (frame, number) of faces that are not the one before the gap
    strangers: set[tuple[int, int]] = field(default_factory=set)

    def fill(self, tracks: Sequence[Track]) -> tuple[list[int], set[tuple[int, int]]]:
        """Returns `filled` and `strangers`."""
        waiting = self._gaps(tracks)
        indices = sorted({index for gap in waiting for index in range(gap.first, gap.last + 1)})
        current: list[_Gap] = []
        for frame in self.source.at(indices):
            while waiting and waiting[-1].first <= frame.index:
                current.append(waiting.pop())
            for gap in current:
                self._look(gap, frame)
            current = [gap for gap in current if gap.last > frame.index]
        return self.filled, self.strangers

    def _gaps(self, tracks: Sequence[Track]) -> list[_Gap]:
        """The gaps to look at, the last one first."""
        done = self.store.done()
        chosen = []
        for faces, (first, last) in ((track.faces, gap) for track in tracks for gap in gaps(track)):
            if all(index in done for index in range(first, last)):
                before, after = self.store.raw_faces([(first, faces[first]), (last, faces[last])])
                chosen.append(_Gap(first, last, faces[last], before, after))
        return sorted(chosen, key=lambda gap: gap.first, reverse=True)

    def _look(self, gap: _Gap, frame: Frame) -> None:
        face = gap.face(frame, self.aligner)
        gap.drawings.append(drawing(crop(frame.image, face, DRAWN).image))
        if frame.index not in (gap.first, gap.last):
            empty = Frame(frame.index, NO_IMAGE, frame.name, frame.time)
            gap.missed.append((empty, face, self.cropper.crop(frame.image, face)))
        elif frame.index == gap.last and gap.is_one_face():
            self._add(gap)
        elif frame.index == gap.last:
            self.strangers.add((gap.last, gap.number))

    def _add(self, gap: _Gap) -> None:
        for frame, face, aligned in gap.believed():
            number = self.store.add_face(frame.index, StoredFace(face, filled=True))
            self.filled.append(frame.index)
            if self.cropper.sink:
                self.cropper.write(self.source, frame, number, aligned)
                self.store.add_written(self.cropper.sink.path, frame.index, [number])


def _between(image: np.ndarray, aligner: Aligner, before: Face, after: Face, share: float) -> Face:
    """The face `share` of the way from one frame to another, fitted in `image` (H, W, 3) if the fit
    can be believed.
    """
    box = between(before.detection.box, after.detection.box, share)
    landmarks = between(before.landmarks, after.landmarks, share)
    alignment = aligner.fit([image], [box[None]])[0][0]
    fit = alignment.landmarks
    eyes = np.linalg.norm(landmarks[RIGHT_EYE].mean(0) - landmarks[LEFT_EYE].mean(0))
    believed = np.linalg.norm(fit - landmarks, axis=1).mean() < TRUSTED * eyes
    score = min(before.detection.score, after.detection.score)
    if not believed:
        return Face(Detection(box.astype(np.float32), score), landmarks.astype(np.float32))
    return Face(Detection(box.astype(np.float32), score), fit, shape=alignment.shape)
