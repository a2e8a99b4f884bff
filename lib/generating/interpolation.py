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
    """(count, D): a closed curve through `points` (N, D), at even times, that begins at the first.

    Each piece is a cubic whose slope at a point is that between its neighbours, so that it turns nowhere sharply.
    "A Class of Local Interpolating Splines", Computer Aided Geometric Design, 1974.
    """
    time = np.arange(count) * len(points) / count
    piece, t = time.astype(int), (time % 1)[:, None]
    before, here, there, after = (points[(piece + shift) % len(points)] for shift in (-1, 0, 1, 2))
    slope, next_slope = (there - before) / 2, (after - here) / 2
    return ((2 * t ** 3 - 3 * t ** 2 + 1) * here + (t ** 3 - 2 * t ** 2 + t) * slope
            + (3 * t ** 2 - 2 * t ** 3) * there + (t ** 3 - t ** 2) * next_slope)


class Walk(FrameSource):
    """The faces of `styles` (N, L, latent), a frame each."""

    def __init__(self, generator: Generator, styles: np.ndarray, rate: float):
        self.path = Path(generator.name)
        self.size = (generator.size, generator.size)
        self.rate = Fraction(rate).limit_denominator(1001)
        self.count = len(styles)
        self._generator, self._styles = generator, styles

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        images = (image for batch in self._generator.batches(self._styles[start:stop]) for image in batch)
        for index, image in enumerate(images, start):
            yield Frame(index, image, time=float(index / self.rate))
