"""The small typed values that pass from stage to stage. RGB everywhere; integer coordinates are
pixel centres.

Pixels are uint8, or "deep": uint16 that is 256 times as much, so that 8 bits and the part of a
level beyond them fit. Only `Frame.full` and `Frame.rgba` have uint16 up to 65535.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import cv2
import numpy as np

MOST_DEEP = 65407  # deep level that still rounds to 255


@dataclass(frozen=True)
class Frame:
    """One picture of a source."""

    index: int  # from 0, in presentation order; people see it counted from 1
    image: np.ndarray  # (H, W, 3) uint8 RGB
    name: str = ""  # file name of a picture; "" in a video
    time: float | None = None  # presentation time in seconds; None for a picture

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.image.shape[1], self.image.shape[0]

    @property
    def is_on_white(self) -> bool:
        """Whether `image` shows what is transparent on white."""
        return self.rgba is not None

    @property
    def is_deep(self) -> bool:
        """Whether there is more than the 8 bits that `image` shows."""
        return False

    @cached_property
    def full(self) -> np.ndarray:
        """(H, W, 3) RGB as precise as the file has it: uint8, or uint16 up to 65535 where that is
        kept.
        """
        return self.image

    def part(self, rows: slice, columns: slice, deep: bool = False) -> np.ndarray:
        """These rows and columns, (H, W, 3) RGB: uint8, or deep uint16 if `deep`. Not to be
        changed.
        """
        part = self.image[rows, columns]
        return part * np.uint16(256) if deep else part

    @property
    def rgba(self) -> np.ndarray | None:
        """(H, W, 4) RGB and alpha, uint8 or uint16 up to 65535. Not to be changed.

        Of a picture that is transparent somewhere, of which `image` shows what is seen on white;
        or, in video with alpha, the colours as they are. None of all others.
        """
        return None

    def samples(self) -> Samples | None:
        """The frame as it was coded, where that is known and faces can be cut out of it."""
        return None

    def forget(self, most: int = 0) -> None:
        """Drops what was calculated to be asked for again, if it takes more than `most` bytes."""

    def with_patches(self, patches: Sequence[Patch], deep: bool = False) -> np.ndarray:
        """(H, W, 3) RGB of the type that `part` has: the picture with `patches` in it. Not to be
        changed.
        """
        width, height = self.size
        whole = self.part(slice(0, height), slice(0, width), True) if deep else self.image
        if not patches:
            return whole
        image = whole.copy()
        for patch in patches:
            image[patch.rows, patch.columns] = as_deep(patch.pixels) if deep else as_bytes(
                patch.pixels)
        return image


def with_alpha(frame: Frame, image: np.ndarray) -> np.ndarray:
    """`image`, which takes the place of `frame`, with the frame's transparency: (H, W, 4) of its
    type.

    `image` (H, W, 3) RGB, uint8, or uint16 up to 65535. Where nothing changed, values are the
    frame's own.
    """
    rgba, before, top = frame.rgba, frame.image, np.iinfo(image.dtype).max
    assert rgba is not None, "only a frame with transparency has any to give"
    # A video with alpha, whose colours are as they are
    if image.dtype == np.uint16 and rgba.dtype == np.uint8:
        return np.dstack([image, rgba[..., 3].astype(np.uint16) * 257])
    if image.dtype == np.uint16:
        before = frame.full
    rgba = rgba.copy() if rgba.dtype == image.dtype else (rgba // 257).astype(np.uint8)
    changed = (image != before).any(2) & (rgba[..., 3] > 0)
    alpha = rgba[changed, 3:].astype(np.float32) / top
    colors = image[changed].astype(np.float32)
    if frame.is_on_white:
        colors = (colors - top * (1 - alpha)) / alpha
    rgba[changed, :3] = np.rint(np.clip(colors, 0, top)).astype(rgba.dtype)
    return rgba


def on_white(rgba: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: what is seen of (H, W, 4) uint8 before white."""
    alpha = rgba[..., 3:].astype(np.uint16)
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


@dataclass(frozen=True)
class Samples:
    """A picture as it is coded: brightness, and two planes of colour that may be coarser."""

    planes: Sequence[np.ndarray]  # (H, W), (h, w), (h, w) uint8 or uint16
    spacing: tuple[int, int]  # pixels from one sample of colour to the next, across and down
    first: tuple[float, float]  # pixel (x, y) at which the first of them lies
    rgb: np.ndarray  # (3, 4) float32: red, green and blue in levels from 0 to 255 of (Y, U, V, 1)


def as_deep(pixels: np.ndarray) -> np.ndarray:
    """uint8 or deep uint16, as deep uint16."""
    return pixels if pixels.dtype == np.uint16 else pixels * np.uint16(256)


def as_bytes(pixels: np.ndarray) -> np.ndarray:
    """uint8 or deep uint16, as uint8."""
    return pixels if pixels.dtype == np.uint8 else (np.minimum(pixels, MOST_DEEP)
                                                    + 128 >> 8).astype(np.uint8)


@dataclass(frozen=True)
class Patch:
    """What is to be seen at some rows and columns of a frame."""

    rows: slice
    columns: slice
    pixels: np.ndarray  # (H, W, 3) RGB: uint8 or deep uint16
    before: np.ndarray  # what was there, likewise
    face: np.ndarray  # the face alone, likewise
    mask: np.ndarray  # (H, W) float32 in [0, 1]: how much of the face is seen
    # Where it is asked for: the face before it was set into the frame, (h, w, 4) uint8 RGB
    # and mask, and the matrix (2, 3) that carries its pixels to those of the frame
    aligned: tuple[np.ndarray, np.ndarray] | None = None


