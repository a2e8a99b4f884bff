"""Faces in memory, and batches of them, augmented on threads in OpenCV while the network trains.

Batch number n depends on the seed and on n alone, so a run that is resumed sees the batches it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from lib.faces import geometry, masks
from lib.training import hair, retarget

EYES = (slice(36, 42), slice(42, 48))
MOUTH = slice(48, 60)
LIPS = slice(48, 68)
CANDIDATES = 6  # a face to be bent is one of so many that stand nearest
# How much of the own person's build a bent face has, where the rest is the other's: the likeness lives by it. Where the other's
# face is the input, one share, so that there is one answer: less is less like B, more moves the landmarks away from A's. The nose
# says most of who it is; the jaw is the other's alone, since a swapped face has to end where the other's ends.
BUILD = (0.3, 1.0)
CROSSED_BUILD = np.repeat([0.0, 0.55, 0.65, 0.45, 0.55], [17, 10, 9, 12, 20])[:, None]  # jaw, brows, nose, eyes, mouth
REGIONS = 3  # channels of the region map: face, eyes, mouth


class Side(NamedTuple):
    """One identity's share of a batch, on the host; the model gets the same fields as tensors."""

    input: np.ndarray  # (N, S, S, 3) uint8 RGB, warped
    target: np.ndarray  # (N, S, S, 3) uint8 RGB: what `input` shows, unwarped; a crossed one is of the other identity
    regions: np.ndarray  # (N, S, S, 3) uint8: face, eyes and mouth of `target`, 255 = inside
    landmarks: np.ndarray  # (N, 68, 2) float32 x, y of what `input` shows, unwarped, in [0, 1] of its side


Batch = dict[str, Side]  # by identity, "a" and "b"


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


NONE = Augmentation()
CLASSIC = Augmentation(warp=1.0, rotation=10.0, scale=0.05, shift=0.05, flip=True)


