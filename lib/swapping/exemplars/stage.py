"""Exemplars in the pipeline: chosen over stretches of the source before its frames are converted, drawn into each face."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2
import numpy as np

from lib.faces.geometry import transform_points
from lib.swapping.exemplars.bank import Exemplars
from lib.swapping.exemplars.choice import Choice, choose, costs
from lib.swapping.exemplars.drawing import Bent, with_detail
from lib.swapping.exemplars.features import Features, features_of
from lib.training.data import crossed_share
from lib.types import AlignedFace, Face, Frame, SwappedFace

WINDOW, OVERLAP = 512, 64  # frames whose exemplars are chosen together; more on either side, which are looked at, too
KEPT = 3  # windows in memory
RIGID = (slice(36, 42), slice(42, 48), slice(48, 68))  # eyes and mouth are moved, not bent, to B's build: how far they are open stays

Key = tuple[int, bytes]  # frame index; landmarks
Crops = Callable[[int, int], Iterable[tuple[Frame, list[AlignedFace]]]]  # frames from one to another, and their cropped faces


def key_of(index: int, face: Face) -> Key:
    return index, np.asarray(face.landmarks, np.float32).tobytes()


def shape_of(aligned: AlignedFace) -> np.ndarray:
    """(68, 2) float32 landmarks in [0, 1] of the crop's side."""
    points = transform_points(aligned.face.landmarks, aligned.matrix)
    return ((points + 0.5) / len(aligned.image)).astype(np.float32)


@dataclass(frozen=True)
class Drawer:
    """Draws exemplars into the faces of one person, of one build."""

    exemplars: Exemplars
    build: np.ndarray  # (68, 2) of the person filmed
    shares: Sequence[float]  # of the bands

    @property
    def shift(self) -> np.ndarray:
        """(68, 2): how far landmarks move towards the build of the new face."""
        own = self.exemplars.build
        shift = crossed_share(own, self.build) * (own - self.build)
        for part in RIGID:
            shift[part] = shift[part].mean(0)
        return shift

    def choices(self, faces: Features, lengths: Sequence[int]) -> list[Choice]:
        bank = self.exemplars
        return choose(costs(faces, self.build, bank.features, bank.build, bank.extra), bank.moments, lengths)

    def bent(self, aligned: AlignedFace, choice: Choice) -> Bent:
        return Bent(self.exemplars, choice, (shape_of(aligned) + self.shift).astype(np.float64))

    def drawn(self, swapped: SwappedFace, choice: Choice) -> SwappedFace:
        bent = self.bent(swapped.aligned, choice)
        image = with_detail(as_large(swapped.image, bent.side), bent, self.shares)
        return replace(swapped, image=image, mask=as_large(swapped.mask, bent.side).reshape(bent.side, bent.side, 1))


def as_large(image: np.ndarray, side: int) -> np.ndarray:
    return image if len(image) == side else cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)


class Planned:
    """Exemplars for the faces of a source: their pictures are chosen in windows of frames, ahead of the frames themselves."""

    def __init__(self, drawer: Drawer, crops: Crops):
        self._drawer, self._crops = drawer, crops
        self._pool = ThreadPoolExecutor(1, "exemplars")
        self._windows: dict[int, Future[dict[Key, Choice]]] = {}
        self._lock = threading.Lock()

    def __call__(self, index: int, swapped: SwappedFace) -> SwappedFace:
        """`swapped`, a face of frame `index`, with the detail of its exemplars."""
        window = index // WINDOW
        with self._lock:
            for number in (window, window + 1):
                if number not in self._windows:
                    self._windows[number] = self._pool.submit(self._chosen, number)
            while len(self._windows) > KEPT:
                self._windows.pop(min(self._windows)).cancel()
            chosen = self._windows[window]
        choice = chosen.result().get(key_of(index, swapped.aligned.face))
        return swapped if choice is None else self._drawer.drawn(swapped, choice)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _chosen(self, window: int) -> dict[Key, Choice]:
        """The choices of a window, by frame and landmarks."""
        start, stop = window * WINDOW, (window + 1) * WINDOW
        tracks: dict[object, list[tuple[Key, Features]]] = {}
        last: dict[object, int] = {}
        stretch: dict[object, int] = {}
        for frame, faces in self._crops(max(0, start - OVERLAP), stop + OVERLAP):
            for aligned in faces:
                track = getattr(aligned.face, "track", None)
                if track is None or last.get(track) != frame.index - 1:
                    stretch[track] = stretch.get(track, 0) + 1
                last[track] = frame.index
                tracks.setdefault((track, stretch[track]), []).append(
                    (key_of(frame.index, aligned.face), features_of([aligned.image], shape_of(aligned)[None])))
        choices: dict[Key, Choice] = {}
        for rows in tracks.values():
            features = Features(*(np.concatenate([getattr(one, name) for _, one in rows])
                                  for name in ("shapes", "openings", "mouths", "eyes", "lips")))
            choices |= zip((key for key, _ in rows), self._drawer.choices(features, [len(rows)]))
        return choices
