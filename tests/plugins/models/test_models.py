"""What holds for every model that swaps faces."""

from __future__ import annotations

import ast
import contextlib
import itertools
import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from lib.errors import UsageError
from lib.faces.geometry import crop_matrix, transform_points
from lib.facesets.face_file import read_face
from lib.facesets.folder import list_faces
from lib.nn import backend, initial_weights
from lib.plugin import ALIGNERS, BLENDERS, COLORS, DETECTORS, MASKERS, MODELS
from lib.swapping.composite import Compositor
from lib.swapping.pipeline import Role, largest, swap_frames
from lib.training.batches.augmentation import NONE
from lib.training.batches.batch import Side
from lib.training.batches.faces import Faces
from lib.training.model.contract import FaceModel, LossWeights
from lib.training.saved import checkpoint, weights
from lib.training.saved.swapper import Swapper
from lib.training.step.base import Parts, Step
from lib.training.step.choice import make_step
from lib.types import Face, Frame

import keras  # isort: skip
from keras import ops  # isort: skip
from tests.backends import answer_of  # isort: skip

ROOT = Path(__file__).resolve().parents[3]
# Options that make a model quick to test, and how many faces of each person then are; others as they are, with ONE face where it is slow.
SMALL = {
    "amp": {"size": 64, "code": 64, "inter": 64, "encoder_width": 16, "decoder_width": 16, "mask_width": 16},
    "compact": {"size": 64, "width": 16, "latent": 32},
    "cyclegan": {"size": 64, "width": 4, "discriminator_width": 4, "blocks": 1, "pool": 0},
    "dfl_h128": {"low_memory": True, "learn_mask": True},
    "dfl_sae": {"size": 64, "code": 64, "encoder_width": 21, "decoder_width": 10, "multiscale": True, "learn_mask": True},
    "dlight": {"output": 128, "features": "lowmem"},
    "original": {"low_memory": True},
    "phaze_a": {"output": 64, "bottleneck_size": 128, "encoder_min": 16, "encoder_max": 256, "fc_min": 64, "fc_max": 64, "decoder_max": 64,
                "decoder_min": 32, "decoder_noise": False},
    "realface": {"output": 64, "code": 768, "encoder_width": 96},
    "sae": {"size": 64, "code": 64, "encoder_width": 16, "decoder_width": 16, "mask_width": 16},
    "unbalanced": {"size": 64, "code": 512, "encoder_width": 64, "width_a": 64, "width_b": 64, "learn_mask": True},
    "villain": {"size": 64, "low_memory": True},
}
THOROUGH = "FACESWAP_TEST_THOROUGH" in os.environ  # an hour instead of minutes: the slow ones learn by heart, too
SLOW = {"dfaker", "dfl_h128", "dfl_sae", "dlight", "iae", "lightweight", "realface", "unbalanced", "villain"}
ONE = SLOW | {"original"}
RATES = {"phaze_a": 1e-3}
RESTLESS = {"amp", "dlight", "phaze_a", "unbalanced"}  # draw at random while they train
NAMES = [name for name in MODELS.names() if MODELS.load(name).swaps]
AUTOENCODERS = [name for name in NAMES if not MODELS.load(name).adversarial]  # whose losses fall as they learn


@pytest.fixture(scope="module", params=NAMES)
def name(request) -> str:
    return request.param


@pytest.fixture
def learns_by_itself(name) -> None:
    """Skips models of which a loss falls where another rises."""
    if name not in AUTOENCODERS:
        pytest.skip("its networks work against each other")


@pytest.fixture(scope="module")
def model(name) -> FaceModel:
    backend.set_up("float32", 1)
    return MODELS.create(name, **SMALL.get(name, {}))


@pytest.fixture(scope="module")
def networks(model) -> dict:
    return model.networks()


@pytest.fixture(scope="module")
def swappers(model, networks) -> dict:
    """The way to each person, through the very networks that tests train."""
    return {to: model.swapper(networks, to) for to in "ab"}


@pytest.fixture(scope="module")
def again(model, networks) -> dict:
    """The same networks, made anew."""
    return model.networks()


@pytest.fixture(scope="module")
def batch(name, model, face_folders) -> dict[str, Side]:
    return batch_of(name, model, face_folders)


