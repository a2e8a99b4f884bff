"""A label in the picture itself: it says to everybody who looks that what they see is synthetic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lib.errors import UsageError
from lib.net.weights import package_file
from lib.swapping.composite import Canvas
from lib.types import Face, Frame, Patch

HEIGHT, LEAST = 0.04, 10  # of its letters: share of the frame's shorter side; pixels
WIDEST = 0.6  # share of the frame's width
MARGIN = 0.03  # from the frame's edges, of its shorter side: television screens cut off less
PLATE = 0.55  # how dark the plate behind the letters is
LONGEST = 80  # letters
# In the order in which they are preferred
CORNERS = ("bottom left", "bottom right", "top left", "top right")


class Label:
    """`text` on a dark plate, in a corner of the frame.

    Raises UsageError where the text is too long or has letters that the font (DejaVu Sans) does
    not.
    """

    def __init__(self, text: str):
        self.text = " ".join(text.split())
        if not self.text or len(self.text) > LONGEST:
            raise UsageError(f"--label takes 1 to {LONGEST} letters, such as \"AI-generated\", not "
                             f"{len(self.text)}.")
        font = _font(32)
        unknown = font.getmask("\U0010ffff")
        missing = [letter for letter in dict.fromkeys(self.text) if not letter.isspace()
                   and _same(font.getmask(letter), unknown)]
        if missing:
            raise UsageError(
                f"--label: the font has no letter {' '.join(missing)}. Write the label in Latin, "
                "Greek, Cyrillic or Arabic.")

    def corner(self, size: tuple[int, int], faces: Iterable[Face]) -> str:
        """Where in frames of `size` (width, height) it covers the fewest of `faces`."""
        boxes = [(*face.landmarks.min(0), *face.landmarks.max(0)) for face in faces]
        hidden = {}
        for corner in CORNERS:
            rows, columns = self._place(size, corner)
            hidden[corner] = sum(left < columns.stop and right > columns.start and top < rows.stop
                                 and bottom > rows.start for left, top, right, bottom in boxes)
        return min(CORNERS, key=lambda corner: hidden[corner])

    def patch(self, frame: Frame, patches: Sequence[Patch], deep: bool, corner: str) -> Patch:
        """It, as it lies over `frame` with `patches` in it; `deep`: in 16 bits where the frame has
        them."""
        rows, columns = self._place(frame.size, corner)
        deep = deep and frame.is_deep
        under = Canvas(frame, deep)
        before = under.part(rows, columns)
        under.patches = list(patches)
        shown, mask = self._drawn(frame.size)
        levels = np.float32(255 * 256 if deep else 255)
        pixels = under.part(rows, columns) * (1 - mask[..., None]) + (
            shown * levels)[..., None] * mask[..., None]
        pixels = np.rint(pixels).astype(before.dtype)
        return Patch(rows, columns, pixels, before, pixels, mask)

    def _place(self, size: tuple[int, int], corner: str) -> tuple[slice, slice]:
        """Rows and columns, from and to even ones: a video's colours are those of pixels nearby."""
        height, width = self._drawn(size)[0].shape
        margin = round(MARGIN * min(size)) // 2 * 2
        left = margin if "left" in corner else (size[0] - margin - width) // 2 * 2
        top = margin if "top" in corner else (size[1] - margin - height) // 2 * 2
        left, top = max(0, left), max(0, top)
        return slice(top, top + height), slice(left, left + width)

    def _drawn(self, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        return _drawn(self.text, size)


@lru_cache(maxsize=16)
def _drawn(text: str, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """For frames of `size`: brightness (H, W) float32 in [0, 1], and likewise how much of it is
    seen."""
    height = max(LEAST, HEIGHT * min(size))
    width = _font(height).getlength(text)
    height = height * min(1, WIDEST * size[0] / width)
    font = _font(height)
    around = height / 2
    shape = [round(size_) // 2 * 2 for size_ in (font.getlength(text) + 2 * around,
                                                 sum(font.getmetrics()) + around)]
    shape = [min(side, whole // 2 * 2) for side, whole in zip(shape, size)]
    plate, letters = Image.new("L", shape), Image.new("L", shape)
    ImageDraw.Draw(plate).rounded_rectangle((0, 0, shape[0] - 1, shape[1] - 1), around / 2,
                                            fill=round(255 * PLATE))
    ImageDraw.Draw(letters).text((shape[0] / 2, shape[1] / 2), text, font=font, fill=255,
                                 anchor="mm")
    letters, plate = (np.asarray(layer, np.float32) / 255 for layer in (letters, plate))
    mask = np.maximum(letters, plate)
    return np.divide(letters, mask, out=np.zeros_like(mask), where=mask > 0), mask


def _font(height: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(package_file("matplotlib", "mpl-data/fonts/ttf/DejaVuSans.ttf")),
                              height)


def _same(first, second) -> bool:
    return first.size == second.size and bytes(first) == bytes(second)
