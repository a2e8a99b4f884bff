"""Exemplars in the pipeline: chosen over stretches of the source before its frames are converted,
drawn into each face."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
from scipy.signal import savgol_filter

from lib.faces.bending import crossed_share
from lib.faces.geometry import similarity_transform, transform_points
from lib.faces.hair import removal
from lib.swapping.exemplars.bank import Exemplars
from lib.swapping.exemplars.choice import Choice, Mix, choose, measure_costs
from lib.swapping.exemplars.drawing import Bent, add_detail, soften_like
from lib.swapping.exemplars.features import (
    Features,
    Person,
    features_of,
    openings_of,
    refine_brows,
    set_lids,
    transfer_lids,
)
from lib.swapping.exemplars.light import Skin, SkinLight
from lib.types import AlignedFace, Face, Frame, SwappedFace

# Frames whose exemplars are chosen together; more on either side, which are looked at, too
WINDOW, OVERLAP = 512, 64
KEPT = 3  # windows in memory
BROWS, SMOOTHED = slice(17, 27), 7  # landmarks; frames over which their jitter is taken out
# Eyes and mouth, and their corners: these are moved to B's build and made as wide, never as high:
# how far they are open stays
PARTS = ((slice(36, 42), 36, 39), (slice(42, 48), 42, 45), (slice(48, 68), 48, 54))
# Landmarks of the lips between their corners
UPPER_LIP, LOWER_LIP = np.r_[49:54, 61:64], np.r_[55:60, 65:68]
LIPS, OWN_LIPS = slice(48, 68), 0.5  # how far lips keep the shape that they have in B's picture
# Of what the gap between the lips loses by that: all of it and lips are bent too far, none and they
# follow less
GAP_KEPT = 0.5
# Of B's build, of where the brows are, and of how wide eyes and mouth are
BROW_SHARE, WIDTH_SHARE = 0.8, 0.6

Key = tuple[int, bytes]  # frame index; landmarks
# Frames from one to another, and their cropped faces
Crops = Callable[[int, int], Iterable[tuple[Frame, list[AlignedFace]]]]


def key_of(index: int, face: Face) -> Key:
    return index, np.asarray(face.landmarks, np.float32).tobytes()


def shape_of(aligned: AlignedFace) -> np.ndarray:
    """(68, 2) float32 landmarks in [0, 1] of the crop's side."""
    points = transform_points(aligned.face.landmarks, aligned.matrix)
    return ((points + 0.5) / len(aligned.image)).astype(np.float32)


class Plan(NamedTuple):
    """How exemplars are drawn into a face."""

    choice: Choice
    # (68, 2) float32 in [0, 1] of the crop's side, with the brows as they are seen
    shape: np.ndarray


def features_of_crop(aligned: AlignedFace) -> Features:
    """Of one face."""
    return features_of([aligned.image], refine_brows(aligned.image, shape_of(aligned))[None])


def smooth_track(points: np.ndarray) -> np.ndarray:
    """Landmarks (T, 68, 2) of a track without the jitter of the brows ("Smoothing and
    Differentiation of Data by Simplified Least Squares Procedures", Analytical Chemistry, 1964)."""
    if len(points) < SMOOTHED:
        return points
    calm = points.copy()
    calm[:, BROWS] = savgol_filter(points[:, BROWS], SMOOTHED, 2, axis=0)
    return calm


