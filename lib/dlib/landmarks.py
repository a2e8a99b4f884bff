"""Landmarks by an ensemble of regression trees, read from the file that dlib's trainer saves.

The result is that of `dlib.shape_predictor`, but to a fraction of a pixel (dlib rounds) and for
many faces at once: the trees of a step pass through the processor's cache once for all of them.
Unlike dlib's binding it releases the GIL.
"""

from __future__ import annotations

import contextlib
import logging
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache, partial
from pathlib import Path

import numpy as np
from scipy.sparse import csc_array, csr_array

from lib.dlib.reader import Reader
from lib.errors import FaceswapError
from lib.files.writing import make_folder, open_new
from lib.net.weights import derived_file, package_file
from lib.system import device
from lib.system.parallel import ordered_map

logger = logging.getLogger(__name__)

BATCH = 64  # fits computed at a time: their coordinates and pixels stay in the cache
VERSION = 1
PART = 4000  # leaves read at a time
MANTISSA = 3  # bytes; 24 bits of a float32
# Powers of two by the two bytes of an exponent, its head first and lowest
SIGNS = np.where(np.arange(256) > 127, -1, 1)
EXPONENTS = np.ldexp(np.float32(1), np.outer(np.arange(256), SIGNS).clip(max=127).ravel())
# Bytes of nearly every number: mantissa and exponent, each after a byte with its length and sign
FLOAT = 1 + MANTISSA + 2


@dataclass(frozen=True)
class Step:
    """One step of the cascade: T trees of depth D that compare P pixels near the L landmarks."""

    anchors: np.ndarray  # (P,) the landmark next to each pixel
    offsets: np.ndarray  # (P,) complex64: from that landmark, on the mean shape in the unit box
    first: np.ndarray  # ((2^D - 1) T,) pixel of each node, root first, node by node of all trees
    second: np.ndarray  # the pixel that is subtracted from it
    thresholds: np.ndarray  # ((2^D - 1) T, 1) int16: a larger difference goes left
    leaves: np.ndarray  # (2^D T, 2 L) float32: shift of the landmarks, tree by tree, left to right