class Faces:
    """Aligned faces of one identity, kept as crops a little wider than the model's, with their region maps.

    `images` are aligned crops (S, S, 3) uint8 RGB of coverage `stored`, `landmarks` (68, 2) in their pixels. The
    model sees crops of `size` pixels and the given `coverage` cut out of them, with `paint_hair` those of `hair.painted_over`.
    `face_masks`, (S, S) float32 in [0, 1] over the crops, say what of them is face; without them it is the hull of the landmarks.
    """

    def __init__(self, images: Sequence[np.ndarray], landmarks: Sequence[np.ndarray], stored: str, size: int, coverage: str,
                 paint_hair: bool = False, face_masks: Sequence[np.ndarray] | None = None):
        self.size = size
        wide = geometry.COVERAGES[stored][0] / geometry.COVERAGES[coverage][0]
        side = int(np.ceil(size * max(wide, 1.0)))
        factors = [side / image.shape[0] for image in images]
        self.landmarks = np.stack([(points + 0.5) * factor - 0.5 for points, factor in zip(landmarks, factors)]).astype(np.float32)
        self.images = np.stack([_resize(image, side) for image in images])  # (N, side, side, 3) uint8
        if paint_hair:
            hidden = hair.hidden_brow_points(self.images, self.landmarks)
            self.images = np.stack([hair.painted_over(image, points, hidden) for image, points in zip(self.images, self.landmarks)])
        self.regions = np.stack([region_map(points, side) for points in self.landmarks])
        if face_masks is not None:
            self.regions[..., 0] = [np.rint(255 * _resize(mask, side)).clip(0, 255) for mask in face_masks]
        to_unit = geometry.template_matrix(side, stored)
        self.matrix = geometry.template_matrix(size, coverage) @ np.vstack([geometry.invert(to_unit), [0, 0, 1]])
        # (N, 68, 2) float32: the landmarks in [0, 1] of the model's crop
        shapes = [(geometry.transform_points(points, self.matrix) + 0.5) / size for points in self.landmarks]
        self.shapes = np.stack(shapes).astype(np.float32)
        self.colors = np.stack([retarget.face_colors(image, regions[..., 0]) for image, regions in zip(self.images, self.regions)])
        # (68, 2): what is this person's own in them; with its mirror image, so that it does not look to a side
        self.build = (self.shapes.mean(0) + self.shapes.mean(0)[geometry.MIRRORED] * (-1, 1) + (1, 0)) / 2

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: Sequence[int], augmentation: Augmentation, random: np.random.Generator,
              others: Faces | None = None) -> Side:
        """The faces at `indices`, augmented; where some are to be retargeted, others of this identity stand in for them."""
        rows = [self._sample(index, augmentation, random, others) for index in indices]
        return Side(*map(np.stack, zip(*rows)))

    def _sample(self, index: int, augmentation: Augmentation, random: np.random.Generator,
                others: Faces | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """One row of each field of a `Side`."""
        size, move = self.size, _random_move(self.size, augmentation, random)
        if others is not None and random.random() < augmentation.retarget:
            source, target, regions, points = self._retargeted(others, move, random.random() < augmentation.crossed, random)
        else:
            target, regions = self._drawn(index, move)
            source, points = target, _moved(self.shapes[index], move, size)
        if augmentation.light:
            light = _light(size, augmentation.light, random)
            source, target = (cv2.multiply(picture, light, dtype=cv2.CV_8U) for picture in (source, target))
        if augmentation.color:
            table = _color_table(augmentation.color, random)
            source, target = cv2.LUT(source, table), cv2.LUT(target, table)
        if augmentation.warp:
            source = _warped(source, augmentation.warp, random)
        if augmentation.blur:
            source = cv2.GaussianBlur(source, (0, 0), max(0.1, size * random.uniform(0, augmentation.blur)))
        if augmentation.flip and random.random() < 0.5:
            source, target, regions = source[:, ::-1], target[:, ::-1], regions[:, ::-1]
            points = points[geometry.MIRRORED] * (-1, 1) + (1, 0)
        return source, target, regions, points.astype(np.float32)

    def _retargeted(self, others: Faces, move: np.ndarray, crossed: bool,
                    random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Input, target, its regions, and landmarks of the input: a face bent to pose and expression of one of `others`.

        The input is the bent face itself or, `crossed`, that other face: then network and loss see what a swap is to do.
        """
        size, other = self.size, random.integers(len(others))
        share = CROSSED_BUILD if crossed else random.uniform(*BUILD)
        wanted = others.shapes[other] + share * (self.build - others.build)
        index = retarget.nearest(self.shapes, wanted, 1 if crossed else CANDIDATES, random)
        points = _moved(wanted, move, size)
        target, regions = self._drawn(index, move, retarget.bend(points, _moved(self.shapes[index], move, size), size))
        retarget.fill_mouth(target, points[LIPS] * size - 0.5, self.colors[index],
                            others.images[other], others.landmarks[other][LIPS], others.colors[other])
        if not crossed:
            return target, target, regions, points
        source, _ = others._drawn(other, move)
        return source, retarget.lit_like(target, source, regions[..., 0]), regions, _moved(others.shapes[other], move, size)

    def _drawn(self, index: int, move: np.ndarray, bent: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The face and its regions as a crop, moved by `move` (2, 3) and bent."""
        image, regions, size = self.images[index], self.regions[index], self.size
        matrix = move @ np.vstack([self.matrix, [0, 0, 1]])
        if bent is None:
            return (cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE),
                    cv2.warpAffine(regions, matrix, (size, size), flags=cv2.INTER_LINEAR))
        back = geometry.invert(matrix).astype(np.float32)
        grid = np.arange(size, dtype=np.float32)
        x, y = grid[None] + bent[..., 0], grid[:, None] + bent[..., 1]
        maps = back[0, 0] * x + back[0, 1] * y + back[0, 2], back[1, 0] * x + back[1, 1] * y + back[1, 2]
        return (cv2.remap(image, *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), cv2.remap(regions, *maps, cv2.INTER_LINEAR))


class Batches:
    """Endless batches of both identities; the next ones are made on threads while one is trained on."""

    def __init__(self, faces: dict[str, Faces], batch: int, augmentation: Augmentation, seed: int, start: int = 0,
                 threads: int = 1, ahead: int = 4):
        self._faces, self._batch, self._augmentation, self._seed = faces, batch, augmentation, seed
        self._start, self._threads, self._ahead = start, threads, ahead

    def __iter__(self) -> Iterator[Batch]:
        with ThreadPoolExecutor(self._threads, "augment") as pool:
            waiting = [pool.submit(self.make, self._start + number) for number in range(self._ahead)]
            number = self._start + self._ahead
            try:
                while True:
                    yield waiting.pop(0).result()
                    waiting.append(pool.submit(self.make, number))
                    number += 1
            finally:
                for task in waiting:
                    task.cancel()

    def make(self, number: int) -> Batch:
        """Batch `number`. Each pass through the faces shuffles them anew, so that every face is seen equally often."""
        batch = {}
        for which, (identity, faces) in enumerate(self._faces.items()):
            passes, places = np.divmod(np.arange(number * self._batch, (number + 1) * self._batch), len(faces))
            orders = {epoch: np.random.default_rng((self._seed, which, epoch)).permutation(len(faces)) for epoch in set(passes.tolist())}
            indices = [orders[epoch][place] for epoch, place in zip(passes.tolist(), places)]
            random = np.random.default_rng((self._seed, which, number))
            others = next((these for name, these in self._faces.items() if name != identity), None)
            batch[identity] = faces.batch(indices, self._augmentation, random, others)
        return batch


def region_map(landmarks: np.ndarray, size: int) -> np.ndarray:
    """(68, 2) crop pixels -> (size, size, 3) uint8: face, eyes, mouth, 255 = inside."""
    face = (masks.hull(landmarks, size)[..., 0] * 255).astype(np.uint8)
    eyes, mouth = np.zeros_like(face), np.zeros_like(face)
    wide = max(1, round(size * 0.03))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * wide + 1, 2 * wide + 1))
    fine = np.rint(landmarks * 16).astype(np.int32)  # OpenCV draws at 1/16 of a pixel
    for points in EYES:
        cv2.fillConvexPoly(eyes, cv2.convexHull(fine[points]), 255, cv2.LINE_AA, shift=4)
    cv2.fillConvexPoly(mouth, cv2.convexHull(fine[MOUTH]), 255, cv2.LINE_AA, shift=4)
    return np.dstack([face, cv2.dilate(eyes, kernel), cv2.dilate(mouth, kernel)])


