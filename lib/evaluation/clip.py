"""A swapped clip against its original: all frames measured, and what they add up to."""

from __future__ import annotations

import heapq
import queue
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np

from lib.errors import FaceswapError
from lib.evaluation.aggregates import ALL_FRAMES, aggregate_of
from lib.evaluation.frames import FrameScores, Kit, Pair, between_eyes, measure_pair
from lib.evaluation.measures import MEASURES
from lib.media.base import FrameSource
from lib.system import device
from lib.system.parallel import ordered_map
from lib.system.progress import progress
from lib.types import Face

SHOWN = 4  # best and worst frames that are shown
KEPT = 24  # candidates for these
CUT = 0.6  # distances between the eyes: a face that moves further in a frame is in another shot


@dataclass(frozen=True)
class Total:
    """A measure over the whole clip."""

    value: float
    original: float | None = None  # the same of the original, where that means something


@dataclass
class ClipScores:
    """All that was measured of a clip."""

    totals: dict[str, Total]  # by a measure's key, in the order of MEASURES
    frames: list[FrameScores]  # those in which the original shows a face
    frame_count: int
    best: list[FrameScores] = field(default_factory=list)  # these have pictures
    worst: list[FrameScores] = field(default_factory=list)
    same_distance: float = 0.6  # distance from which on the recognizer tells two people apart

    @property
    def unswapped(self) -> list[FrameScores]:
        """Frames whose face is that of the original."""
        return [scores for scores in self.frames if not scores.swapped]

    @property
    def lost(self) -> list[FrameScores]:
        """Frames in which the detector finds no face where the original's is."""
        return [scores for scores in self.frames if not scores.face_found]


def evaluate_clip(original: FrameSource, swapped: FrameSource,
                  faces_of: Callable[[int], list[Face]], make_kit: Callable[[], Kit],
                  people: Mapping[str, np.ndarray], workers: int | None = None) -> ClipScores:
    """Measures `swapped` against `original`, frame by frame, on `workers` threads.

    `faces_of` gives the original's faces in a frame; `people` are mean embeddings (D,) by name: "a"
    and "b" have measures of their own, the others are the gallery. Memory grows with the clip by
    its numbers alone. Raises FaceswapError where the two differ in length or size.
    """
    workers = workers or device.cores()
    kits = queue.SimpleQueue()
    for _ in range(workers):
        kits.put(kit := make_kit())

    def work(pairs: tuple[Pair, Pair | None]) -> FrameScores | None:
        thread_kit = kits.get()
        try:
            return measure_pair(*pairs, thread_kit)
        finally:
            kits.put(thread_kit)

    frames, count, examples = [], 0, _Examples()
    pairs = _with_previous(_pairs(original, swapped, faces_of))
    for scores in progress(ordered_map(work, pairs, workers), f"measure {swapped.path.name}",
                           original.count):
        count += 1
        if scores is not None:
            _measure_identity(scores, people)
            examples.add(scores)
            frames.append(scores)
    _measure_jitter(frames)
    return ClipScores(totals(frames), frames, count, *examples.choose(len(frames)),
                      kit.recognizer.same_distance)


def totals(frames: list[FrameScores]) -> dict[str, Total]:
    """Each measure over a clip, by its key, where it can be told."""
    swapped = [scores for scores in frames if scores.swapped] or frames
    result = {}
    for key in (measure.key for measure in MEASURES):
        counted, aggregate = frames if key in ALL_FRAMES else swapped, aggregate_of(key)
        rows = aggregate.rows(counted)
        if aggregate.is_meaningful(rows):
            originals = np.array([[scores.originals[key]] for scores in counted
                                  if key in scores.originals])
            result[key] = Total(float(aggregate.combine(rows)),
                                float(aggregate.combine(originals)) if len(originals) else None)
    return result


def _pairs(original: FrameSource, swapped: FrameSource, faces_of: Callable[[int], list[Face]]
           ) -> Iterator[Pair]:
    for first, second in zip_longest(original, swapped):
        if first is None or second is None:
            shorter, longer = (original, swapped) if first is None else (swapped, original)
            count = (first or second).index
            raise FaceswapError(f"{shorter.path} has {count} frames, {longer.path} has more: they "
                                "differ in length. Compare a clip with what was made from it.")
        if first.image.shape != second.image.shape:
            sizes = [f"{frame.image.shape[1]}x{frame.image.shape[0]}" for frame in (first, second)]
            raise FaceswapError(f"Frame {first.index + 1} is {sizes[0]} in {original.path} and "
                                f"{sizes[1]} in {swapped.path}: they differ in size. Compare a "
                                "clip with what was made from it.")
        faces = tuple(faces_of(first.index))
        yield Pair(first.index, first.image, second.image, faces, first.name)