@dataclass(frozen=True)
class Detection:
    """One face found in a frame."""

    # (4,) float32 left, top, right, bottom in frame pixels; a square from brows to chin, as
    # dlib's detector draws it
    box: np.ndarray
    score: float  # 0 to 1


@dataclass(frozen=True)
class Shape:
    """What some aligners tell of a face besides its landmarks."""

    score: float  # 0 to 1: how surely the landmarks are a face's
    # (3,) float32 degrees: turned to the picture's right, turned up, tilted clockwise
    pose: np.ndarray
    depth: np.ndarray  # (68,) float32 of the landmarks, in frame pixels, larger is farther away
    # (2, 3) float32 x, y and radius in frame pixels of the person's right and left iris
    irises: np.ndarray


class Eyes(NamedTuple):
    """The eyes of a face in a picture."""

    landmarks: np.ndarray  # (68, 2) x, y in pixels, of which those of the eyes count
    irises: np.ndarray  # (2, 3) x, y and radius in pixels of the person's right and left iris


class Alignment(NamedTuple):
    """What an aligner finds of a face."""

    landmarks: np.ndarray  # (68, 2) float32 x, y in frame pixels, 300-W order
    shape: Shape | None = None


@dataclass(frozen=True)
class Face:
    """A detection with its landmarks, and what is known of it from the alignments of its source."""

    detection: Detection
    landmarks: np.ndarray  # (68, 2) float32 x, y in frame pixels, 300-W order
    frame: int | None = None  # index of its frame, from 0; None outside of a source
    number: int = 0  # within its frame, best score first
    # The same in all frames in which the face is followed; None where it is not
    track: int | None = None
    person: int | None = None  # whose face it is, from 1; None where people were not told apart
    left_out: bool = False  # is not to be swapped, but may stand in front of one that is
    shape: Shape | None = None  # None where its aligner tells the landmarks alone


@dataclass(frozen=True)
class AlignedFace:
    """A square crop of a frame in which the face stands upright at a fixed place."""

    face: Face
    image: np.ndarray  # (S, S, 3) uint8 RGB
    matrix: np.ndarray  # (2, 3) float64, frame pixels -> crop pixels
    # How much of the head it shows: a key of `geometry.COVERAGES`; None: another cut
    coverage: str | None = None
    nearer: tuple[Face, ...] = ()  # faces of the frame that may cover a part of this one


class Place(NamedTuple):
    """A part of a crop that is `size` pixels wide and high."""

    rows: slice
    columns: slice
    size: int

    def of(self, grid: np.ndarray) -> np.ndarray:
        """The part of `grid` (G, G, C) float32, spread over the whole crop, that lies here: (H, W,
        C).

        Values are linear between the places of the grid.
        """
        scale = len(grid) / self.size
        matrix = np.array([[scale, 0, (self.columns.start + 0.5) * scale - 0.5],
                           [0, scale, (self.rows.start + 0.5) * scale - 0.5]])
        size = self.columns.stop - self.columns.start, self.rows.stop - self.rows.start
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(grid, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)


class Fit(NamedTuple):
    """How a swapped face has to change to suit its frame. None: not known, or not needed."""

    colors: np.ndarray | None = None  # as `Color.measure` returns it
    joint: np.ndarray | None = None  # as `Blender.measure` returns it
    # (L, L, 3) logarithm of the factor of its colours, over the crop
    light: np.ndarray | None = None
    # (2,) pixels of the frame, x and y, that the face moves a frame
    motion: np.ndarray | None = None
    tint: np.ndarray | None = None  # as `lib.swapping.tint` measures it


class Light(Protocol):
    """The light of a frame on a face."""

    def gain(self, face: np.ndarray) -> np.ndarray:
        """(L, L, 3) float32: logarithm of the factor of the colours of `face` (S, S, 3) float32 RGB
        in [0, 1].
        """


class Gaze(NamedTuple):
    """Where a swapped face looks, and where it is to look."""

    wanted: np.ndarray  # (2, 2) gaze of the original's eyes, as `lib.faces.gaze` has it
    known: np.ndarray  # (2,) from 0 to 1: how surely that can be told
    drawn: Eyes  # in pixels of the swapped picture
    movable: np.ndarray  # (2,) from 0 to 1: how far each of the drawn irises may be moved


@dataclass(frozen=True)
class SwappedFace:
    """What the model made of an aligned face."""

    aligned: AlignedFace
    image: np.ndarray  # (S, S, 3) float32 RGB in [0, 1]
    mask: np.ndarray  # (S, S, 1) float32 in [0, 1], 1 = replace
    fit: Fit | None = None  # None: not measured yet
    role: int = 0  # which of several models drew it
    light: Light | None = None  # that of its frame, where that is to be given to it
    # (S, S) float32 in [0, 1]: what stays in front of it, such as hair
    front: np.ndarray | None = None
    gaze: Gaze | None = None  # None: its irises stay where they are drawn
    # The same face in frames around this one, and how many frames later each is
    near: tuple[tuple[int, SwappedFace], ...] = ()


@dataclass(frozen=True)
class Shard:
    """A part of the work: the `number`-th (from 1) of `count` stretches of about one length."""

    number: int
    count: int

    def frames(self, total: int) -> tuple[int, int]:
        """First of `total` frames, and the one after the last."""
        return total * (self.number - 1) // self.count, total * self.number // self.count
