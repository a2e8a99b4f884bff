"""Training faces made on the device that trains: they lie there as uint8, and each iteration cuts,
bends, warps and colours its own.

The same pictures, within rounding, as `lib.training.batches.faces` makes with OpenCV on the host,
from the same draws; written in `keras.ops`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import cv2
import keras
import numpy as np
from keras import ops

from lib.faces import bending
from lib.faces.bending import crossed_share
from lib.faces.geometry import MIRRORED
from lib.training.batches import retarget, sampling
from lib.training.batches.augmentation import Augmentation
from lib.training.batches.batch import Side
from lib.training.batches.chance import Draws, numbers_of
from lib.training.batches.faces import Faces
from lib.training.batches.regions import LIPS

MOST_PIXELS = 2**31  # of one identity: their places are counted in 32 bits
NOTHING_BENT = np.zeros((1, 1, 1, 2), np.float32)


class Stock(NamedTuple):
    """The faces of one identity, tensors on the device."""

    images: Any  # (M, T, T, 3) uint8
    regions: Any  # (M, R, R, 3) uint8
    landmarks: Any  # (M, 68, 2) pixels of these
    shapes: Any  # (M, 68, 2) in [0, 1] of the model's crop
    colors: Any  # (M, 2, 3) of 255
    matrix: Any  # (2, 3) pixels of the images -> the model's crop
    region_matrix: Any  # (2, 3) of the regions
    build: Any  # (68, 2)
    crossed_share: Any  # (68, 1) how much of it is left where it stands like the other identity's


def stocks(faces: Mapping[str, Faces]) -> dict[str, Stock]:
    """By identity, the faces brought to the device."""
    by_identity = {}
    for identity, held in faces.items():
        partner = next((partner for name, partner in faces.items() if name != identity), held)
        exact = (held.colors, held.matrix, held.region_matrix, held.build,
                 crossed_share(held.build, partner.build))
        by_identity[identity] = Stock(*map(ops.convert_to_tensor,
                                           (held.images, held.regions, held.landmarks, held.shapes,
                                            *(array.astype(np.float32) for array in exact))))
    return by_identity


def bytes_of(faces: Mapping[str, Faces]) -> int:
    """What `stocks` takes of the device's memory."""
    return sum(held.nbytes for held in faces.values())


