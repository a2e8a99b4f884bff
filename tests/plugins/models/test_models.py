"""What holds for every model."""

from __future__ import annotations

import numpy as np
import pytest

from lib.errors import UsageError
from lib.faces.faceset import list_faces, read_face
from lib.faces.geometry import crop_matrix, transform_points
from lib.plugin import MODELS
from lib.training import backend, checkpoint
from lib.training.data import NONE, Faces, Side
from lib.training.model import FaceModel
from lib.training.step import Parts, Step, make_step

import tensorflow as tf  # isort: skip

SMALL = {"compact": {"size": 64, "width": 16, "latent": 32}}  # options that make a model quick to test; others as they are


@pytest.fixture(scope="module", params=MODELS.names())
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def model(name) -> FaceModel:
    backend.set_up("float32", 1)
    return MODELS.create(name, **SMALL.get(name, {}))


@pytest.fixture(scope="module")
def networks(model) -> dict:
    return model.networks()


@pytest.fixture(scope="module")
def batch(model, face_folders) -> dict[str, Side]:
    """The same four faces of each person whenever it is asked for, uint8."""
    sides = {}
    for identity, folder in face_folders.items():
        files = [read_face(path) for path in list_faces(folder)[::3]]
        faces = Faces([file.image for file in files], [file.landmarks for file in files], files[0].coverage, model.size, model.coverage,
                      model.drawn)
        sides[identity] = faces.batch(range(4), NONE, np.random.default_rng(0))
    return sides


@pytest.fixture(scope="module")
def pictures(batch) -> np.ndarray:
    return batch["a"].input.astype(np.float32) / 255


def floats(batch: dict[str, Side]) -> dict[str, Side]:
    return {identity: Side(*(tf.constant(picture / np.float32(255)) for picture in side[:3]), tf.constant(side.landmarks))
            for identity, side in batch.items()}


@pytest.fixture(scope="module")
def step(model, networks) -> Step:
    """A step that trains `networks` in place."""
    return a_step(model, networks, model.learning_rate)


def a_step(model, networks, rate: float) -> Step:
    return make_step(Parts(model, networks, {}, {group: model.optimizer(group, rate) for group in model.groups()}))


def fed(batch: dict[str, Side]) -> dict[str, Side]:
    """As a step takes it, the batch of one iteration."""
    return {identity: Side(*(array[None] for array in side)) for identity, side in batch.items()}


def test_swaps_pictures_of_its_size(model, networks, pictures):
    for to in "ab":
        swapper = model.swapper(networks, to)
        assert swapper.input_shape == (None, model.size, model.size, 3)
        swapped = swapper.predict_on_batch(pictures)
        assert swapped.shape in [(4, model.drawn, model.drawn, channels) for channels in (3, 4)]
        assert swapped.dtype == np.float32 and np.isfinite(swapped).all()
        assert -0.5 < swapped.mean() < 1.5


def test_eager_compiled_and_predicted_outputs_are_equal(model, networks, pictures):
    """TensorFlow's graph rewriter has changed the slope of leaky ReLUs behind additions: lib/training/backend.py turns it off."""
    random = np.random.default_rng(0)
    for network in networks.values():  # fresh biases are 0, which would hide much
        for variable in network.trainable_variables:
            if len(variable.shape) == 1:
                variable.assign(variable + random.normal(0, 0.05, variable.shape))
    swapper = model.swapper(networks, "b")
    eager = np.asarray(swapper(pictures))
    np.testing.assert_allclose(np.asarray(tf.function(swapper)(pictures)), eager, atol=2e-4)
    np.testing.assert_allclose(swapper.predict(pictures, verbose=0), eager, atol=2e-4)
    np.testing.assert_allclose(swapper.predict_on_batch(pictures), eager, atol=2e-4)


def test_losses_are_scalars_with_the_classic_measure_among_them(model, networks, batch):
    losses = model.losses(networks, floats(batch))
    assert set(losses.minimise) == set(model.groups())
    assert {"a", "b"} <= set(losses.report)
    for value in [value for parts in (*losses.minimise.values(), losses.report) for value in parts.values()]:
        assert value.shape == () and np.isfinite(float(value)) and float(value) >= 0


def test_the_classic_measure_is_the_mean_absolute_error(model, networks, batch):
    report = model.losses(networks, floats(batch)).report
    for identity, side in batch.items():
        rebuilt = model.swapper(networks, identity).predict_on_batch(side.input / np.float32(255))[..., :3]
        assert float(report[identity]) == pytest.approx(np.abs(rebuilt - side.target / np.float32(255)).mean(), rel=0.02)


