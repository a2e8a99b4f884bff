"""How the learning rate goes, by each schedule."""

from __future__ import annotations

import numpy as np
import pytest

from lib.plugin import SCHEDULES
from lib.training.batches.augmentation import NONE
from lib.training.plan import Plan


@pytest.mark.parametrize("name", SCHEDULES.names())
@pytest.mark.parametrize("done", [None, 0.0, 0.5, 1.0])
def test_each_is_a_share(name, done):
    assert 0 <= SCHEDULES.create(name).share(1000, done, [(500, 0.1), (1000, 0.1)]) <= 1
    assert SCHEDULES.create(name).share(0, done and 0.0, []) == 1


def test_level():
    assert SCHEDULES.create("level").share(10**6, 1.0, []) == 1


def test_cosine_falls_to_the_end_of_the_run():
    schedule = SCHEDULES.create("cosine", level=0.2, end=0.1)
    shares = [schedule.share(0, done, []) for done in np.linspace(0, 1, 21)]
    assert shares[4] == 1 and shares[12] == pytest.approx(0.5) and shares[-1] == 0.1 and shares == sorted(shares, reverse=True)
    assert schedule.share(4 * schedule.long - 1, None, []) == pytest.approx(0.5), "without an end, with the square root"


def test_linear_is_level_and_then_falls_straight_to_nothing():
    schedule = SCHEDULES.create("linear")
    assert [schedule.share(0, done, []) for done in (0, 0.25, 0.5, 0.75, 0.9, 1)] == pytest.approx([1, 1, 1, 0.5, 0.2, 0])
    assert SCHEDULES.create("linear", level=0.0).share(0, 0.25, []) == 0.75
    assert [SCHEDULES.create("linear", level=1.0).share(0, done, []) for done in (0.5, 0.999)] == [1, 1]


def test_step():
    schedule = SCHEDULES.create("step", every=100, factor=0.1)
    assert [schedule.share(number, None, []) for number in (0, 99, 100, 250)] == pytest.approx([1, 1, 0.1, 0.01])


def test_plateau_falls_where_nothing_gets_better():
    schedule = SCHEDULES.create("plateau", patience=100, factor=0.5, least=0.2)
    losses = [(number, 1 / (number + 1)) for number in range(0, 200, 10)]
    assert schedule.share(200, None, losses) == 1
    losses += [(number, 0.01) for number in range(200, 320, 10)]
    assert schedule.share(320, None, losses) == 0.5
    losses += [(number, 0.01) for number in range(320, 2000, 10)]
    assert schedule.share(2000, None, losses) == 0.2
    assert schedule.share(10, None, losses[:3]) == 1, "another run, or one gone back to a save"


def plan(**changes) -> Plan:
    return Plan(4, 0.1, NONE, 1, SCHEDULES.create("level"), **changes)


def test_the_rate_warms_up_and_is_cut_by_mishaps():
    rates = plan(warm_up=4).rates(2, 4, 0.0, [], cut=0.5)
    assert rates.dtype == np.float32
    np.testing.assert_allclose(rates, [0.0375, 0.05, 0.05, 0.05])
    np.testing.assert_allclose(plan().rates(0, 2, 0.0, [], cut=1.0), [0.1, 0.1])


@pytest.mark.parametrize("ends, iteration, seconds, done, left", [
    ({}, 50, 60.0, None, None), ({"iterations": 100}, 50, 60.0, 0.5, 5.0), ({"minutes": 4.0}, 50, 60.0, 0.25, 180.0),
    ({"iterations": 100, "minutes": 4.0}, 50, 60.0, 0.5, 5.0), ({"iterations": 100}, 200, 60.0, 1.0, 0.0)])
def test_how_much_of_a_run_is_over(ends, iteration, seconds, done, left):
    assert plan(**ends).done(iteration, seconds) == done and plan(**ends).left(iteration, seconds, speed=10.0) == left
    assert plan(**ends).over(iteration, seconds) == (done == 1.0)