class DeviceAugmentation:
    """Makes the batches that draws describe: draws by identity and `stocks` -> float32 `Side`s by
    identity, as a model gets them; what else is in a batch stays as it is.
    """

    def __init__(self, augmentation: Augmentation, size: int, drawn: int):
        self._augmentation, self._size, self._drawn = augmentation, size, drawn

    def __call__(self, batch: Mapping[str, Any], held: Mapping[str, Stock]) -> dict[str, Any]:
        sides = {}
        for name, drawn in batch.items():
            tensors = keras.tree.map_structure(ops.convert_to_tensor, drawn)
            others = next((stock for identity, stock in held.items() if identity != name), None)
            sides[name] = self._side(held[name], others, tensors) if name in held else tensors
        return sides

    def _changed(self, what: str, draws: Draws, *pictures: Any) -> tuple:
        """(N, S, S, 3) from 0 to 255, or None, as the augmentations of the "target" or "input"
        leave them.
        """
        for name, augmenter in self._augmentation.augmenters.items():
            if augmenter.changes == what and augmenter.strength:
                numbers = numbers_of(name, augmenter, draws)
                pictures = tuple(picture if picture is None
                                 else augmenter.on_device(picture, numbers)
                                 for picture in pictures)
        return pictures

    def _side(self, own: Stock, others: Stock | None, draws: Draws) -> Side:
        size, drawn, does = self._size, self._drawn, self._augmentation
        index, crossed = draws.index, draws.crossed
        bent, shape = ops.convert_to_tensor(NOTHING_BENT), ops.take(own.shapes, draws.index, 0)
        if does.retarget and others is not None:
            retargeted, partner = draws.partner >= 0, ops.maximum(draws.partner, 0)
            share = ops.where(crossed[:, None, None], own.crossed_share[None],
                              draws.share[:, None, None])
            aim = ops.take(others.shapes, partner, 0) + share * (own.build - others.build)
            index = ops.where(retargeted, _nearest(own.shapes, aim, draws.nearest), index)
            shape = ops.where(retargeted[:, None, None], aim, ops.take(own.shapes, index, 0))
            present = _moved(ops.take(own.shapes, index, 0), draws.move, size)
            bent = ops.where(retargeted[:, None, None, None],
                             _bend(_moved(shape, draws.move, size), present), 0.0)
        points = _moved(shape, draws.move, size)
        target = sampling.rounded(sampling.sampled_cubic(own.images, index,
                                       *_places(own.matrix, draws.move, bent, size, drawn)))
        regions = sampling.rounded(sampling.sampled_linear(own.regions, index,
                                         *_places(own.region_matrix, draws.move, bent, size, size),
                                         zeros=True))
        seen = None  # where a face of the other identity goes in
        if does.retarget and others is not None:
            target = ops.where(retargeted[:, None, None, None],
                               _with_mouth(target, points, own, index, others, partner, drawn),
                               target)
            if does.crossed:
                places = _places(others.matrix, draws.move, ops.convert_to_tensor(NOTHING_BENT),
                                 size, size)
                seen = sampling.rounded(sampling.sampled_cubic(others.images, partner, *places))
                target = ops.where(crossed[:, None, None, None],
                                   _lit_like(target, seen, regions[..., :1]), target)
                points = ops.where(crossed[:, None, None],
                                   _moved(ops.take(others.shapes, partner, 0), draws.move, size),
                                   points)
        target, seen = self._changed("target", draws, target, seen)
        source = _averaged(target, size)
        if seen is not None:
            source = ops.where(crossed[:, None, None, None], seen, source)
        source, = self._changed("input", draws, source)
        if does.flip:
            source, target, regions = (ops.where(draws.flip[:, None, None, None],
                                                 ops.flip(picture, 2), picture)
                                       for picture in (source, target, regions))
            signs, shift = (ops.convert_to_tensor(np.float32(pair)) for pair in ([-1, 1], [1, 0]))
            turned = ops.take(points, MIRRORED, 1) * signs + shift
            points = ops.where(draws.flip[:, None, None], turned, points)
        return Side(source / 255.0, target / 255.0, regions / 255.0, points)


def _moved(shapes, move, size: int):
    """(N, 68, 2) in [0, 1] of the crop, through (N, 2, 3) matrices of its pixels."""
    pixels = shapes * size - 0.5
    return (ops.matmul(pixels, ops.transpose(move[:, :, :2], (0, 2, 1))) + move[:, None, :, 2]
            + 0.5) / size


def _places(matrix, move, bent, size: int, side: int):
    """x and y (N, side, side) in the stock's images of each pixel of the crops of `size` pixels,
    moved, bent and made as large as `side`.

    `bent` as `_bend` gives it, or NOTHING_BENT.
    """
    factor = side / size
    linear = ops.matmul(move[:, :, :2], matrix[:, :2])
    shift = ops.matmul(move[:, :, :2], matrix[:, 2:])[..., 0] + move[:, :, 2]
    linear, shift = linear * factor, shift * factor + (factor - 1) / 2
    determinant = linear[:, 0, 0] * linear[:, 1, 1] - linear[:, 0, 1] * linear[:, 1, 0]
    # of the inverse
    a, b, c, d = (linear[:, row, column] / determinant
                  for row, column in ((1, 1), (0, 1), (1, 0), (0, 0)))
    if bent.shape[1] > 1:
        bent = sampling.enlarged(bent * side, sampling.enlarging(bending.GRID, side,
                                                                 cv2.INTER_CUBIC))
    grid = ops.arange(side, dtype="float32")
    x = bent[..., 0] + grid[None, None, :] - shift[:, 0, None, None]
    y = bent[..., 1] + grid[None, :, None] - shift[:, 1, None, None]
    a, b, c, d = (number[:, None, None] for number in (a, b, c, d))
    return a * x - b * y, d * y - c * x