def test_one_batch_can_be_learnt_by_heart(model, step, batch):
    losses = []
    for number in range(40 if model.decays else 12):
        step(fed(batch), number, [model.learning_rate])
        losses.append(step.report())
    for identity in "ab":
        assert np.mean([row[identity] for row in losses[-3:]]) < 0.7 * losses[0][identity]


def test_every_network_learns(model, batch):
    networks = model.networks()
    before = {name: network.get_weights() for name, network in networks.items()}
    step = a_step(model, networks, 1e-3)
    step(fed(batch), 0, [1e-3])
    step.wait()
    for name, network in networks.items():
        changed = [not np.array_equal(one, other) for one, other in zip(before[name], network.get_weights())]
        assert np.mean(changed) > 0.9, name


@pytest.mark.parametrize("coverage, size", [("half", 64), ("full", 128), ("whole", 96), ("head", 256)])
def test_the_eyes_of_any_face_lie_in_their_band(face_folders, coverage, size):
    (above, below), (left, right) = MODELS.create("compact", coverage=coverage, size=size).around_eyes()
    grid = size // 4
    assert grid - above - below < grid / 2
    for folder in face_folders.values():
        for file in map(read_face, list_faces(folder)):
            matrix = crop_matrix(file.landmarks, size, coverage)
            x, y = transform_points(file.landmarks[36:48], matrix).T / 4
            assert left <= x.min() and x.max() < grid - right and above <= y.min() and y.max() < grid - below


def test_compact_draws_in_the_light_of_what_it_is_given(pictures):
    model = MODELS.create("compact", **SMALL["compact"])
    swapper = model.swapper(model.networks(), "b")
    swapped, darker = (swapper.predict_on_batch(each)[..., :3] for each in (pictures, pictures * 0.5))
    np.testing.assert_allclose(darker, swapped * 0.5, atol=0.03)
    bluer = swapper.predict_on_batch(pictures + np.float32((-0.1, 0, 0.1)))[..., :3] - swapped
    np.testing.assert_allclose(bluer.mean((0, 1, 2)), (-0.1, 0, 0.1), atol=0.01)


def test_saved_and_loaded_it_swaps_the_same(model, networks, pictures, tmp_path):
    path = checkpoint.save(tmp_path, networks, {}, {}, checkpoint.State(1, 0.0))
    again = model.networks()
    checkpoint.load_networks(path, again, averaged=False)
    for to in "ab":
        np.testing.assert_array_equal(model.swapper(again, to).predict_on_batch(pictures),
                                      model.swapper(networks, to).predict_on_batch(pictures))


def test_networks_are_made_anew_each_time(model, networks):
    again = model.networks()
    assert list(again) == list(networks)
    for name, network in again.items():
        assert network is not networks[name] and network.count_params() == networks[name].count_params()
        before = networks[name].get_weights()
        network.set_weights([weight + 1 for weight in network.get_weights()])
        for one, other in zip(before, networks[name].get_weights()):
            np.testing.assert_array_equal(one, other)


def test_options_out_of_bounds_are_refused(name):
    tried = 0
    for item in MODELS.declaration(name).options:
        label = f"--model.{item.name.replace('_', '-')}"
        outside = [item.low - 1] if item.low is not None else []
        outside += [item.high + 1] if item.high is not None else []
        outside += ["none of these"] if item.choices is not None else []
        for value in outside:
            tried += 1
            with pytest.raises(UsageError, match=label):
                MODELS.create(name, **{item.name: value})
    assert tried
    with pytest.raises(UsageError, match="--model.no-such-option does not exist"):
        MODELS.create(name, no_such_option=1)


def test_every_size_and_coverage_can_be_made(name):
    for item in MODELS.declaration(name).options:
        for value in item.choices or ():
            model = MODELS.create(name, **SMALL.get(name, {}) | {item.name: value})
            assert getattr(model, item.name) == value
            if item.name == "size":
                assert model.swapper(model.networks(), "a").output_shape[1:3] == (model.drawn, model.drawn)
                assert model.drawn == value * getattr(model, "upscale", 1)


def test_the_original_has_the_published_sizes():
    networks = MODELS.create("original").networks()
    assert {name: network.count_params() for name, network in networks.items()} == {
        "encoder": 69_662_976, "decoder_a": 6_199_747, "decoder_b": 6_199_747}
