"""Whose faces a source shows: people told apart, and the faces of those who are wanted.

Where faces are linked through time a few of each track are looked at and speak for all of it.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lib.alignments.store import AlignmentStore
from lib.errors import FaceswapError
from lib.faces.geometry import DEFAULT_COVERAGE, DEFAULT_SIZE, crop
from lib.facesets.cutting import Cut
from lib.facesets.folder import read_face
from lib.facesets.references import reference_faces
from lib.media.base import FrameSource
from lib.plugin import RECOGNIZERS, Aligner, Detector, Recognizer
from lib.system import device
from lib.system.parallel import ordered_map
from lib.system.progress import progress
from lib.types import AlignedFace

LOOKED_AT = 3  # faces of a track
SHORTEST = 3  # faces of a track that may be all that there is of somebody
NEAR = 0.01  # pixels: face pictures tell landmarks with three decimals
REFERENCES = 24  # faces that are looked at of each folder or video of somebody who is wanted


@dataclass(frozen=True)
class Wanted:
    """Which people's faces are kept; all where nothing is said."""

    keep: np.ndarray | None = None  # (N, D) embeddings
    drop: np.ndarray | None = None
    people: list[int] = field(default_factory=list)
    threshold: float | None = None  # None: the recognizer's own

    def __bool__(self) -> bool:
        return self.keep is not None or self.drop is not None or bool(self.people)

    def keeps(self, embedding: np.ndarray, person: int | None, recognizer: Recognizer) -> bool:
        """Whether somebody with this (D,) embedding, who was given the number `person`, is wanted."""
        threshold = recognizer.same if self.threshold is None else self.threshold
        if self.people and person not in self.people:
            return False
        kept, dropped = (-1.0 if known is None else float(likeness(known, embedding[None], recognizer).max())
                         for known in (self.keep, self.drop))
        if self.keep is not None and kept < threshold:
            return False
        return dropped < threshold or self.keep is not None and kept > dropped

    def to_json(self) -> dict[str, Any]:
        lists = {name: None if known is None else known.astype(float).round(5).tolist() for name, known in
                 (("keep", self.keep), ("drop", self.drop))}
        return lists | {"people": self.people, "threshold": self.threshold}

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> Wanted:
        keep, drop = (None if said[name] is None else np.array(said[name], np.float32) for name in ("keep", "drop"))
        return cls(keep, drop, said["people"], said["threshold"])


def embeddings_of(paths: Sequence[Path], detector: Detector, aligner: Aligner, recognizer: Recognizer) -> np.ndarray | None:
    """(N, D) float32 of the largest face of each picture, or of REFERENCES evenly chosen of a folder, face folder or video.

    None for no paths. Raises FaceswapError where one shows no face.
    """
    if not paths:
        return None
    found = []
    for path in paths:
        faces = [one.aligned for one in reference_faces(path, detector, aligner, REFERENCES)]
        if not faces:
            raise FaceswapError(f"No face found in {path}, which is to say who is meant. Name a picture that shows the person well.")
        found.append(recognizer.embed(faces))
    return np.concatenate(found)


def recognize(source: FrameSource, store: AlignmentStore, recognizer: Recognizer, cut: Cut) -> None:
    """Embeds LOOKED_AT faces of each track, and all faces that are in none, as far as it is not done yet.

    Their pictures are read where `cut` has written them as they are needed, else from `source`.
    """
    name = RECOGNIZERS.name_of(recognizer)
    known = {(frame, number) for frame, number, _ in store.embeddings(name)}
    wanted: dict[int, list[int]] = {}
    for unit in _units(store):
        for frame, number in _telling(unit):
            if (frame, number) not in known:
                wanted.setdefault(frame, []).append(number)
    names = store.names()

    def written(index: int, numbers: Sequence[int]) -> list[AlignedFace] | None:
        """The faces as they were cut out before; None where one was not, or is of what a picture showed before it changed."""
        files = [cut.sink.find(cut.origin(source, index, number, names[index])) for number in numbers]
        faces = [read_face(file).aligned for file in files if file]
        stored = {stored.number: stored.fitted.landmarks for stored in store.faces(index, dropped=True)}
        same = len(faces) == len(numbers) and all(np.abs(stored[number] - aligned.face.landmarks).max() < NEAR
                                                  for number, aligned in zip(numbers, faces))
        return faces if same else None

    def faces_of() -> Iterator[tuple[int, list[AlignedFace]]]:
        unwritten = []
        for index, numbers in wanted.items():
            usual = (cut.size, cut.coverage) == (DEFAULT_SIZE, DEFAULT_COVERAGE)
            if usual and cut.sink and (faces := written(index, numbers)):
                yield index, faces
            else:
                unwritten.append(index)
        for frame in source.at(sorted(unwritten)):
            faces = {stored.number: stored.fitted for stored in store.faces(frame.index, dropped=True)}
            yield frame.index, [crop(frame.image, faces[number]) for number in wanted[frame.index]]

    def embedded(item: tuple[int, list[AlignedFace]]) -> tuple[int, np.ndarray]:
        index, faces = item
        return index, recognizer.embed(faces)

    for index, embeddings in progress(ordered_map(embedded, faces_of(), device.cores()), "people", len(wanted)):
        for number, embedding in zip(wanted[index], embeddings):
            store.add_embedding(index, number, embedding, name)