def _resize(image: np.ndarray, side: int) -> np.ndarray:
    if image.shape[0] == side:
        return image
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if image.shape[0] > side else cv2.INTER_CUBIC)


def _random_move(size: int, augmentation: Augmentation, random: np.random.Generator) -> np.ndarray:
    """(2, 3) crop pixels -> crop pixels."""
    largest = augmentation.rotation, augmentation.scale, augmentation.shift, augmentation.shift
    angle, scale, right, down = random.uniform(-1, 1, 4) * largest
    centre = (size - 1) / 2
    move = cv2.getRotationMatrix2D((centre, centre), angle, 1 + scale)
    move[:, 2] += np.array((right, down)) * size
    return move


def _moved(shape: np.ndarray, move: np.ndarray, size: int) -> np.ndarray:
    """(68, 2) in [0, 1] of the crop, through a (2, 3) matrix of its pixels."""
    return (geometry.transform_points(shape * size - 0.5, move) + 0.5) / size


def _warped(picture: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    """`picture` bent by a 5 x 5 grid of random shifts.

    The classic warp of the deepfakes autoencoder: normal, sigma 5 pixels of 160; the outermost grid points lie beyond the crop.
    """
    size = picture.shape[0]
    shifts = random.normal(0, strength * size * 5 / 160, (5, 5, 2)).astype(np.float32)
    side = round(size * 1.25)
    edge = (side - size) // 2
    shifts = cv2.resize(shifts, (side, side), interpolation=cv2.INTER_LINEAR)[edge:edge + size, edge:edge + size]
    grid = np.arange(size, dtype=np.float32)
    across, down = grid[None] + shifts[..., 0], grid[:, None] + shifts[..., 1]
    return cv2.remap(picture, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _light(size: int, strength: float, random: np.random.Generator) -> np.ndarray:
    """(size, size, 3) float32 gain of a light that grows from one side to the other."""
    across, down = random.uniform(-strength, strength, 2)
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    gain = 1 + np.float32(across) * axis[None] + np.float32(down) * axis[:, None]
    return cv2.merge([gain] * 3)


def _color_table(strength: float, random: np.random.Generator) -> np.ndarray:
    """(1, 256, 3) uint8 look-up table: random brightness, contrast and a tint per channel."""
    gain = 1 + random.uniform(-strength, strength) + random.uniform(-strength, strength, 3) / 3
    lift = random.uniform(-strength, strength) * 128
    return np.clip((np.arange(256)[:, None] - 128) * gain + 128 + lift, 0, 255).round().astype(np.uint8)[None]
