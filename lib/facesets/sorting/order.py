"""The order of faces, and their groups, by what is measured of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lib.faces.masks import inner_skin
from lib.faces.traits import blur, openings, roll, width, yaw_pitch
from lib.facesets.face_file import FaceFile, Origin
from lib.facesets.sorting.clusters import chain, cluster_people, clusters

BINS = 32  # of a histogram's channel
# Of 8-bit L*, a*, b*: skin and its surroundings seldom have stronger colours
HISTOGRAM_RANGES = ((0, 256), (80, 176), (80, 176))
MOUTH_STEP = 0.06  # of the distance between the eyes: mouths that differ by less are equally open
EYES_STEP = 0.2  # the same for eyes, as a share of their median
LONGEST_LABEL = 40  # characters of a source's name in a folder's name
OTHER = "other"


@dataclass(frozen=True)
class SortedFace:
    """A face that is sorted."""

    path: Path
    plain: str  # its file's name without the rank of an earlier sort
    origin: Origin
    values: np.ndarray  # (D,) float32 that it is sorted by


@dataclass(frozen=True)
class Group:
    """Faces that belong together, in order. The name is "" where no groups are asked for."""

    name: str
    faces: list[SortedFace]


@dataclass(frozen=True)
class Scale:
    """A measure that is one number."""

    of: Callable[[FaceFile], float]
    descending: bool = False
    decimals: int = 0
    even: bool = False  # groups are ranges of equal width, instead of equally many faces


SCALES = {
    "blur": Scale(lambda file: blur(file.aligned), decimals=2),
    "pose-yaw": Scale(lambda file: yaw_pitch(file.aligned)[0], even=True),
    "pose-pitch": Scale(lambda file: yaw_pitch(file.aligned)[1], even=True),
    "pose-roll": Scale(lambda file: roll(file.aligned.face), even=True),
    "size": Scale(lambda file: width(file.aligned.face), descending=True),
}
# Other measures, but identity, which needs a recognizer
VECTORS: dict[str, Callable[[FaceFile], Sequence[float]]] = {
    "time": lambda file: (),
    "color": lambda file: skin_color(file),
    "histogram": lambda file: color_histogram(file.image),
    "expression": lambda file: openings(file.aligned.face.landmarks),
}


def measure(by: str, file: FaceFile) -> np.ndarray:
    """(D,) float32 that a face is sorted by, for any `by` but "identity". Raises ValueError where
    its landmarks make no face."""
    values = [SCALES[by].of(file)] if by in SCALES else VECTORS[by](file)
    return np.array(values, np.float32)


def arrange(by: str, faces: Sequence[SortedFace], count: int | None, same_distance: float = 0.0
            ) -> list[Group]:
    """`faces`, which are in the order of time, sorted by `by`: in one group, or in up to `count`
    groups, none empty.

    `same_distance` is that of the recognizer, for identity.
    """
    values = np.stack([face.values for face in faces])
    order = _order(by, values, same_distance)
    groups = [("", order)]
    if count is not None:
        groups = _groups(by, faces, values, order, count, same_distance)
    first = int(by == "identity")  # people are counted from 1
    digits = len(str(len(groups) - 1 + first))
    return [Group(f"{number:0{digits}}_{name}" if name not in ("", OTHER) else name,
                  [faces[index] for index in indices])
            for number, (name, indices) in enumerate(groups, first)]


def skin_color(file: FaceFile) -> np.ndarray:
    """(3,) float32: median L* (0 to 100), a* and b* (CIELAB) of cheeks and nose, or of the whole
    picture where they do not show."""
    skin = inner_skin(file.landmarks, file.size)[..., 0] > 0.5
    lab = cv2.cvtColor(file.image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.median(lab[skin] if skin.any() else lab.reshape(-1, 3), axis=0)


def color_histogram(image: np.ndarray) -> np.ndarray:
    """(96,) float32 of `image` (S, S, 3) uint8 RGB: roots of the shares of its pixels by L*, a*,
    b*.

    The Euclidean distance of two is Hellinger's, so that large areas do not outweigh all others.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    counts = np.stack([
        cv2.calcHist([lab[..., channel].clip(low, high - 1)], [0], None, [BINS],
                     (low, high)).ravel()
        for channel, (low, high) in enumerate(HISTOGRAM_RANGES)])
    # blurred, since a little more light must not move a bin into the next
    blurred = cv2.blur(counts / lab[..., 0].size, (3, 1), borderType=cv2.BORDER_REPLICATE)
    return np.sqrt(blurred).ravel()


