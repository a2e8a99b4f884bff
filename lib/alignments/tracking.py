"""What faces are once all frames are known: of one track, without jitter, and there in frames in which the detector missed them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from lib.alignments.store import AlignmentStore, StoredFace
from lib.alignments.tracks import Track, between, cuts, drawing, gaps, link, smoothed, split
from lib.faces.geometry import crop
from lib.facesets.cutting import Cut
from lib.media.base import FrameSource
from lib.plugin import Aligner
from lib.types import AlignedFace, Detection, Face, Frame

SAME_FACE, FACE_THERE = 0.25, 0.5  # correlation of what is drawn from which on it is taken for the face; measured on 114 gaps
DRAWN = 32  # pixels a side of the crops compared
NOTHING = np.zeros((0, 0, 3), np.uint8)
TRUSTED = 0.1  # of the distance between the eyes: a fit in a filled frame that is farther off the interpolation is not believed
PIECE, MARGIN = 1000, 30  # frames of a track smoothed at a time, and how many beside them are looked at


def steady(store: AlignmentStore, smooth: bool) -> None:
    """Smooths the landmarks along the tracks that the store has, or takes the smoothing back; where it has none, faces are linked."""
    tracks = [Track(faces) for faces in store.tracks()] or link(store.boxes(), cuts(store.looks()))
    store.set_tracks(_rows(store, tracks, smooth))


def track(source: FrameSource, store: AlignmentStore, aligner: Aligner, smooth: bool, cut: Cut) -> list[int]:
    """Links the store's faces through time, fills in those missed within a track, and smooths their landmarks.

    Reads the store alone, but for the frames around faces that were missed; writes these with `cut`, if it has a sink, and returns
    the frame of each.
    """
    cut_frames = cuts(store.looks())
    tracks = link(store.boxes(), cut_frames)
    filled, others = _fill(source, store, tracks, aligner, cut)
    if filled:
        tracks = link(store.boxes(), cut_frames)
    tracks = [part for one in tracks for part in split(one, others)]
    store.set_tracks(_rows(store, tracks, smooth))
    return filled


def _rows(store: AlignmentStore, tracks: Sequence[Track], smooth: bool) -> Iterator[tuple[int, int, int, np.ndarray | None]]:
    """Frame, number, track, landmarks of each face; of a long track a piece at a time, so that memory does not grow with it."""
    for number, one in enumerate(tracks):
        for frames in _runs(one.frames):
            if not smooth or len(frames) < 3:
                yield from ((frame, one.faces[frame], number, None) for frame in frames)
                continue
            for start in range(0, len(frames), PIECE):
                first, last = max(0, start - MARGIN), min(len(frames), start + PIECE + MARGIN)
                faces = store.raw_faces((frame, one.faces[frame]) for frame in frames[first:last])
                steady = smoothed(np.stack([face.landmarks for face in faces]))
                for frame, points in zip(frames[start:start + PIECE], steady[start - first:]):
                    yield frame, one.faces[frame], number, points


def _runs(frames: Sequence[int]) -> Iterator[list[int]]:
    """Stretches without a gap."""
    run: list[int] = []
    for frame in frames:
        if run and frame != run[-1] + 1:
            yield run
            run = []
        run.append(frame)
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
    drawings: list[np.ndarray] = field(default_factory=list)  # of the face, from the first frame to the last
    found: list[tuple[Frame, Face, AlignedFace]] = field(default_factory=list)  # without the frame's image

    def face(self, frame: Frame, aligner: Aligner) -> Face:
        if frame.index in (self.first, self.last):
            return self.before if frame.index == self.first else self.after
        return _between(frame.image, aligner, self.before, self.after, (frame.index - self.first) / (self.last - self.first))

    def is_one_face(self) -> bool:
        """Whether the face before and the one after are alike."""
        return float(self.drawings[0] @ self.drawings[-1]) >= SAME_FACE

    def believed(self) -> list[tuple[Frame, Face, AlignedFace]]:
        """Those that show the face: that look like it did before or does after.

        A flash or a blur leaves what is drawn as it is; somebody who walks past, or a head that is turned away, does not.
        """
        before, *between, after = self.drawings
        return [found for found, drawn in zip(self.found, between) if max(drawn @ before, drawn @ after) >= FACE_THERE]


def _fill(source: FrameSource, store: AlignmentStore, tracks: Sequence[Track], aligner: Aligner,
          cut: Cut) -> tuple[list[int], set[tuple[int, int]]]:
    """Adds the faces that were missed between two frames of a track, where the frames between were looked at.

    Returns the frame of each, and the (frame, number) of faces that turned out not to be the one that was there before the gap.
    """
    done = store.done()
    others: set[tuple[int, int]] = set()
    waiting = []
    for one in tracks:
        for first, last in gaps(one):
            if all(frame in done for frame in range(first, last)):
                pair = store.raw_faces([(first, one.faces[first]), (last, one.faces[last])])
                waiting.append(_Gap(first, last, one.faces[last], *pair))
    waiting.sort(key=lambda gap: gap.first, reverse=True)
    going: list[_Gap] = []
    filled: list[int] = []
    for frame in source.at(sorted({index for gap in waiting for index in range(gap.first, gap.last + 1)})):
        while waiting and waiting[-1].first <= frame.index:
            going.append(waiting.pop())
        for gap in going:
            face = gap.face(frame, aligner)
            gap.drawings.append(drawing(crop(frame.image, face, DRAWN).image))
            if frame.index not in (gap.first, gap.last):
                gap.found.append((Frame(frame.index, NOTHING, frame.name, frame.time), face, cut.crop(frame.image, face)))
            elif frame.index == gap.last and not gap.is_one_face():
                others.add((gap.last, gap.number))
            elif frame.index == gap.last:
                for there, missed, aligned in gap.believed():
                    number = store.add_face(there.index, StoredFace(missed, filled=True))
                    filled.append(there.index)
                    if cut.sink:
                        cut.write(source, there, number, aligned)
                        store.add_written(cut.sink.path, there.index, [number])
        going = [gap for gap in going if gap.last > frame.index]
    return filled, others


def _between(image: np.ndarray, aligner: Aligner, before: Face, after: Face, share: float) -> Face:
    box = between(before.detection.box, after.detection.box, share)
    landmarks = between(before.landmarks, after.landmarks, share)
    fit = aligner.align([image], [box[None]])[0][0]
    eyes = np.linalg.norm(landmarks[36:42].mean(0) - landmarks[42:48].mean(0))
    believed = np.linalg.norm(fit - landmarks, axis=1).mean() < TRUSTED * eyes
    score = min(before.detection.score, after.detection.score)
    return Face(Detection(box.astype(np.float32), score), fit if believed else landmarks.astype(np.float32))
