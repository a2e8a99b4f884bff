"""A set of faces: how fit it is to train on, and what it lacks that another set needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import cv2
import numpy as np

from lib.faces.geometry import transform_points
from lib.faces.masks import inner_skin
from lib.faces.traits import blur, openings, width, yaw_pitch
from lib.facesets.references import NamedFace
from lib.plugin import Recognizer
from lib.system import device
from lib.system.logs import counted
from lib.system.parallel import ordered_map

FEW = 100  # faces: with fewer a swap is stiff whatever is done
BLURRED = 0.65  # blur from here on: as if a face of 64 pixels were blown up to 256
SMALL = 80  # pixels across the box: less than the default model draws
ALIKE = 1.5  # 8-bit levels, root mean square: two faces nearer than that teach the same
LITTLE_TURN = 12.0  # degrees from the 5th to the 95th percentile: with less there is no learning how the head looks turned
WORTH_SAYING, MANY_ALIKE, SEVERAL_PEOPLE = 0.02, 0.1, 0.2  # shares of the faces
THUMBNAIL, COMPARED = 96, 32  # pixels a side: shown; compared for likeness
BLOCK = 512  # rows of distances at a time


@dataclass(frozen=True)
class Quality:
    """One number of a face."""

    key: str
    title: str
    unit: str
    meaning: str
    source: str = ""  # paper
    more: tuple[str, str] = ("", "")  # what a face is whose number is smaller, or larger, than any in another set
    reach: float = 1.0  # a face counts as covered by one that differs by less
    relative: bool = False  # `reach` is a share of the set's median: eyes are of one person's size


QUALITIES = (
    Quality("size", "Size", "pixels", "Width of the box around the face in its frame."),
    Quality("blur", "Blur", "0 to 1", f"How little a further blur changes the face: 0 is sharp, from {BLURRED} on it is blurred.",
            "The Blur Effect: Perception and Estimation with a New No-Reference Perceptual Blur Metric, SPIE, 2007"),
    Quality("yaw", "Head turned, right +", "degrees", "To the left (below 0) or to the right (above) of the picture.",
            more=("turned further to the left", "turned further to the right"), reach=7),
    Quality("pitch", "Head raised, up +", "degrees", "Down (below 0) or up (above); rough.",
            more=("looking further down", "looking further up"), reach=7),
    Quality("light", "Brightness", "L*", "Median lightness (CIELAB) of cheeks and nose: 0 is black, 100 white.",
            more=("darker", "brighter"), reach=10),
    Quality("side_light", "Light from right +", "L*", "How much lighter the skin at the right of the picture is than that at the left.",
            more=("lit more from the left", "lit more from the right"), reach=10),
    Quality("eyes", "Eyes open", "height by width", "About 0.2 and below is shut.",
            "Real-Time Eye Blink Detection using Facial Landmarks, CVWW, 2016 (eye aspect ratio)",
            ("more shut-eyed", "more wide-eyed"), 0.2, relative=True),
    Quality("mouth", "Mouth open", "of the eyes' distance", "Between the inner lips.",
            more=("more shut-mouthed", "more open-mouthed"), reach=0.06),
)
GROUPS = {"pose": ("yaw", "pitch"), "light": ("light", "side_light"), "expression": ("eyes", "mouth")}  # that a set must cover
NOUNS = {"pose": "a pose", "light": "light", "expression": "an expression"}


@dataclass(frozen=True)
class MeasuredFace:
    """What is known of one face of a set. `values` by a quality's key."""

    name: str
    values: dict[str, float]
    embedding: np.ndarray  # (D,)
    thumbnail: np.ndarray  # (THUMBNAIL, THUMBNAIL, 3) uint8 RGB
    small: np.ndarray  # (COMPARED ** 2,) float32 gray


class FaceSet:
    """The measured faces of one set."""

    def __init__(self, name: str, faces: Sequence[MeasuredFace], apart: float):
        """`apart` is that of the recognizer that made the embeddings."""
        self.name, self.faces, self.apart = name, faces, apart
        self.embeddings = np.array([face.embedding for face in faces])  # (N, D)
        self._columns = {quality.key: np.array([face.values[quality.key] for face in faces]) for quality in QUALITIES}

    def __len__(self) -> int:
        return len(self.faces)

    def column(self, key: str) -> np.ndarray:
        """(N,) of a quality."""
        return self._columns[key]

    def compared(self, quality: Quality) -> np.ndarray:
        """(N,): what another set is compared in, the quality itself or its share of the set's median."""
        values = self.column(quality.key)
        return values / max(float(np.median(values)), 1e-6) if quality.relative else values

    def blurred(self) -> list[int]:
        """Indices, worst first."""
        blur = self.column("blur")
        return [index for index in np.argsort(-blur).tolist() if blur[index] >= BLURRED]

    def strangers(self) -> list[int]:
        """Indices of faces that the recognizer takes for another person than most of the set shows, farthest first."""
        distances = np.linalg.norm(self.embeddings - np.median(self.embeddings, 0), axis=1)
        return [index for index in np.argsort(-distances).tolist() if distances[index] > self.apart]

    @cached_property
    def duplicates(self) -> list[tuple[int, int]]:
        """(face, an earlier one that it is nearly the same as): without the first of each, no two are."""
        small = np.stack([face.small for face in self.faces])
        kept, found = np.ones(len(self), bool), []
        for start, distances in _distances(small, small):
            for row, others in enumerate(distances, start):
                near = np.flatnonzero((others[:row] < ALIKE * COMPARED) & kept[:row])
                if near.size:
                    kept[row] = False
                    found.append((row, int(near[0])))
        return found

    def lacking(self, needed: FaceSet, group: str) -> list[int]:
        """Indices of those faces of `needed` that no face here is like, in what `group` is about."""
        here, there = (np.stack([part.compared(quality) / quality.reach for quality in QUALITIES if quality.key in GROUPS[group]], 1)
                       for part in (self, needed))
        return [row for start, distances in _distances(there, here) for row in (start + np.flatnonzero(distances.min(1) > 1)).tolist()]


