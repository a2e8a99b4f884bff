"""Sets a swapped face back into its frame: crop, mask, colour, blend, paste, on the face's region
alone.

A face is cropped once, at a whole multiple of the network's size that is at least `MASK_SIZE` and
what the network draws. The network gets it averaged down; masks are made on it, so that their edge
is as fine for a network of 64 pixels as for one of 256.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from lib.faces import geometry
from lib.faces.geometry import COVERAGES, DEFAULT_COVERAGE, INNER
from lib.faces.masks import eroded, extended, feathered, hull, inner_skin, trimmed
from lib.plugin import Blender, Color, Masker
from lib.swapping import detail, tint
from lib.swapping.gaze import look
from lib.swapping.steady import average_front, average_mask, reduce_flicker
from lib.types import AlignedFace, Face, Fit, Frame, Patch, Place, SwappedFace

MEASURED = 128  # pixels: side of what larger crops are averaged down to, to be measured
MASK_SIZE = 256  # least side, pixels, of the crop on which masks are made
# Of the face's size, by which the predicted mask is grown; less left dark ends of the old brows
# beside the new
BROW_MARGIN = 0.08
LEAST_VISIBLE = 1 / 512  # a mask below this changes no 8-bit pixel
SEEN = 0.3  # a mask that is nowhere above this shows next to nothing of the new face
LEAST_UNCOVERED = 0.2  # of the skin: of less, no colours are measured
DARK = 0.03  # is added to brightness before logarithms are taken
# Pixels more around what is changed, from and to even ones: a video's colours are those of pixels
# nearby
EDGE = 4


def crop_face(frame: Frame, face: Face, size: int, coverage: str = DEFAULT_COVERAGE,
              drawn: int = 0) -> AlignedFace:
    """`face` of `frame`, cropped for a network that sees `size` pixels and draws `drawn` pixels,
    and for the masks.

    Raises ValueError where the landmarks make no face.
    """
    if not np.isfinite(face.landmarks).all():
        raise ValueError("its landmarks are not numbers")
    return geometry.crop_frame(frame, face, size * -(-max(MASK_SIZE, drawn) // size), coverage)


def network_input(aligned: AlignedFace, size: int) -> np.ndarray:
    """(size, size, 3) float32 RGB in [0, 1]."""
    small = cv2.resize(aligned.image, (size, size), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) * np.float32(1 / 255)


class Canvas:
    """A frame and what was set into it so far."""

    def __init__(self, frame: Frame, deep: bool = False, aligned: bool = False):
        """`deep`: in 16 bits a channel, not 8; `aligned`: patches hold the faces as they were
        before they were set in."""
        self.frame, self.deep, self.aligned = frame, deep, aligned
        self.patches: list[Patch] = []

    def part(self, rows: slice, columns: slice) -> np.ndarray:
        """(H, W, 3) RGB, uint8 or uint16, as it is now."""
        part = self.frame.part(rows, columns, self.deep)
        for patch in self.patches:
            top, bottom = _overlap(rows, patch.rows)
            left, right = _overlap(columns, patch.columns)
            if top >= bottom or left >= right:
                continue
            pixels = patch.pixels[_relative(top, bottom, patch.rows),
                                  _relative(left, right, patch.columns)]
            part = part.copy()
            part[_relative(top, bottom, rows), _relative(left, right, columns)] = pixels
        return part


@dataclass(frozen=True)
class Compositor:
    """How faces are set into frames. The pixels of a frame where the mask is 0 stay exactly as they
    were.

    `maskers` are multiplied with each other, and with the mask that the model predicted where
    `predicted` is set. `erosion` moves the mask's edge inwards, `sides` add to it at the top,
    right, bottom and left of the face, and `feather` is the width of its ramp, which lies inside
    the edge; all are shares of the face's size (the unit square of the mean face: outer brow to
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
    # The sharpness, motion blur and noise of the frame (lib/swapping/detail.py)
    match_detail: bool = True
    sharpness: float = 0.0  # times that fine detail is added
    scale: float = 1.0  # size of the new face, of the old one's
    steadiness: float = 0.0  # how far the drawn face is filtered along its motion, up to 1

    def paste(self, canvas: Canvas, swapped: SwappedFace) -> bool:
        """Sets `swapped` into `canvas`; False where next to nothing of it is visible.

        `swapped.aligned` comes from `crop_face`; `swapped.image` and `swapped.mask` are as large as
        the network draws. Raises ValueError if the network's answer is not made of numbers.
        """
        if not (np.isfinite(swapped.image).all() and np.isfinite(swapped.mask).all()):
            raise ValueError("the model's answer is not made of numbers")
        # where it goes
        swapped = self._steadied(swapped)
        swapped = replace(swapped, image=look(swapped))
        mask = self.mask(swapped)
        matrix = self._placed(swapped.aligned)
        rows, columns = _region(mask, matrix, canvas.frame.size)
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return False

        # in the crop: colours, light and sharpness
        face, place = self._fitted(swapped, mask)
        part_matrix = _matrix_of_part(matrix, place, len(mask))
        aligned = (_with_mask(face, mask, place),
                   geometry.invert(part_matrix)) if canvas.aligned else None

        # in the frame: motion blur, noise and blending
        face = _into_region(face, part_matrix, rows, columns, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
        mask = _into_region(mask, matrix, rows, columns, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
        before = canvas.part(rows, columns)
        if self.match_detail:
            motion = swapped.fit.motion if swapped.fit else None
            face = _as_filmed(face, before, mask > 0.5, motion, canvas.frame.index)
        face = _as_pixels(face, canvas.deep)
        blended = self.blender.blend(before, face, mask[..., None])
        canvas.patches.append(Patch(rows, columns, blended, before, face, mask, aligned))
        return bool(mask.max() > SEEN)

    def _steadied(self, swapped: SwappedFace) -> SwappedFace:
        """`swapped` with what the frames around say of its masks and, with `steadiness`, of its
        picture."""
        if not swapped.near:
            return swapped
        return replace(
            swapped,
            mask=average_mask(swapped) if self.predicted else swapped.mask,
            front=None if swapped.front is None else average_front(swapped),
            image=reduce_flicker(swapped, self.steadiness) if self.steadiness else swapped.image)

    def _fitted(self, swapped: SwappedFace, mask: np.ndarray) -> tuple[np.ndarray, Place]:
        """(H, W, 3) float32 RGB in [0, 1]: what `mask` (S, S) shows of the new face, in colours and
        sharpness that suit the frame; and what part of the crop that is."""
        # the part that shows, at the size of the mask or, if detail is not matched, of the drawing
        drawn = len(swapped.image)
        size = len(mask) if self.match_detail else drawn
        place = _shown(mask, size)
        if drawn == size:
            face, at = swapped.image[place.rows, place.columns], place
        else:
            face, at = swapped.image, Place(slice(0, drawn), slice(0, drawn), drawn)
        # its colours
        face = self._toned(np.clip(face, 0, 1), swapped.fit or self.fit(swapped), at)
        # its detail
        if at != place:
            face = cv2.resize(face, (size, size),
                              interpolation=cv2.INTER_CUBIC)[place.rows, place.columns]
            face = np.clip(face, 0, 1)
        if self.match_detail:
            original = swapped.aligned.image[place.rows, place.columns]
            face = detail.match_sharpness(face, original, mask[place.rows, place.columns] > 0.5)
        if self.sharpness:
            face = detail.sharpen(face, self.sharpness)
        return face, place

    def _toned(self, face: np.ndarray, fit: Fit, place: Place) -> np.ndarray:
        """`face` (H, W, 3) float32 RGB in [0, 1], which lies at `place`, in colours and light as
        `fit` has them."""
        if fit.colors is not None:
            face = self.color.recolor(face, fit.colors, place)
        if fit.light is not None:
            face = relight(face, place.of(fit.light))
        if fit.tint is not None:
            face = tint.apply(face, fit.tint)
        if fit.joint is not None:
            face = face + place.of(fit.joint)
        return face

    def mask(self, swapped: SwappedFace) -> np.ndarray:
        """(S, S) float32 in [0, 1] on the crop `swapped.aligned`: what the maskers say, eroded and
        feathered, without what is in front of the face."""
        size = swapped.aligned.image.shape[0]
        mask = np.ones((size, size), np.float32)
        if self.predicted:
            mask = cv2.resize(self._predicted(swapped), (size, size),
                              interpolation=cv2.INTER_LINEAR)
        covers = np.ones_like(mask)
        for masker in self.maskers:
            factor = masker.mask(swapped.aligned)[..., 0]
            if masker.tells_covers:
                covers = covers * factor
            else:
                mask = mask * factor
        if swapped.front is not None:
            mask = mask * (1 - cv2.resize(swapped.front, (size, size),
                                          interpolation=cv2.INTER_LINEAR))
        if swapped.aligned.nearer:
            mask = mask * (1 - covered(swapped.aligned.nearer, self._placed(swapped.aligned), size))
        unit = size / COVERAGES[self.coverage][0]
        mask = trimmed(eroded(mask, self.erosion * unit), [side * unit for side in self.sides])
        return feathered(mask, self.feather * unit) * covers

    def _placed(self, aligned: AlignedFace) -> np.ndarray:
        """(2, 3) frame pixels -> pixels of the crop that is drawn there, scaled about the middle of
        the inner face."""
        middle = geometry.transform_points(aligned.face.landmarks[INNER], aligned.matrix).mean(0)
        matrix = aligned.matrix / self.scale
        matrix[:, 2] += middle * (1 - 1 / self.scale)
        return matrix

    def _predicted(self, swapped: SwappedFace) -> np.ndarray:
        """(S, S): the model's mask without faint values. It has the new face's outline, whose brows
        may end before the old ones."""
        clear = np.clip(2 * swapped.mask[..., 0] - 0.5, 0, 1)
        return eroded(clear, -BROW_MARGIN * clear.shape[0] / COVERAGES[self.coverage][0])

    def _uncovered(self, aligned: AlignedFace, skin: np.ndarray,
                   inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`skin` and `inside` (S, S, 1) without what is in front of the face, unless next to no
        skin were left."""
        for masker in self.maskers:
            if masker.tells_covers:
                seen = cv2.resize(masker.mask(aligned), skin.shape[:2],
                                  interpolation=cv2.INTER_AREA)[..., None]
                if (skin * seen).sum() >= LEAST_UNCOVERED * skin.sum():
                    skin, inside = skin * seen, inside * seen
        return skin, inside

    def fit(self, swapped: SwappedFace) -> Fit:
        """How `swapped` has to change to suit its frame."""
        # both faces, small, and where their skin is
        size = min(swapped.image.shape[0], MEASURED)
        matrix = geometry.upsampled(swapped.aligned.matrix, size / swapped.aligned.image.shape[0])
        points = geometry.transform_points(swapped.aligned.face.landmarks, matrix)
        skin, inside = inner_skin(points, size), hull(points, size)
        if swapped.aligned.nearer:
            visible = 1 - covered(swapped.aligned.nearer, matrix, size)[..., None]
            skin, inside = skin * visible, inside * visible
        skin, inside = self._uncovered(swapped.aligned, skin, inside)
        original = network_input(swapped.aligned, size)
        face = np.clip(cv2.resize(swapped.image, (size, size), interpolation=cv2.INTER_AREA), 0, 1)
        # each step is measured on what the one before it made
        colors = _finite(self.color.measure(face, original, skin))
        if colors is not None:
            face = self.color.recolor(face, colors, Place(slice(0, size), slice(0, size), size))
        light = None
        if swapped.light is not None:
            light = swapped.light.gain(face)
            face = relight(face, cv2.resize(light, (size, size), interpolation=cv2.INTER_LINEAR))
        tone = _finite(tint.measure(face, original, inside[..., 0]))
        if not self.blender.measures:
            return Fit(colors, light=light, tint=tone)
        if tone is not None:
            face = tint.apply(face, tone)
        mask = cv2.resize(self.mask(swapped), (size, size), interpolation=cv2.INTER_AREA)
        return Fit(colors, _finite(self.blender.measure(face, original, mask[..., None])), light,
                   tint=tone)


def covered(faces: Sequence[Face], matrix: np.ndarray, size: int) -> np.ndarray:
    """(size, size) float32 in [0, 1]: where `faces`, foreheads included, lie in the crop that
    `matrix` makes of the frame."""
    masks = [extended(geometry.transform_points(face.landmarks, matrix), size)[..., 0]
             for face in faces]
    return np.maximum.reduce(masks)


def relight(face: np.ndarray, light: np.ndarray) -> np.ndarray:
    """`face` (H, W, 3) float32 RGB brighter by the factor whose logarithm `light` (H, W, 3) is."""
    return (face + DARK) * np.exp(light) - DARK


def _finite(measured: np.ndarray | None) -> np.ndarray | None:
    return measured if measured is not None and np.isfinite(measured).all() else None


def _overlap(first: slice, second: slice) -> tuple[int, int]:
    return max(first.start, second.start), min(first.stop, second.stop)


def _relative(start: int, stop: int, to: slice) -> slice:
    return slice(start - to.start, stop - to.start)


def _shown(mask: np.ndarray, size: int) -> Place:
    """What `mask` (M, M) shows of a crop of `size` pixels, and a margin around it."""
    left, top, width, height = cv2.boundingRect((mask > LEAST_VISIBLE).astype(np.uint8))

    def span(start: int, length: int) -> slice:
        first, last = start * size // len(mask), -(-(start + length) * size // len(mask))
        return slice(max(0, first - detail.MARGIN), min(size, last + detail.MARGIN))

    return Place(span(top, height), span(left, width), size)


def _as_pixels(face: np.ndarray, deep: bool) -> np.ndarray:
    """`face` (H, W, 3) float32 in [0, 1] as uint8, or as uint16 of 256 times as much."""
    if deep:
        return np.rint(np.clip(face, 0, 1) * np.float32(255 * 256)).astype(np.uint16)
    return cv2.convertScaleAbs(np.maximum(face, 0), alpha=255)


def _region(mask: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a frame of `size` (width, height) that `mask` (M, M), on the crop made by
    `matrix`, can change."""
    left, top, width, height = cv2.boundingRect((mask > LEAST_VISIBLE).astype(np.uint8))
    corners = np.array([(x, y) for x in (left - 1, left + width) for y in (top - 1, top + height)],
                       np.float64)
    corners = geometry.transform_points(corners, geometry.invert(matrix))
    first = (np.floor(corners.min(0)).astype(int) - EDGE) // 2 * 2
    last = -(-(np.ceil(corners.max(0)).astype(int) + 1 + EDGE) // 2) * 2
    (left, top), (right, bottom) = first.tolist(), last.tolist()
    return slice(max(top, 0), min(bottom, size[1])), slice(max(left, 0), min(right, size[0]))


def _as_filmed(face: np.ndarray, original: np.ndarray, inside: np.ndarray,
               motion: np.ndarray | None, seed: int) -> np.ndarray:
    """`face` with the motion blur and the noise of `original`, both (H, W, 3) at the frame's size:
    see `detail`."""
    if motion is not None:
        face = detail.add_motion_blur(face, original, inside, motion)
    return detail.add_noise(face, original, inside, seed)


def _with_mask(face: np.ndarray, mask: np.ndarray, place: Place) -> np.ndarray:
    """(H, W, 4) uint8: `face` (H, W, 3) float32, which lies at `place`, and what `mask` (M, M) is
    there."""
    mask = cv2.resize(mask, (place.size, place.size),
                      interpolation=cv2.INTER_LINEAR)[place.rows, place.columns]
    return cv2.convertScaleAbs(np.dstack([face, mask]), alpha=255)


def _matrix_of_part(matrix: np.ndarray, place: Place, size: int) -> np.ndarray:
    """`matrix` (2, 3), frame pixels -> pixels of a crop of `size`, as that of `place`, a part of it
    drawn at another size."""
    matrix = geometry.upsampled(matrix, place.size / size)
    matrix[:, 2] -= place.columns.start, place.rows.start
    return matrix


def _into_region(crop: np.ndarray, matrix: np.ndarray, rows: slice, columns: slice,
                 interpolation: int, border: int) -> np.ndarray:
    """`crop`, made by `matrix`, as it lies over these rows and columns of the frame; `border` is
    OpenCV's word for what lies beyond the crop."""
    factor = int(geometry.scale_of(matrix))
    # The frame's face is smaller than the crop: average first, since warpAffine would alias
    if factor > 1:
        height, width = (-(-side // factor) for side in crop.shape[:2])
        below, beside = height * factor - crop.shape[0], width * factor - crop.shape[1]
        crop = cv2.copyMakeBorder(crop, 0, below, 0, beside, border)
        crop = cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA)
        matrix = geometry.upsampled(matrix, 1 / factor)
    elif interpolation == cv2.INTER_CUBIC and geometry.scale_of(matrix) < 1:
        # cubic, then linear: half the time
        crop = cv2.resize(crop, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        matrix, interpolation = geometry.upsampled(matrix, 2), cv2.INTER_LINEAR
    matrix = matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ (columns.start, rows.start)
    return cv2.warpAffine(crop, matrix, (columns.stop - columns.start, rows.stop - rows.start),
                          flags=interpolation | cv2.WARP_INVERSE_MAP, borderMode=border)