def likeness(some: np.ndarray, others: np.ndarray, recognizer: Recognizer) -> np.ndarray:
    """(N, M) cosines of (N, D) and (M, D) embeddings as they differ from the average face: 1 the same picture, about 0 two people."""
    return _unit(some - recognizer.average) @ _unit(others - recognizer.average).T


def tell_apart(store: AlignmentStore, recognizer: Recognizer, wanted: Wanted) -> None:
    """Numbers the people in the store, the most frequent first, and leaves out the faces of those who are not wanted.

    A track of which no face tells much is given to the person it looks like, if there is one, else to nobody.
    Raises FaceswapError, before anything is changed, if a person is wanted who is not there.
    """
    known = {(frame, number): embedding for frame, number, embedding in store.embeddings(RECOGNIZERS.name_of(recognizer))}
    units = [[(face.frame, face.number) for face in unit] for unit in _units(store)]
    tracked = store.track_counts()[0] > 0
    units = sorted((unit for unit in units if not known.keys().isdisjoint(unit)), key=len, reverse=True)
    means = [np.mean([known[face] for face in unit if face in known], axis=0) - recognizer.average for unit in units]
    telling = [(len(unit) >= SHORTEST or not tracked) and
               max(np.linalg.norm(known[face] - recognizer.average) for face in unit if face in known) >= recognizer.telling
               for unit in units]
    labels = cluster(means, [{frame for frame, _ in unit} for unit in units], telling, recognizer.same)
    person = _numbers(units, labels, {(index, stored.number): stored.person for index, stored in store.all_faces(dropped=True)})
    people = [person.get(label) for label in labels]
    if strangers := [one for one in wanted.people if one not in person.values()]:
        there = f"{len(person)}, counted from 1" if person else "nobody who could be told from others"
        raise FaceswapError(f"There is no person {strangers[0]} in {store.path}, but {there}. extract without --person tells who is there.")
    kept = [not wanted or wanted.keeps(mean + recognizer.average, one, recognizer) for mean, one in zip(means, people)]
    if units and not any(kept) and not wanted.people:
        raise FaceswapError(_nobody_is_wanted(store, means, wanted, recognizer))
    store.set_people((*face, one) for unit, one in zip(units, people) if one for face in unit)
    store.drop("person", [face for unit, keeps in zip(units, kept) if not keeps for face in unit])


def faces_wanted(store: AlignmentStore, recognizer: Recognizer, wanted: Wanted) -> set[tuple[int, int]]:
    """The faces (frame, number) of those who are wanted, of whom `recognize` has embedded some; a track is one person's all along."""
    known = {(frame, number): embedding for frame, number, embedding in store.embeddings(RECOGNIZERS.name_of(recognizer))}
    found: set[tuple[int, int]] = set()
    for unit in _units(store):
        faces = [(seen.frame, seen.number) for seen in unit]
        its = [known[face] for face in faces if face in known]
        if its and wanted.keeps(np.mean(its, axis=0), None, recognizer):
            found.update(faces)
    return found


