"""Faces in memory, and batches of them, augmented on threads in OpenCV while the network trains.

Batch number n depends on the seed and on n alone, so a run that is resumed sees the batches it would have seen.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np

from lib.faces import bending, geometry, hair_removal
from lib.faces.masks import SHIFT, with_whole_brows
from lib.system import device
from lib.training.batches import retarget

EYES = (slice(36, 42), slice(42, 48))
MOUTH = slice(48, 60)
LIPS = slice(48, 68)
CANDIDATES = 6  # a face to be bent is one of so many that stand nearest
# How much of the own person's build a bent face has, where the rest is the other's: the likeness lives by it.
BUILD = (0.3, 1.0)
REGIONS = 3  # channels of the region map: face, eyes, mouth
BLOCK = 64  # faces that a thread prepares at a time, where all are
WARPED_OVER = 1.25  # crops that the classic warp's grid spans


class Side(NamedTuple):
    """One identity's share of a batch, on the host; the model gets the same fields as tensors."""

    input: np.ndarray  # (N, S, S, 3) uint8 RGB, warped
    target: np.ndarray  # (N, D, D, 3) uint8 RGB: what `input` shows, unwarped; a crossed one is of the other identity
    regions: np.ndarray  # (N, S, S, 3) uint8: face, eyes and mouth of `target`, 255 = inside
    landmarks: np.ndarray  # (N, 68, 2) float32 x, y of what `input` shows, unwarped, in [0, 1] of its side


Batch = dict[str, Any]  # `Side`s by identity, "a" and "b"; under CHANCE what else a model leaves to chance
CHANCE = "chance"


@dataclass(frozen=True)
class Augmentation:
    """How far training crops are moved about: the options of the same names of the command `train`."""

    warp: float = 0.0  # strength of the random warp of the input, 1 = classic
    rotation: float = 0.0  # largest, degrees
    scale: float = 0.0  # largest change, as a share
    shift: float = 0.0  # largest, as a share of the crop's side
    flip: bool = False  # mirror half of the faces
    color: float = 0.0  # strength of random brightness, contrast and tint
    light: float = 0.0  # strength of a random light from one side
    blur: float = 0.0  # largest random blur of the input, sigma as a share of the crop's side
    paint_hair: bool = False  # paint skin over hair that hangs over B's brow and temples
    retarget: float = 0.0  # share of the faces that are bent to pose and expression of a face of the other identity
    crossed: float = 0.0  # share of these whose input is that face of the other identity itself
    unwarped: int = 0  # every so manieth batch is the one before it once more, without the warp; 0 = none is


NONE = Augmentation()
CLASSIC = Augmentation(warp=1.0, rotation=10.0, scale=0.05, shift=0.05, flip=True)


class Draws(NamedTuple):
    """What is left to chance in N faces of one identity: plain numbers, from which the host and the device make the same pictures."""

    index: np.ndarray  # (N,) int32 which face
    move: np.ndarray  # (N, 2, 3) float32 crop pixels -> crop pixels
    other: np.ndarray  # (N,) int32 face of the other identity to whose pose and expression it is bent; -1 where it is not
    nearest: np.ndarray  # (N,) int32 of the faces that stand like that one, the how-manieth nearest is bent
    share: np.ndarray  # (N,) float32 how much of its own build it keeps
    crossed: np.ndarray  # (N,) bool: the input is that other face itself
    light: np.ndarray  # (N, 2) float32 growth of a light to the right and downwards
    gain: np.ndarray  # (N, 3) float32 by which colours are multiplied around mid grey, and ...
    lift: np.ndarray  # (N, 3) float32 ... what is added, of 255
    warp: np.ndarray  # (N, 5, 5, 2) float32 shifts of the classic warp's grid, pixels
    blur: np.ndarray  # (N,) float32 sigma, pixels; 0 for none
    flip: np.ndarray  # (N,) bool


