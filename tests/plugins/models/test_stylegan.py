"""StyleGAN as a model: its training, what it remembers, its drawing."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from lib.nn import backend, initial_weights
from lib.plugin import MODELS
from lib.training.batches.batch import Side
from lib.training.saved import checkpoint, weights
from lib.training.step.base import Parts, Step, as_floats
from lib.training.step.choice import make_step
from tests.backends import answer_of

import keras  # isort: skip
from keras import ops  # isort: skip

SMALL = {"size": 32, "width": 512, "most": 16, "latent": 8, "mapping": 2}
QUICK = {"augment_images": 1, "augment_target": 0.01}  # the augmentation grows at once
COUNT = 4
STEADY = {"D(real)", "D(fake)", "spread", "augmentation", "generator G", "discriminator D", "R1"}  # what noise for paths has no part in


@pytest.fixture(scope="module", autouse=True)
def float32():
    backend.set_up("float32", 1)


def stylegan(**options):
    return MODELS.create("stylegan", **SMALL | options)


def fed(model, number: int = 0) -> dict:
    """As a step takes it, the batch of one iteration: blobs of many colours, and what is left to chance."""
    random = np.random.default_rng((7, number))
    pictures = random.integers(0, 256, (1, COUNT, 4, 4, 3), dtype=np.uint8).repeat(8, 2).repeat(8, 3)
    drawn = model.chance(COUNT, random)
    return {"a": Side(pictures, pictures, pictures, np.zeros((1, COUNT, 68, 2), np.float32)),
            "chance": type(drawn)(*(array[None] for array in drawn))}


def networks_of(model) -> dict:
    networks = model.networks()
    initial_weights.draw(networks, 3)
    return networks


def phases(model, networks: dict) -> dict[str, float]:
    """What the phases of an iteration cost and report, without training."""
    row = {}
    batch = keras.tree.map_structure(lambda array: ops.convert_to_tensor(array[0]), fed(model))
    for phase in model.phases():
        row |= Parts.named(phase.losses(networks, as_floats(batch)))
    return {name: float(value) for name, value in row.items()}


def trained(model, count: int) -> tuple[list[dict[str, float]], Step]:
    networks = networks_of(model)
    averages = {name: network for name, network in networks_of(model).items() if name in model.follows}
    step = make_step(Parts(model, networks, averages, {group: model.optimizer(group, 2e-3) for group in model.groups()}, averaged=0.9))
    rows = []
    for number in range(count):
        step(fed(model, number), number, [2e-3])
        rows.append(step.report())
    step.sync()
    return rows, step


@pytest.fixture(scope="module")
def run() -> tuple[list[dict[str, float]], Step]:
    """Eighteen iterations."""
    return trained(stylegan(**QUICK), 18)


def test_penalties_come_every_fourth_and_every_sixteenth_iteration(run):
    rows, _ = run
    assert [number for number, row in enumerate(rows) if "path length" in row] == [0, 4, 8, 12, 16]
    assert [number for number, row in enumerate(rows) if "R1" in row] == [0, 16]
    assert all({"D(real)", "D(fake)", "augmentation", "spread"} <= row.keys() for row in rows)
    assert all(np.isfinite(list(row.values())).all() for row in rows)


def test_every_weight_learns(run):
    fresh = networks_of(stylegan())
    for name, network in run[1].parts.networks.items():
        same = [variable.path for variable, before in zip(network.trainable_variables, fresh[name].trainable_variables)
                if np.array_equal(*map(np.asarray, (variable, before)))]
        assert not same, name


def test_what_it_remembers_moves_and_comes_back_from_a_save(run, tmp_path):
    _, step = run
    networks, again = step.parts.networks, stylegan().networks()
    memory = networks["memory"]
    assert float(memory.length) > 0 and float(memory.sign) != 0
    assert np.any(networks["mapping"].get_layer("mean_style").mean)
    path = checkpoint.save(tmp_path, networks, {}, step.parts.optimizers, checkpoint.State(18, 0.0))
    weights.load_networks(path, again, averaged=False)
    for name, network in networks.items():
        for one, other in zip(network.get_weights(), again[name].get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(*(np.asarray(each["synthesis"](np.ones((1, 8, 8), np.float32))) for each in (networks, again)))


def test_the_generators_average_follows_and_the_discriminator_has_none(run):
    parts, before = run[1].parts, networks_of(stylegan())["synthesis"].get_weights()
    assert parts.averages.keys() == {"mapping", "synthesis"}
    moved, followed = (sum(np.abs(one - other).sum() for one, other in zip(weights, before)) for weights in (
        parts.networks["synthesis"].get_weights(), parts.averages["synthesis"].get_weights()))
    assert 0 < followed < moved


@pytest.mark.parametrize("options, names", [
    ({"design": "2019"}, {"generator G", "discriminator D", "discriminator r1"}),
    ({"path": 0.0, "gamma": 0.0, "augment_target": 0.0, "loss": "hinge"}, {"generator G", "discriminator D"}),
    ({"loss": "wasserstein"}, {"generator G", "generator path", "discriminator D", "discriminator slope"})], ids=["2019", "bare", "critic"])
def test_what_options_leave_to_minimise(options, names):
    model = stylegan(**options)
    row = phases(model, networks_of(model))
    assert {name for name in row if name.startswith(("generator ", "discriminator "))} == names
    assert np.isfinite(list(row.values())).all()


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_tells_nearly_the_same(precision):
    wide = phases(stylegan(), networks_of(stylegan()))
    backend.set_up(precision, 1)
    try:
        row = phases(stylegan(), networks_of(stylegan()))
    finally:
        backend.set_up("float32", 1)
    assert np.isfinite(list(row.values())).all()
    for name in STEADY:
        assert row[name] == pytest.approx(wide[name], rel=0.1, abs=0.02), name


def test_regularised_lazily_it_learns_as_if_in_every_iteration():
    model = stylegan()
    assert model.share_of_rate("generator") == 4 / 5 and model.share_of_rate("discriminator") == 16 / 17
    adam = model.optimizer("discriminator", 2e-3)
    assert adam.beta_1 == 0 and adam.beta_2 == pytest.approx(0.99 ** (16 / 17))
    assert stylegan(path=0.0).share_of_rate("generator") == 1 and stylegan(gamma=0.0).share_of_rate("discriminator") == 1


def test_what_is_left_to_chance_depends_on_the_generator_of_numbers_alone():
    model = stylegan(mixing=0.9)
    one, again, other = (model.chance(500, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(*pair) for pair in zip(one, again)) and not np.array_equal(one.z, other.z)
    assert {len(array) for array in one} == {500}
    mixed = one.crossover < model.layers
    assert mixed.mean() == pytest.approx(0.9, abs=0.03) and one.crossover.min() == 1 and one.crossover.max() == model.layers == 8
    assert not (stylegan(mixing=0.0).chance(50, np.random.default_rng(0)).crossover < 8).any()


@pytest.mark.parametrize("size, design", [(32, "2020"), (64, "2019"), (128, "2020"), (256, "2019")])
def test_it_draws_pictures_of_its_size(size, design):
    model = stylegan(size=size, design=design)
    drawn = model.drawer(model.networks())(3)
    assert drawn.shape == (3, size, size, 3) and drawn.dtype == np.float32 and np.isfinite(drawn).all()


def two_iterations(given: dict) -> list[dict[str, float]]:
    """What they report, of networks that every backend begins with alike."""
    backend.set_up("float32", 1)
    return trained(stylegan(**given), 2)[0]


@pytest.mark.parametrize("other", ["jax", "torch"])
def test_other_backends_train_it_likewise(other, run):
    """But for the noise along which paths are measured, which they draw otherwise; noise of layers counts nothing at first."""
    theirs = answer_of(__file__, other, QUICK)
    for row, another in zip(run[0], theirs):
        assert row.keys() == another.keys() and np.isfinite(list(another.values())).all()
        for name in STEADY & row.keys():
            assert another[name] == pytest.approx(row[name], rel=0.05, abs=1e-4), name
    for name in ("generator G", "D(real)", "R1", "spread"):  # that paths of the first iteration have no part in
        assert theirs[0][name] == pytest.approx(run[0][0][name], rel=5e-3), name


if __name__ == "__main__":
    print(json.dumps(two_iterations(json.loads(sys.argv[1]))))
