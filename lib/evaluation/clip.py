"""A swapped clip against its original: all frames measured, and what they say together."""

from __future__ import annotations

import heapq
import queue
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np

from lib.errors import FaceswapError
from lib.evaluation.frames import FrameScores, Kit, Pair, between_eyes, measured
from lib.evaluation.measures import MEASURES
from lib.media.base import FrameSource
from lib.system import device
from lib.system.parallel import ordered_map
from lib.system.progress import progress
from lib.types import Face

SHOWN = 4  # best and worst frames that are shown
KEPT = 24  # of which so many are chosen
A_CUT = 0.6  # distances between the eyes: a face that moves further from one frame to the next is another shot's
# Of these the median frame counts, of others the mean
MEDIANS = ("distance_a", "distance_b", "cosine_a", "cosine_b", "sharpness", "detail", "parts_eyes", "parts_mouth")
EVERY_FRAME = ("retrieved", "flicker", "jitter", "swapped", "found")  # others are of the swapped frames alone: the rest are perfect
FEWEST = 10  # frames that a correlation takes
STILL = 0.01  # openings, and heights of brows, that vary by less than this deviation are noise
FOLLOWED = {"brows_follow": "brows", "gaze_follows": "gaze"}


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
    apart: float = 0.6  # of the recognizer that measured it

    @property
    def unswapped(self) -> list[FrameScores]:
        """Frames with a face that stayed as it was."""
        return [scores for scores in self.frames if not scores.swapped]

    @property
    def lost(self) -> list[FrameScores]:
        """Frames with a face in the original, in which the detector finds none where it was."""
        return [scores for scores in self.frames if not scores.found]


def evaluate_clip(original: FrameSource, swapped: FrameSource, faces_of: Callable[[int], list[Face]], make_kit: Callable[[], Kit],
             people: Mapping[str, np.ndarray], workers: int | None = None) -> ClipScores:
    """Measures `swapped` against `original`, frame by frame, on `workers` threads.

    `faces_of` gives the original's faces in a frame; `people` are mean embeddings (D,) by name, of which "a" and "b" have
    measures of their own, the others are the gallery. Memory does not grow with the clip but for the numbers.
    Raises FaceswapError where the two are not of one length and size.
    """
    workers = workers or device.cores()
    kits = queue.SimpleQueue()
    for _ in range(workers):
        kits.put(kit := make_kit())
    apart = kit.recognizer.same_distance

    def work(pairs: tuple[Pair, Pair | None]) -> FrameScores | None:
        kit = kits.get()
        try:
            return measured(*pairs, kit)
        finally:
            kits.put(kit)

    frames, count = [], 0
    shown = _Shown()
    pairs = _with_the_one_before(_pairs(original, swapped, faces_of))
    for scores in progress(ordered_map(work, pairs, workers), f"measure {swapped.path.name}", original.count):
        count += 1
        if scores is not None:
            _identity(scores, people)
            shown.look_at(scores)
            frames.append(scores)
    _jitter(frames)
    best, worst = shown.chosen(len(frames))
    return ClipScores(totals(frames), frames, count, best, worst, apart)


def _pairs(original: FrameSource, swapped: FrameSource, faces_of: Callable[[int], list[Face]]) -> Iterator[Pair]:
    for first, second in zip_longest(original, swapped):
        if first is None or second is None:
            longer, shorter, frames = (swapped, original, second.index) if first is None else (original, swapped, first.index)
            raise FaceswapError(f"{shorter.path} has {frames} frames, {longer.path} has more: they are not of one length. "
                                "Compare a clip with what was made of it.")
        if first.image.shape != second.image.shape:
            sizes = [f"{image.shape[1]}x{image.shape[0]}" for image in (first.image, second.image)]
            raise FaceswapError(f"Frame {first.index + 1} is {sizes[0]} in {original.path} and {sizes[1]} in {swapped.path}: "
                                "they are not of one size. Compare a clip with what was made of it.")
        yield Pair(first.index, first.image, second.image, tuple(faces_of(first.index)), first.name)


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
    if not people or scores.embedding is None:
        return
    distances = {name: float(np.linalg.norm(scores.embedding - mean)) for name, mean in people.items()}
    for name in ("a", "b"):
        if name in people:
            scores.values[f"distance_{name}"] = distances[name]
            lengths = np.linalg.norm(scores.embedding) * np.linalg.norm(people[name])
            scores.values[f"cosine_{name}"] = float(scores.embedding @ people[name] / (lengths + 1e-9))
    if "b" in people and len(people) > 1:
        scores.nearest = min(distances, key=distances.get)
        scores.values["retrieved"] = 100.0 * (scores.nearest == "b")


