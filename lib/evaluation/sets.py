"""A set of faces: how good it is for training, and what it lacks that another set needs."""

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

FEW = 100  # faces: with fewer, every swap looks stiff
BLURRED = 0.65  # blur of a face of 64 pixels that is enlarged to 256
SMALL = 80  # pixels across the box: less than the default model draws
ALIKE = 1.5  # 8-bit levels, root mean square: a model learns the same from two such faces
# Degrees from the 5th to the 95th percentile of yaw: with less a model learns no turned head
LITTLE_TURN = 12.0
# Shares of the faces from which on something is reported
REPORTED, MANY_ALIKE, SEVERAL_PEOPLE = 0.02, 0.1, 0.2
THUMBNAIL, COMPARED = 96, 32  # pixels a side: shown; compared to find duplicates
BLOCK = 512  # rows of distances at a time


@dataclass(frozen=True)
class Quality:
    """One number of a face."""

    key: str
    title: str
    unit: str
    meaning: str
    source: str = ""  # paper
    # Words for a face whose number is below, or above, all numbers of another set
    more: tuple[str, str] = ("", "")
    reach: float = 1.0  # a face is covered by one that differs by less
    relative: bool = False  # `reach` is a share of the set's median: eyes differ in size


QUALITIES = (
    Quality("size", "Size", "pixels", "Width of the box around the face in its frame."),
    Quality("blur", "Blur", "0 to 1",
            f"Re-blurring: 0 is sharp, from {BLURRED} on a face is blurred.",
            "The Blur Effect: Perception and Estimation with a New No-Reference Perceptual Blur "
            "Metric, SPIE, 2007"),
    Quality("yaw", "Head turned, right +", "degrees",
            "To the left (below 0) or to the right (above 0) of the picture.",
            more=("turned further to the left", "turned further to the right"), reach=7),
    Quality("pitch", "Head raised, up +", "degrees", "Down (below 0) or up (above 0); rough.",
            more=("looking further down", "looking further up"), reach=7),
    Quality("light", "Brightness", "L*",
            "Median lightness (CIELAB) of cheeks and nose: 0 is black, 100 white.",
            more=("darker", "brighter"), reach=10),
    Quality("side_light", "Light from right +", "L*",
            "By how much the skin at the right of the picture is lighter than that at the left.",
            more=("lit more from the left", "lit more from the right"), reach=10),
    Quality("eyes", "Eyes open", "height by width", "About 0.2 and below is closed.",
            "Real-Time Eye Blink Detection using Facial Landmarks, CVWW, 2016 (eye aspect ratio)",
            ("with eyes more closed", "with eyes wider open"), 0.2, relative=True),
    Quality("mouth", "Mouth open", "of the eyes' distance", "Between the inner lips.",
            more=("with mouth more closed", "with mouth wider open"), reach=0.06),
)
# that a set must cover
GROUPS = {"pose": ("yaw", "pitch"), "light": ("light", "side_light"),
          "expression": ("eyes", "mouth")}
NOUNS = {"pose": "a pose", "light": "light", "expression": "an expression"}


@dataclass(frozen=True)
class MeasuredFace:
    """One face of a set. `values` by a quality's key."""

    name: str
    values: dict[str, float]
    embedding: np.ndarray  # (D,)
    thumbnail: np.ndarray  # (THUMBNAIL, THUMBNAIL, 3) uint8 RGB
    small: np.ndarray  # (COMPARED ** 2,) float32 gray


