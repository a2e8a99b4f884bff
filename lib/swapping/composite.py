"""Sets a swapped face back into its frame: crop, mask, colour, blend, paste, on the face's region alone.

A face is cropped once, at a whole multiple of the network's size that is at least `MASK_SIZE` and what it draws: the network gets it
averaged down, the masks are made on it, so that their edge is as fine for a network of 64 pixels as for one of 256.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lib.faces import geometry
from lib.faces.geometry import COVERAGES, DEFAULT_COVERAGE, INNER
from lib.faces.masks import eroded, feathered, trimmed
from lib.plugin import Blender, Color, Masker
from lib.swapping import detail
from lib.types import AlignedFace, Face, Fit, SwappedFace

MASK_SIZE = 256  # least side, pixels, of the crop on which masks are made
BROW_MARGIN = 0.08  # of the face's size, by which the predicted mask is grown; less left dark ends of the old brows beside the new
LEAST_VISIBLE = 1 / 512  # a mask below this changes no 8-bit pixel
SEEN = 0.3  # a mask that is nowhere above this shows next to nothing of the new face
SHIFT = 4  # fractional bits of the coordinates that OpenCV draws at

# Landmarks of bare skin that hair, beard and glasses seldom cover: cheeks up to the eyes, nose; counted round.
CHEEKS_AND_NOSE = [1, 2, 3, 4, 48, 50, 52, 54, 12, 13, 14, 15, 45, 42, 27, 39, 36]
EYES_MOUTH_BROWS = [slice(36, 42), slice(42, 48), slice(48, 60), slice(17, 22), slice(22, 27)]


def crop_face(image: np.ndarray, face: Face, size: int, coverage: str = DEFAULT_COVERAGE, drawn: int = 0) -> AlignedFace:
    """`face` of `image` (H, W, 3) uint8 RGB, cropped for a network that sees `size` pixels, for the masks and what is `drawn` pixels wide.

    Raises ValueError where the landmarks make no face.
    """
    if not np.isfinite(face.landmarks).all():
        raise ValueError("its landmarks are not numbers")
    return geometry.crop(image, face, size * -(-max(MASK_SIZE, drawn) // size), coverage)


def network_input(aligned: AlignedFace, size: int) -> np.ndarray:
    """(size, size, 3) float32 RGB in [0, 1]."""
    return cv2.resize(aligned.image, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) * np.float32(1 / 255)


@dataclass(frozen=True)
class Compositor:
    """How faces are set into frames. The pixels of a frame where the mask is 0 stay exactly as they were.

    `maskers` are multiplied with each other, and with the mask that the model predicted where `predicted` is set.
    `erosion` moves the mask's edge inwards, `sides` do so besides at the top, right, bottom and left of the face, and `feather` is the
    width of its ramp, which lies inside the edge; all are shares of the face's size (the unit square of the mean face: outer brow to
    outer brow).
    """

    color: Color
    blender: Blender
    maskers: Sequence[Masker]
    predicted: bool = True
    erosion: float = 0.0
    sides: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    feather: float = 0.1
    coverage: str = DEFAULT_COVERAGE
    match_detail: bool = True  # sharpen faces until they are as sharp as the frame
    sharpness: float = 0.0  # how often fine detail is added besides
    scale: float = 1.0  # size of the new face, of the old one's

    def paste(self, image: np.ndarray, swapped: SwappedFace) -> bool:
        """Sets `swapped` into `image` (H, W, 3) uint8 RGB, in place; False where next to nothing of it is to be seen.

        `swapped.aligned` comes from `crop_face`; `swapped.image` and `swapped.mask` are as large as the network draws.
        Raises ValueError if the network's answer is not made of numbers.
        """
        if not (np.isfinite(swapped.image).all() and np.isfinite(swapped.mask).all()):
            raise ValueError("the model's answer is not made of numbers")
        mask = self.mask(swapped)
        matrix = self._placed(swapped.aligned)
        rows, columns = _region(mask, matrix, image.shape)
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return False
        fit = swapped.fit or self.fit(swapped)
        face = np.clip(swapped.image, 0, 1)
        if fit.colors is not None:
            face = self.color.recolor(face, fit.colors)
        if fit.joint is not None:
            face = face + cv2.resize(fit.joint, face.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        if self.match_detail:
            face = cv2.resize(face, mask.shape[::-1], interpolation=cv2.INTER_CUBIC) if len(face) < len(mask) else face
            left, top, width, height = cv2.boundingRect((mask > LEAST_VISIBLE).astype(np.uint8))
            seen = (slice(max(top - detail.MARGIN, 0), top + height + detail.MARGIN),
                    slice(max(left - detail.MARGIN, 0), left + width + detail.MARGIN))
            face[seen] = detail.matched(face[seen], swapped.aligned.image[seen], mask[seen] > 0.5)
        if self.sharpness:
            face = detail.sharpened(face, self.sharpness)
        scale = face.shape[0] / mask.shape[0]
        face = _into_region(face, geometry.upsampled(matrix, scale), rows, columns, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
        mask = _into_region(mask, matrix, rows, columns, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
        image[rows, columns] = self.blender.blend(image[rows, columns], np.clip(face, 0, 1, out=face), mask[..., None])
        return bool(mask.max() > SEEN)

    def mask(self, swapped: SwappedFace) -> np.ndarray:
        """(S, S) float32 in [0, 1] on the crop `swapped.aligned`: what the maskers say, eroded and feathered."""
        size = swapped.aligned.image.shape[0]
        mask = np.ones((size, size), np.float32)
        if self.predicted:
            mask = cv2.resize(self._predicted(swapped), (size, size), interpolation=cv2.INTER_LINEAR)
        for masker in self.maskers:
            mask = mask * masker.mask(swapped.aligned)[..., 0]
        unit = size / COVERAGES[self.coverage][0]
        mask = trimmed(eroded(mask, self.erosion * unit), [side * unit for side in self.sides])
        return feathered(mask, self.feather * unit)

    def _placed(self, aligned: AlignedFace) -> np.ndarray:
        """(2, 3) frame pixels -> pixels of the crop that is drawn there: larger or smaller about the middle of the inner face."""
        middle = geometry.transform_points(aligned.face.landmarks[INNER], aligned.matrix).mean(0)
        matrix = aligned.matrix / self.scale
        matrix[:, 2] += middle * (1 - 1 / self.scale)
        return matrix

    def _predicted(self, swapped: SwappedFace) -> np.ndarray:
        """(S, S): the model's mask, its haze cleared. It has the new face's outline, whose brows may end before the old ones."""
        clear = np.clip(2 * swapped.mask[..., 0] - 0.5, 0, 1)
        return eroded(clear, -BROW_MARGIN * clear.shape[0] / COVERAGES[self.coverage][0])

    def fit(self, swapped: SwappedFace) -> Fit:
        """How `swapped` has to change to suit its frame."""
        size = swapped.image.shape[0]
        matrix = geometry.upsampled(swapped.aligned.matrix, size / swapped.aligned.image.shape[0])
        skin = inner_skin(geometry.transform_points(swapped.aligned.face.landmarks, matrix), size)
        face, original = np.clip(swapped.image, 0, 1), network_input(swapped.aligned, size)
        colors = self.color.measure(face, original, skin)
        if type(self.blender).measure is Blender.measure:  # needs no more
            return Fit(_numbers(colors))
        mask = cv2.resize(self.mask(swapped), (size, size), interpolation=cv2.INTER_AREA)
        return Fit(_numbers(colors), _numbers(self.blender.measure(
            face if colors is None else self.color.recolor(face, colors), original, mask[..., None])))


def _numbers(found: np.ndarray | None) -> np.ndarray | None:
    return found if found is not None and np.isfinite(found).all() else None


def inner_skin(landmarks: np.ndarray, size: int) -> np.ndarray:
    """(size, size, 1) float32: cheeks and nose without eyes, mouth and brows; `landmarks` (68, 2) in crop pixels."""
    width = max(1, round(size / 64))
    skin = np.zeros((size, size), np.uint8)
    _fill(skin, landmarks[CHEEKS_AND_NOSE], 255)
    cv2.polylines(skin, [_fixed(landmarks[CHEEKS_AND_NOSE])], True, 0, 2 * width, cv2.LINE_8, SHIFT)  # off the jaw's edge
    for part in EYES_MOUTH_BROWS:
        _fill(skin, landmarks[part], 0)
        cv2.polylines(skin, [_fixed(landmarks[part])], True, 0, 2 * width, cv2.LINE_8, SHIFT)
    return (skin * np.float32(1 / 255))[..., None]


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.round(points * (1 << SHIFT)).astype(np.int32)


def _fill(image: np.ndarray, points: np.ndarray, value: int) -> None:
    cv2.fillPoly(image, [_fixed(points)], value, cv2.LINE_AA, SHIFT)


def _region(mask: np.ndarray, matrix: np.ndarray, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of a frame of `shape` that `mask`, on the crop made by `matrix`, can change."""
    left, top, width, height = cv2.boundingRect((mask > LEAST_VISIBLE).astype(np.uint8))
    corners = np.array([(x, y) for x in (left - 1, left + width) for y in (top - 1, top + height)], np.float64)
    corners = geometry.transform_points(corners, geometry.invert(matrix))
    (left, top), (right, bottom) = np.floor(corners.min(0)).astype(int), np.ceil(corners.max(0)).astype(int) + 1
    return slice(max(top, 0), min(bottom, shape[0])), slice(max(left, 0), min(right, shape[1]))


def _into_region(crop: np.ndarray, matrix: np.ndarray, rows: slice, columns: slice, interpolation: int, border: int) -> np.ndarray:
    """`crop`, made by `matrix`, as it lies over the given rows and columns of the frame; `border` says what lies beyond the crop."""
    factor = int(geometry.scale_of(matrix))
    if factor > 1:  # the frame's face is smaller than the crop: average first, since warpAffine would alias
        side = round(crop.shape[0] / factor)
        matrix = geometry.upsampled(matrix, side / crop.shape[0])
        crop = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    matrix = matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ (columns.start, rows.start)
    return cv2.warpAffine(crop, matrix, (columns.stop - columns.start, rows.stop - rows.start),
                          flags=interpolation | cv2.WARP_INVERSE_MAP, borderMode=border)
