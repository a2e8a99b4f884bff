"""What the color plugins share: skin looked at, and maps of colours.

A plugin measures on each face how its colours have to change, and recolours with it; between the
two, what was measured is steadied over the frames of a face's track. So it is told in numbers whose
mean over neighbouring frames is as good: shifts, matrices, curves, cubes.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

MEASURED = 128  # pixels: side of what larger crops are averaged down to, to be measured
BROAD = 64  # the same for what means and spreads alone are taken of, which are as good there
# Share of the crop below which statistics mean nothing: a face turned away or cut by the frame
LEAST_SKIN = 0.002
QUANTILES = np.linspace(0, 1, 33)
NODES = 9  # of a cube along each axis
NEAR = 0.06  # sigma of how near colours have to be to a node to move it, of the full range
SAMPLES = 1000  # colours of a face that are looked at


def has_skin(mask: np.ndarray) -> bool:
    """Whether `mask` (S, S, 1) shows enough skin to measure anything."""
    return bool(mask.sum() >= LEAST_SKIN * mask.size)


def average_down(mask: np.ndarray, *pictures: np.ndarray, most: int = BROAD) -> list[np.ndarray]:
    """`mask` (S, S, 1) and `pictures` (S, S, 3), these where it is set, averaged down to at most
    `most` pixels; the mask as (S, S)."""
    size = mask.shape[0]
    if size <= most:
        return [mask[..., 0], *pictures]
    small, *weighted = (cv2.resize(picture, (most, most), interpolation=cv2.INTER_AREA)
                        for picture in (mask[..., 0], *(picture * mask for picture in pictures)))
    return [small, *(picture / np.maximum(small, 1e-6)[..., None] for picture in weighted)]


def skin_colors(mask: np.ndarray, *pictures: np.ndarray) -> list[np.ndarray]:
    """(N, 3) float32 of each of `pictures`: the colours where `mask` (S, S, 1) is set."""
    small, *pictures = average_down(mask, *pictures, most=MEASURED)
    inside = small > 0.5 if (small > 0.5).any() else small > 0
    return [picture[inside] for picture in pictures]


def statistics(picture: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, (3,) float32 each, of the pixels of `picture` (S, S, 3) weighted
    by `mask` (S, S)."""
    inside = mask > 0
    pixels, weights = picture[inside], mask[inside]
    weights = weights / weights.sum()
    mean = weights @ pixels
    return mean, np.sqrt(weights @ (pixels - mean) ** 2)


def transport(own: np.ndarray, target: np.ndarray, steps: Iterable[np.ndarray]) -> np.ndarray:
    """(NODES, NODES, NODES, 3) float32: how colours on a grid of RGB move when those of `own`
    (N, 3) are carried to `target` (M, 3).

    Each of `steps` is (K, 3, 3), K sets of three axes at right angles: along every axis the
    distribution of the one is laid on that of the other, and the colours move by the mean of the K
    ways. A node moves as the colours near it do: so neighbouring colours stay neighbours, and grain
    is not made coarser.
    """
    own, target = (colors[::-(-len(colors) // SAMPLES)].astype(np.float64)
                   for colors in (own, target))
    colors = own.copy()
    for sets in steps:
        moved = np.zeros_like(colors)
        for axes in sets:
            places = colors @ axes.T
            quantiles, target_quantiles = _quantiles(places), _quantiles(target @ axes.T)
            shifts = [np.interp(place, _rising(before), after - before)
                      for place, before, after in zip(places.T, quantiles.T, target_quantiles.T)]
            moved += np.stack(shifts, 1) @ axes
        colors += moved / len(sets)
    nodes = grid()
    squares = (nodes ** 2).sum(1)[:, None] - 2 * nodes @ own.T + (own ** 2).sum(1)
    squares = squares.astype(np.float32)
    weights = np.exp((squares.min(1, keepdims=True) - squares) / np.float32(2 * NEAR ** 2))
    moves = (weights @ (colors - own) / weights.sum(1, keepdims=True)).astype(np.float32)
    return moves.reshape(NODES, NODES, NODES, 3)


def grid() -> np.ndarray:
    """(NODES^3, 3): the colours at a cube's nodes, red slowest."""
    steps = np.linspace(0, 1, NODES)
    return np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)


def apply_cube(cube: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """`picture` (S, S, 3) float32 RGB in [0, 1], each colour moved as `cube`
    (NODES, NODES, NODES, 3) has it, linear between its nodes."""
    places = np.clip(picture, 0, 1) * np.float32(NODES - 1)
    first = np.minimum(np.floor(places[..., 0]), np.float32(NODES - 2))
    # One below the other, green down and blue across
    sheets = np.ascontiguousarray(cube.reshape(NODES * NODES, NODES, 3), np.float32)
    down = places[..., 1] + first * np.float32(NODES)
    below, above = (cv2.remap(sheets, places[..., 2], down + offset, cv2.INTER_LINEAR,
                              borderMode=cv2.BORDER_REPLICATE)
                    for offset in (np.float32(0), np.float32(NODES)))
    part = (places[..., 0] - first)[..., None]
    return picture + below + part * (above - below)


def _quantiles(values: np.ndarray) -> np.ndarray:
    """(Q, 3): QUANTILES of (N, 3), each the value of the nearest; NumPy's own take ten times as
    long."""
    return np.sort(values, axis=0)[np.rint(QUANTILES * (len(values) - 1)).astype(int)]


def _rising(values: np.ndarray) -> np.ndarray:
    """`values` that do not fall, as ones that rise: `np.interp` wants it."""
    return values + np.arange(len(values)) * 1e-9