class FaceSet:
    """The measured faces of one set."""

    def __init__(self, name: str, faces: Sequence[MeasuredFace], same_distance: float):
        """`same_distance` is the distance from which on the recognizer tells two people apart."""
        self.name, self.faces, self.same_distance = name, faces, same_distance
        self.embeddings = np.array([face.embedding for face in faces])  # (N, D)
        self._columns = {quality.key: np.array([face.values[quality.key] for face in faces])
                         for quality in QUALITIES}

    def __len__(self) -> int:
        return len(self.faces)

    def column(self, key: str) -> np.ndarray:
        """(N,) of a quality."""
        return self._columns[key]

    def compared(self, quality: Quality) -> np.ndarray:
        """(N,): the quality as it is compared with another set, itself or its share of the
        median.
        """
        values = self.column(quality.key)
        return values / max(float(np.median(values)), 1e-6) if quality.relative else values

    def names(self, indices: Sequence[int]) -> list[str]:
        """Names of the faces at these indices."""
        return [self.faces[index].name for index in indices]

    def blurred(self) -> list[int]:
        """Indices, worst first."""
        blur = self.column("blur")
        return [index for index in np.argsort(-blur).tolist() if blur[index] >= BLURRED]

    def strangers(self) -> list[int]:
        """Indices of faces that the recognizer takes for another person than the set's, farthest
        first."""
        distances = np.linalg.norm(self.embeddings - np.median(self.embeddings, 0), axis=1)
        return [index for index in np.argsort(-distances).tolist() if distances[index]
                > self.same_distance]

    @cached_property
    def duplicates(self) -> list[tuple[int, int]]:
        """Pairs (face, an earlier face that is nearly the same), of indices."""
        small = np.stack([face.small for face in self.faces])
        kept, pairs = np.ones(len(self), bool), []
        for start, block in _distances(small, small):
            for row, distances in enumerate(block, start):
                near = np.flatnonzero((distances[:row] < ALIKE * COMPARED) & kept[:row])
                if near.size:
                    kept[row] = False
                    pairs.append((row, int(near[0])))
        return pairs

    def lacking(self, needed: FaceSet, group: str) -> list[int]:
        """Indices of the faces of `needed` that no face here resembles in the qualities of
        `group`."""
        qualities = [quality for quality in QUALITIES if quality.key in GROUPS[group]]
        own, target = (np.stack([part.compared(quality) / quality.reach for quality in qualities],
                                1)
                      for part in (self, needed))
        nearest = np.concatenate([block.min(1) for _, block in _distances(target, own)])
        return np.flatnonzero(nearest > 1).tolist()


def measure(name: str, faces: Iterable[NamedFace], recognizer: Recognizer) -> FaceSet:
    """Measures `faces` on all cores."""
    work = partial(_measure_face, recognizer=recognizer)
    return FaceSet(name, list(ordered_map(work, faces, device.cores())), recognizer.same_distance)


def advice(faces: FaceSet, needed: FaceSet | None = None) -> list[str]:
    """What to do about the set, in sentences, the most pressing first."""
    sentences = []
    strangers, blurred, duplicates = faces.strangers(), faces.blurred(), faces.duplicates
    distinct = len(faces) - len(duplicates)
    if len(strangers) > SEVERAL_PEOPLE * len(faces):
        sentences.append(f"{_of(len(strangers), faces)} are unlike the rest: the set shows more "
                         "than one person. Keep one person's faces.")
    elif strangers:
        sentences.append(f"{_of(len(strangers), faces)} look like somebody else "
                         f"({_names(faces, strangers)}). Look at them: delete those of other "
                         "people, and keep those that are only turned or blurred.")
    if distinct < FEW:
        sentences.append(f"There {'is' if distinct == 1 else 'are'} only "
                         f"{counted(distinct, 'different face')}: expect a stiff swap. A good one "
                         "takes some hundreds, of many poses and expressions.")
    if len(blurred) > REPORTED * len(faces):
        sentences.append(f"{_of(len(blurred), faces)} are blurred ({_names(faces, blurred)}): "
                         "delete them if enough others are left.")
    if (small := float((faces.column("size") < SMALL).mean())) > REPORTED:
        sentences.append(f"{small:.0%} are less than {SMALL} pixels wide: they have less detail "
                         "than a model of 128 pixels draws. Use footage in which the face is "
                         "larger.")
    if len(duplicates) > MANY_ALIKE * len(faces):
        sentences.append(f"{_of(len(duplicates), faces)} are nearly the same as another: harmless, "
                         "but the model learns nothing from them. More varied footage helps more "
                         "than more of this.")
    if np.ptp(np.percentile(faces.column("yaw"), (5, 95))) < LITTLE_TURN:
        sentences.append("The head hardly turns: add footage from the sides, or turned faces will "
                         "look flat.")
    return sentences + (missing(faces, needed) if needed else [])


