"""Distances of distributions are those worked out by hand, and tell of the bias that few faces bring."""

from __future__ import annotations

import numpy as np
import pytest

from lib.evaluation.distance import distribution, diversity, frechet, kid

SPREAD = 0.1 * np.exp(-np.arange(128) / 30)  # about that of real embeddings


def drawn(count: int, seed: int, moved: float = 0.0) -> np.ndarray:
    """`count` embeddings of one distribution, its mean `moved` along the first axis."""
    return np.random.default_rng(seed).normal(0, 1, (count, 128)) * SPREAD + moved * np.eye(128)[0]


def test_the_frechet_distance_of_known_moments():
    one = np.array([(-1.0, -3.0), (1.0, 3.0), (-1.0, 3.0), (1.0, -3.0)]) * np.sqrt(3 / 4)  # variances 1 and 9
    assert frechet(one, one) == pytest.approx(0, abs=1e-9)
    assert frechet(one, one + (3, 4)) == pytest.approx(25)
    assert frechet(one, 2 * one) == pytest.approx((2 - 1) ** 2 + (6 - 3) ** 2)
    assert frechet(one, one[:, ::-1]) == pytest.approx(2 * (3 - 1) ** 2)


def test_few_faces_make_it_too_high_and_that_is_told():
    few, many = (distribution(drawn(count, 1), drawn(count, 2)) for count in (150, 2000))
    assert few.frechet > 5 * many.frechet > 0
    assert abs(few.frechet_unbiased) < 0.2 * few.frechet
    assert few.frechet_floor > few.frechet  # halves are fewer still


def test_a_moved_set_is_found_beside_the_bias():
    found = distribution(drawn(150, 1, moved=0.3), drawn(400, 2))
    assert found.count == 150 and found.frechet_unbiased == pytest.approx(0.09, abs=0.02)
    assert found.kid > 10 * found.kid_deviation


def test_kid_is_about_nothing_for_one_distribution():
    values = [kid(drawn(100, seed), drawn(100, 50 + seed), np.random.default_rng(0))[0] for seed in range(20)]
    assert abs(np.mean(values)) < 0.03
    assert kid(drawn(100, 1, moved=0.1), drawn(100, 2), np.random.default_rng(0))[0] > 0.1


def test_kid_of_a_kernel_worked_out_by_hand():
    """Two sets of one point each, x = (1, 0) and y = (0, 1): k(x, x) = k(y, y) = 8, k(x, y) = 1, with s = 1."""
    x, y = np.repeat([[1.0, 0.0]], 4, 0), np.repeat([[0.0, 1.0]], 4, 0)
    assert kid(x, y, np.random.default_rng(0)) == (pytest.approx(14), pytest.approx(0))


def test_diversity_is_the_mean_distance_of_two():
    from itertools import combinations

    points = np.random.default_rng(3).normal(size=(9, 5))
    expected = np.mean([np.linalg.norm(one - other) for one, other in combinations(points, 2)])
    assert diversity(points) == pytest.approx(expected)
    assert diversity(np.repeat(points[:1], 4, 0)) == pytest.approx(0, abs=1e-6)