def _order(by: str, values: np.ndarray, same_distance: float) -> list[int]:
    if by in SCALES and SCALES[by].descending:
        return np.argsort(-values[:, 0], kind="stable").tolist()
    if by in SCALES or by == "color":
        return np.argsort(values[:, 0], kind="stable").tolist()
    if by == "histogram":
        return chain(values)
    if by == "expression":
        eyes, mouth = values.T
        step = np.floor(mouth / MOUTH_STEP)
        return np.lexsort((np.where(step % 2, -eyes, eyes), step)).tolist()  # back and forth
    if by == "identity":
        return np.concatenate(cluster_people(values, same_distance)).tolist()
    return list(range(len(values)))


def _groups(by: str, faces: Sequence[SortedFace], values: np.ndarray, order: list[int], count: int,
            same_distance: float) -> list[tuple[str, list[int]]]:
    """Names without their number, and indices in `order`."""
    if by in SCALES:
        scale = SCALES[by]
        parts = (_even_ranges(values[:, 0], order, count) if scale.even
                 else _equal_parts(order, count))
        ends = [[_number(values[part[place], 0], scale) for place in (0, -1)] for part in parts]
        return [("..".join(labels), part) for labels, part in zip(ends, parts)]
    if by == "time":
        parts = _equal_parts(order, count)
        ends = [[_label(faces[part[place]].origin) for place in (0, -1)] for part in parts]
        return [("..".join(labels), part) for labels, part in zip(ends, parts)]
    if by == "identity":
        people = [part.tolist() for part in cluster_people(values, same_distance)]
        rest = [index for part in people[count:] for index in part]
        return [("person", part) for part in people[:count]] + ([(OTHER, rest)] if rest else [])
    return _clusters(by, values, order, count)


def _clusters(by: str, values: np.ndarray, order: list[int], count: int
              ) -> list[tuple[str, list[int]]]:
    """Groups of similar faces, by color, histogram or expression."""
    scaled = values
    if by == "expression":
        eyes = max(float(np.median(values[:, 0])), 1e-6)
        scaled = values / (eyes * EYES_STEP, MOUTH_STEP)
    place = np.argsort(order)
    parts = [part[np.argsort(place[part])].tolist() for part in clusters(scaled, count)]
    if by == "histogram":
        return [("alike", part) for part in parts]
    groups = []
    for part in parts:
        median = np.median(values[part], axis=0)
        if by == "color":
            groups.append((median[0], _hex(median), part))
        else:
            groups.append((median[1], f"mouth-{median[1]:.2f}_eyes-{median[0]:.2f}", part))
    return [(name, part) for _, name, part in sorted(groups, key=lambda group: group[0])]


def _equal_parts(order: list[int], count: int) -> list[list[int]]:
    return [part.tolist() for part in np.array_split(order, min(count, len(order)))]


def _even_ranges(values: np.ndarray, order: list[int], count: int) -> list[list[int]]:
    """Ranges between the 1st and the 99th percentile: a few wrong measurements do not widen
    them.
    """
    low, high = np.percentile(values, (1, 99))
    places = np.searchsorted(np.linspace(low, high, count + 1)[1:-1], values[order], side="right")
    parts = np.split(np.array(order), np.flatnonzero(np.diff(places)) + 1)
    return [part.tolist() for part in parts]


def _number(value: float, scale: Scale) -> str:
    return f"{round(float(value), scale.decimals) + 0.0:.{scale.decimals}f}"  # + 0.0: no "-0"


def _label(origin: Origin) -> str:
    return f"{Path(origin.name or origin.source).stem[:LONGEST_LABEL]}-{origin.frame}"


def _hex(lab: np.ndarray) -> str:
    """ "a87c63", the RGB of a colour in CIELAB."""
    rgb = cv2.cvtColor(np.float32(lab).reshape(1, 1, 3), cv2.COLOR_LAB2RGB)
    return "".join(f"{level:02x}" for level in (rgb.ravel() * 255).round().clip(0, 255).astype(int))
