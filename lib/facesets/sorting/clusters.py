"""Clusters of points: people, clusters of any kind, and a chain from neighbour to neighbour."""

from __future__ import annotations

import numpy as np

from lib.sampling import evenly

# Points whose distances are all compared: memory grows with the square of their number
SAMPLE = 2000


def cluster_people(embeddings: np.ndarray, same_distance: float) -> list[np.ndarray]:
    """Indices of each person's faces, the most frequent person first, the most typical face first.

    `embeddings` (N, D); faces of two people differ by more than `same_distance` on average.
    """
    people, rest = [], np.arange(len(embeddings))
    # A sample holds everybody who is frequent; faces that resemble none of them are sampled again
    while rest.size:
        labels, means, distances = _cluster_sample(embeddings[rest], "average", same_distance,
                                                   "distance")
        known = (labels >= 0) | (distances.min(1) < same_distance)
        nearest = np.where(labels >= 0, labels, distances.argmin(1))
        for person in range(len(means)):
            members = np.flatnonzero(known & (nearest == person))
            order = np.argsort(distances[members, person], kind="stable")
            people.append(rest[members[order]])
        rest = rest[~known]
    return sorted(people, key=len, reverse=True)


def clusters(points: np.ndarray, count: int) -> list[np.ndarray]:
    """Indices, in order, of up to `count` clusters of `points` (N, D), the largest first.

    "Hierarchical Grouping to Optimize an Objective Function", Journal of the American Statistical
    Association, 1963.
    """
    labels, means, distances = _cluster_sample(points, "ward", count, "maxclust")
    labels = np.where(labels >= 0, labels, distances.argmin(1))
    return sorted((np.flatnonzero(labels == label) for label in range(len(means))), key=len,
                  reverse=True)


def chain(points: np.ndarray) -> list[int]:
    """Indices of `points` (N, D), each followed by the nearest of the rest, from the most unusual
    on."""
    lengths = np.square(points).sum(1)
    place = int(np.square(points - points.mean(0)).sum(1).argmax())
    remaining = np.ones(len(points), bool)
    order = []
    for _ in points:
        order.append(place)
        remaining[place] = False
        distances = lengths - 2 * points @ points[place]
        place = int(np.where(remaining, distances, np.inf).argmin())
    return order


def _cluster_sample(points: np.ndarray, method: str, bound: float, criterion: str
                    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clusters of up to SAMPLE of `points` (N, D): labels (N,), -1 where not sampled; means (K, D);
    distances (N, K) of all points to them."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import cdist

    chosen = evenly(range(len(points)), SAMPLE)
    sample = points[chosen]
    sample_labels = np.zeros(1, int)
    if len(sample) > 1:
        sample_labels = fcluster(linkage(sample, method), bound, criterion) - 1
    means = np.stack([sample[sample_labels == label].mean(0)
                      for label in range(sample_labels.max() + 1)])
    labels = np.full(len(points), -1)
    labels[chosen] = sample_labels
    return labels, means, cdist(points, means)
