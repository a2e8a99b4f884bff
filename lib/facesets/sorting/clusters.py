"""Points that lie near one another: people, clusters, and a chain from neighbour to neighbour."""

from __future__ import annotations

import numpy as np

from lib.sampling import evenly

SAMPLE = 2000  # points whose distances are all compared: memory does not grow with the square of their number


def people(embeddings: np.ndarray, apart: float) -> list[np.ndarray]:
    """Indices of each person's faces, the most frequent person first, and of a person the most typical face first.

    `embeddings` (N, D); two people are more than `apart` from each other, on average.
    """
    found, rest = [], np.arange(len(embeddings))
    while rest.size:  # an even sample shows whoever is there often; who is like none of them is looked at anew
        labels, means, distances = _sampled(embeddings[rest], "average", apart, "distance")
        known = (labels >= 0) | (distances.min(1) < apart)
        nearest = np.where(labels >= 0, labels, distances.argmin(1))
        for person in range(len(means)):
            of_person = np.flatnonzero(known & (nearest == person))
            found.append(rest[of_person[np.argsort(distances[of_person, person], kind="stable")]])
        rest = rest[~known]
    return sorted(found, key=len, reverse=True)


def clusters(points: np.ndarray, count: int) -> list[np.ndarray]:
    """Indices, in order, of up to `count` clusters of `points` (N, D), the largest first.

    "Hierarchical Grouping to Optimize an Objective Function", Journal of the American Statistical Association, 1963.
    """
    labels, means, distances = _sampled(points, "ward", count, "maxclust")
    labels = np.where(labels >= 0, labels, distances.argmin(1))
    return sorted((np.flatnonzero(labels == label) for label in range(len(means))), key=len, reverse=True)


def chain(points: np.ndarray) -> list[int]:
    """Indices of `points` (N, D) so that each is followed by the nearest of those left, from the most unusual one on."""
    lengths = np.square(points).sum(1)
    place = int(np.square(points - points.mean(0)).sum(1).argmax())
    left = np.ones(len(points), bool)
    order = []
    for _ in points:
        order.append(place)
        left[place] = False
        place = int(np.where(left, lengths - 2 * points @ points[place], np.inf).argmin())
    return order


def _sampled(points: np.ndarray, method: str, bound: float, criterion: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clusters of up to SAMPLE of `points` (N, D): label of each point, -1 where not sampled; means (K, D); distances (N, K) to them."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import cdist

    chosen = evenly(range(len(points)), SAMPLE)
    sample = points[chosen]
    of_sample = fcluster(linkage(sample, method), bound, criterion) - 1 if len(sample) > 1 else np.zeros(1, int)
    means = np.stack([sample[of_sample == label].mean(0) for label in range(of_sample.max() + 1)])
    labels = np.full(len(points), -1)
    labels[chosen] = of_sample
    return labels, means, cdist(points, means)
