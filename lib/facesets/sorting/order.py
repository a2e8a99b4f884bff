"""In which order faces stand, and into which groups they fall, by what is measured of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lib.faces.masks import inner_skin
from lib.faces.traits import blur, openings, roll, width, yaw_pitch
from lib.facesets.face_file import FaceFile, Origin
from lib.facesets.sorting.clusters import chain, clusters, people

BINS = 32  # of a histogram's channel
HISTOGRAM_RANGES = ((0, 256), (80, 176), (80, 176))  # of 8-bit L*, a*, b*: skin and what is around it seldom have stronger colours
MOUTH_STEP = 0.06  # of the distance between the eyes: mouths that differ by less are open alike
EYES_STEP = 0.2  # likewise eyes, as a share of their median: they are of one person's size
LONGEST_LABEL = 40  # characters of a source's name in a folder's name
OTHER = "other"


@dataclass(frozen=True)
class SortedFace:
    """A face that has a place."""

    path: Path
    plain: str  # its file's name without the rank of an earlier sort
    origin: Origin
    values: np.ndarray  # (D,) float32, what its place depends on


@dataclass(frozen=True)
class Group:
    """Faces that belong together, in order; the only one has no name where none were asked for."""

    name: str
    faces: list[SortedFace]


@dataclass(frozen=True)
class Scale:
    """A measure that is one number."""

    of: Callable[[FaceFile], float]
    falling: bool = False  # the largest first
    decimals: int = 0
    even: bool = False  # groups are ranges of one width, rather than of one number of faces


SCALES = {
    "blur": Scale(lambda file: blur(file.aligned), decimals=2),
    "pose-yaw": Scale(lambda file: yaw_pitch(file.aligned)[0], even=True),
    "pose-pitch": Scale(lambda file: yaw_pitch(file.aligned)[1], even=True),
    "pose-roll": Scale(lambda file: roll(file.aligned.face), even=True),
    "size": Scale(lambda file: width(file.aligned.face), falling=True),
}
# What else faces are sorted by, but for identity, which needs a recognizer
VECTORS: dict[str, Callable[[FaceFile], Sequence[float]]] = {
    "time": lambda file: (),
    "color": lambda file: skin_color(file),
    "histogram": lambda file: color_histogram(file.image),
    "expression": lambda file: openings(file.aligned.face.landmarks),
}


def measure(by: str, file: FaceFile) -> np.ndarray:
    """(D,) float32 of a face, for all that `by` may be but "identity". Raises ValueError where its landmarks make no face."""
    values = [SCALES[by].of(file)] if by in SCALES else VECTORS[by](file)
    return np.array(values, np.float32)


def arrange(by: str, faces: Sequence[SortedFace], count: int | None, apart: float = 0.0) -> list[Group]:
    """`faces`, given in the order of time, in the order `by`; in one group, or in up to `count` of which none is empty.

    `apart` is that of the recognizer, where they are sorted by identity.
    """
    values = np.stack([face.values for face in faces])
    order = _order(by, values, apart)
    groups = [("", order)] if count is None else _groups(by, faces, values, order, count, apart)
    first = int(by == "identity")  # people are counted from 1
    digits = len(str(len(groups) - 1 + first))
    return [Group(name and (name if name == OTHER else f"{number:0{digits}}_{name}"), [faces[index] for index in indices])
            for number, (name, indices) in enumerate(groups, first)]


def skin_color(file: FaceFile) -> np.ndarray:
    """(3,) float32: median L* (0 to 100), a* and b* (CIELAB) of cheeks and nose, or of the whole picture where they do not show."""
    skin = inner_skin(file.landmarks, file.size)[..., 0] > 0.5
    lab = cv2.cvtColor(file.image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.median(lab[skin] if skin.any() else lab.reshape(-1, 3), axis=0)


def color_histogram(image: np.ndarray) -> np.ndarray:
    """(96,) float32 of `image` (S, S, 3) uint8 RGB: roots of the shares of its pixels by L*, a* and b*.

    The Euclidean distance of two is Hellinger's, so that large areas do not outweigh all others.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    counts = np.stack([cv2.calcHist([lab[..., channel].clip(low, high - 1)], [0], None, [BINS], (low, high)).ravel()
                       for channel, (low, high) in enumerate(HISTOGRAM_RANGES)])
    # blurred, since a little more light must not empty one bin into the next
    blurred = cv2.blur(counts / lab[..., 0].size, (3, 1), borderType=cv2.BORDER_REPLICATE)
    return np.sqrt(blurred).ravel()