@dataclass(frozen=True)
class Drawer:
    """Draws exemplars into the faces of one person, of one build."""

    exemplars: Exemplars
    person: Person  # the one filmed
    # Of the bands; None: the exemplars alone, nothing is drawn by a network
    shares: Sequence[float] | None

    @property
    def shift(self) -> np.ndarray:
        """(68, 2): how far landmarks move towards the build of the new face."""
        own, build = self.exemplars.person.build, self.person.build
        share = crossed_share(own, build)
        share[BROWS] = np.maximum(share[BROWS], BROW_SHARE)
        shift = share * (own - build)
        for part, first, last in PARTS:
            middle, along = build[part].mean(0), build[last] - build[first]
            wider = WIDTH_SHARE * (np.linalg.norm(own[last] - own[first])
                                   / max(float(np.linalg.norm(along)), 1e-6) - 1)
            along = along / max(float(np.linalg.norm(along)), 1e-6)
            shift[part] = shift[part].mean(0) + wider * np.outer(
                (build[part] - middle) @ along, along)
        return shift

    def plan(self, faces: Features, lengths: Sequence[int]) -> list[Plan]:
        """For faces of tracks, of `lengths` frames, one after another."""
        shapes, start = faces.shapes.copy(), 0
        for length in lengths:
            rows = slice(start, start + length)
            shapes[rows] = smooth_track(shapes[rows])
            start += length
        return list(map(Plan, self.choices(faces, lengths), shapes))

    def choices(self, faces: Features, lengths: Sequence[int]) -> list[Choice]:
        bank = self.exemplars
        return choose(measure_costs(faces, self.person, bank.features, bank.person, bank.extra),
                      bank.moments, lengths)

    def target_landmarks(self, shape: np.ndarray) -> np.ndarray:
        """(68, 2) float64: where the landmarks of the new face lie, in [0, 1] of the crop's side,
        for one filmed with those at `shape`."""
        lids = transfer_lids(openings_of(shape[None])[0], self.person, self.exemplars.person)
        return set_lids(shape, lids) + self.shift

    def _with_own_lips(self, target: np.ndarray, mouth: Mix) -> np.ndarray:
        """`target` (68, 2) with lips that are in part those of the pictures of the mouth, set
        between the same corners: lips that are bent all the way no longer look like B's."""
        own = np.zeros((20, 2))
        for picture, share in mouth:
            lips = self.exemplars.features.shapes[picture][LIPS].astype(np.float64)
            own += share * transform_points(lips,
                                            similarity_transform(lips[[0, 6]], target[[48, 54]]))
        gap = target[66] - target[62]
        target[LIPS] += OWN_LIPS * (own - target[LIPS])
        wider = GAP_KEPT * (gap - (target[66] - target[62])) / 2  # of each lip
        target[UPPER_LIP] -= wider
        target[LOWER_LIP] += wider
        return target

    def draw(self, swapped: SwappedFace, plan: Plan) -> SwappedFace:
        bent = Bent(self.exemplars, plan.choice,
                    self._with_own_lips(self.target_landmarks(plan.shape), plan.choice.mouth))
        picture = enlarge(swapped.aligned.image, bent.side)
        points = shape_of(swapped.aligned) * bent.side - 0.5
        front = removal.hair_over_face(picture, points)
        skin = Skin(picture, (plan.shape * bent.side - 0.5).astype(np.float32), front)
        if self.shares is None:
            image, mask = soften_like(np.clip(bent.image, 0, 1), picture, bent), np.ones(
                (bent.side, bent.side, 1), np.float32)
        else:
            image = add_detail(enlarge(swapped.image, bent.side), bent, self.shares, picture)
            mask = enlarge(swapped.mask, bent.side).reshape(bent.side, bent.side, 1)
        front = np.maximum(front, np.minimum(2 * bent.hair, 1) * (1 - bent.brows))
        return replace(swapped, image=image, mask=mask, front=front, light=SkinLight(bent, skin))


def enlarge(image: np.ndarray, side: int) -> np.ndarray:
    return image if len(image) == side else cv2.resize(image, (side, side),
                                                       interpolation=cv2.INTER_CUBIC)


class Separate:
    """Exemplars for faces that belong to no film, such as those of photos: each gets the pictures
    that suit it best."""

    def __init__(self, drawer: Drawer):
        self._drawer = drawer

    def __call__(self, index: int, swapped: SwappedFace) -> SwappedFace:
        (plan,) = self._drawer.plan(features_of_crop(swapped.aligned), [1])
        return self._drawer.draw(swapped, plan)


class Planned:
    """Exemplars for the faces of a source: their pictures are chosen in windows of frames, ahead of
    the frames themselves."""

    def __init__(self, drawer: Drawer, crops: Crops):
        self._drawer, self._crops = drawer, crops
        self._pool = ThreadPoolExecutor(1, "exemplars")
        self._windows: dict[int, Future[dict[Key, Plan | Exception]]] = {}
        self._lock, self._closed = threading.Lock(), threading.Event()

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
        plan = chosen.result().get(key_of(index, swapped.aligned.face))
        if isinstance(plan, Exception):
            raise plan
        return swapped if plan is None else self._drawer.draw(swapped, plan)

    def close(self) -> None:
        """Ends what is under way."""
        self._closed.set()
        self._pool.shutdown(cancel_futures=True)

    def _chosen(self, window: int) -> dict[Key, Plan | Exception]:
        """The choices of a window by frame and landmarks, or why there is none."""
        start, stop = window * WINDOW, (window + 1) * WINDOW
        tracks: dict[object, list[tuple[Key, Features]]] = {}
        last: dict[object, int] = {}
        stretch: dict[object, int] = {}
        plans: dict[Key, Plan | Exception] = {}
        for frame, faces in self._crops(max(0, start - OVERLAP), stop + OVERLAP):
            if self._closed.is_set():
                break
            for aligned in faces:
                track = aligned.face.track
                if track is None or last.get(track) != frame.index - 1:
                    stretch[track] = stretch.get(track, 0) + 1
                last[track] = frame.index
                key = key_of(frame.index, aligned.face)
                try:
                    tracks.setdefault((track, stretch[track]), []).append(
                        (key, features_of_crop(aligned)))
                # Of this face alone; the others of the window have their pictures
                except Exception as error:
                    plans[key] = error
        for rows in tracks.values():
            keys = [key for key, _ in rows]
            try:
                features = Features.joined([features for _, features in rows])
                plans |= zip(keys, self._drawer.plan(features, [len(rows)]))
            except Exception as error:
                plans |= dict.fromkeys(keys, error)
        return plans
