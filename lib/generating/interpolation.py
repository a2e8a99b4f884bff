"""A walk through W, as footage."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from lib.generating.generator import Generator
from lib.media.base import FrameSource
from lib.types import Frame


def loop(points: np.ndarray, count: int) -> np.ndarray:
    """(count, D): a smooth closed curve through `points` (N, D) at even times, from the first on.

    Each piece is a cubic; its slope at a point is that between the point's neighbours.
    "A Class of Local Interpolating Splines", Computer Aided Geometric Design, 1974.
    """
    time = np.arange(count) * len(points) / count
    piece, t = time.astype(int), (time % 1)[:, None]
    before, start, end, after = (points[(piece + shift) % len(points)] for shift in (-1, 0, 1, 2))
    start_slope, end_slope = (end - before) / 2, (after - start) / 2
    return ((2 * t ** 3 - 3 * t ** 2 + 1) * start + (t ** 3 - 2 * t ** 2 + t) * start_slope
            + (3 * t ** 2 - 2 * t ** 3) * end + (t ** 3 - t ** 2) * end_slope)


class Walk(FrameSource):
    """A video of the faces of `styles` (N, L, latent), one a frame."""

    def __init__(self, generator: Generator, styles: np.ndarray, rate: float):
        self.path = Path(generator.name)
        self.size = (generator.size, generator.size)
        self.rate = Fraction(rate).limit_denominator(1001)
        self.count = len(styles)
        self._generator, self._styles = generator, styles

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        images = (image for batch in self._generator.batches(self._styles[start:stop])
                  for image in batch)
        for index, image in enumerate(images, start):
            yield Frame(index, image, time=float(index / self.rate))
