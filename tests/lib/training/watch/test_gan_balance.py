"""When networks that work against each other have lost their balance."""

from __future__ import annotations

from lib.training.watch.gan_balance import REPORTS, Balance

FAIR = {"D(real) a": 0.6, "D(fake) a": 0.4, "gradient generators": 30.0, "spread": 0.8}


def mishaps(*rows: dict) -> list[str]:
    balance = Balance()
    return [said for row in rows if (said := balance.mishap({"iteration": 1} | row))]


def test_a_fair_game_is_not_spoken_of():
    assert not mishaps(*[FAIR] * 3 * REPORTS)


def test_a_discriminator_that_knows_all_is_told_once():
    said = mishaps(*[FAIR] * REPORTS, *[FAIR | {"D(real) a": 0.995, "D(fake) a": 0.004}] * 2 * REPORTS)
    assert len(said) == 1 and "D(real) a 0.99, D(fake) a 0.00" in said[0] and "--learning-rate" in said[0]


def test_a_moment_of_it_is_not():
    assert not mishaps(*[FAIR] * REPORTS, *[FAIR | {"D(real) a": 1.0, "D(fake) a": 0.0}] * (REPORTS - 1), *[FAIR] * REPORTS)


def test_gradients_that_run_away_are_told():
    said = mishaps(*[FAIR] * REPORTS, FAIR | {"gradient generators": 4000.0})
    assert len(said) == 1 and "gradient generators is 4e+03" in said[0] and "--restore" in said[0]


def test_pictures_that_all_look_alike_are_told():
    assert any("mode" in said for said in mishaps(*[FAIR | {"spread": 0.01}] * REPORTS))
