"""A swapped clip against its original: all frames measured, and what they say together."""

from __future__ import annotations

import heapq
import queue
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np

from lib import device
from lib.errors import FaceswapError
from lib.evaluation.frames import FrameScores, Kit, Pair, between_eyes, measured
from lib.evaluation.measures import MEASURES
from lib.media.base import FrameSource
from lib.parallel import ordered_map
from lib.types import Face

SHOWN = 4  # best and worst frames that keep their pictures
A_CUT = 0.6  # distances between the eyes: a face that moves further from one frame to the next is another shot's
MEDIANS = ("distance_a", "distance_b", "cosine_a", "cosine_b", "sharpness")  # of these the median frame counts, of others the mean
FEWEST = 3  # frames that a correlation takes


@dataclass(frozen=True)
class Total:
    """A measure over the whole clip."""

    value: float
    original: float | None = None  # the same of the original, where it says something


@dataclass
class ClipScores:
    """All that was measured of a clip."""

    totals: dict[str, Total]  # by a measure's key, in the order of MEASURES
    frames: list[FrameScores]  # those in which the original shows a face
    frame_count: int
    best: list[FrameScores] = field(default_factory=list)  # these have pictures
    worst: list[FrameScores] = field(default_factory=list)

    @property
    def unswapped(self) -> list[int]:
        """Numbers of frames with a face that stayed as it was."""
        return [scores.index for scores in self.frames if not scores.swapped]


def evaluate(original: FrameSource, swapped: FrameSource, faces_of: Callable[[int], list[Face]], make_kit: Callable[[], Kit],
             people: Mapping[str, np.ndarray], workers: int | None = None) -> ClipScores:
    """Measures `swapped` against `original`, frame by frame, on `workers` threads.

    `faces_of` gives the original's faces in a frame; `people` are mean embeddings (D,) by name, of which "a" and "b" have
    measures of their own, the others are the gallery. Memory does not grow with the clip but for the numbers.
    Raises FaceswapError where the two are not of one length and size.
    """
    workers = workers or device.cores()
    kits = queue.SimpleQueue()
    for _ in range(workers):
        kits.put(make_kit())

    def work(pairs: tuple[Pair, Pair | None]) -> FrameScores | None:
        kit = kits.get()
        try:
            return measured(*pairs, kit)
        finally:
            kits.put(kit)

    frames, count = [], 0
    shown = _Shown()
    for scores in ordered_map(work, _with_the_one_before(_pairs(original, swapped, faces_of)), workers):
        count += 1
        if scores is not None:
            _identity(scores, people)
            shown.look_at(scores)
            frames.append(scores)
    _jitter(frames)
    return ClipScores(_totals(frames), frames, count, shown.best(), shown.worst())


def _pairs(original: FrameSource, swapped: FrameSource, faces_of: Callable[[int], list[Face]]) -> Iterator[Pair]:
    for first, second in zip_longest(original, swapped):
        if first is None or second is None:
            longer, shorter, frames = (swapped, original, second.index) if first is None else (original, swapped, first.index)
            raise FaceswapError(f"{shorter.path} has {frames} frames, {longer.path} has more: they are not of one length. "
                                "Compare a clip with what was made of it.")
        if first.image.shape != second.image.shape:
            sizes = [f"{image.shape[1]}x{image.shape[0]}" for image in (first.image, second.image)]
            raise FaceswapError(f"Frame {first.index} is {sizes[0]} in {original.path} and {sizes[1]} in {swapped.path}: "
                                "they are not of one size. Compare a clip with what was made of it.")
        yield Pair(first.index, first.image, second.image, tuple(faces_of(first.index)))


def _with_the_one_before(pairs: Iterable[Pair]) -> Iterator[tuple[Pair, Pair | None]]:
    """Each pair with the one before, if both show the same shot of a face."""
    before = None
    for pair in pairs:
        yield pair, before if before is not None and _one_shot(before.faces, pair.faces) else None
        before = pair