def batch_of(name, model, folders) -> dict[str, Side]:
    """The same one or four faces of each person whenever it is asked for, uint8."""
    sides, count = {}, 1 if name in ONE else 4
    for identity, folder in folders.items():
        files = [read_face(path) for path in list_faces(folder)[::3]]
        faces = Faces([file.image for file in files], [file.landmarks for file in files], files[0].coverage, model.size, model.coverage,
                      model.taught)
        sides[identity] = faces.batch(range(count), NONE, np.random.default_rng(0))
    return sides


@pytest.fixture(scope="module")
def portrait(astronaut) -> tuple[np.ndarray, Face]:
    """A photograph, and the face in it."""
    detection, = DETECTORS.create("hog").detect([astronaut])[0]
    landmarks, = ALIGNERS.create("dlib68").align([astronaut], [detection.box[None]])
    return astronaut, Face(detection, landmarks[0])


@pytest.fixture(scope="module")
def pictures(batch) -> np.ndarray:
    return batch["a"].input.astype(np.float32) / 255


def floats(batch: dict[str, Side]) -> dict[str, Side]:
    return {identity: Side(*map(ops.convert_to_tensor, (*(picture / np.float32(255) for picture in side[:3]), side.landmarks)))
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


def test_swaps_pictures_of_its_size(model, swappers, pictures):
    for swapper in swappers.values():
        assert swapper.input_shape == (None, model.size, model.size, 3)
        swapped = np.asarray(swapper(pictures))
        assert swapped.shape in [(len(pictures), model.drawn, model.drawn, channels) for channels in (3, 4)]
        assert swapped.dtype == np.float32 and np.isfinite(swapped).all()
        assert -0.5 < swapped.mean() < 1.5


def test_eager_compiled_and_predicted_outputs_are_equal(networks, swappers, pictures):
    """TensorFlow's graph rewriter has changed the slope of leaky ReLUs behind additions: lib/nn/backend.py turns it off."""
    import tensorflow

    random = np.random.default_rng(0)
    for network in networks.values():  # fresh biases are 0, which would hide much
        for variable in network.trainable_variables:
            if len(variable.shape) == 1:
                variable.assign(variable + random.normal(0, 0.05, variable.shape))
    swapper = swappers["b"]
    eager = np.asarray(swapper(pictures))
    np.testing.assert_allclose(np.asarray(tensorflow.function(swapper)(pictures)), eager, atol=2e-4)
    np.testing.assert_allclose(swapper.predict(pictures, verbose=0), eager, atol=2e-4)
    np.testing.assert_allclose(swapper.predict_on_batch(pictures), eager, atol=2e-4)


def test_losses_are_scalars_and_the_classic_measure_is_the_mean_absolute_error(name, model, networks, swappers, batch):
    losses = model.losses(networks, floats(batch))
    assert set(losses.minimise) == set(model.groups())
    assert {"a", "b"} <= set(losses.report)
    for value in [value for parts in (*losses.minimise.values(), losses.report) for value in parts.values()]:
        assert value.shape == () and np.isfinite(float(value)) and (float(value) >= 0 or name not in AUTOENCODERS)
    if name in RESTLESS or name not in AUTOENCODERS:
        return  # what it draws in training is not what it draws of the same face later, or it is taught otherwise
    for identity, side in batch.items():
        rebuilt = np.asarray(swappers[identity](side.input / np.float32(255)))[..., :3]
        assert float(losses.report[identity]) == pytest.approx(np.abs(rebuilt - side.target / np.float32(255)).mean(), rel=0.02)


@pytest.mark.usefixtures("learns_by_itself")
def test_one_batch_can_be_learnt_by_heart_by_every_network(request, name, model, networks, swappers, batch):
    if name in SLOW and not THOROUGH:
        pytest.skip("slow: FACESWAP_TEST_THOROUGH=1 tests it, too")
    step = request.getfixturevalue("step")
    before, [away, _] = {name: network.get_weights() for name, network in networks.items()}, to_b(model, swappers, batch)
    losses = []
    while len(losses) < (5 if name in ONE else 25) or not learnt(losses):
        assert len(losses) < 60, losses
        step(fed(batch), len(losses), [model.learning_rate if model.decays else RATES.get(name, 2e-4)])
        losses.append(step.report())
    for name, network in networks.items():
        changed = [not np.array_equal(one, other) for one, other in zip(before[name], network.get_weights())]
        assert np.mean(changed) > 0.9, name
    now, own = to_b(model, swappers, batch)
    assert now < away and now < own, "A's faces in B's way are nearer to B's than at first, and than A's are"


def learnt(losses: list[dict[str, float]]) -> bool:
    """Whether what each person's faces cost fell by 0.3 of what it was at first."""
    totals = [[sum(value for part, value in row.items() if part.endswith(f" {identity}")) or row[identity] for row in losses]
              for identity in "ab"]
    return all(np.mean(total[-3:]) < 0.7 * total[0] for total in totals)


@pytest.mark.usefixtures("learns_by_itself")
def test_downhill_the_loss_is_less(name, model, networks, batch):
    """A small step of every weight against its gradient; the others of the models learn by heart."""
    if name not in SLOW:
        pytest.skip("learns by heart")
    import tensorflow

    variables = [variable for network in networks.values() for variable in network.trainable_variables]
    with tensorflow.GradientTape() as tape:
        loss = sum(model.losses(networks, floats(batch)).minimise["all"].values())
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert np.mean([np.any(gradient) for gradient in gradients]) > 0.9
    size = float(sum(tensorflow.reduce_sum(gradient ** 2) for gradient in gradients))
    for variable, gradient in zip(variables, gradients):
        variable.assign(variable - gradient * (0.02 * loss / size))
    after = sum(model.losses(networks, floats(batch)).minimise["all"].values())
    assert 0.96 < float(after / loss) < 0.995, "a fiftieth less, as far as the slope is straight, and what it draws at random allows"


def to_b(model, swappers, batch) -> tuple[float, float]:
    """How far A's faces in B's way are from B's mean face, and how far A's in A's way are."""
    face, faces = np.float32(batch["b"].target.mean(0) / 255), batch["a"].input / np.float32(255)
    face = cv2.resize(face, (model.drawn, model.drawn), interpolation=cv2.INTER_AREA)
    return tuple(float(np.abs(np.asarray(swappers[to](faces))[..., :3].mean(0) - face).mean()) for to in "ba")


def test_what_was_saved_comes_back_with_the_optimizers(request, name, model, networks, batch, tmp_path):
    if name in ONE and not THOROUGH:
        pytest.skip("a gigabyte to write: FACESWAP_TEST_THOROUGH=1 tests it, too")
    step = request.getfixturevalue("step")
    variables = [*itertools.chain(*(network.weights for network in networks.values()),
                                  *(optimizer.variables for optimizer in step.parts.optimizers.values()))]
    path = checkpoint.save(tmp_path, networks, {}, step.parts.optimizers, checkpoint.State(1, 0.0))
    before = [np.asarray(variable) for variable in variables]
    step(fed(batch), 100, [2e-4])
    step.wait()
    assert np.mean([not np.array_equal(one, np.asarray(variable)) for one, variable in zip(before, variables)]) > 0.8
    weights.load_networks(path, networks, averaged=False)
    weights.load_optimizers(path, step.parts.optimizers)
    for one, variable in zip(before, variables):
        np.testing.assert_array_equal(np.asarray(variable), one)


def test_a_face_of_a_photograph_is_swapped(model, swappers, portrait):
    image, face = portrait
    compositor = Compositor(COLORS.create("none"), BLENDERS.create("alpha"), [MASKERS.create("hull")], predicted=False)
    network = Swapper(swappers["b"], model.size, model.drawn, model.coverage)
    done, = swap_frames([(Frame(0, image), [face])], [Role(network, compositor, largest)])
    changed = (done.frame.with_patches(done.patches) != image).any(-1)
    left, top, right, bottom = np.round(face.detection.box).astype(int)
    assert (done.swapped, done.failure) == (1, "") and changed[top:bottom, left:right].mean() > 0.5
    assert not changed[:20].any() and not changed[:, :20].any(), "the corners are far from the face"


@pytest.mark.parametrize("other", ["jax", "torch"])
def test_other_backends_train_it_likewise(name, face_folders, other):
    given = {"name": name, "folders": {identity: str(folder) for identity, folder in face_folders.items()}}
    theirs = answer_of(__file__, other, given)
    for row, our in zip(theirs, two_iterations(given), strict=True):
        assert row.keys() == our.keys() and np.isfinite(list(row.values())).all()
        if name not in RESTLESS:
            np.testing.assert_allclose([row[part] for part in our], list(our.values()), rtol=5e-3, atol=1e-5)


def two_iterations(given: dict) -> list[dict[str, float]]:
    """Their losses, of networks that every backend begins with alike."""
    backend.set_up("float32", 1)
    name, folders = given["name"], {identity: Path(folder) for identity, folder in given["folders"].items()}
    model = MODELS.create(name, **SMALL.get(name, {}))
    batch, rows = batch_of(name, model, folders), []
    networks = model.networks()
    initial_weights.draw(networks, 3)
    step = a_step(model, networks, 1e-5)
    for number in range(2):
        step(fed(batch), number, [1e-5])
        rows.append(step.report())
    return rows


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


def test_compact_draws_in_the_light_of_what_it_is_given(face_folders):
    model = MODELS.create("compact", **SMALL["compact"])
    files = [read_face(path) for path in list_faces(face_folders["a"])[::3]]
    faces = Faces([file.image for file in files], [file.landmarks for file in files], files[0].coverage, model.size, model.coverage)
    pictures = faces.batch(range(4), NONE, np.random.default_rng(0)).input / np.float32(255)
    swapper = model.swapper(model.networks(), "b")
    swapped, darker = (swapper.predict_on_batch(each)[..., :3] for each in (pictures, pictures * 0.5))
    np.testing.assert_allclose(darker, swapped * 0.5, atol=0.03)
    bluer = swapper.predict_on_batch(pictures + np.float32((-0.1, 0, 0.1)))[..., :3] - swapped
    np.testing.assert_allclose(bluer.mean((0, 1, 2)), (-0.1, 0, 0.1), atol=0.01)


def test_amp_goes_as_far_as_it_is_told():
    model = MODELS.create("amp", **SMALL["amp"])
    networks = model.networks()
    faces = np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
    own = model.swapper(networks, "a").predict_on_batch(faces)
    far = []
    for morph in (0.0, 0.5, 1.0):
        model.morph = morph
        ways = model.decoder()
        ways.set_weights(networks["decoder"].get_weights())
        far.append(np.abs(model.swapper(networks | {"decoder": ways}, "b").predict_on_batch(faces) - own).mean())
    assert far[0] < 1e-6 < far[1] < far[2]


@pytest.mark.parametrize("architecture", ["df-u", "liae-ud"])
@pytest.mark.parametrize("coverage", ["whole", "head"])
def test_the_mask_of_sae_is_where_both_ways_have_a_face(architecture, coverage):
    model = MODELS.create("sae", **SMALL["sae"] | {"architecture": architecture, "coverage": coverage})
    networks, faces = model.networks(), np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
    code = networks["encoder"](faces)
    ways = {identity: np.asarray(model.decode(networks, code, identity)) for identity in "ab"}
    for to, other in ("ab", "ba"):
        swapped = np.asarray(model.swapper(networks, to)(faces))
        np.testing.assert_allclose(swapped[..., :3], ways[to][..., :3], atol=1e-5)
        wanted = ways[to][..., 3] * (ways[other][..., 3] if coverage == "whole" else 1)
        np.testing.assert_allclose(swapped[..., 3], wanted, atol=1e-5)


def test_a_model_imports_no_other_plugin():
    for path in (ROOT / "plugins" / "models").glob("*.py"):
        imported = {name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, (ast.Import, ast.ImportFrom))
                    for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])}
        assert not {name for name in imported if name.startswith("plugins")}, path


