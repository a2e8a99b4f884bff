"""Faces in memory, and their pictures in a batch, made with OpenCV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from lib.faces import bending, geometry
from lib.faces.hair import removal
from lib.plugin import Augmenter
from lib.system import device
from lib.training.batches import retarget
from lib.training.batches.augmentation import Augmentation
from lib.training.batches.batch import Side
from lib.training.batches.chance import Draws, draw, numbers_of
from lib.training.batches.regions import LIPS, region_map

BLOCK = 64  # faces that a thread prepares at a time, where all are


class Faces:
    """Aligned faces of one identity, kept as crops a little wider than the model's, with their
    region maps.

    `images` are aligned crops (S, S, 3) uint8 RGB of coverage `stored`, `landmarks` (68, 2) in
    their pixels. The model sees crops of `size` pixels and the given `coverage` cut out of them,
    with `paint_hair` without hair over the forehead, and is to draw them `drawn` pixels wide, a
    multiple of `size`; by default `size`. `face_masks`, (S, S) float32 in [0, 1] over the crops,
    say what of them is face; without them it is the hull of the landmarks.

    A face is prepared when it is first looked at, so that thousands are there at once. What it
    becomes depends on it alone.
    """

    def __init__(self, images: Sequence[np.ndarray], landmarks: Sequence[np.ndarray] | np.ndarray,
                 stored: str, size: int, coverage: str, drawn: int | None = None,
                 paint_hair: bool = False, face_masks: Sequence[np.ndarray] | None = None):
        self.size, self.drawn = size, drawn or size
        wide = max(geometry.COVERAGES[stored][0] / geometry.COVERAGES[coverage][0], 1.0)
        seen = int(np.ceil(size * wide))  # side of what holds as much as the model sees
        side = min(int(np.ceil(self.drawn * wide)),
                   max(seen, max(image.shape[0] for image in images)))
        factors = np.array([side / image.shape[0] for image in images])[:, None, None]
        points = (np.asarray(landmarks, np.float64) + 0.5) * factors - 0.5
        self.landmarks = points.astype(np.float32)
        self._sources, self._face_masks = images, face_masks

        # Filled in face by face, when one is first drawn: the memory is taken then, too
        self._images = np.empty((len(images), side, side, 3), np.uint8)
        self._regions = np.empty((len(images), seen, seen, 3), np.uint8)
        self._colors = np.empty((len(images), 2, 3))
        self._prepared = np.zeros(len(images), bool)

        self._hidden = None  # brow landmarks under hair; None: hair is left alone
        if paint_hair:
            asked = removal.sampled(len(images))
            pictures = [_resize(images[index], side) for index in asked]
            self._hidden = removal.find_hidden_brow_points(pictures, self.landmarks[asked])

        # (2, 3): pixels of the images, and of the region maps -> of the model's crop
        to_crop = geometry.template_matrix(size, coverage)
        self.matrix, self.region_matrix = (to_crop @ np.vstack(
            [geometry.invert(geometry.template_matrix(pixels, stored)), [0, 0, 1]])
            for pixels in (side, seen))
        # (N, 68, 2) float32: the landmarks in [0, 1] of the model's crop, the same for any `drawn`
        in_crop = geometry.transform_points(points, self.matrix)
        self.shapes = ((in_crop + 0.5) / size).astype(np.float32)
        # (68, 2): this person's own build; with its mirror image, so that it does not look aside
        mean = self.shapes.mean(0)
        self.build = (mean + mean[geometry.MIRRORED] * (-1, 1) + (1, 0)) / 2

    def __len__(self) -> int:
        return len(self.landmarks)

    @property
    def images(self) -> np.ndarray:
        """(N, side, side, 3) uint8 RGB."""
        return self._all(self._images)

    @property
    def regions(self) -> np.ndarray:
        """(N, side, side, 3) uint8, as `region_map` draws them; only as large as the model sees."""
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
            blocks = [missing[start:start + BLOCK] for start in range(0, len(missing), BLOCK)]
            with ThreadPoolExecutor(device.cores(), "prepare") as pool:
                list(pool.map(self._prepare_block, blocks))
        return rows

    def _prepare_block(self, indices: np.ndarray) -> None:
        for index in indices:
            self._prepare(index)

    def _prepare(self, index: int) -> None:
        """Fills in what is kept of a face. Two threads may do so at once: they write the same."""
        if self._prepared[index]:
            return
        side, seen = self._images.shape[1], self._regions.shape[1]
        points = self.landmarks[index]
        image = _resize(self._sources[index], side)
        regions = region_map((points + 0.5) * (seen / side) - 0.5, seen)
        if self._hidden is not None:
            image = removal.paint_over_hair(image, points, self._hidden)
        if self._face_masks is not None:
            face = 255 * _resize(self._face_masks[index], seen)
            regions[..., 0] = np.rint(face).clip(0, 255)
        self._images[index], self._regions[index] = image, regions
        self._colors[index] = retarget.face_colors(_resize(image, seen), regions[..., 0])
        self._prepared[index] = True  # last

    def batch(self, indices: Sequence[int], augmentation: Augmentation, random: np.random.Generator,
              others: Faces | None = None) -> Side:
        """The faces at `indices`, augmented; others of this identity stand in for retargeted ones.
        """
        draws = draw(indices, augmentation, self.size, len(self), len(others or ()), random)
        return self.side(draws, augmentation.augmenters, others)

    def side(self, draws: Draws, augmenters: Mapping[str, Augmenter],
             others: Faces | None = None) -> Side:
        """The faces of `draws`, augmented; some are bent to faces of `others`."""
        samples = [self._sample(row, augmenters, others) for row in draws.rows()]
        return Side(*map(np.stack, zip(*samples)))

    def _sample(self, draws: Draws, augmenters: Mapping[str, Augmenter], others: Faces | None
                ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """One row of each field of a `Side`, of the draws of one face."""
        size, move, source = self.size, draws.move, None
        if draws.partner >= 0:
            source, target, regions, points = self._retargeted(draws, others)
        else:
            target = self._cut(draws.index, move, self.drawn)
            regions = self._cut_regions(draws.index, move)
            points = _moved(self.shapes[draws.index], move, size)

        # Augmentations of the target, and of the other person's picture where that is the input
        for name, augmenter in augmenters.items():
            if augmenter.changes == "target":
                numbers = numbers_of(name, augmenter, draws)
                target = augmenter.on_host(target, numbers)
                source = augmenter.on_host(source, numbers) if draws.crossed else None
        if source is None:
            source = retarget.averaged(target, size)

        # Augmentations of the input alone
        for name, augmenter in augmenters.items():
            if augmenter.changes == "input":
                source = augmenter.on_host(source, numbers_of(name, augmenter, draws))
        if draws.flip:
            source, target, regions = source[:, ::-1], target[:, ::-1], regions[:, ::-1]
            points = points[geometry.MIRRORED] * (-1, 1) + (1, 0)
        return source, target, regions, points.astype(np.float32)

    def _retargeted(self, draws: Draws, others: Faces
                    ) -> tuple[np.ndarray | None, np.ndarray, np.ndarray, np.ndarray]:
        """Input, target, its regions, and landmarks of the input: a face bent to pose and
        expression of one of `others`.

        The input is the bent face itself (None) or, crossed, that other face: then network and loss
        see what a swap is to do.
        """
        size, drawn, move, partner = self.size, self.drawn, draws.move, draws.partner
        share = bending.crossed_share(self.build, others.build) if draws.crossed else draws.share
        aim = others.shapes[partner] + share * (self.build - others.build)
        index = retarget.nearest(self.shapes, aim, draws.nearest)
        self._prepare(index)
        others._prepare(partner)
        points = _moved(aim, move, size)
        bent = bending.bend(points, _moved(self.shapes[index], move, size))
        target, regions = self._cut(index, move, drawn, bent), self._cut_regions(index, move, bent)
        retarget.fill_mouth(target, points[LIPS] * drawn - 0.5, self._colors[index],
                            others._images[partner], others.landmarks[partner][LIPS],
                            others._colors[partner])
        if not draws.crossed:
            return None, target, regions, points
        source = others._cut(partner, move, size)
        target = retarget.lit_like(target, source, regions[..., 0])
        return source, target, regions, _moved(others.shapes[partner], move, size)

    def _cut(self, index: int, move: np.ndarray, side: int,
             bent: np.ndarray | None = None) -> np.ndarray:
        """The face as a crop of `side` pixels, moved by `move` (2, 3) and bent."""
        self._prepare(index)
        matrix = self._placed(self.matrix, move, side)
        return _taken(self._images[index], matrix, side, bent, cv2.INTER_CUBIC,
                      cv2.BORDER_REPLICATE)

    def _cut_regions(self, index: int, move: np.ndarray,
                     bent: np.ndarray | None = None) -> np.ndarray:
        """Its regions likewise, as large as the input."""
        self._prepare(index)
        matrix = self._placed(self.region_matrix, move, self.size)
        return _taken(self._regions[index], matrix, self.size, bent, cv2.INTER_LINEAR,
                      cv2.BORDER_CONSTANT)

    def _placed(self, matrix: np.ndarray, move: np.ndarray, side: int) -> np.ndarray:
        """`matrix` into the crop of `size` pixels, moved, and into one of `side`."""
        return geometry.upsampled(move @ np.vstack([matrix, [0, 0, 1]]), side / self.size)


def _taken(image: np.ndarray, matrix: np.ndarray, side: int, bent: np.ndarray | None,
           interpolation: int, border: int) -> np.ndarray:
    """What the crop of `side` pixels that `matrix` (2, 3) makes of `image` shows, bent as
    `bending.bend` has it.
    """
    if bent is None:
        return cv2.warpAffine(image, matrix, (side, side), flags=interpolation, borderMode=border)
    back = geometry.invert(matrix).astype(np.float32)
    x, y = cv2.split(bending.spread(bent, side))
    grid = np.arange(side, dtype=np.float32)
    x += grid[None]
    y += grid[:, None]
    across = back[0, 0] * x + back[0, 1] * y + back[0, 2]
    down = back[1, 0] * x + back[1, 1] * y + back[1, 2]
    return cv2.remap(image, across, down, interpolation, borderMode=border)


def _resize(image: np.ndarray, side: int) -> np.ndarray:
    if image.shape[0] == side:
        return image
    shrinks = image.shape[0] > side
    return cv2.resize(image, (side, side),
                      interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def _moved(shape: np.ndarray, move: np.ndarray, size: int) -> np.ndarray:
    """(68, 2) in [0, 1] of the crop, through a (2, 3) matrix of its pixels."""
    return (geometry.transform_points(shape * size - 0.5, move) + 0.5) / size