def draw(indices: Sequence[int], augmentation: Augmentation, size: int, faces: int, others: int, random: np.random.Generator) -> Draws:
    """Chance for the faces at `indices`, of so many `faces` and `others`, seen as crops of `size` pixels. 0 others: none is retargeted."""
    count = len(indices)
    uniform = partial(random.uniform, -1, 1)
    moves = uniform((count, 4)) * (augmentation.rotation, augmentation.scale, augmentation.shift, augmentation.shift)
    retargeted = (random.random(count) < augmentation.retarget) & (others > 0)
    crossed = retargeted & (random.random(count) < augmentation.crossed)
    nearest = np.where(crossed, 0, random.integers(min(CANDIDATES, faces), size=count))
    share = np.where(crossed, 0.0, random.uniform(*BUILD, count))
    color = augmentation.color
    gain = 1 + color * (uniform((count, 1)) + uniform((count, 3)) / 3)
    blur = np.maximum(0.1, size * random.uniform(0, augmentation.blur, count)) if augmentation.blur else np.zeros(count)
    return Draws(
        np.asarray(indices, np.int32), _moves(*moves.T, size),
        np.where(retargeted, random.integers(max(others, 1), size=count), -1).astype(np.int32),
        nearest.astype(np.int32), share.astype(np.float32), crossed, (augmentation.light * uniform((count, 2))).astype(np.float32),
        gain.astype(np.float32), (np.repeat(uniform((count, 1)), 3, 1) * color * 128).astype(np.float32),
        random.normal(0, augmentation.warp * size * 5 / 160, (count, 5, 5, 2)).astype(np.float32), blur.astype(np.float32),
        (random.random(count) < 0.5) & augmentation.flip)


