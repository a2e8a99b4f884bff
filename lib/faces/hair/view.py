"""A face made small, in which hair is looked for, and masks of its parts.

Masks are (h, w) uint8, 1 = inside, in pixels of the small picture.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lib.faces.brows import Brow
from lib.faces.geometry import LEFT_BROW, LEFT_EYE, RIGHT_BROW, RIGHT_EYE
from lib.faces.masks import BROWS, SHIFT, with_whole_brows

# Indices into the 68 landmarks
NOSE_AND_UPPER_CHEEKS = [1, 3, 31, 35, 13, 15, 27]
NOSE_TIP = 33

# Pixels between the eyes at which hair is looked for: strands still show, and it takes a sixth of
# the time
EYE_DISTANCE = 21

# In distances between the eyes
EYE_MARGIN, BROW_WIDTH, EDGE = 0.12, 0.16, 0.05
BROW_MARGIN = 0.06  # around a brow that is seen
ABOVE_BROW = 0.1  # where hair over a brow is looked for
HIDDEN_MARGIN = 0.3  # of the distance between two landmarks of a brow
CHEEK_LINE = 0.35  # share of the way from the eyes to the tip of the nose

# Of the landmarks, for the middle of both eyes and of the brows
_CENTRES = np.zeros((3, 68), np.float32)
for _row, _part in zip(_CENTRES, (RIGHT_EYE, LEFT_EYE, BROWS)):
    _row[_part] = 1 / (_part.stop - _part.start)


@dataclass(frozen=True)
class View:
    """The upper part of a face, down to the nose, averaged over `factor` x `factor` pixels."""

    image: np.ndarray  # (h, w, 3) uint8 RGB
    points: np.ndarray  # (68, 2) float32 landmarks, in its pixels
    factor: int
    eyes: np.ndarray  # (2,) the middle between them
    eye_distance: float  # pixels
    up: np.ndarray  # (2,) from the eyes to the brows

    @classmethod
    def of(cls, image: np.ndarray, landmarks: np.ndarray) -> View:
        """Of `image` (S, S, 3) uint8 RGB; `landmarks` (68, 2) in its pixels. What is left over to
        the right is cut off.
        """
        points = np.asarray(landmarks, np.float32)
        right, left, brows = _CENTRES @ points
        factor = max(1, round(float(np.hypot(*(right - left))) / EYE_DISTANCE))
        points, right, left, brows = ((place + 0.5) / factor - 0.5
                                      for place in (points, right, left, brows))
        width = image.shape[0] // factor
        height = int(np.clip(points[NOSE_AND_UPPER_CHEEKS, 1].max() + 2, 1, width))
        small = cv2.resize(image[:height * factor, :width * factor], (width, height),
                           interpolation=cv2.INTER_AREA)
        eyes = (right + left) / 2
        return cls(small, points, factor, eyes, float(np.hypot(*(right - left))), brows - eyes)

    @property
    def upwards(self) -> np.ndarray:
        """(2,): from the eyes to the brows, of length 1."""
        return self.up / max(float(np.hypot(*self.up)), 1e-6)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels of the whole picture that the view shows."""
        return self.factor * self.image.shape[0], self.factor * self.image.shape[1]

    def eyes_mask(self) -> np.ndarray:
        """On an eye or near it."""
        lids = [cv2.convexHull(self.points[eye])[:, 0] for eye in (RIGHT_EYE, LEFT_EYE)]
        return self._drawn(lids, 2 * EYE_MARGIN * self.eye_distance, filled=True)

    def brows_mask(self) -> np.ndarray:
        """On a brow, as the landmarks have it."""
        lines = [self.points[brow] + 0.1 * self.up for brow in (RIGHT_BROW, LEFT_BROW)]
        return self._drawn(lines, BROW_WIDTH * self.eye_distance)

    def around_brow_mask(self, indices: Collection[int]) -> np.ndarray:
        """On the brow at the landmarks `indices`, or a brow's height above it."""
        places = self.points[list(indices)] + 0.75 * BROW_WIDTH * self.eye_distance * self.upwards
        return self._drawn([places], 2.5 * BROW_WIDTH * self.eye_distance)

    def seen_brows_mask(self, brows: Sequence[Brow | None], height: int,
                        hair: np.ndarray | None = None, hidden: Collection[int] = ()) -> np.ndarray:
        """On a brow as it is seen, one of `brows`, or where the landmarks have it if none is; the
        picture is `height` high.

        The outer end of a brow, where `hair` (h, w) hangs over it, is left out, and so is what is
        beyond landmarks that are `hidden`.
        """
        mask = np.zeros((height, height), np.uint8)
        unseen = []
        for brow, line in zip(brows, (RIGHT_BROW, LEFT_BROW)):
            if brow is None:
                unseen.append(self.points[line] + 0.1 * self.up)
                continue
            covered = [index - line.start for index in hidden if line.start <= index < line.stop]
            outline = brow.outline
            if hair is not None:
                outline = self._outline_without_hair(brow, hair, covered)
            cv2.fillPoly(mask, [_fine(outline)], 1, cv2.LINE_8, SHIFT)
        mask = cv2.dilate(mask, disc(BROW_MARGIN * self.eye_distance * self.factor))
        sampled = mask[self.factor // 2::self.factor, self.factor // 2::self.factor]
        seen = np.ascontiguousarray(sampled[:self.image.shape[0], :self.image.shape[1]])
        return seen | self._drawn(unseen, BROW_WIDTH * self.eye_distance) if unseen else seen

    def _outline_without_hair(self, brow: Brow, hair: np.ndarray,
                              hidden: Sequence[int]) -> np.ndarray:
        """(K, 2) the outline of `brow`, in pixels of the picture, without its outer third where
        that lies under `hair` (h, w).

        Nor has it what is beyond those of its five landmarks that are `hidden`.
        """
        above = ABOVE_BROW * self.eye_distance * self.upwards
        places = (brow.upper + 0.5) / self.factor - 0.5 + above
        under = at_places(hair, places) > 0
        count = len(under)
        outer = np.arange(count) < count // 3
        eye_centres = self.points[RIGHT_EYE].mean(0) + self.points[LEFT_EYE].mean(0)
        # The left brow: its outer end comes last
        if brow.middle[0] * 2 > eye_centres[0] * self.factor:
            outer = outer[::-1]
        kept = ~(under & outer)
        if hidden:
            places = np.linspace(0, 4, count)
            if outer[-1]:
                kept &= places < min(hidden) - HIDDEN_MARGIN
            else:
                kept &= places > max(hidden) + HIDDEN_MARGIN
        if kept.sum() < 2:
            return brow.outline
        return np.concatenate([brow.lower[kept], brow.upper[kept][::-1]])

    def face_mask(self) -> np.ndarray:
        """Within the hull of the landmarks, brows included."""
        return self.hull_mask(with_whole_brows(self.points))

    def hull_mask(self, points: np.ndarray) -> np.ndarray:
        """Within the convex hull of `points` (K, 2)."""
        mask = np.zeros(self.image.shape[:2], np.uint8)
        cv2.fillConvexPoly(mask, cv2.convexHull(_fine(points)), 255, cv2.LINE_AA, SHIFT)
        return mask >> 7

    def above_cheeks_mask(self) -> np.ndarray:
        """(h, w) bool: above a line across the face, a third of the way from the eyes to the tip of
        the nose.
        """
        down = self.points[NOSE_TIP] - self.eyes
        y, x = ((np.arange(length, dtype=np.float32) - middle) * along
                for length, middle, along in zip(self.image.shape, self.eyes[::-1], down[::-1]))
        return np.add.outer(y, x) < CHEEK_LINE * (down @ down)

    def blurred(self, mask: np.ndarray) -> np.ndarray:
        """(h, w) float32 in [0, 1]: `mask` with a soft edge."""
        return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), EDGE * self.eye_distance)

    def _drawn(self, lines: Sequence[np.ndarray], width: float, filled: bool = False) -> np.ndarray:
        """On one of `lines`, each (K, 2), or within it. Drawn `factor` times as large, since widths
        are whole pixels.
        """
        canvas = np.zeros(self.size, np.uint8)
        fine = [_fine((line + 0.5) * self.factor - 0.5) for line in lines]
        for line in fine * filled:
            cv2.fillConvexPoly(canvas, line, 1, shift=SHIFT)
        cv2.polylines(canvas, fine, filled, 1, max(1, round(width * self.factor)), shift=SHIFT)
        middle = self.factor // 2
        return np.ascontiguousarray(canvas[middle::self.factor, middle::self.factor])


def eye_distance_of(points: np.ndarray) -> float:
    """Pixels between the eyes of `points` (68, 2)."""
    return float(np.hypot(*np.diff(_CENTRES[:2] @ points, axis=0)[0]))


def at_places(picture: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The values of `picture` (h, w) at `places` (K, 2) x, y, each moved into it."""
    x, y = np.clip(places.round().astype(int), 0, (picture.shape[1] - 1, picture.shape[0] - 1)).T
    return picture[y, x]


def disc(radius: float) -> np.ndarray:
    """A kernel for `cv2.dilate`."""
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * max(1, round(radius)) + 1,) * 2)


def _fine(points: np.ndarray) -> np.ndarray:
    """`points` as OpenCV draws them at 1/16 of a pixel."""
    return np.rint(points * (1 << SHIFT)).astype(np.int32)