def _nearest(shapes, aims, place):
    """(N,) index of that of `shapes` (M, 68, 2) which is the `place`-nearest to each of `aims` (N,
    68, 2).
    """
    weights = ops.convert_to_tensor(np.repeat(np.sqrt(retarget.WEIGHTS), 2)[None])
    targets, candidates = (ops.reshape(points, (-1, 136)) * weights for points in (aims, shapes))
    # near zero, so that squares lose little
    targets, candidates = targets - ops.mean(candidates, 0), candidates - ops.mean(candidates, 0)
    distances = (ops.sum(ops.square(targets), 1)[:, None]
                 - 2 * ops.matmul(targets, ops.transpose(candidates))
                 + ops.sum(ops.square(candidates), 1)[None])
    ordered = ops.argsort(distances, 1)
    return ops.cast(ops.take_along_axis(ordered, ops.cast(place, "int32")[:, None], 1)[:, 0],
                    "int32")


def _bend(aims, present):
    """(N, GRID, GRID, 2): `bending.bend` of each of (N, 68, 2) and (N, 68, 2)."""
    anchors = np.broadcast_to(bending.ANCHORS.astype(np.float32)[None], (1, *bending.ANCHORS.shape))
    count, many = 68 + len(bending.ANCHORS), ops.shape(aims)[0]
    repeated = ops.tile(ops.convert_to_tensor(anchors), (many, 1, 1))
    points = ops.concatenate([aims, repeated], 1)
    shifts = ops.concatenate([present - aims, ops.zeros_like(repeated),
                              ops.zeros_like(aims[:, :3])], 1)
    ones, none = ops.ones_like(points[..., :1]), ops.zeros_like(aims[:, :3, :1])
    upper = ops.concatenate([_kernel(points, points) + bending.STIFFNESS
                             * ops.eye(count, dtype="float32"), ones, points], 2)
    lower = ops.concatenate([ops.transpose(ops.concatenate([ones, points], 2), (0, 2, 1)),
                             ops.tile(none, (1, 1, 3))], 2)
    solved = ops.solve(ops.concatenate([upper, lower], 1), shifts)
    grid = bending.GRID_POINTS.astype(np.float32)
    places = ops.tile(ops.convert_to_tensor(grid[None]), (many, 1, 1))
    # Sums, not products of matrices: GPUs may round the factors of these to 10 bits
    bent = ops.sum(_kernel(places, points)[..., None] * solved[:, None, :count], 2)
    coarse = bent + solved[:, count:count + 1] + ops.sum(places[..., None]
                                                         * solved[:, None, count + 1:], 2)
    return ops.reshape(coarse, (-1, bending.GRID, bending.GRID, 2))


def _kernel(first, second):
    squares = ops.square(first[:, :, None, 0]
                         - second[:, None, :, 0]) + ops.square(first[:, :, None, 1]
                                                               - second[:, None, :, 1])
    return squares * ops.log(squares + 1e-9)


