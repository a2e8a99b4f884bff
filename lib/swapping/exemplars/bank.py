"""The bank: real pictures of a person, varied in pose, expression and light, in the folder of a
model that was trained on them.

Layout of `exemplars_a.h5` and `exemplars_b.h5`, `format` 1. Attributes of the file: `kind`
"faceswap exemplars", `format`, `coverage` of the crops (a name in `geometry.COVERAGES`), `bare`
(whether hair over forehead and temples is to be retouched) and `sources`, which stands for the
faces it was chosen from. Datasets, N pictures:

- `jpegs` uint8 and `ends` (N,) int64: the pictures as JPEG files, one after another, and where each
  ends.
- `landmarks` (N, 68, 2) float32 in [0, 1] of the crop's side.
- `moments` (N,) int64: when each was taken, in frames; footage of its own begins far from the
  others.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lib.errors import FaceswapError
from lib.faces.geometry import COVERAGES, invert, template_matrix, transform_points, warp
from lib.faces.hair import removal
from lib.files import hdf5
from lib.files.reading import NotRegular
from lib.files.writing import disk_errors, new_file
from lib.sampling import evenly
from lib.swapping.exemplars.features import Features, Person, build_of, features_of, refine_brows
from lib.swapping.exemplars.skin import brow_offsets, skin_mask
from lib.system import device
from lib.system.parallel import ordered_map

if TYPE_CHECKING:
    from lib.facesets.face_file import FaceFile

KIND, FORMAT = "faceswap exemplars", 1
MOST = 400  # pictures
LOOKED_AT = 3000  # faces of a set among which these are chosen
FEWEST = 5  # pictures: with fewer there is no choice
QUALITY = 95  # of the JPEG files
# Side of a picture, pixels; bytes of all: more is no bank of ours
LARGEST, MOST_BYTES = 2048, 1 << 28
MOST_FILE = MOST_BYTES + (1 << 22)  # bytes of the file
APART = 1 << 20  # frames between the moments of two sources
SEEN = 16  # every so many-th pixel tells whether a picture is another
KEPT = 96  # prepared pictures in memory
# Share of the face's size by which brow landmarks may lie off the brow; cost beyond, per share
OFF_BROW, OFF_COST = 4 / 160, 1e-4 * 160
SHARP_COST = 2e-4  # of a picture half as sharp as is usual


@dataclass(frozen=True)
class Bank:
    """The pictures as they are kept."""

    jpegs: Sequence[bytes]
    landmarks: np.ndarray  # (N, 68, 2) float32 in [0, 1] of the crop's side
    moments: np.ndarray  # (N,) int64
    coverage: str
    bare: bool

    def __len__(self) -> int:
        return len(self.jpegs)

    def picture(self, index: int) -> np.ndarray:
        """(S, S, 3) uint8 RGB."""
        picture = cv2.imdecode(np.frombuffer(self.jpegs[index], np.uint8), cv2.IMREAD_COLOR)
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def path_of(folder: Path, identity: str) -> Path:
    return folder / f"exemplars_{identity}.h5"


def sources_of(files: Sequence[FaceFile], bare: bool) -> str:
    """Stands for the faces of a training set, also by what their pictures show, and for what is
    done with them."""
    digest = hashlib.sha256(f"{FORMAT} {MOST} {bare} ".encode())
    for file in files:
        origin = file.origin
        line = f"{origin.source}|{origin.frame}|{origin.number}|{file.size}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
        digest.update(file.landmarks.astype(np.float32).tobytes()
                      + file.image[::SEEN, ::SEEN].tobytes())
    return digest.hexdigest()


def make(files: Sequence[FaceFile], bare: bool) -> Bank:
    """A bank out of a training set: up to MOST faces, as varied as possible."""
    looked_at = np.array(evenly(range(len(files)), LOOKED_AT))
    places = [files[index] for index in looked_at]
    shapes = np.stack([(file.landmarks + 0.5) / file.size for file in places]).astype(np.float32)
    chosen = np.arange(len(places))
    if len(places) > MOST:
        rows, sharp = zip(*ordered_map(_described, places, device.cores()))
        chosen = _varied(np.stack(rows), np.array(sharp))
    sources = list(dict.fromkeys(file.origin.source for file in places))
    origins = [places[index].origin for index in chosen]
    moments = np.array([sources.index(origin.source) * APART + origin.frame for origin in origins],
                       np.int64)
    jpegs = list(ordered_map(_encoded, [places[index].image for index in chosen], device.cores()))
    return Bank(jpegs, shapes[chosen], moments, places[0].coverage, bare)


def write(path: Path, bank: Bank, sources: str) -> None:
    """Writes `bank` beside `path` and renames it."""
    import h5py

    with disk_errors(path), new_file(path) as part, h5py.File(part, "w") as file:
        file.attrs.update({"kind": KIND, "format": FORMAT, "coverage": bank.coverage,
                           "bare": bank.bare, "sources": sources})
        file["jpegs"] = np.frombuffer(b"".join(bank.jpegs), np.uint8)
        file["ends"] = np.cumsum([len(jpeg) for jpeg in bank.jpegs], dtype=np.int64)
        file["landmarks"] = bank.landmarks.astype(np.float32)
        file["moments"] = bank.moments.astype(np.int64)


def sources_in(path: Path) -> str | None:
    """What the bank at `path` was made of; None where there is none, or it cannot be read."""
    try:
        with hdf5.open_hdf5(path, named=False) as file:
            return str(file.attrs["sources"])
    except (*hdf5.DAMAGE, NotRegular):
        return None


def read(path: Path) -> Bank:
    """The bank at `path`. Raises FaceswapError where it is damaged, or none."""
    try:
        with hdf5.open_hdf5(path, named=False) as file:
            if file.attrs["kind"] != KIND or int(file.attrs["format"]) > FORMAT \
                    or file.attrs["coverage"] not in COVERAGES:
                raise ValueError("it is no bank of exemplars, or one of a newer version")
            jpegs, ends, landmarks, moments = (
                hdf5.dataset(file, name) for name in ("jpegs", "ends", "landmarks", "moments"))
            count = ends.shape[0] if ends.ndim == 1 else 0
            if not 0 < count <= MOST or jpegs.ndim != 1 or jpegs.dtype != np.uint8 \
                    or not 0 < jpegs.shape[0] <= MOST_BYTES \
                    or landmarks.shape != (count, 68, 2) or moments.shape != (count,):
                raise ValueError("its parts do not fit together")
            data = hdf5.numbers(file, "jpegs", MOST_BYTES).tobytes()
            ends = np.concatenate([[0], hdf5.numbers(file, "ends").astype(np.int64)])
            if (np.diff(ends) <= 0).any() or ends[-1] != len(data):
                raise ValueError("its pictures do not lie one after another")
            landmarks = hdf5.numbers(file, "landmarks").astype(np.float32)
            moments = hdf5.numbers(file, "moments").astype(np.int64)
            if not np.isfinite(landmarks).all() or np.abs(landmarks).max() > 10:
                raise ValueError("its landmarks are no places of a crop")
            bank = Bank([data[start:end] for start, end in zip(ends, ends[1:])], landmarks, moments,
                        str(file.attrs["coverage"]), bool(file.attrs["bare"]))
        for jpeg in bank.jpegs:
            _check_size(jpeg)
        return bank
    except (*hdf5.DAMAGE, cv2.error) as error:
        raise FaceswapError(
            f"Cannot read {path}: {error}. Delete it to convert without exemplars, or train on, "
            "which makes it anew.") from error


class Exemplars:
    """A bank made ready for a model that draws faces of some `coverage`, in crops of `side`
    pixels."""

    def __init__(self, bank: Bank, coverage: str, side: int):
        self._bank, self.coverage, self.side = bank, coverage, side
        self.moments = bank.moments
        self._ready: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._lock = threading.Lock()
        unit = side / COVERAGES[coverage][0]
        with_crops = list(ordered_map(self._looked_at, range(len(bank)), device.cores()))
        shapes = np.stack([shape for shape, *_ in with_crops])
        self.features = Features.joined([features for _, features, *_ in with_crops])
        self.person = Person.of(self.features.shapes)
        # (68, 2): how far from its landmarks the brows are seen
        self.brow_shift = self.person.build - build_of(shapes)
        offsets = np.array([offset for *_, offset, _ in with_crops]) / unit
        sharp = np.array([sharp for *_, sharp in with_crops])
        blurred = np.maximum(np.log2(np.median(sharp) / np.maximum(sharp, 1e-6)), 0)
        # (K,) costs of a picture by itself
        self.extra = OFF_COST * np.maximum(offsets - OFF_BROW, 0) + SHARP_COST * blurred

    def __len__(self) -> int:
        return len(self._bank)

    def prepared(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """(side, side, 3) uint8 RGB, hair retouched where the bank wants it; and (side, side, 2)
        uint8: 255 = face, and 255 = hair that hangs over the forehead still."""
        prepared = self._ready.get(index)
        if prepared is None:
            picture, points = self.crop(index)
            if self._bank.bare:
                picture = removal.paint_over_hair(picture, points, self._hidden)
                over = np.zeros(picture.shape[:2], np.uint8)
            else:
                over = cv2.convertScaleAbs(removal.hair_over_face(picture, points), alpha=255)
            masks = cv2.merge([np.minimum(skin_mask(picture, points), 255 - over), over])
            prepared = picture, masks
            with self._lock:
                while len(self._ready) >= KEPT:
                    self._ready.pop(next(iter(self._ready)))
                self._ready[index] = prepared
        return prepared

    @cached_property
    def _hidden(self) -> list[int]:
        """Brow landmarks over which hair hangs in most pictures."""
        asked = removal.sampled(len(self))
        crops = [self.crop(index) for index in asked]
        return removal.find_hidden_brow_points([picture for picture, _ in crops],
                                               [points for _, points in crops])

    def crop(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """(side, side, 3) uint8 RGB and its landmarks (68, 2) in pixels."""
        picture = self._bank.picture(index)
        back = invert(template_matrix(len(picture), self._bank.coverage))
        matrix = template_matrix(self.side, self.coverage) @ np.vstack([back, [0, 0, 1]])
        points = transform_points(self._bank.landmarks[index] * len(picture) - 0.5, matrix)
        return warp(picture, matrix, self.side), points.astype(np.float32)

    def _looked_at(self, index: int) -> tuple[np.ndarray, Features, float, float]:
        """Landmarks in [0, 1] of the crop, features of the one picture, how far its brow landmarks
        lie off the brow, how sharp it is."""
        picture, points = self.crop(index)
        shape = (points + 0.5) / self.side
        refined = refine_brows(picture, shape)
        return (shape, features_of([picture], refined), brow_offsets(picture, points),
                sharpness(picture, points))


def sharpness(picture: np.ndarray, points: np.ndarray) -> float:
    """Deviation of the finest structure of eyes, nose and mouth."""
    low = np.floor(points[27:].min(0)).astype(int).clip(0)
    high = np.ceil(points[27:].max(0)).astype(int)
    part = picture[low[1]:high[1], low[0]:high[0]]
    if not part.size:
        return 0.0
    grey = cv2.GaussianBlur(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), (3, 3), 0)
    return float(cv2.Laplacian(grey, cv2.CV_32F).std())


def _encoded(picture: np.ndarray) -> bytes:
    if len(picture) > LARGEST:
        picture = cv2.resize(picture, (LARGEST, LARGEST), interpolation=cv2.INTER_AREA)
    flags = [cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
             cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), flags)[1].tobytes()


def _check_size(jpeg: bytes) -> None:
    """Raises ValueError where a picture is none, or too large, before it is decoded."""
    from io import BytesIO

    from PIL import Image

    try:
        with Image.open(BytesIO(jpeg), formats=("JPEG",)) as picture:
            width, height = picture.size
    except Exception as error:  # Pillow raises many kinds
        raise ValueError("a picture in it is no JPEG") from error
    if width != height or width > LARGEST:
        raise ValueError(f"a picture in it has {width}x{height} pixels")


def _described(file: FaceFile) -> tuple[np.ndarray, float]:
    """What tells a face from others, in units in which 1 is a difference that shows: pose, lids,
    mouth, gaze, light; and its sharpness."""
    picture, points = file.image, file.landmarks.astype(np.float32)
    features = features_of([picture], (points + 0.5) / file.size)
    unit = 1 / COVERAGES[file.coverage][0]
    small = cv2.resize(picture, (16, 16), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    light = cv2.resize(grey, (4, 4), interpolation=cv2.INTER_AREA).ravel()
    row = np.concatenate([
        (features.shapes[0, 17:] / unit).ravel() / 0.25, features.openings[0] / unit / 0.03,
        features.mouths[0] / unit / 0.04, features.eyes[0].ravel(), features.lips[0], light / 0.1])
    return row.astype(np.float32), sharpness(picture, points)


def _varied(rows: np.ndarray, sharp: np.ndarray) -> np.ndarray:
    """(MOST,) indices, in order: each the face that is farthest from those before ("Clustering to
    minimize the maximum intercluster distance", Theoretical Computer Science, 1985); what is
    blurred counts as nearer."""
    worth = np.clip(sharp / max(np.median(sharp), 1e-6), 0.2, 1.0)
    chosen = [int((np.square(rows - np.median(rows, 0)).sum(1) / worth).argmin())]
    nearest = np.full(len(rows), np.inf)
    while len(chosen) < MOST:
        nearest = np.minimum(nearest, np.square(rows - rows[chosen[-1]]).sum(1))
        nearest[chosen] = -1
        chosen.append(int((nearest * worth).argmax()))
    return np.sort(chosen)