class RegressionTrees:
    """An ensemble that fits landmarks. Thread-safe.

    "One Millisecond Face Alignment with an Ensemble of Regression Trees", CVPR, 2014.
    """

    def __init__(self, mean_shape: np.ndarray, steps: Sequence[Step]):
        """`mean_shape` (L, 2) float32 x, y in the unit box: where every fit begins."""
        self.mean = np.ascontiguousarray(mean_shape, np.float32)
        self.steps = steps
        centred = _complex(self.mean)
        centred = centred - centred.mean()
        self._to_mean = (centred.conj() / (np.abs(centred) ** 2).sum()).astype(np.complex64)

    def fit(self, images: Sequence[np.ndarray], boxes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Landmarks (K, L, 2) float32 in the pixels of each of `images` (H, W, 3) uint8 RGB, in its
        `boxes` (K, 4), as `Detection.box`."""
        counts = [len(image_boxes) for image_boxes in boxes]
        owners = np.repeat(np.arange(len(images)), counts)
        rows = np.concatenate([np.zeros((0, 4), np.float32), *(
            np.asarray(image_boxes, np.float32).reshape(-1, 4) for image_boxes in boxes)])
        fits = [self._fit(images, owners[start:start + BATCH], rows[start:start + BATCH])
                for start in range(0, len(rows), BATCH)]
        shapes = np.concatenate([np.zeros((0, *self.mean.shape), np.float32), *fits])
        return np.split(shapes, np.cumsum(counts)[:-1]) if counts else []

    def _fit(self, images: Sequence[np.ndarray], owners: np.ndarray,
             boxes: np.ndarray) -> np.ndarray:
        """(N, L, 2) of `boxes` (N, 4), each in the image whose number is in `owners`, ascending."""
        corner, extent = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
        shapes = np.repeat(self.mean.reshape(1, -1), len(boxes), axis=0)
        for step in self.steps:
            points = _complex(shapes.reshape(len(boxes), -1, 2)).T
            # least-squares rotation and scale from the mean shape to the fit so far, as one complex
            # number
            rotation = self._to_mean @ (points - points.mean(0))
            places = points[step.anchors] + step.offsets[:, None] * rotation
            brightness = _brightness(images, owners, corner[:, 0] + places.real * extent[:, 0],
                                     corner[:, 1] + places.imag * extent[:, 1])
            shapes += _reached_leaves(step, brightness) @ step.leaves
        return shapes.reshape(len(boxes), -1, 2) * extent[:, None] + corner[:, None]


def _complex(points: np.ndarray) -> np.ndarray:
    """(..., 2) float32 x, y -> (...) complex64 x + iy: a similarity transform is a product."""
    return np.ascontiguousarray(points).view(np.complex64)[..., 0]


def _brightness(images: Sequence[np.ndarray], owners: np.ndarray, x: np.ndarray,
                y: np.ndarray) -> np.ndarray:
    """(P, N) int16: mean of red, green and blue at the pixels nearest to `x` and `y` (P, N), 0
    outside the image."""
    columns, rows = (np.floor(place + np.float32(0.5)).astype(np.int32) for place in (x, y))
    heights, widths = np.array([images[owner].shape[:2] for owner in owners]).T.astype(np.uint32)
    # negative values become large
    inside = (columns.view(np.uint32) < widths) & (rows.view(np.uint32) < heights)
    flat = np.where(inside, rows * widths.astype(np.int32) + columns, 0).astype(np.intp)
    colours = np.empty((*flat.shape, 3), np.uint8)
    ends = np.flatnonzero(np.diff(owners, append=-1)) + 1
    for start, end in zip([0, *ends], ends):
        pixels = images[owners[start]].reshape(-1, 3)
        colours[:, start:end] = pixels.take(flat[:, start:end], axis=0, mode="clip")
    red, green, blue = (colours[..., channel] for channel in range(3))
    return ((red.astype(np.uint16) + green + blue) // np.uint16(3) * inside).view(np.int16)


def _reached_leaves(step: Step, brightness: np.ndarray) -> csc_array:
    """(N, leaves) with a 1 for each leaf that a fit reaches; `brightness` (P, N).

    By columns, so that leaves are read in memory order, each once for all fits that reach it.
    """
    first, second = (brightness.take(pixels, axis=0, mode="clip")
                     for pixels in (step.first, step.second))
    count, trees = brightness.shape[1], len(step.leaves) - len(step.thresholds)
    right = (first - second <= step.thresholds).view(np.uint8).reshape(-1, trees, count)
    nodes = len(right)
    # which of the leaves below each node is reached, from the lowest nodes up to the root
    leaf = right[nodes // 2:]
    while len(leaf) > 1:
        parent = right[len(leaf) // 2 - 1:len(leaf) - 1]
        # of the child that is chosen: np.where takes six times as long
        chosen = leaf[0::2] ^ (leaf[0::2] ^ leaf[1::2]) & -parent
        leaf = chosen | parent * np.uint8((nodes + 1) // len(leaf))
    columns = leaf[0].T + np.arange(0, len(step.leaves), nodes + 1, dtype=np.int32)
    rows = np.arange(0, columns.size + 1, trees, dtype=np.int32)
    ones = np.ones(columns.size, np.float32)
    return csr_array((ones, columns.ravel(), rows), (count, len(step.leaves))).tocsc()


@cache  # 65 MB and never changed: all threads share it
def shape_predictor() -> RegressionTrees:
    """dlib's own, of 68 landmarks. Raises FaceswapError where its package is not installed."""
    return read(package_file("face_recognition_models",
                             "models/shape_predictor_68_face_landmarks.dat"))


def read(path: Path) -> RegressionTrees:
    """The ensemble in a file of dlib's `shape_predictor`. Raises FaceswapError where it is
    damaged, or another file.

    The result is cached for the user, and then loads in a tenth of the time.
    """
    try:
        cached = derived_file(path, ".npz")  # may be missing or damaged
        with contextlib.suppress(OSError, EOFError, ValueError, KeyError, TypeError,
                                 zipfile.BadZipFile, zlib.error):
            return _load(cached)
        trees = _parse(path.read_bytes())
    except (OSError, IndexError, ValueError) as error:
        raise FaceswapError(f"{path} is not a file of landmark trees, or is damaged ({error}). "
                            "Reinstall its package.") from error
    _save(trees, cached)
    return trees


def _load(cached: Path) -> RegressionTrees:
    with np.load(cached) as arrays:
        steps = [Step(**{field.name: arrays[f"{field.name}{number}"] for field in fields(Step)})
                 for number in range(int(arrays["steps"]))]
        return RegressionTrees(arrays["mean"], steps)


def _save(trees: RegressionTrees, cached: Path) -> None:
    arrays = {}
    for number, step in enumerate(trees.steps):
        arrays |= {f"{name}{number}": values for name, values in vars(step).items()}
    try:
        make_folder(cached.parent)
        with open_new(cached, durable=False) as file:
            np.savez(file, mean=trees.mean, steps=len(trees.steps), **arrays)
    except OSError as error:
        logger.debug("%s is not written: %s", cached, error)


def _parse(data: bytes) -> RegressionTrees:
    reader = Reader(data)
    reader.expect(VERSION)
    header = reader.place
    length = -reader.integer()
    reader.expect(-1)
    header = data[header:reader.place]  # also before every leaf
    mean = reader.floats(length)
    steps = reader.integer()
    # where the numbers of the leaves begin
    starts = np.array([match.end() for match in re.finditer(re.escape(header), data)])[1:]
    array = np.frombuffer(data, np.uint8)
    parts = ordered_map(partial(_floats, array, count=length),
                        np.array_split(starts, len(starts) // PART + 1), device.cores())
    leaves, ends = map(np.concatenate, zip(*parts))

    forests, done = [], 0
    for _ in range(steps):
        trees = reader.integer()
        nodes = Reader(data, reader.place).integer()
        own = slice(done, done + trees * (nodes + 1))  # leaves of this step
        tree_starts = np.concatenate([[reader.place], ends[own][nodes:-1:nodes + 1]])
        forests.append((*_splits(array, tree_starts, nodes), leaves[own]))
        reader.place, done = int(ends[own][-1]), own.stop
    if done != len(leaves):
        raise ValueError(f"{len(leaves)} leaves, {done} expected")

    reader.expect(steps)
    anchors = [[reader.integer() for _ in range(reader.integer())] for _ in range(steps)]
    reader.expect(steps)
    offsets = [_complex(reader.floats(2 * reader.integer()).reshape(-1, 2)) for _ in range(steps)]
    return RegressionTrees(mean.reshape(-1, 2), [
        Step(np.array(anchor, np.intp), offset, *forest)
        for anchor, offset, forest in zip(anchors, offsets, forests, strict=True)])


def _splits(data: np.ndarray, starts: np.ndarray, nodes: int
            ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`first`, `second` and `thresholds` of a `Step` whose trees begin at `starts`."""
    values, _ = _integers(data, starts, 1 + 4 * nodes)
    if (values[:, 0] != nodes).any():
        raise ValueError("trees of different depth")
    parts = values[:, 1:].reshape(-1, nodes, 4).transpose(2, 1, 0).reshape(4, -1)
    first, second, mantissa, exponent = parts
    # differences of brightness are whole numbers: more than 3.7 is more than 3
    thresholds = np.floor(np.ldexp(mantissa.astype(float), exponent)).clip(-256, 256)
    return first.astype(np.intp), second.astype(np.intp), thresholds.astype(np.int16)[:, None]


def _integers(data: np.ndarray, starts: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, count) integers, `count` from each of n places, and the places where they end."""
    places = starts.astype(np.intp)
    values = np.zeros((count, len(places)), np.int64)
    for row in values:
        head = data[places]
        length = (head & 15).astype(np.intp)
        for byte in range(int(length.max())):
            digits = data[np.minimum(places + 1 + byte, len(data) - 1)].astype(np.int64)
            row += np.where(byte < length, digits << 8 * byte, 0)
        np.negative(row, out=row, where=head > 127)
        places += 1 + length
    return values.T, places


def _floats(data: np.ndarray, starts: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, count) float32, `count` from each of n places, and the places where they end.

    Nearly all take FLOAT bytes; shorter mantissas are padded, one after the other in all rows.
    """
    width = count * FLOAT
    columns = np.arange(width)
    ends = starts + width
    windows = np.lib.stride_tricks.sliding_window_view(data, width)[starts]
    rows, numbers = windows, np.arange(len(starts))
    while True:
        short = (rows[:, ::FLOAT] & 15 != MANTISSA) | (rows[:, 1 + MANTISSA::FLOAT] & 127 != 1)
        unfinished = short.any(1)
        if rows is not windows:
            windows[numbers[~unfinished]] = rows[~unfinished]
        place = short[unfinished].argmax(1) * FLOAT
        rows, numbers = rows[unfinished], numbers[unfinished]
        if not len(rows):
            break
        head = rows[np.arange(len(rows)), place]
        missing = MANTISSA - (head & 15).astype(int)
        if (missing <= 0).any():
            raise ValueError("a number that is no float")
        cut = (place + 1 + MANTISSA - missing)[:, None]
        shift = np.where(columns >= cut, missing[:, None], 0)
        moved = np.take_along_axis(rows, columns - shift, axis=1)
        moved[(columns >= cut) & (columns < cut + missing[:, None])] = 0
        moved[np.arange(len(rows)), place] = head & 128 | MANTISSA
        ends[numbers] -= missing
        rows = moved
    numbers = windows.reshape(len(starts), count, FLOAT)
    mantissa = numbers[..., 1:2 + MANTISSA].view("<u4")[..., 0] & 0xFFFFFF
    exponents = EXPONENTS.take(numbers[..., 1 + MANTISSA:].view("<u2")[..., 0])
    values = mantissa.astype(np.float32) * exponents
    values.view(np.uint32)[...] ^= (numbers[..., 0] & 128).astype(np.uint32) << 24
    return values, ends