def _with_mouth(picture, points, own: Stock, index, others: Stock, partner, size: int):
    """`retarget.fill_mouth` of each (N, S, S, 3), with `points` (N, 68, 2) in [0, 1] of the crop.
    """
    lips = points[:, LIPS] * size - 0.5
    their_lips = ops.take(others.landmarks, partner, 0)[:, LIPS]
    opening = lips[:, 12:]
    width = ops.norm(lips[:, 6] - lips[:, 0], axis=-1)
    height = ops.norm(opening[:, 2] - opening[:, 6], axis=-1)
    open_ = height >= retarget.LEAST_OPEN * width
    middle = ops.mean(lips, 1, keepdims=True)
    # about its middle, so that the squares lose little
    spread = ops.concatenate([lips - middle, ops.ones_like(lips[..., :1])], 2)
    squares = ops.matmul(ops.transpose(spread, (0, 2, 1)), spread)
    # (N, 3, 2)
    affine = ops.solve(squares + 1e-6 * ops.eye(3, dtype="float32"),
                       ops.matmul(ops.transpose(spread, (0, 2, 1)), their_lips))
    grid = ops.arange(size, dtype="float32")
    right, down = grid[None, None, :] - middle[:, :, :1], grid[None, :, None] - middle[:, :, 1:]
    x, y = (affine[:, 0, axis, None, None] * right + affine[:, 1, axis, None, None] * down
            + affine[:, 2, axis, None, None] for axis in (0, 1))
    inside = sampling.rounded(sampling.sampled_linear(others.images, partner, x, y))
    colors, their_colors = (ops.take(stock.colors, which, 0)[:, :, None, None]
                            for stock, which in ((own, index), (others, partner)))
    normal = ops.clip((inside - their_colors[:, 0]) / their_colors[:, 1], -retarget.BRIGHTEST,
                      retarget.BRIGHTEST)
    mask = ops.where(open_[:, None, None], _inside(opening, size), 0.0)[..., None]
    for axis in (1, 2):
        beside = [ops.roll(mask, shift, axis) for shift in (-1, 1)]
        mask = 0.5 * mask + 0.25 * (beside[0] + beside[1])
    return ops.clip(ops.floor(picture + mask * (normal * colors[:, 1] + colors[:, 0] - picture)),
                    0.0, 255.0)


def _inside(corners, size: int):
    """(N, size, size): 1 where pixels lie within the polygons (N, K, 2)."""
    grid = ops.arange(size, dtype="float32")
    x, y = grid[None, None, :], grid[None, :, None]
    crossings = 0
    count = corners.shape[1]
    for number in range(count):
        (x0, y0), (x1, y1) = ((corners[:, which, 0, None, None], corners[:, which, 1, None, None])
                              for which in (number, (number + 1) % count))
        spans = (y0 > y) != (y1 > y)
        at = x0 + (y - y0) * (x1 - x0) / ops.where(y1 == y0, 1.0, y1 - y0)
        crossings = crossings + ops.cast(spans & (x < at), "int32")
    return ops.cast(crossings % 2 == 1, "float32")


def _lit_like(picture, reference, face):
    """`retarget.lit_like` of each (N, D, D, 3), where `face` (N, S, S, 1), of 255, counts."""
    size, drawn = reference.shape[2], picture.shape[2]
    face = face[..., 0]
    weights = ops.sum(face, 1)  # (N, S)
    area = ops.sum(weights, 1)
    some = ops.maximum(area, 1e-6)
    places = ops.linspace(-1.0, 1.0, size, dtype="float32")
    middle = ops.matmul(weights, places[:, None]) / some[:, None]
    places = places[None] - middle
    brighter = ops.log(1 + ops.sum(reference, -1)) - ops.log(1
                                                             + ops.sum(_averaged(picture, size),
                                                                       -1))
    usual = (ops.sum(face * brighter, (1, 2)) / some)[:, None, None]
    usual = usual + (ops.sum(face * ops.clip(brighter - usual, -retarget.STEEPEST,
                                             retarget.STEEPEST), (1, 2)) / some)[:, None, None]
    brighter = ops.clip(brighter - usual, -retarget.STEEPEST, retarget.STEEPEST)
    slope = ops.sum(ops.sum(face * brighter, 1) * places,
                    1) / ops.maximum(ops.sum(weights * ops.square(places), 1), 1e-6)
    slope = ops.clip(slope, -retarget.STEEPEST, retarget.STEEPEST)[:, None]
    gain = ops.exp(slope * (ops.linspace(-1.0, 1.0, drawn, dtype="float32")[None] - middle))
    lit = sampling.rounded(picture * gain[:, None, :, None])
    return ops.where(ops.max(face, (1, 2))[:, None, None, None] > 127, lit, picture)


def _averaged(picture, side: int):
    """`retarget.averaged` of each (N, D, D, 3)."""
    factor = picture.shape[1] // side
    if factor == 1:
        return picture
    blocks = ops.reshape(picture, (-1, side, factor, side, factor, 3))
    return ops.floor(ops.mean(blocks, (2, 4)) + 0.5)


