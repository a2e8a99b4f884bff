"""Distance of two sets of faces as distributions of identity embeddings: for generated faces, which
have no original.

Embeddings are (N, D) float arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIZES = 10  # numbers of faces at which the bias is measured
REPEATS = 5  # draws of each
SUBSETS, SUBSET = 50, 1000  # draws for KID; faces of each at most
FEWEST = 16  # faces of each set


@dataclass(frozen=True)
class Distribution:
    """Distances of two face sets; all are lower for more alike sets."""

    count: int  # faces of each set that were compared
    frechet: float  # biased: the fewer faces, the more too high
    frechet_unbiased: float  # extrapolated to infinitely many faces; may be a little below 0
    frechet_floor: float  # between two halves of the reference: what chance alone makes
    kid: float  # unbiased: about 0 for the same distribution
    kid_deviation: float  # over draws
    diversity: float  # mean distance between two faces of the set ...
    diversity_reference: float  # ... and of the reference


def distribution(faces: np.ndarray, reference: np.ndarray, seed: int = 0) -> Distribution:
    """Compares two sets of at least FEWEST embeddings (N, D) each; the larger one is sampled
    down.
    """
    random = np.random.default_rng(seed)
    count = min(len(faces), len(reference))
    halves = np.array_split(random.permutation(len(reference)), 2)
    return Distribution(count, frechet(_sample(faces, count, random),
                                       _sample(reference, count, random)),
                        _unbiased(faces, reference, count, random),
                        frechet(reference[halves[0]], reference[halves[1]]),
                        *kid(faces, reference, random), diversity(faces), diversity(reference))


def diversity(embeddings: np.ndarray) -> float:
    """Mean distance between any two of at least two embeddings (N, D)."""
    squares = np.square(embeddings).sum(1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * embeddings @ embeddings.T, 0))
    return float(distances[np.triu_indices(len(embeddings), 1)].mean())


def frechet(first: np.ndarray, second: np.ndarray) -> float:
    """Squared Frechet distance of the normal distributions with the means and covariances of both.

    "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", NeurIPS,
    2017 (FID), on other features.
    """
    covariances = [np.atleast_2d(np.cov(part, rowvar=False)) for part in (first, second)]
    root = _root(covariances[0])
    crossed = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ covariances[1] @ root), 0)).sum()
    means = float(np.square(first.mean(0) - second.mean(0)).sum())
    traces = float(np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * crossed)
    return max(0.0, means + traces)  # rounding may go below 0


def kid(faces: np.ndarray, reference: np.ndarray, random: np.random.Generator
        ) -> tuple[float, float]:
    """Kernel distance (squared MMD, unbiased): mean and deviation over random halves of the faces.

    The kernel is (x . y / s + 1)^3, where s is the reference's mean squared length: the paper's D
    where each feature is of size 1.
    "Demystifying MMD GANs", ICLR, 2018.
    """
    scale = float(np.square(reference).sum(1).mean())
    size = max(2, min(len(faces), len(reference), 2 * SUBSET) // 2)
    values = []
    for _ in range(SUBSETS):
        x, y = _sample(faces, size, random), _sample(reference, size, random)
        within = [((part @ part.T / scale + 1) ** 3) for part in (x, y)]
        same = sum((kernel.sum() - np.trace(kernel)) / (size * (size - 1)) for kernel in within)
        values.append(same - 2 * ((x @ y.T / scale + 1) ** 3).mean())
    return float(np.mean(values)), float(np.std(values))


def _unbiased(faces: np.ndarray, reference: np.ndarray, count: int,
              random: np.random.Generator) -> float:
    """The bias is proportional to one over the number of faces: a line through the distances at
    several numbers, extrapolated to infinitely many.

    "Effectively Unbiased FID and Inception Score and Where to Find Them", CVPR, 2020.
    """
    sizes = np.repeat(np.unique(np.linspace(count / 2, count, SIZES).astype(int)), REPEATS)
    distances = [frechet(_sample(faces, size, random), _sample(reference, size, random))
                 for size in sizes]
    return float(np.polynomial.Polynomial.fit(1 / sizes, distances, 1).convert().coef[0])


def _root(matrix: np.ndarray) -> np.ndarray:
    """Square root of a symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def _sample(rows: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    return rows[random.permutation(len(rows))[:count]].astype(np.float64)