def _with_previous(pairs: Iterable[Pair]) -> Iterator[tuple[Pair, Pair | None]]:
    """Each pair with the one before, if both belong to the same shot of a face."""
    previous = None
    for pair in pairs:
        is_same = previous is not None and _is_same_shot(previous.faces, pair.faces)
        yield pair, previous if is_same else None
        previous = pair


def _is_same_shot(before: tuple[Face, ...], now: tuple[Face, ...]) -> bool:
    if not before or not now:
        return False
    distance = min(np.linalg.norm(first.landmarks.mean(0) - second.landmarks.mean(0))
                   for first in before for second in now)
    return distance < CUT * between_eyes(now[0].landmarks)


def _measure_identity(scores: FrameScores, people: Mapping[str, np.ndarray]) -> None:
    """Adds distances to `people`, and whose face it is taken for."""
    embedding = scores.embedding
    if not people or embedding is None:
        return
    distances = {name: float(np.linalg.norm(embedding - mean)) for name, mean in people.items()}
    for name in ("a", "b"):
        if name in people:
            scores.values[f"distance_{name}"] = distances[name]
            lengths = np.linalg.norm(embedding) * np.linalg.norm(people[name])
            scores.values[f"cosine_{name}"] = float(embedding @ people[name] / (lengths + 1e-9))
    if "b" in people and len(people) > 1:
        scores.nearest = min(distances, key=distances.get)
        scores.values["retrieved"] = 100.0 * (scores.nearest == "b")


def _measure_jitter(frames: list[FrameScores]) -> None:
    """Adds the landmarks' acceleration to each frame whose neighbours show the same shot."""
    for before, scores, after in zip(frames, frames[1:], frames[2:]):
        are_neighbours = (before.index, after.index) == (scores.index - 1, scores.index + 1)
        if not (are_neighbours and before.face_found and scores.face_found and after.face_found):
            continue
        # (3, 2, 68, 2): frames; original and swapped
        tracks = np.stack([before.landmarks, scores.landmarks, after.landmarks])
        scale = between_eyes(scores.landmarks[0])
        if np.abs(np.diff(tracks[:, 0].mean(1), axis=0)).max() > CUT * scale:
            continue
        acceleration = np.linalg.norm(tracks[0] - 2 * tracks[1] + tracks[2], axis=-1).mean(-1)
        original, swapped = (100 * acceleration / scale).tolist()
        scores.originals["jitter"], scores.values["jitter"] = original, swapped


class _Examples:
    """Keeps the pictures of the best and the worst frames, and drops those of all others."""

    def __init__(self):
        self._best: list[tuple[float, int, FrameScores]] = []  # heaps, the next to drop first
        self._worst: list[tuple[float, int, FrameScores]] = []

    def add(self, scores: FrameScores) -> None:
        badness, dropped = _badness(scores), []
        for heap, rank in ((self._best, -badness), (self._worst, badness)):
            heapq.heappush(heap, (rank, scores.index, scores))
            if len(heap) > KEPT:
                dropped.append(heapq.heappop(heap)[-1])
        for frame in dropped:
            if not any(frame is item[-1] for item in self._best + self._worst):
                frame.thumbnails = None

    def choose(self, count: int) -> tuple[list[FrameScores], list[FrameScores]]:
        """The best and the worst of `count` frames, apart from each other in time. None is both,
        and none of the best is unswapped."""
        worst = _spread_out(self._worst, count, [])
        best = [item for item in self._best if item[-1].swapped and item[-1].face_found]
        return _spread_out(best, count, worst), worst


def _spread_out(heap: list[tuple[float, int, FrameScores]], count: int, taken: list[FrameScores]
                ) -> list[FrameScores]:
    ranked = [scores for _, _, scores in sorted(heap, key=lambda item: -item[0])
              if not any(scores is frame for frame in taken)]
    chosen: list[FrameScores] = []
    for distance in (count // 20, 1):  # rather neighbours than none
        for scores in ranked:
            is_near = any(abs(scores.index - frame.index) < max(1, distance) for frame in chosen)
            if not is_near and len(chosen) < min(SHOWN, max(1, count // 2)):
                chosen.append(scores)
    return chosen


def _badness(scores: FrameScores) -> float:
    """Distance to B, where B is known, landmarks and pose together, each by its usual size; without
    a swap or a face it is worst."""
    if not (scores.swapped and scores.face_found):
        return 1e3
    values = scores.values
    landmarks = (values["landmark_error"] + values["eyes_error"] + values["mouth_error"]) / 15
    return values.get("distance_b", 0.0) / 0.6 + landmarks + values["pose_error"] / 10
