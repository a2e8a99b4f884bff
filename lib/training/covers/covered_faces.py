"""Faces with covers over them, of which it is known what is covered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np

from lib.faces import masks
from lib.faces.geometry import MIRRORED, template_matrix, transform_points
from lib.plugin import Augmenter
from lib.training.batches.chance import Draws, numbers_of
from lib.training.batches.faces import Faces
from lib.training.covers import painting
from lib.training.covers.layer import Layer, Scene

CLEAN = 0.45  # share of the faces that get no cover
SHADOWED = 0.15  # share of the faces upon which the shadow of something unseen falls
TWICE = 0.15  # share of covered ones that get another
LABELLED = 0.2  # share of the faces that are labelled ones, where there are any
TAKEN = 0.4  # share of the covers that are taken from labelled faces, where there are any
LEAST_TAKEN = 0.002  # of a crop, that such a cover fills
MARGIN = 0.06  # of the face's size around the face, where it is learnt, too, what covers it
SKIN = [2, 3, 4, 12, 13, 14, 29, 31, 35]  # landmarks between which cheeks lie

STILL = np.float32([[1, 0, 0], [0, 1, 0]])  # moves nothing

Cutouts = Callable[[Scene, np.random.Generator], Layer]


class CoveredFaces(Faces):
    """Faces to learn from what covers a face.

    `labels` say which pixels of a face are seen, (S, S) float32 in [0, 1] over its picture, 1 =
    seen; None where nobody said so. `cutouts` draws covers of the user's. In a `Side`, `input` is
    the face with covers, `target` the face without, `regions` are what is seen of it, where that
    counts, and where it is known rather than likely, 255 = yes.
    """

    def __init__(self, images: Sequence[np.ndarray], landmarks: Sequence[np.ndarray], stored: str,
                 size: int, coverage: str, labels: Sequence[np.ndarray | None],
                 cutouts: Cutouts | None = None):
        super().__init__(images, landmarks, stored, size, coverage)
        self._labels, self._cutouts = labels, cutouts
        self.unit = float(template_matrix(size, coverage)[0, 0])
        self._labelled = [index for index, label in enumerate(labels) if label is not None]
        hulls = {index: masks.hull(landmarks[index], len(images[index]))[..., 0]
                 for index in self._labelled}
        self._covered = [index for index, hull in hulls.items()
                         if ((labels[index] < 0.5) & (hull > 0.5)).mean() > LEAST_TAKEN]

    def _sample(self, draws: Draws, augmenters: Mapping[str, Augmenter], others: Faces | None
                ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        size = self.size
        # What follows depends on the draws alone, as all of a batch does; `share` is of no other use
        # here, and another one for each face
        seed = np.append(draws.move, draws.share).astype(np.float32)
        random = np.random.default_rng(np.frombuffer(seed.tobytes(), np.uint32))
        index = draws.index
        if self._labelled and random.random() < LABELLED:
            index = self._labelled[random.integers(len(self._labelled))]
        target = self._cut(index, draws.move, size)
        points = transform_points(self.shapes[index] * size - 0.5, draws.move)
        face = masks.extended(points, size)[..., 0]
        seen, known = self._label(index, draws.move)

        # Covers and shadows
        image = target.astype(np.float32)
        if random.random() < 0.35:
            image = painting.lit(image, random)
        scene = self._scene(image, points, random)
        if random.random() < SHADOWED:
            layer = painting.cover(scene, face, None, random)
            image = painting.only_shadow(image, layer, random)
        if random.random() >= CLEAN:
            for _ in range(1 + (random.random() < TWICE)):
                if self._covered and random.random() < TAKEN:
                    layer = self._taken(random)
                else:
                    layer = painting.cover(scene, face, self._cutouts, random)
                image, alpha = painting.set_over(image, layer, random)
                seen = seen * (1 - alpha)
                known = np.maximum(known, (alpha > 0.05).astype(np.float32))

        # The camera
        for name, augmenter in augmenters.items():
            if augmenter.changes == "target":
                bytes_ = np.rint(image.clip(0, 255)).astype(np.uint8)
                image = augmenter.on_host(bytes_, numbers_of(name, augmenter, draws))
        source = painting.photographed(image.astype(np.float32), random)
        counts = self._counts(index, face, points)
        regions = np.rint(255 * np.dstack([seen, counts, known])).astype(np.uint8)
        shape = (points + 0.5) / size
        if draws.flip:
            source, target, regions = source[:, ::-1], target[:, ::-1], regions[:, ::-1]
            shape = shape[MIRRORED] * (-1, 1) + (1, 0)
        return source, target, regions, shape.astype(np.float32)

    def uncovered(self, indices: Sequence[int]) -> np.ndarray:
        """(N, S, S, 3) uint8 RGB: these faces as they are."""
        return np.stack([self._cut(index, STILL, self.size) for index in indices])

    def _label(self, index: int, move: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(S, S) float32: what is seen of a face as far as is known, and where it is known."""
        size, label = self.size, self._labels[index]
        if label is None:
            return np.ones((size, size), np.float32), np.zeros((size, size), np.float32)
        matrix = self._placed(self.matrix, move, size)
        shrunk = self._images.shape[1]
        small = cv2.resize(label, (shrunk, shrunk), interpolation=cv2.INTER_AREA)
        return (cv2.warpAffine(small, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE),
                np.ones((size, size), np.float32))

    def _counts(self, index: int, face: np.ndarray, points: np.ndarray) -> np.ndarray:
        """(S, S) float32: where it is learnt what covers a face: a little beyond the `face`."""
        if self._ends(index):
            return masks.hull(points, self.size)[..., 0]
        side = 2 * round(MARGIN * self.unit) + 1
        return cv2.dilate(face, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))

    def _ends(self, index: int) -> bool:
        """Whether a label says of what lies beside the face that it is no face: then it says what
        covers it within the hull alone.
        """
        label = self._labels[index]
        return label is not None and float(np.mean([label[0], label[-1], label[:, 0],
                                                    label[:, -1]])) < 0.5

    def _taken(self, random: np.random.Generator) -> Layer:
        """The cover of a labelled face, near to where it was."""
        index, size = self._covered[random.integers(len(self._covered))], self.size
        turn, scale = random.normal(0, 20), np.exp(random.normal(0, 0.15))
        move = cv2.getRotationMatrix2D((size / 2, size / 2), turn, scale)
        move[:, 2] += random.normal(0, 0.12, 2) * self.unit
        if random.random() < 0.5:
            move = np.array([[-1, 0, size - 1], [0, 1, 0]]) @ np.vstack([move, [0, 0, 1]])
        colors, (seen, _) = self._cut(index, move, size), self._label(index, move)
        matrix = self._placed(self.matrix, move, size)
        side = self._images.shape[1]
        inside = cv2.warpAffine(np.ones((side, side), np.float32), matrix, (size, size))
        if self._ends(index):
            points = transform_points(self.shapes[index] * size - 0.5, move)
            inside = inside * masks.hull(points, size)[..., 0]
        return Layer(colors.astype(np.float32), ((1 - seen) * inside).clip(0, 1))

    def _scene(self, image: np.ndarray, points: np.ndarray, random: np.random.Generator) -> Scene:
        places = np.rint(points[SKIN]).astype(int).clip(0, self.size - 1)
        middle = np.rint(points[33]).astype(int)
        inwards = np.rint((places + middle) / 2).astype(int).clip(0, self.size - 1)
        skin = np.median(image[inwards[:, 1], inwards[:, 0]], 0).astype(np.float32)
        stranger = int(random.integers(len(self)))
        self._prepare(stranger)
        picture = cv2.resize(self._images[stranger], (self.size, self.size))
        return Scene(image.astype(np.uint8), points, self.unit, skin, picture)