def _jitter(frames: list[FrameScores]) -> None:
    """Acceleration of the landmarks at each frame whose neighbours show the same shot."""
    for first, second, third in zip(frames, frames[1:], frames[2:]):
        if (first.index, third.index) != (second.index - 1, second.index + 1) or not (first.found and second.found and third.found):
            continue
        tracks = np.stack([first.landmarks, second.landmarks, third.landmarks])  # (3, 2, 68, 2)
        scale = between_eyes(second.landmarks[0])
        if np.abs(np.diff(tracks[:, 0].mean(1), axis=0)).max() > A_CUT * scale:
            continue
        acceleration = 100 * np.linalg.norm(tracks[0] - 2 * tracks[1] + tracks[2], axis=-1).mean(-1) / scale
        second.originals["jitter"], second.values["jitter"] = map(float, acceleration)


def _counted(key: str, frames: list[FrameScores]) -> list[FrameScores]:
    """The frames that a measure is told of: the swapped ones, but for what is about all, or where not one is swapped."""
    return frames if key in EVERY_FRAME else [scores for scores in frames if scores.swapped] or frames


def totals(frames: list[FrameScores]) -> dict[str, Total]:
    """Each measure over a clip, by its key; what cannot be told is left out."""
    found = {}
    for measure in MEASURES:
        these = _counted(measure.key, frames)
        values = [scores.values[measure.key] for scores in these if measure.key in scores.values]
        originals = [scores.originals[measure.key] for scores in these if measure.key in scores.originals]
        if measure.key == "swapped" and frames:
            found["swapped"] = Total(100.0 * np.mean([scores.swapped for scores in frames]))
        elif measure.key == "flicker":
            changes = np.array([(scores.originals["change"], scores.values["change"]) for scores in these if "change" in scores.values])
            if len(changes) and changes[:, 0].sum() > 0:
                found["flicker"] = Total(float(changes[:, 1].sum() / changes[:, 0].sum()))
        elif measure.key in ("eyes_follow", "mouth_follow"):
            openings = np.array([scores.openings[:, int(measure.key == "mouth_follow")] for scores in these if scores.openings is not None])
            if len(openings) >= FEWEST and openings[:, 0].std() > STILL:
                found[measure.key] = Total(float(np.corrcoef(openings.T)[0, 1]) if openings[:, 1].std() > 1e-6 else 0.0)
        elif measure.key in FOLLOWED:
            both = np.array([scores.followed[FOLLOWED[measure.key]] for scores in these if FOLLOWED[measure.key] in scores.followed])
            if len(both) >= FEWEST and both[:, 0].std() > STILL:
                found[measure.key] = Total(float(np.corrcoef(both.T)[0, 1]) if both[:, 1].std() > 1e-6 else 0.0)
        elif values:
            usual = np.median if measure.key in MEDIANS else np.mean
            found[measure.key] = Total(float(usual(values)), float(usual(originals)) if originals else None)
    return found


class _Shown:
    """Keeps the pictures of the best and the worst frames, and takes those of all others away."""

    def __init__(self):
        self._best: list[tuple[float, int, FrameScores]] = []
        self._worst: list[tuple[float, int, FrameScores]] = []

    def look_at(self, scores: FrameScores) -> None:
        badness, left = _badness(scores), []
        for heap, rank in ((self._best, -badness), (self._worst, badness)):
            heapq.heappush(heap, (rank, scores.index, scores))
            if len(heap) > KEPT:
                left.append(heapq.heappop(heap)[-1])
        for other in left:
            if not any(other is item[-1] for item in self._best + self._worst):
                other.thumbnails = None

    def chosen(self, count: int) -> tuple[list[FrameScores], list[FrameScores]]:
        """The best and the worst of `count` frames: no unswapped frame is among the best, none is both, and they lie apart."""
        worst = self._apart(self._worst, count, [])
        best = [item for item in self._best if item[-1].swapped and item[-1].found]
        return self._apart(best, count, worst), worst

    @staticmethod
    def _apart(heap: list[tuple[float, int, FrameScores]], count: int, others: list[FrameScores]) -> list[FrameScores]:
        ranked = [scores for _, _, scores in sorted(heap, key=lambda item: -item[0]) if not any(scores is other for other in others)]
        found: list[FrameScores] = []
        for distance in (count // 20, 1):  # rather neighbours than none
            for scores in ranked:
                near = any(abs(scores.index - other.index) < max(1, distance) for other in found)
                if not near and len(found) < min(SHOWN, max(1, count // 2)):
                    found.append(scores)
        return found


def _badness(scores: FrameScores) -> float:
    """Likeness to B, where B is known, landmarks and pose together, each in its usual size; without a swap or a face it is worst."""
    if not (scores.swapped and scores.found):
        return 1e3
    values = scores.values
    landmarks = (values["landmark_error"] + values["eyes_error"] + values["mouth_error"]) / 15
    return values.get("distance_b", 0.0) / 0.6 + landmarks + values["pose_error"] / 10
