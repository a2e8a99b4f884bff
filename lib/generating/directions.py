"""Directions of W along which faces change, found without labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Directions(NamedTuple):
    """Unit vectors (D, D), a row each, and how far w spreads along each, (D,), largest first."""

    vectors: np.ndarray
    deviations: np.ndarray


def principal(samples: np.ndarray) -> Directions:
    """The principal components of `samples` (N, D) of w, their signs such that the largest number of each is positive.

    "GANSpace: Discovering Interpretable GAN Controls", NeurIPS, 2020.
    """
    apart = np.float64(samples) - samples.mean(0)
    values, vectors = np.linalg.eigh(apart.T @ apart / (len(samples) - 1))
    vectors = vectors.T[::-1]
    largest = vectors[np.arange(len(vectors)), np.abs(vectors).argmax(1)]
    return Directions(np.float32(vectors * np.sign(largest)[:, None]), np.float32(np.sqrt(np.maximum(values[::-1], 0))))


def moved(styles: np.ndarray, directions: Directions, number: int, deviations: float, layers: slice) -> np.ndarray:
    """`styles` (..., L, D), those of `layers` moved along component `number` by so many `deviations`."""
    styles = styles.copy()
    styles[..., layers, :] += deviations * directions.deviations[number] * directions.vectors[number]
    return styles
