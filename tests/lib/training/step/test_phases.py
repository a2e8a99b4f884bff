"""Parts of an iteration that are not due in each: when they run, and what is reported of them, on every backend that is installed."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from lib.nn import backend
from lib.training.model.contract import FaceModel, Losses, Phase
from lib.training.step.base import Parts
from lib.training.step.choice import make_step

import keras  # isort: skip
from keras import ops  # isort: skip
from tests.backends import answer_of  # isort: skip

EVERY, COUNT = 3, 8


class Counting(FaceModel):
    """Its losses are its weights: an update by the rate 1 takes 1 away from each. So they count the updates."""

    size, coverage = 8, "full"

    def networks(self) -> dict[str, keras.Model]:
        return {name: keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
                for name in ("often", "seldom")}

    def groups(self) -> dict[str, list[str]]:
        return {"often": ["often"], "seldom": ["seldom"]}

    def optimizer(self, group: str, learning_rate: float) -> keras.optimizers.Optimizer:
        return keras.optimizers.SGD(learning_rate)

    def phases(self) -> tuple[Phase, ...]:
        def losses(name):
            def of(networks, batch):
                weight = networks[name](ops.ones((1, 1)))[0, 0]
                return Losses({name: {"weight": weight}}, {f"{name} bits": ops.cast(batch["bit"][0], "float32")})

            return of

        return Phase(losses("often")), Phase(losses("seldom"), EVERY)


def trained(calls: list[int]) -> tuple[list[dict[str, float]], dict[str, float]]:
    """What is reported after each call of so many iterations, and the weights in the end."""
    backend.set_up("float32", 1)
    model = Counting()
    networks = model.networks()
    step = make_step(Parts(model, networks, {}, {group: model.optimizer(group, 1.0) for group in model.groups()}))
    rows, iteration = [], 0
    for count in calls:
        step({"bit": 2 ** np.arange(iteration, iteration + count, dtype=np.int32)[:, None]}, iteration, [1.0] * count)
        iteration += count
        rows.append(step.report())
    step.sync()
    return rows, {name: float(network.get_weights()[0][0, 0]) for name, network in networks.items()}


@pytest.fixture(scope="module", params=["tensorflow", "jax", "torch"])
def runs(request) -> list:
    """Of eight iterations one by one, in two calls and in one."""
    calls = [[1] * COUNT, [2, COUNT - 2], [COUNT]]
    return [trained(one) for one in calls] if request.param == backend.BACKEND else answer_of(__file__, request.param, {"calls": calls})


def test_a_phase_runs_in_the_iterations_that_it_is_due(runs):
    for _, weights in runs:
        assert weights == {"often": -COUNT, "seldom": -3}, "in 0, 3 and 6"
    for number, row in enumerate(runs[0][0]):
        assert row["often bits"] == 2 ** number and row["often weight"] == -number
        assert row.get("seldom bits") == (2 ** number if number % EVERY == 0 else None)


def test_losses_are_averaged_over_the_runs_of_their_phase(runs):
    (whole,), _ = runs[2]
    assert whole["often bits"] * COUNT == 2 ** COUNT - 1 and whole["often weight"] == -3.5
    assert whole["seldom bits"] * 3 == pytest.approx(1 + 8 + 64) and whole["seldom weight"] == -1
    (first, rest), _ = runs[1]
    assert first["seldom bits"] == 1 and rest["seldom bits"] * 2 == 8 + 64


if __name__ == "__main__":
    print(json.dumps([trained(calls) for calls in json.loads(sys.argv[1])["calls"]]))