def _numbers(units: Sequence[Sequence[tuple[int, int]]], labels: Sequence[int | None],
             before: Mapping[tuple[int, int], int | None]) -> dict[int, int]:
    """A number for each label, from 1: that which most of its faces had `before`, else the next that is free, the most frequent first."""
    faces: dict[int, list[tuple[int, int]]] = {}
    for unit, label in zip(units, labels):
        if label is not None:
            faces.setdefault(label, []).extend(unit)
    votes = [(count, label, number) for label, its in faces.items()
             for number, count in Counter(before.get(face) for face in its).items() if number]
    numbers: dict[int, int] = {}
    for _, label, number in sorted(votes, reverse=True):
        if label not in numbers and number not in numbers.values():
            numbers[label] = number
    taken = set(numbers.values())
    free = (number for number in itertools.count(1) if number not in taken)
    fresh = [label for label in sorted(faces, key=lambda label: -len(faces[label])) if label not in numbers]
    return numbers | dict(zip(fresh, free))


def _nobody_is_wanted(store: AlignmentStore, means: Sequence[np.ndarray], wanted: Wanted, recognizer: Recognizer) -> str:
    threshold = recognizer.same if wanted.threshold is None else wanted.threshold
    if wanted.keep is None:
        return (f"Everybody in {store.path} is like the people of -n: nothing would be left. Nothing was changed. Raise "
                f"-l/--ref-threshold (now {threshold:.2f}), or choose other photos.")
    most = float(likeness(wanted.keep, np.array(means) + recognizer.average, recognizer).max())
    return (f"Nobody in {store.path} is like the people of -f: the most like has {most:.2f}, {threshold:.2f} is needed. Nothing was "
            f"changed. Lower -l/--ref-threshold to {max(most - 0.02, -1):.2f}, or choose other photos.")


def cluster(vectors: Sequence[np.ndarray], frames: Sequence[set[int]], telling: Sequence[bool], same: float) -> list[int | None]:
    """A label for each of `vectors` (D,), which point away from the average face: those of one person have one label.

    Each of those that are `telling` joins the group that it is most like, if the cosine is at least `same` and none of its `frames` is
    one of the group's, for nobody is twice in a frame; else it begins a group. Then groups are joined likewise. The others join
    where they can, else their label is None.
    """
    sums: dict[int, np.ndarray] = {}
    there: dict[int, set[int]] = {}
    labels: list[int | None] = [None] * len(vectors)

    def nearest(vector: np.ndarray, own: set[int], apart_from: int | None = None) -> tuple[float, int | None]:
        others = [label for label in sums if label != apart_from and own.isdisjoint(there[label])]
        if not others:
            return -1.0, None
        cosines = _unit(np.array([sums[label] for label in others])) @ _unit(vector)
        return float(cosines.max()), others[int(cosines.argmax())]

    for place in sorted(range(len(vectors)), key=lambda place: not telling[place]):
        best, label = nearest(vectors[place], frames[place])
        if best < same:
            if not telling[place]:
                continue
            label = place
            sums[label], there[label] = np.zeros_like(vectors[place]), set()
        labels[place] = label
        if telling[place]:
            sums[label] = sums[label] + _unit(vectors[place])
        there[label] |= frames[place]

    joined = True
    while joined:
        joined = False
        for label in list(sums):
            best, other = nearest(sums[label], there[label], label)
            if best >= same:
                sums[other] = sums[other] + sums.pop(label)
                there[other] |= there.pop(label)
                labels = [other if one == label else one for one in labels]
                joined = True
    return labels


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Of length 1 along the last axis."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


class _Seen(NamedTuple):
    frame: int
    number: int
    width: float  # between the outer corners of the eyes, pixels


def _units(store: AlignmentStore) -> list[list[_Seen]]:
    """The faces of each track, in order; one that is in none stands for itself."""
    units: dict[Any, list[_Seen]] = {}
    for index, stored in store.all_faces(dropped=True):
        if stored.dropped in (None, "person"):
            points = stored.fitted.landmarks
            seen = _Seen(index, stored.number, float(np.linalg.norm(points[36] - points[45])))
            units.setdefault((index, stored.number) if stored.track is None else stored.track, []).append(seen)
    return list(units.values())


def _telling(unit: list[_Seen]) -> list[tuple[int, int]]:
    """Of each third of a track the face that is largest and turned away least."""
    parts = np.array_split(np.arange(len(unit)), min(LOOKED_AT, len(unit)))
    return [max((unit[place] for place in part), key=lambda seen: seen.width)[:2] for part in parts]
