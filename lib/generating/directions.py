"""Directions of W along which faces change, found without labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Directions(NamedTuple):
    """Principal components of w, strongest first."""

    vectors: np.ndarray  # (D, D) float32: unit vectors, one a row
    deviations: np.ndarray  # (D,) float32: standard deviation of w along each

    @property
    def shares(self) -> np.ndarray:
        """(D,): share of the variance of w along each."""
        return self.deviations ** 2 / (self.deviations ** 2).sum()


def principal_directions(samples: np.ndarray) -> Directions:
    """The principal components of `samples` (N, D) of w; the largest element of each is positive.

    "GANSpace: Discovering Interpretable GAN Controls", NeurIPS, 2020.
    """
    centred = np.float64(samples) - samples.mean(0)
    values, vectors = np.linalg.eigh(centred.T @ centred / (len(samples) - 1))
    vectors = vectors.T[::-1]
    largest = vectors[np.arange(len(vectors)), np.abs(vectors).argmax(1)]
    return Directions(np.float32(vectors * np.sign(largest)[:, None]),
                      np.float32(np.sqrt(np.maximum(values[::-1], 0))))


def edit_styles(styles: np.ndarray, directions: Directions, number: int, deviations: float,
                layers: slice) -> np.ndarray:
    """`styles` (..., L, D), those of `layers` moved along direction `number` by `deviations`."""
    styles = styles.copy()
    step = directions.deviations[number] * directions.vectors[number]
    styles[..., layers, :] += deviations * step
    return styles