class Faces:
    """Aligned faces of one identity, kept as crops a little wider than the model's, with their region maps.

    `images` are aligned crops (S, S, 3) uint8 RGB of coverage `stored`, `landmarks` (68, 2) in their pixels. The
    model sees crops of `size` pixels and the given `coverage` cut out of them, with `paint_hair` those of `hair.painted_over`, and is
    to draw them `drawn` pixels wide, a multiple of `size`; the latter, unless given.
    `face_masks`, (S, S) float32 in [0, 1] over the crops, say what of them is face; without them it is the hull of the landmarks.

    A face is prepared when it is first looked at, so that thousands are there at once. What it becomes depends on it alone.
    """

    def __init__(self, images: Sequence[np.ndarray], landmarks: Sequence[np.ndarray], stored: str, size: int, coverage: str,
                 drawn: int | None = None, paint_hair: bool = False, face_masks: Sequence[np.ndarray] | None = None):
        self.size, self.drawn = size, drawn or size
        wide = max(geometry.COVERAGES[stored][0] / geometry.COVERAGES[coverage][0], 1.0)
        seen = int(np.ceil(size * wide))  # side of what holds as much as the model sees
        side = min(int(np.ceil(self.drawn * wide)), max(seen, max(image.shape[0] for image in images)))
        factors = np.array([side / image.shape[0] for image in images])[:, None, None]
        points = (np.asarray(landmarks, np.float64) + 0.5) * factors - 0.5
        self.landmarks = points.astype(np.float32)
        self._sources, self._face_masks = images, face_masks
        # What follows is filled in face by face, when one is first drawn: the memory is taken then, too.
        self._images = np.empty((len(images), side, side, 3), np.uint8)
        self._regions = np.empty((len(images), seen, seen, 3), np.uint8)
        self._colors = np.empty((len(images), 2, 3))
        self._prepared = np.zeros(len(images), bool)
        self._hidden = None  # brow landmarks as hair.painted_over takes them; None: hair is left alone
        if paint_hair:
            asked = hair_removal.chosen(len(images))
            self._hidden = hair_removal.hidden_brow_points([_resize(images[index], side) for index in asked], self.landmarks[asked])
        # (2, 3): pixels of the images, and of the region maps -> of the model's crop
        self.matrix, self.region_matrix = (geometry.template_matrix(size, coverage) @ np.vstack(
            [geometry.invert(geometry.template_matrix(each, stored)), [0, 0, 1]]) for each in (side, seen))
        # (N, 68, 2) float32: the landmarks in [0, 1] of the model's crop
        self.shapes = ((geometry.transform_points(points, self.matrix) + 0.5) / size).astype(np.float32)  # the same, whatever `drawn`
        # (68, 2): what is this person's own in them; with its mirror image, so that it does not look to a side
        self.build = (self.shapes.mean(0) + self.shapes.mean(0)[geometry.MIRRORED] * (-1, 1) + (1, 0)) / 2

    def __len__(self) -> int:
        return len(self.landmarks)

    @property
    def images(self) -> np.ndarray:
        """(N, side, side, 3) uint8 RGB."""
        return self._all(self._images)

    @property
    def regions(self) -> np.ndarray:
        """(N, side, side, 3) uint8, as `region_map` draws them; no larger than a model that draws what it sees needs them."""
        return self._all(self._regions)

    @property
    def colors(self) -> np.ndarray:
        """(N, 2, 3), as `retarget.face_colors` measures them."""
        return self._all(self._colors)

    @property
    def nbytes(self) -> int:
        """Of images and regions, prepared or not."""
        return self._images.nbytes + self._regions.nbytes

    def _all(self, rows: np.ndarray) -> np.ndarray:
        """`rows`, once all faces are prepared."""
        missing = np.flatnonzero(~self._prepared)
        if len(missing):
            with ThreadPoolExecutor(device.cores(), "prepare") as pool:
                for _ in pool.map(lambda block: [self._prepare(index) for index in block],
                                  [missing[start:start + BLOCK] for start in range(0, len(missing), BLOCK)]):
                    pass
        return rows

    def _prepare(self, index: int) -> None:
        """Fills in what is kept of a face. Any thread may come first, or two at once: what they write is the same."""
        if self._prepared[index]:
            return
        side, seen, points = self._images.shape[1], self._regions.shape[1], self.landmarks[index]
        image, regions = _resize(self._sources[index], side), region_map((points + 0.5) * (seen / side) - 0.5, seen)
        if self._hidden is not None:
            image = hair_removal.painted_over(image, points, self._hidden)
        if self._face_masks is not None:
            regions[..., 0] = np.rint(255 * _resize(self._face_masks[index], seen)).clip(0, 255)
        self._images[index], self._regions[index] = image, regions
        self._colors[index] = retarget.face_colors(_resize(image, seen), regions[..., 0])
        self._prepared[index] = True  # last

    def batch(self, indices: Sequence[int], augmentation: Augmentation, random: np.random.Generator,
              others: Faces | None = None) -> Side:
        """The faces at `indices`, augmented; where some are to be retargeted, others of this identity stand in for them."""
        return self.side(draw(indices, augmentation, self.size, len(self), len(others or ()), random), others)

    def side(self, draws: Draws, others: Faces | None = None) -> Side:
        """The faces as chance has it; of `others` those that some of them are bent to."""
        rows = [self._sample(Draws(*one), others) for one in zip(*draws)]
        return Side(*map(np.stack, zip(*rows)))

    def _sample(self, draws: Draws, others: Faces | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """One row of each field of a `Side`, of the draws of one face."""
        size, move = self.size, draws.move
        if draws.other >= 0:
            source, target, regions, points = self._retargeted(draws, others)
        else:
            target, regions = self._cut(draws.index, move, self.drawn), self._cut_regions(draws.index, move)
            source, points = None, _moved(self.shapes[draws.index], move, size)
        if draws.light.any():
            target = cv2.multiply(target, _light(self.drawn, *draws.light), dtype=cv2.CV_8U)
            source = cv2.multiply(source, _light(size, *draws.light), dtype=cv2.CV_8U) if draws.crossed else None
        if (draws.gain != 1).any() or draws.lift.any():
            levels = (np.arange(256, dtype=np.float32)[:, None] - 128) * draws.gain + 128 + draws.lift
            table = np.clip(levels, 0, 255).round().astype(np.uint8)
            target = cv2.LUT(target, table[None])
            source = cv2.LUT(source, table[None]) if draws.crossed else None
        if source is None:
            source = retarget.averaged(target, size)
        if draws.warp.any():
            source = _warped(source, draws.warp)
        if draws.blur:
            source = cv2.GaussianBlur(source, (0, 0), float(draws.blur))
        if draws.flip:
            source, target, regions = source[:, ::-1], target[:, ::-1], regions[:, ::-1]
            points = points[geometry.MIRRORED] * (-1, 1) + (1, 0)
        return source, target, regions, points.astype(np.float32)

    def _retargeted(self, draws: Draws, others: Faces) -> tuple[np.ndarray | None, np.ndarray, np.ndarray, np.ndarray]:
        """Input, target, its regions, and landmarks of the input: a face bent to pose and expression of one of `others`.

        The input is the bent face itself (None) or, crossed, that other face: then network and loss see what a swap is to do.
        """
        size, drawn, move, other = self.size, self.drawn, draws.move, draws.other
        share = bending.crossed_share(self.build, others.build) if draws.crossed else draws.share
        wanted = others.shapes[other] + share * (self.build - others.build)
        index = retarget.nearest(self.shapes, wanted, draws.nearest)
        self._prepare(index)
        others._prepare(other)
        points = _moved(wanted, move, size)
        bent = bending.bend(points, _moved(self.shapes[index], move, size))
        target, regions = self._cut(index, move, drawn, bent), self._cut_regions(index, move, bent)
        retarget.fill_mouth(target, points[LIPS] * drawn - 0.5, self._colors[index],
                            others._images[other], others.landmarks[other][LIPS], others._colors[other])
        if not draws.crossed:
            return None, target, regions, points
        source = others._cut(other, move, size)
        return source, retarget.lit_like(target, source, regions[..., 0]), regions, _moved(others.shapes[other], move, size)

    def _cut(self, index: int, move: np.ndarray, side: int, bent: np.ndarray | None = None) -> np.ndarray:
        """The face as a crop of `side` pixels, moved by `move` (2, 3) and bent."""
        self._prepare(index)
        return _taken(self._images[index], self._placed(self.matrix, move, side), side, bent, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)

    def _cut_regions(self, index: int, move: np.ndarray, bent: np.ndarray | None = None) -> np.ndarray:
        """Its regions likewise, as large as the input."""
        self._prepare(index)
        matrix = self._placed(self.region_matrix, move, self.size)
        return _taken(self._regions[index], matrix, self.size, bent, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)

    def _placed(self, matrix: np.ndarray, move: np.ndarray, side: int) -> np.ndarray:
        """`matrix` into the crop of `size` pixels, moved, and into one of `side`."""
        return geometry.upsampled(move @ np.vstack([matrix, [0, 0, 1]]), side / self.size)


Besides = Callable[[int, np.random.Generator], "NamedTuple | None"]


class Chance:
    """What is left to chance in every batch. Batch `number` depends on the seed and on the number alone.

    Each pass through the faces shuffles them anew, so that every face is seen equally often; with `weights`, (N,) by identity that
    sum to 1, as often as these say. `besides` is a model's own `chance`. Of each batch it gives the `rows` alone.
    """

    def __init__(self, counts: Mapping[str, int], size: int, batch: int, augmentation: Augmentation, seed: int,
                 weights: Mapping[str, np.ndarray] | None = None, rows: slice = slice(None), besides: Besides | None = None):
        self._counts, self._size, self._batch, self._augmentation, self._seed = counts, size, batch, augmentation, seed
        self._weights, self._rows, self._besides = weights or {}, rows, besides

    def __call__(self, number: int) -> dict[str, Any]:
        """By identity `Draws`; under CHANCE what the model has besides, if it has."""
        drawn, every = {}, self._augmentation.unwarped
        again = bool(every) and number % every == every - 1
        number -= again
        for which, (identity, count) in enumerate(self._counts.items()):
            random = np.random.default_rng((self._seed, which, number))
            others = next((other for name, other in self._counts.items() if name != identity), 0)
            draws = draw(self._chosen(which, identity, number), self._augmentation, self._size, count, others, random)
            if again:
                draws = draws._replace(warp=np.zeros_like(draws.warp))
            drawn[identity] = Draws(*(array[self._rows] for array in draws))
        besides = self._besides and self._besides(self._batch, np.random.default_rng((self._seed, len(self._counts), number)))
        return drawn | ({CHANCE: type(besides)(*(array[self._rows] for array in besides))} if besides else {})

    def _chosen(self, which: int, identity: str, number: int) -> list[int]:
        count = self._counts[identity]
        passes, places = np.divmod(np.arange(number * self._batch, (number + 1) * self._batch), count)
        orders = {each: self._order(count, self._weights.get(identity), np.random.default_rng((self._seed, which, each)))
                  for each in set(passes.tolist())}
        return [orders[each][place] for each, place in zip(passes.tolist(), places)]

    @staticmethod
    def _order(count: int, weights: np.ndarray | None, random: np.random.Generator) -> np.ndarray:
        """One pass of `count` faces: with weights, each is in it as often as its share of them wants, rounded up or down by chance."""
        if weights is None:
            return random.permutation(count)
        ends = np.cumsum(weights) * count
        taken = np.searchsorted(ends, np.arange(count) + random.random(), side="right").clip(max=count - 1)
        return random.permutation(taken)


class Host:
    """Makes batches with OpenCV; threads share it."""

    def __init__(self, faces: Mapping[str, Faces], chance: Chance):
        self._faces, self._chance = faces, chance

    def __call__(self, number: int) -> Batch:
        """Batch `number`."""
        drawn = self._chance(number)
        for identity, faces in self._faces.items():
            others = next((others for name, others in self._faces.items() if name != identity), None)
            drawn[identity] = faces.side(drawn[identity], others)
        return drawn


class Feed:
    """What iterations are fed, from number `start` on: `make(number)` each, the next ones made on threads while one is trained on.

    Until it is closed, OpenCV stays on one thread a call: its own would take time from the network.
    """

    def __init__(self, make: Callable[[int], dict[str, Any]], start: int = 0, threads: int = 1, ahead: int = 4):
        self._make, self._next, self._ahead = make, start, ahead
        self._waiting: list[Future] = []
        self._pool = ThreadPoolExecutor(threads, "augment", _stand_back)
        self._opencv_threads = cv2.getNumThreads()
        cv2.setNumThreads(1)

    def take(self, count: int = 1) -> dict[str, Any]:
        """That of the next `count` iterations, arrays stacked along a new first axis."""
        self._fill(max(count, self._ahead))
        taken = [self._waiting.pop(0).result() for _ in range(count)]
        self._fill(self._ahead)
        stack = np.stack if count > 1 else (lambda arrays: arrays[0][None])
        return {identity: type(one)(*(stack(arrays) for arrays in zip(*(each[identity] for each in taken))))
                for identity, one in taken[0].items()}

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(self._opencv_threads)

    def _fill(self, count: int) -> None:
        while len(self._waiting) < count:
            self._waiting.append(self._pool.submit(self._make, self._next))
            self._next += 1


def _stand_back() -> None:
    """Lets the network's threads go first, as far as the system knows priorities of threads: this one works in their pauses."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def region_map(landmarks: np.ndarray, size: int) -> np.ndarray:
    """(68, 2) crop pixels -> (size, size, 3) uint8: face, eyes, mouth, 255 = inside."""
    face, eyes, mouth = np.zeros((3, size, size), np.uint8)
    cv2.fillConvexPoly(face, cv2.convexHull(_fine(with_whole_brows(landmarks))), 255, cv2.LINE_AA, SHIFT)
    wide = max(1, round(size * 0.03))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * wide + 1, 2 * wide + 1))
    for canvas, parts in ((eyes, EYES), (mouth, (MOUTH,))):
        for part in parts:
            cv2.fillConvexPoly(canvas, cv2.convexHull(_fine(landmarks[part])), 255, cv2.LINE_AA, SHIFT)
        points = np.concatenate([landmarks[part] for part in parts])
        (left, top), (right, bottom) = np.clip((points.min(0) - wide - 2, points.max(0) + wide + 3), 0, size).astype(int)
        if right > left and bottom > top:  # on the crop
            area = canvas[top:bottom, left:right]
            area[...] = cv2.dilate(area, kernel)
    return cv2.merge([face, eyes, mouth])


def _taken(image: np.ndarray, matrix: np.ndarray, side: int, bent: np.ndarray | None, interpolation: int, border: int) -> np.ndarray:
    """What the crop of `side` pixels that `matrix` (2, 3) makes of `image` shows, bent as `bending.bend` has it."""
    if bent is None:
        return cv2.warpAffine(image, matrix, (side, side), flags=interpolation, borderMode=border)
    back = geometry.invert(matrix).astype(np.float32)
    x, y = cv2.split(bending.spread(bent, side))
    grid = np.arange(side, dtype=np.float32)
    x += grid[None]
    y += grid[:, None]
    return cv2.remap(image, back[0, 0] * x + back[0, 1] * y + back[0, 2], back[1, 0] * x + back[1, 1] * y + back[1, 2], interpolation,
                     borderMode=border)


def _fine(points: np.ndarray) -> np.ndarray:
    """`points` as OpenCV draws them at 1/16 of a pixel."""
    return np.rint(points * (1 << SHIFT)).astype(np.int32)


def _resize(image: np.ndarray, side: int) -> np.ndarray:
    if image.shape[0] == side:
        return image
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if image.shape[0] > side else cv2.INTER_CUBIC)


def _moves(angle: np.ndarray, scale: np.ndarray, right: np.ndarray, down: np.ndarray, size: int) -> np.ndarray:
    """(N, 2, 3) float32: a turn by degrees, counterclockwise, and a change of scale, about the middle; a shift in shares of the side."""
    cosine, sine = (1 + scale) * np.cos(np.radians(angle)), (1 + scale) * np.sin(np.radians(angle))
    centre = (size - 1) / 2
    x, y = (1 - cosine - sine) * centre + right * size, (1 - cosine + sine) * centre + down * size
    return np.stack([np.stack([cosine, sine, x], -1), np.stack([-sine, cosine, y], -1)], -2).astype(np.float32)


def _moved(shape: np.ndarray, move: np.ndarray, size: int) -> np.ndarray:
    """(68, 2) in [0, 1] of the crop, through a (2, 3) matrix of its pixels."""
    return (geometry.transform_points(shape * size - 0.5, move) + 0.5) / size


def _warped(picture: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """`picture` bent by a 5 x 5 grid of shifts, in pixels.

    The classic warp of the deepfakes autoencoder: normal, sigma 5 pixels of 160; the outermost grid points lie beyond the crop.
    """
    size = picture.shape[0]
    side = round(size * WARPED_OVER)
    edge = (side - size) // 2
    shifts = cv2.resize(shifts, (side, side), interpolation=cv2.INTER_LINEAR)[edge:edge + size, edge:edge + size]
    grid = np.arange(size, dtype=np.float32)
    across, down = grid[None] + shifts[..., 0], grid[:, None] + shifts[..., 1]
    return cv2.remap(picture, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _light(size: int, across: float, down: float) -> np.ndarray:
    """(size, size, 3) float32 gain of a light that grows from one side to the other."""
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    return (np.repeat(1 + np.float32(across) * axis, 3) + (np.float32(down) * axis)[:, None]).reshape(size, size, 3)