def measure(name: str, faces: Iterable[NamedFace], recognizer: Recognizer) -> FaceSet:
    """Measures `faces` on threads."""
    return FaceSet(name, list(ordered_map(partial(_measured, recognizer=recognizer), faces, device.cores())), recognizer.same_distance)


def advice(faces: FaceSet, needed: FaceSet | None = None) -> list[str]:
    """What to do about the set, in sentences, the most pressing first."""
    said = []
    strangers, blurred, duplicates = faces.strangers(), faces.blurred(), faces.duplicates
    fresh = len(faces) - len(duplicates)
    if len(strangers) > SEVERAL_PEOPLE * len(faces):
        said.append(f"{_of(len(strangers), faces)} are unlike the rest: the set shows more than one person. Keep one person's faces.")
    elif strangers:
        said.append(f"{_of(len(strangers), faces)} look like somebody else ({_names(faces, strangers)}). Look at them: delete those of "
                    "other people, and keep those that are only turned or blurred.")
    if fresh < FEW:
        said.append(f"There {'is' if fresh == 1 else 'are'} only {counted(fresh, 'different face')}: expect a stiff swap. Some hundreds, "
                    "of many poses and expressions, make a good one.")
    if len(blurred) > WORTH_SAYING * len(faces):
        said.append(f"{_of(len(blurred), faces)} are blurred ({_names(faces, blurred)}): delete them if enough others are left.")
    if (small := float((faces.column("size") < SMALL).mean())) > WORTH_SAYING:
        said.append(f"{small:.0%} are less than {SMALL} pixels wide: they have less detail than a model of 128 pixels draws. "
                    "Take footage in which the face is larger.")
    if len(duplicates) > MANY_ALIKE * len(faces):
        said.append(f"{_of(len(duplicates), faces)} are nearly the same as another: they do no harm but teach nothing either. "
                    "More varied footage is worth more than more of this.")
    if np.ptp(np.percentile(faces.column("yaw"), (5, 95))) < LITTLE_TURN:
        said.append("The head hardly turns: add footage from the sides, or the face will be flat where the other one turns.")
    return said + (wanted(faces, needed) if needed else [])


def wanted(faces: FaceSet, needed: FaceSet) -> list[str]:
    """What `faces` lacks that `needed` shows, in sentences; left and right are those of the picture."""
    said = []
    for group in GROUPS:
        for words, count in Counter(_how(faces, needed, group)).most_common():
            if (share := count / len(needed)) > WORTH_SAYING:
                said.append(f"{share:.0%} of the faces in {needed.name} {words} in {faces.name}: footage like that is lacking.")
    return said


def _how(faces: FaceSet, needed: FaceSet, group: str) -> list[str]:
    """How each face that is lacking differs: "are turned further to the left and looking further up than any"."""
    lacking = faces.lacking(needed, group)
    parts: list[list[str]] = [[] for _ in lacking]
    for quality in QUALITIES:
        if quality.key in GROUPS[group]:
            there = faces.compared(quality)
            low, high = there.min() - quality.reach / 2, there.max() + quality.reach / 2
            for words, value in zip(parts, needed.compared(quality)[lacking]):
                words += [quality.more[0]] * bool(value < low) + [quality.more[1]] * bool(value > high)
    return [f"are {' and '.join(words)} than any" if words else f"have {NOUNS[group]} like none" for words in parts]


def _measured(one: NamedFace, recognizer: Recognizer) -> MeasuredFace:
    image, face = one.aligned.image, one.aligned.face
    yaw, pitch = yaw_pitch(one.aligned)
    eyes, mouth = openings(face.landmarks)
    light, side_light = light_of(image, transform_points(face.landmarks, one.aligned.matrix))
    values = {"size": width(face), "blur": blur(one.aligned), "yaw": yaw, "pitch": pitch, "light": light, "side_light": side_light,
              "eyes": float(eyes), "mouth": float(mouth)}
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (COMPARED, COMPARED), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    thumbnail = cv2.resize(image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return MeasuredFace(one.name, values, recognizer.embed([one.aligned])[0], thumbnail, small)


def light_of(image: np.ndarray, points: np.ndarray) -> tuple[float, float]:
    """Median lightness of cheeks and nose, and how much that at the picture's right exceeds that at its left."""
    skin = inner_skin(points, len(image))[..., 0] > 0.5
    lightness = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[..., 0]
    right = np.arange(len(image))[None] > points[27:31, 0].mean()
    sides = [lightness[skin & side] for side in (~right, right)]
    if not all(side.size for side in sides):
        return float(lightness.mean()), 0.0
    return float(np.median(np.concatenate(sides))), float(np.median(sides[1]) - np.median(sides[0]))


def _distances(rows: np.ndarray, columns: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(start, (up to BLOCK, N) Euclidean distances of the rows from there on to all columns)."""
    lengths = np.square(columns).sum(1)
    for start in range(0, len(rows), BLOCK):
        part = rows[start:start + BLOCK]
        yield start, np.sqrt(np.maximum(np.square(part).sum(1)[:, None] + lengths - 2 * part @ columns.T, 0))


def _of(count: int, faces: FaceSet) -> str:
    return f"{count} of {counted(len(faces), 'face')}"


def _names(faces: FaceSet, indices: Sequence[int], most: int = 3) -> str:
    names = [faces.faces[index].name for index in indices[:most]]
    return ", ".join(names) + (" ..." if len(indices) > most else "")
