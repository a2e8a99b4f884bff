"""Whose faces a source shows: people told apart, and the faces of those who are kept.

Where faces are linked through time, a few of each track are looked at and speak for all of it.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lib.alignments.store import AlignmentStore
from lib.errors import FaceswapError
from lib.faces.geometry import DEFAULT_COVERAGE, DEFAULT_SIZE, crop
from lib.faces.likeness import PeopleFilter, likeness, unit
from lib.facesets.face_file import read_face
from lib.facesets.folder import FaceCropper, origin_in
from lib.facesets.references import reference_faces
from lib.media.base import FrameSource
from lib.plugin import RECOGNIZERS, Aligner, Detector, Recognizer
from lib.system import device
from lib.system.parallel import ordered_map
from lib.system.progress import progress
from lib.types import AlignedFace

LOOKED_AT = 3  # faces of a track
SHORTEST = 3  # faces of a track that may be all that there is of somebody
REFERENCES = 24  # faces that are looked at of each folder or video that shows somebody

FaceKey = tuple[int, int]  # frame and number


def embeddings_of(paths: Sequence[Path], detector: Detector, aligner: Aligner,
                  recognizer: Recognizer) -> np.ndarray | None:
    """(N, D) float32 of the largest face of each picture, or of REFERENCES evenly chosen of a
    folder, face folder or video.

    None for no paths. Raises FaceswapError where one shows no face.
    """
    if not paths:
        return None
    embeddings = []
    for path in paths:
        faces = [face.aligned for face in reference_faces(path, detector, aligner, REFERENCES)]
        if not faces:
            raise FaceswapError(f"No face found in {path}. Use a picture that shows the person's "
                                "face clearly.")
        embeddings.append(recognizer.embed(faces))
    return np.concatenate(embeddings)


def recognize(source: FrameSource, store: AlignmentStore, recognizer: Recognizer,
              cropper: FaceCropper) -> None:
    """Embeds LOOKED_AT faces of each track, and all faces that are in none, as far as it is not
    done yet.

    Their pictures are read where `cropper` has written them as the recognizer needs them, else from
    `source`.
    """
    name = RECOGNIZERS.name_of(recognizer)
    embedded = {(index, number) for index, number, _ in store.embeddings(name)}
    missing: dict[int, list[int]] = {}  # numbers by frame
    for group in _groups(store):
        for index, number in _largest(group):
            if (index, number) not in embedded:
                missing.setdefault(index, []).append(number)

    def embed(item: tuple[int, list[AlignedFace]]) -> tuple[int, np.ndarray]:
        index, faces = item
        return index, recognizer.embed(faces)

    faces = ordered_map(embed, _crops(source, store, missing, cropper), device.cores())
    for index, embeddings in progress(faces, "people", len(missing)):
        for number, embedding in zip(missing[index], embeddings):
            store.add_embedding(index, number, embedding, name)


def _crops(source: FrameSource, store: AlignmentStore, numbers: Mapping[int, list[int]],
           cropper: FaceCropper) -> Iterator[tuple[int, list[AlignedFace]]]:
    """Frames and their faces of these `numbers`, those first that can be read from face
    pictures.
    """
    names = store.names()
    usable = cropper.sink and (cropper.size, cropper.coverage) == (DEFAULT_SIZE, DEFAULT_COVERAGE)
    unread = []
    for index in numbers:
        faces = _written_faces(source, store, index, numbers[index], names[index],
                               cropper) if usable else None
        if faces is None:
            unread.append(index)
        else:
            yield index, faces
    for frame in source.at(sorted(unread)):
        fitted = {stored.number: stored.fitted for stored in store.faces(frame.index, dropped=True)}
        yield frame.index, [crop(frame.image, fitted[number]) for number in numbers[frame.index]]


def _written_faces(source: FrameSource, store: AlignmentStore, index: int, numbers: Sequence[int],
                   name: str, cropper: FaceCropper) -> list[AlignedFace] | None:
    """The faces as they were written; None where one was not, or shows what a picture showed before
    it changed.
    """
    files = [cropper.sink.find(origin_in(source, index, number, name)) for number in numbers]
    if not all(files):
        return None
    faces = [read_face(file).aligned for file in files]
    stored = {face.number: face for face in store.faces(index, dropped=True)}
    same = all(stored[number].is_shown_by(aligned.face.landmarks)
               for number, aligned in zip(numbers, faces))
    return faces if same else None


def tell_apart(store: AlignmentStore, recognizer: Recognizer, people: PeopleFilter) -> None:
    """Numbers the people in the store, the most frequent first, and leaves out the faces of those
    who are not kept.

    A track of which no face tells much is given to the person it looks like, if there is one, else
    to nobody. Raises FaceswapError, before anything is changed, if `people` names a person who is
    not in the store.
    """
    # Groups of faces that are one person's, with a mean embedding each
    embeddings = _embeddings(store, recognizer)
    groups = [group for group in map(_keys, _groups(store))
              if not embeddings.keys().isdisjoint(group)]
    groups.sort(key=len, reverse=True)
    embedded = []
    for group in groups:
        known = [embeddings[face] for face in group if face in embeddings]
        embedded.append(np.array(known) - recognizer.average)
    means = [vectors.mean(0) for vectors in embedded]

    # The person of each
    tracked = store.track_counts()[0] > 0
    telling = [(len(group) >= SHORTEST or not tracked)
               and float(np.linalg.norm(vectors, axis=1).max()) >= recognizer.telling
               for group, vectors in zip(groups, embedded)]
    frames = [set(dict(group)) for group in groups]  # dict(group): number by frame
    labels = cluster(means, frames, telling, recognizer.same)
    before = {(index, stored.number): stored.person
              for index, stored in store.all_faces(dropped=True)}
    numbers = _numbers(groups, labels, before)
    persons = [numbers.get(label) for label in labels]

    # Who is kept
    if unknown := [person for person in people.people if person not in numbers.values()]:
        people_there = "nobody who could be told from others"
        if numbers:
            people_there = f"{len(numbers)}, counted from 1"
        raise FaceswapError(f"There is no person {unknown[0]} in {store.path}, but {people_there}. "
                            "extract without --person prints who there is.")
    kept = [not people or people.keeps(mean + recognizer.average, person, recognizer)
            for mean, person in zip(means, persons)]
    if groups and not any(kept) and not people.people:
        raise FaceswapError(_nobody_is_kept(store, means, people, recognizer))
    store.set_people((*face, person) for group, person in zip(groups, persons) if person
                     for face in group)
    store.drop("person", [face for group, keep in zip(groups, kept) if not keep for face in group])


def faces_of_people(store: AlignmentStore, recognizer: Recognizer,
                    people: PeopleFilter) -> set[FaceKey]:
    """The faces of those who are kept, of whom `recognize` has embedded some; a track is one
    person's all along.
    """
    embeddings = _embeddings(store, recognizer)
    kept: set[FaceKey] = set()
    for group in _groups(store):
        faces = _keys(group)
        known = [embeddings[face] for face in faces if face in embeddings]
        if known and people.keeps(np.mean(known, axis=0), None, recognizer):
            kept.update(faces)
    return kept


def _embeddings(store: AlignmentStore, recognizer: Recognizer) -> dict[FaceKey, np.ndarray]:
    return {(index, number): embedding
            for index, number, embedding in store.embeddings(RECOGNIZERS.name_of(recognizer))}


def _numbers(groups: Sequence[Sequence[FaceKey]], labels: Sequence[int | None],
             before: Mapping[FaceKey, int | None]) -> dict[int, int]:
    """A number for each label, from 1: that which most of its faces had `before`, else the next
    that is free, the most frequent first.
    """
    faces: dict[int, list[FaceKey]] = {}
    for group, label in zip(groups, labels):
        if label is not None:
            faces.setdefault(label, []).extend(group)
    votes = []
    for label, keys in faces.items():
        counts = Counter(before.get(key) for key in keys)
        votes += [(count, label, number) for number, count in counts.items() if number]
    numbers: dict[int, int] = {}
    for _, label, number in sorted(votes, reverse=True):
        if label not in numbers and number not in numbers.values():
            numbers[label] = number
    taken = set(numbers.values())
    free = (number for number in itertools.count(1) if number not in taken)
    unnumbered = sorted((label for label in faces if label not in numbers),
                        key=lambda label: -len(faces[label]))
    return numbers | dict(zip(unnumbered, free))


def _nobody_is_kept(store: AlignmentStore, means: Sequence[np.ndarray], people: PeopleFilter,
                    recognizer: Recognizer) -> str:
    least = people.least_likeness(recognizer)
    if people.keep is None:
        return (f"Everybody in {store.path} is like the people of -n: nothing would be left. "
                f"Nothing was changed. Raise -l/--ref-threshold (now {least:.2f}), or choose "
                "other photos.")
    most = float(likeness(people.keep, np.array(means) + recognizer.average, recognizer).max())
    return (f"Nobody in {store.path} is like the people of -f: the most like has {most:.2f}, "
            f"{least:.2f} is needed. Nothing was changed. Lower -l/--ref-threshold to "
            f"{max(most - 0.02, -1):.2f}, or choose other photos.")


def cluster(vectors: Sequence[np.ndarray], frames: Sequence[set[int]], telling: Sequence[bool],
            same: float) -> list[int | None]:
    """A label for each of `vectors` (D,), which point away from the average face: those of one
    person have one label.

    Each of those that are `telling` joins the cluster that it is most like, if the cosine is at
    least `same` and none of its `frames` is one of the cluster's, for nobody is twice in a frame;
    else it begins a cluster. Then clusters are joined likewise. The others join where they can,
    else their label is None.
    """
    clusters = _Clusters()
    labels: list[int | None] = [None] * len(vectors)
    for place in sorted(range(len(vectors)), key=lambda place: not telling[place]):
        cosine, label = clusters.nearest(vectors[place], frames[place])
        if cosine < same:
            if not telling[place]:
                continue
            label = place
        labels[place] = label
        clusters.add(label, unit(vectors[place]) if telling[place]
                     else np.zeros_like(vectors[place]), frames[place])
    return clusters.joined(labels, same)


class _Clusters:
    """Sums of unit vectors, and the frames that each cluster is in, by label."""

    def __init__(self) -> None:
        self._sums: dict[int, np.ndarray] = {}
        self._frames: dict[int, set[int]] = {}

    def nearest(self, vector: np.ndarray, frames: set[int],
                but: int | None = None) -> tuple[float, int | None]:
        """Cosine and label of the cluster most like `vector` that is in none of `frames`."""
        labels = [label for label in self._sums if label != but
                  and frames.isdisjoint(self._frames[label])]
        if not labels:
            return -1.0, None
        cosines = unit(np.array([self._sums[label] for label in labels])) @ unit(vector)
        return float(cosines.max()), labels[int(cosines.argmax())]

    def add(self, label: int, vector: np.ndarray, frames: set[int]) -> None:
        self._sums[label] = self._sums.get(label, 0) + vector
        self._frames.setdefault(label, set()).update(frames)

    def joined(self, labels: list[int | None], same: float) -> list[int | None]:
        """`labels` once clusters are joined that are alike."""
        changed = True
        while changed:
            changed = False
            for label in list(self._sums):
                cosine, into = self.nearest(self._sums[label], self._frames[label], label)
                if cosine >= same:
                    self.add(into, self._sums.pop(label), self._frames.pop(label))
                    labels = [into if old == label else old for old in labels]
                    changed = True
        return labels


class _GroupFace(NamedTuple):
    frame: int
    number: int
    width: float  # between the outer corners of the eyes, pixels


def _groups(store: AlignmentStore) -> list[list[_GroupFace]]:
    """The faces of each track, in order; one that is in none stands for itself."""
    groups: dict[int | FaceKey, list[_GroupFace]] = {}
    for index, stored in store.all_faces(dropped=True):
        if stored.dropped in (None, "person"):
            points = stored.fitted.landmarks
            face = _GroupFace(index, stored.number, float(np.linalg.norm(points[36] - points[45])))
            groups.setdefault((index, stored.number) if stored.track is None else stored.track,
                              []).append(face)
    return list(groups.values())


def _keys(group: list[_GroupFace]) -> list[FaceKey]:
    return [(face.frame, face.number) for face in group]


def _largest(group: list[_GroupFace]) -> list[FaceKey]:
    """Of each third of a track the face that is largest and turned away least."""
    parts = np.array_split(np.arange(len(group)), min(LOOKED_AT, len(group)))
    return [max((group[place] for place in part), key=lambda face: face.width)[:2]
            for part in parts]