def test_networks_are_made_anew_each_time(networks, again):
    assert list(again) == list(networks)
    for name, network in again.items():
        assert network is not networks[name] and network.count_params() == networks[name].count_params()
        assert not {id(weight) for weight in network.weights} & {id(weight) for weight in networks[name].weights}


def test_saved_and_loaded_it_swaps_the_same(model, networks, again, swappers, pictures, tmp_path):
    path = checkpoint.save(tmp_path, networks, {}, {}, checkpoint.State(1, 0.0))
    weights.load_networks(path, again, averaged=False)
    for name, network in again.items():
        for one, other in zip(network.get_weights(), networks[name].get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(model.swapper(again, "b")(pictures), swappers["b"](pictures))


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


@contextlib.contextmanager
def counting() -> Iterator[None]:
    """Networks that are made in it have no weights, only sizes."""
    with keras.StatelessScope(initialize_variables=False):
        yield
    keras.utils.clear_session()  # or the next scope of this kind gives them their weights, tens of gigabytes


DFL_SAE_DF = {"encoder": 75_961_012, "decoder_a": 27_023_853, "decoder_b": 27_023_853}
SAE_DF_UD = {"size": 256, "architecture": "df-ud"}


def preset(name: str) -> dict:
    """The options that a file in presets/ gives its model."""
    tables = tomllib.loads((ROOT / "presets" / f"{name}.toml").read_text())
    return tables["model"][tables["train"]["model"]]


@pytest.mark.parametrize("name, options, counts", [
    ("original", {}, {"encoder": 69_662_976, "decoder_a": 6_199_747, "decoder_b": 6_199_747}),
    ("original", {"low_memory": True}, {"encoder": 48_165_632, "decoder_a": 6_199_747, "decoder_b": 6_199_747}),
    ("lightweight", {}, {"encoder": 29_806_336, "decoder_a": 10_630_019, "decoder_b": 10_630_019}),
    ("iae", {}, {"encoder": 17_214_720, "inter_a": 25_175_040, "inter_b": 25_175_040, "inter_both": 25_175_040, "decoder": 25_076_163}),
    ("dfaker", {}, {"encoder": 69_662_976, "decoder_a": 21_833_923, "decoder_b": 21_833_923}),
    ("dfaker", {"output": 256}, {"encoder": 119_994_624, "decoder_a": 69_025_987, "decoder_b": 69_025_987}),
    ("dfl_h128", {}, {"encoder": 77_018_880, "decoder_a": 15_348_611, "decoder_b": 15_348_611}),
    ("dfl_h128", {"low_memory": True}, {"encoder": 40_563_200, "decoder_a": 3_840_451, "decoder_b": 3_840_451}),
    ("dfl_sae", {}, DFL_SAE_DF),
    ("dfl_sae", {"multiscale": True}, DFL_SAE_DF | {"decoder_a": 27_023_853 + 56_706, "decoder_b": 27_023_853 + 56_706}),
    ("dfl_sae", {"architecture": "liae"}, {"encoder": 16_681_140, "inter_both": 34_375_936, "inter_b": 34_375_936, "decoder": 36_313_581}),
    ("dlight", {}, {"encoder": 61_783_296, "decoder_a": 6_869_523, "decoder_b": 74_961_187}),
    ("dlight", {"details": "fast"}, {"encoder": 61_783_296, "decoder_a": 6_869_523, "decoder_b": 95_053_187}),
    ("villain", {}, {"encoder": 112_027_904, "decoder_a": 21_543_555, "decoder_b": 21_543_555}),
    ("villain", {"low_memory": True}, {"encoder": 75_573_504, "decoder_a": 21_543_555, "decoder_b": 21_543_555}),
    ("unbalanced", {}, {"encoder": 83_964_932, "decoder_a": 43_633_827, "decoder_b": 79_447_427}),
    ("unbalanced", {"low_memory": True}, {"encoder": 54_596_100, "decoder_a": 28_937_523, "decoder_b": 24_428_883}),
    ("realface", {}, {"encoder": 29_604_608, "decoder_a": 64_196_041, "decoder_b": 144_441_027}),
    ("sae", {}, {"encoder": 4_306_560, "inter_both": 19_933_440, "inter_a": 19_933_440, "decoder": 38_203_115}),
    ("sae", {"architecture": "df"}, {"encoder": 4_306_560, "inter": 14_959_872, "decoder_a": 19_136_000, "decoder_b": 19_136_000}),
    ("sae", SAE_DF_UD, {"encoder": 4_306_560, "inter": 40_125_696, "decoder_a": 19_181_291, "decoder_b": 19_181_291}),
    ("sae", {"size": 320, "architecture": "liae-udt"},
     {"encoder": 15_654_144, "inter_both": 26_265_856, "inter_a": 26_265_856, "decoder": 53_477_803}),
    ("sae", preset("quick96"),
     {"encoder": 4_306_560, "inter": 3_098_368, "decoder_a": 15_444_701, "decoder_b": 15_444_701}),
    ("amp", {}, {"encoder": 22_076_928, "inter_a": 12_895_232, "inter_b": 12_895_232, "decoder": 53_477_803}),
    ("phaze_a", {}, {"encoder": 33_992_960, "fc_a": 16_793_600, "fc_b": 16_793_600, "fc_gblock": 1_050_112, "gblock": 23_864_832,
                     "decoder": 31_271_107}),
    ("phaze_a", preset("phaze-a-dny512"), {"encoder": 18_615_056, "fc_both": 15_993_856, "decoder_a": 2_358_035, "decoder_b": 2_358_035}),
    ("phaze_a", preset("phaze-a-saehd-df"),
     {"encoder": 4_306_560, "fc_both": 14_959_872, "decoder_a": 16_815_747, "decoder_b": 16_815_747}),
    ("phaze_a", preset("phaze-a-original"), {"encoder": 33_992_960, "fc_both": 35_670_016, "decoder_a": 6_199_747, "decoder_b": 6_199_747}),
    ("phaze_a", preset("phaze-a-efficientnet-b4"),
     {"encoder": 62_632_031, "fc_a": 42_024_960, "fc_b": 42_024_960, "fc_gblock": 787_968, "gblock": 36_187_648, "decoder": 33_837_475}),
])
def test_published_sizes(name, options, counts):
    with counting():
        networks = MODELS.create(name, **options).networks()
    assert {name: network.count_params() for name, network in networks.items()} == counts


@pytest.mark.parametrize("name, options, count", [
    ("original", {}, 6_196_545), ("lightweight", {}, 10_623_617), ("iae", {}, 25_072_961), ("dfaker", {}, 15_635_777),
    ("dfaker", {"output": 256}, 43_951_425), ("dfl_h128", {}, 15_342_209), ("dfl_h128", {"low_memory": True}, 3_837_249),
    ("dfl_sae", {}, 3_733_843), ("dfl_sae", {"architecture": "liae"}, 6_830_419), ("villain", {}, 15_342_209)])
def test_published_sizes_of_masks(name, options, count):
    with counting():
        with_mask, without = (MODELS.create(name, learn_mask=learnt, **options).decoder() for learnt in (True, False))
    assert with_mask.count_params() - without.count_params() == count


@pytest.mark.parametrize("name, options, a, b", [
    ("dlight", {}, 3_192_041, 1_717_481), ("unbalanced", {}, 15_710_689, 24_781_441),
    ("unbalanced", {"low_memory": True}, 10_419_601, 8_796_145)])
def test_published_sizes_of_masks_that_differ(name, options, a, b):
    with counting():
        with_mask, without = (MODELS.create(name, learn_mask=learnt, **options).networks() for learnt in (True, False))
    for decoder, count in (("decoder_a", a), ("decoder_b", b)):
        assert with_mask[decoder].count_params() - without[decoder].count_params() == count


if __name__ == "__main__":
    print(json.dumps(two_iterations(json.loads(sys.argv[1]))))


@pytest.mark.parametrize("name", MODELS.names())
def test_what_a_model_sets_is_read_somewhere(name):
    """A value under a name that nobody reads would change nothing, silently."""
    kind = type(MODELS.create(name))
    values = {key for key, value in vars(kind).items() if not key.startswith("_") and not callable(value)}
    files = [Path(sys.modules[kind.__module__].__file__), *(ROOT / "lib").rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    assert [key for key in values if not re.search(rf"\.{key}\b", text)] == []


def test_original_counts_every_pixel_alike():
    assert MODELS.create("original").loss_weights == LossWeights({"mae": 1.0}, outside=1.0, eyes=0.0, mouth=0.0)