def _one_shot(before: tuple[Face, ...], now: tuple[Face, ...]) -> bool:
    if not before or not now:
        return False
    apart = min(np.linalg.norm(one.landmarks.mean(0) - other.landmarks.mean(0)) for one in before for other in now)
    return apart < A_CUT * between_eyes(now[0].landmarks)


def _identity(scores: FrameScores, people: Mapping[str, np.ndarray]) -> None:
    if not people:
        return
    distances = {name: float(np.linalg.norm(scores.embedding - mean)) for name, mean in people.items()}
    for name in ("a", "b"):
        if name in people:
            scores.values[f"distance_{name}"] = distances[name]
            lengths = np.linalg.norm(scores.embedding) * np.linalg.norm(people[name])
            scores.values[f"cosine_{name}"] = float(scores.embedding @ people[name] / (lengths + 1e-9))
    if "b" in people and len(people) > 1:
        scores.values["retrieved"] = 100.0 * (min(distances, key=distances.get) == "b")


def _jitter(frames: list[FrameScores]) -> None:
    """Acceleration of the landmarks at each frame whose neighbours show the same shot."""
    for first, second, third in zip(frames, frames[1:], frames[2:]):
        if (first.index, third.index) != (second.index - 1, second.index + 1):
            continue
        tracks = np.stack([first.landmarks, second.landmarks, third.landmarks])  # (3, 2, 68, 2)
        scale = between_eyes(second.landmarks[0])
        if np.abs(np.diff(tracks[:, 0].mean(1), axis=0)).max() > A_CUT * scale:
            continue
        acceleration = 100 * np.linalg.norm(tracks[0] - 2 * tracks[1] + tracks[2], axis=-1).mean(-1) / scale
        second.originals["jitter"], second.values["jitter"] = map(float, acceleration)


def _totals(frames: list[FrameScores]) -> dict[str, Total]:
    totals = {}
    for measure in MEASURES:
        values = [scores.values[measure.key] for scores in frames if measure.key in scores.values]
        originals = [scores.originals[measure.key] for scores in frames if measure.key in scores.originals]
        if measure.key == "swapped" and frames:
            totals["swapped"] = Total(100.0 * np.mean([scores.swapped for scores in frames]))
        elif measure.key == "flicker":
            changes = np.array([(scores.originals["change"], scores.values["change"]) for scores in frames if "change" in scores.values])
            if len(changes) and changes[:, 0].sum() > 0:
                totals["flicker"] = Total(float(changes[:, 1].sum() / changes[:, 0].sum()))
        elif measure.key in ("eyes_follow", "mouth_follow"):
            openings = np.array([scores.openings for scores in frames])
            if len(openings) >= FEWEST:
                pair = openings[:, :, int(measure.key == "mouth_follow")].T
                if pair.std(1).min() > 1e-6:
                    totals[measure.key] = Total(float(np.corrcoef(pair)[0, 1]))
        elif values:
            usual = np.median if measure.key in MEDIANS else np.mean
            totals[measure.key] = Total(float(usual(values)), float(usual(originals)) if originals else None)
    return totals


class _Shown:
    """Keeps the pictures of the best and the worst frames, and takes those of all others away."""

    def __init__(self):
        self._best: list[tuple[float, int, FrameScores]] = []
        self._worst: list[tuple[float, int, FrameScores]] = []

    def look_at(self, scores: FrameScores) -> None:
        badness, left = _badness(scores), []
        for heap, rank in ((self._best, -badness), (self._worst, badness)):
            heapq.heappush(heap, (rank, scores.index, scores))
            if len(heap) > SHOWN:
                left.append(heapq.heappop(heap)[-1])
        for other in left:
            if not any(other is item[-1] for item in self._best + self._worst):
                other.thumbnails = None

    def best(self) -> list[FrameScores]:
        return [scores for _, _, scores in sorted(self._best, key=lambda item: -item[0])]

    def worst(self) -> list[FrameScores]:
        return [scores for _, _, scores in sorted(self._worst, key=lambda item: -item[0])]


def _badness(scores: FrameScores) -> float:
    """By identity where B is known, else by expression; a frame that was not swapped is the worst."""
    return (0.0 if scores.swapped else 1e3) + scores.values.get("distance_b", scores.values["landmark_error"])