def _order(by: str, values: np.ndarray, apart: float) -> list[int]:
    if by in SCALES:
        return np.argsort(-values[:, 0] if SCALES[by].falling else values[:, 0], kind="stable").tolist()
    if by == "color":
        return np.argsort(values[:, 0], kind="stable").tolist()
    if by == "histogram":
        return chain(values)
    if by == "expression":
        eyes, mouth = values.T
        step = np.floor(mouth / MOUTH_STEP)
        return np.lexsort((np.where(step % 2, -eyes, eyes), step)).tolist()  # to and fro, so that neighbours are alike
    if by == "identity":
        return np.concatenate(people(values, apart)).tolist()
    return list(range(len(values)))


def _groups(by: str, faces: Sequence[SortedFace], values: np.ndarray, order: list[int], count: int,
            apart: float) -> list[tuple[str, list[int]]]:
    """Names without their number, and indices in `order`."""
    if by in SCALES:
        scale = SCALES[by]
        parts = _even_ranges(values[:, 0], order, count) if scale.even else _equal_parts(order, count)
        return [(f"{_number(values[part[0], 0], scale)}..{_number(values[part[-1], 0], scale)}", part) for part in parts]
    if by == "time":
        return [("..".join(_label(faces[index].origin) for index in (part[0], part[-1])), part) for part in _equal_parts(order, count)]
    place = np.argsort(order)
    if by == "identity":
        found = [part.tolist() for part in people(values, apart)]
        others = [(OTHER, [index for part in found[count:] for index in part])] if found[count:] else []
        return [("person", part) for part in found[:count]] + others
    scaled = values / (max(float(np.median(values[:, 0])), 1e-6) * EYES_STEP, MOUTH_STEP) if by == "expression" else values
    parts = [part[np.argsort(place[part])].tolist() for part in clusters(scaled, count)]
    if by == "histogram":
        return [("alike", part) for part in parts]
    middles = [np.median(values[part], axis=0) for part in parts]
    if by == "color":
        named = [(_hex(middle), part, middle[0]) for part, middle in zip(parts, middles)]
    else:
        named = [(f"mouth-{mouth:.2f}_eyes-{eyes:.2f}", part, mouth) for part, (eyes, mouth) in zip(parts, middles)]
    return [(name, part) for name, part, _ in sorted(named, key=lambda one: one[2])]


def _equal_parts(order: list[int], count: int) -> list[list[int]]:
    return [part.tolist() for part in np.array_split(order, min(count, len(order)))]


def _even_ranges(values: np.ndarray, order: list[int], count: int) -> list[list[int]]:
    """Between the 1st and the 99th percentile: a few faces that were measured wrongly do not spread the ranges."""
    low, high = np.percentile(values, (1, 99))
    places = np.searchsorted(np.linspace(low, high, count + 1)[1:-1], values[order], side="right")
    return [part.tolist() for part in np.split(np.array(order), np.flatnonzero(np.diff(places)) + 1)]


def _number(value: float, scale: Scale) -> str:
    return f"{round(float(value), scale.decimals) + 0.0:.{scale.decimals}f}"  # + 0.0: no "-0"


def _label(origin: Origin) -> str:
    return f"{Path(origin.name or origin.source).stem[:LONGEST_LABEL]}-{origin.frame}"


def _hex(lab: np.ndarray) -> str:
    """ "a87c63", the RGB of a colour in CIELAB."""
    rgb = cv2.cvtColor(np.float32(lab).reshape(1, 1, 3), cv2.COLOR_LAB2RGB)
    return "".join(f"{level:02x}" for level in (rgb.ravel() * 255).round().clip(0, 255).astype(int))