def missing(faces: FaceSet, needed: FaceSet) -> list[str]:
    """What `faces` lacks that `needed` shows, in sentences; left and right are those of the
    picture."""
    sentences = []
    for group in GROUPS:
        for words, count in Counter(_differences(faces, needed, group)).most_common():
            if (share := count / len(needed)) > REPORTED:
                sentences.append(f"{share:.0%} of the faces in {needed.name} {words} in "
                                 f"{faces.name}: add such footage.")
    return sentences


def _differences(faces: FaceSet, needed: FaceSet, group: str) -> list[str]:
    """How each missing face differs: "are turned further to the left and looking further up than
    any"."""
    lacking = faces.lacking(needed, group)
    parts: list[list[str]] = [[] for _ in lacking]
    for quality in QUALITIES:
        if quality.key in GROUPS[group]:
            own = faces.compared(quality)
            low, high = own.min() - quality.reach / 2, own.max() + quality.reach / 2
            for words, value in zip(parts, needed.compared(quality)[lacking]):
                words += [quality.more[0]] * bool(value < low)
                words += [quality.more[1]] * bool(value > high)
    return [f"are {' and '.join(words)} than any" if words else f"have {NOUNS[group]} like none"
            for words in parts]


def _measure_face(named: NamedFace, recognizer: Recognizer) -> MeasuredFace:
    aligned = named.aligned
    image, face = aligned.image, aligned.face
    yaw, pitch = yaw_pitch(aligned)
    eyes, mouth = openings(face.landmarks)
    light, side_light = light_of(image, transform_points(face.landmarks, aligned.matrix))
    values = {"size": width(face), "blur": blur(aligned), "yaw": yaw, "pitch": pitch,
              "light": light, "side_light": side_light,
              "eyes": float(eyes), "mouth": float(mouth)}
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (COMPARED, COMPARED),
                       interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    thumbnail = cv2.resize(image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return MeasuredFace(named.name, values, recognizer.embed([aligned])[0], thumbnail, small)


def light_of(image: np.ndarray, points: np.ndarray) -> tuple[float, float]:
    """Median lightness (L*) of cheeks and nose, and by how much it is larger at the picture's
    right.

    `image` (S, S, 3) uint8 RGB; `points` (68, 2) landmarks in its pixels.
    """
    skin = inner_skin(points, len(image))[..., 0] > 0.5
    lightness = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[..., 0]
    right = np.arange(len(image))[None] > points[27:31, 0].mean()
    sides = [lightness[skin & side] for side in (~right, right)]
    if not all(side.size for side in sides):
        return float(lightness.mean()), 0.0
    return float(np.median(np.concatenate(sides))), float(np.median(sides[1]) - np.median(sides[0]))


def _distances(rows: np.ndarray, columns: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(start, (up to BLOCK, N)): Euclidean distances of `rows` from start on to all `columns`."""
    lengths = np.square(columns).sum(1)
    for start in range(0, len(rows), BLOCK):
        part = rows[start:start + BLOCK]
        yield start, np.sqrt(np.maximum(np.square(part).sum(1)[:, None] + lengths - 2 * part
                                        @ columns.T, 0))


def _of(count: int, faces: FaceSet) -> str:
    return f"{count} of {counted(len(faces), 'face')}"


def _names(faces: FaceSet, indices: Sequence[int], most: int = 3) -> str:
    return ", ".join(faces.names(indices[:most])) + (" ..." if len(indices) > most else "")
