"""The compiled step: one code base on TensorFlow, JAX and PyTorch, with the same losses."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lib.facesets.face_file import read_face
from lib.facesets.folder import list_faces
from lib.nn import backend
from lib.nn.backend import Devices
from lib.plugin import MODELS, SCHEDULES
from lib.training.batches.augmentation import Augmentation
from lib.training.batches.faces import Faces
from lib.training.model.contract import FaceModel
from lib.training.plan import Plan, Updates
from lib.training.run import assembly
from lib.training.step.base import Parts
from lib.training.step.choice import make_step
from tests.backends import answer_of

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "tests" / "own_plugins" / "models"))

from tiny import Tiny  # noqa: E402  (its losses are plain means: the mean of those of a batch's halves is that of the whole)

EVERYTHING = Augmentation(warp=0.5, rotation=5.0, scale=0.05, shift=0.05, flip=True, color=0.1, light=0.2, blur=0.02, retarget=0.5,
                          crossed=0.5)
OTHERS = ("jax", "torch")


def faces_of(folders: dict[str, Path], model: FaceModel) -> dict[str, Faces]:
    faces = {}
    for identity, folder in folders.items():
        files = [read_face(path) for path in list_faces(folder)]
        faces[identity] = Faces([file.image for file in files], [file.landmarks for file in files], files[0].coverage, model.size,
                                model.coverage, model.taught)
    return faces


def small_model() -> FaceModel:
    return MODELS.create("compact", size=64, width=8, latent=16)


def plan_of(model: FaceModel, **changes) -> Plan:
    return Plan(**{"batch": 4, "learning_rate": 1e-3, "augmentation": EVERYTHING, "seed": 3, "schedule": SCHEDULES.create("level"),
                   "averaged": model.averaged} | changes)


def losses(model: FaceModel, faces: dict[str, Faces], plan: Plan, calls: list[int],
           devices: Devices = Devices()) -> tuple[list[dict[str, float]], Parts]:
    """What each call of so many iterations reports; and the parts as they are after it."""
    parts = assembly.make_parts(model, faces, plan, devices=devices)
    step, feed = make_step(parts), assembly.make_feed(model, faces, plan, devices=devices)
    rows, iteration = [], 0
    for count in calls:
        step(feed.take(count), iteration, [plan.learning_rate] * count)
        iteration += count
        rows.append(step.report())
    feed.close()
    step.sync()
    return rows, parts


@pytest.fixture(scope="module")
def model() -> FaceModel:
    backend.set_up("float32", 1)
    return small_model()


@pytest.fixture(scope="module")
def faces(face_folders, model) -> dict[str, Faces]:
    return faces_of(face_folders, model)


@pytest.fixture(scope="module")
def even_faces(face_folders, model) -> dict[str, Faces]:
    return faces_of(face_folders, Tiny())


@pytest.fixture(scope="module")
def plain(model, faces) -> list[dict[str, float]]:
    """Six iterations, one by one, of faces that the host augments."""
    return losses(model, faces, plan_of(model), [1] * 6)[0]


def same(rows, others, tolerance: float = 1e-3) -> None:
    for row, other in zip(rows, others, strict=True):
        assert row.keys() == other.keys()
        np.testing.assert_allclose([other[name] for name in row], list(row.values()), rtol=tolerance)


def test_augmented_on_the_device_the_losses_are_the_same(model, faces, plain):
    same(plain, losses(model, faces, plan_of(model, on_device=True), [1] * 6)[0], 5e-3)


def test_several_iterations_a_call_are_the_same(even_faces):
    one_by_one, [at_once] = (losses(Tiny(), even_faces, plan_of(Tiny()), calls)[0] for calls in ([1] * 6, [6]))
    same([{name: np.mean([row[name] for row in one_by_one]) for name in at_once}], [at_once])


def test_frozen_networks_stay_and_the_others_learn(even_faces):
    model = Tiny()
    before = assembly.make_parts(model, even_faces, plan_of(model)).networks
    after = losses(model, even_faces, plan_of(model, frozen=frozenset({"encoder"})), [2])[1]
    for name, network in after.networks.items():
        unchanged = all(np.array_equal(*both) for both in zip(before[name].get_weights(), network.get_weights()))
        assert unchanged == (name == "encoder"), name


def test_averages_follow_slowly(even_faces):
    model = Tiny()
    started = assembly.make_parts(model, even_faces, plan_of(model)).networks["encoder"].get_weights()
    parts = losses(model, even_faces, plan_of(model, averaged=0.9), [4])[1]
    weights = parts.networks["encoder"].get_weights(), parts.averages["encoder"].get_weights()
    moved, followed = (np.concatenate([np.abs(one - other).ravel() for one, other in zip(these, started)]).mean() for these in weights)
    assert 0 < followed < moved


@pytest.mark.parametrize("accumulate", [1, 2])
def test_adam_as_one_operation_is_adam(even_faces, accumulate, monkeypatch):
    """The same weights and averages as by Keras's own, which is compiled, after five iterations."""
    from lib.training.step import tensorflow

    plan = plan_of(Tiny(), averaged=0.9, updates=Updates(accumulate=accumulate))
    rows, parts = losses(Tiny(), even_faces, plan, [1] * 5)
    monkeypatch.setattr(tensorflow, "FUSED", set())
    wanted, theirs = losses(Tiny(), even_faces, plan, [1] * 5)
    same(wanted, rows, 1e-5)
    for mine, other in ((parts.networks, theirs.networks), (parts.averages, theirs.averages)):
        for name, network in mine.items():
            for one, another in zip(network.get_weights(), other[name].get_weights(), strict=True):
                np.testing.assert_allclose(one, another, atol=2e-5)  # of steps of 1e-3
    for one, another in zip(parts.optimizers["all"].variables, theirs.optimizers["all"].variables, strict=True):
        np.testing.assert_allclose(one, another, atol=1e-6, rtol=1e-3)


def test_gathered_gradients_of_two_halves_are_those_of_the_whole(even_faces):
    """Two iterations of one batch, gathered, change what one iteration of that batch changes."""
    model = Tiny()
    once = losses(model, even_faces, plan_of(model, updates=Updates(accumulate=1)), [1])[1]
    parts = assembly.make_parts(model, even_faces, plan_of(model, updates=Updates(accumulate=2)))
    step, feed = make_step(parts), assembly.make_feed(model, even_faces, plan_of(model))
    fed = feed.take()
    feed.close()
    for number in range(2):
        step(fed, number, [1e-3])
    step.wait()
    for one, other in zip(once.networks["decoder_b"].get_weights(), parts.networks["decoder_b"].get_weights()):
        np.testing.assert_allclose(one, other, atol=2e-5)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_it_learns_in_less_than_float32(faces, precision, plain):
    backend.set_up(precision, 1)
    try:
        model = small_model()
        rows = losses(model, faces, plan_of(model, float16=precision == "float16"), [1] * 6)[0]
    finally:
        backend.set_up("float32", 1)
    same(plain[:1], rows[:1], 0.03)
    assert all(np.isfinite(list(row.values())).all() for row in rows) and rows[-1]["a"] < rows[0]["a"]


def in_a_process(folders: dict[str, Path], keras_backend: str, **given) -> list[list[dict[str, float]]]:
    """The losses of six iterations there, for each way of asking for them."""
    return answer_of(__file__, keras_backend, given | {"folders": {identity: str(folder) for identity, folder in folders.items()}})


@pytest.mark.parametrize("on_device", [False, True], ids=["host", "device"])
@pytest.mark.parametrize("name", OTHERS)
def test_other_backends_have_the_same_losses(face_folders, plain, name, on_device):
    rows, = in_a_process(face_folders, name, on_device=on_device)
    same(plain, rows, 5e-3 if on_device else 1e-3)


@pytest.fixture(scope="module")
def even(face_folders) -> list[dict[str, float]]:
    """Six iterations of that model on one device."""
    rows, = in_a_process(face_folders, "tensorflow", even=True)
    return rows


@pytest.mark.parametrize("on_device", [False, True], ids=["host", "device"])
def test_two_devices_of_tensorflow_have_the_losses_of_one(face_folders, even, on_device):
    one_by_one, at_once = in_a_process(face_folders, "tensorflow", even=True, devices=2, on_device=on_device, calls=[[1] * 6, [6]])
    same(even, one_by_one, 5e-3 if on_device else 1e-4)
    same([{name: np.mean([row[name] for row in even]) for name in even[0]}], at_once, 5e-3 if on_device else 1e-4)


def test_two_devices_of_jax_have_the_losses_of_one(face_folders, plain):
    rows, = in_a_process(face_folders, "jax", devices=2)
    same(plain, rows)


@pytest.mark.parametrize("name, command, words", [
    ("torch", "from lib.nn import backend; backend.set_up('float32', devices=3)",
     "--devices 3: 1 can train together on the backend torch"),
    ("jax", "from lib.nn import backend; backend.set_up('float32', devices=3)",
     "--devices 3: 1 can train together on the backend jax"),
    ("numpy", "from lib.training.step.choice import make_step; make_step(None)",
     "Training runs on the backends tensorflow, jax and torch, not on numpy")])
def test_what_a_backend_cannot_do_is_told(name, command, words):
    if importlib.util.find_spec("jax" if name == "numpy" else name) is None:  # Keras's NumPy backend needs JAX
        pytest.skip(f"{name} is not installed")
    done = subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True,
                          env=os.environ | {"KERAS_BACKEND": name})
    assert words in done.stderr


def test_where_the_first_batch_does_not_fit_smaller_ones_are_tried(monkeypatch, own_plugins):
    """Of 2 GiB, that is: a process that takes more is ended."""
    from lib.training.run import estimate

    monkeypatch.setenv("FACESWAP_PLUGINS", own_plugins["FACESWAP_PLUGINS"])
    monkeypatch.setattr(estimate, "FIRST", 1 << 17)
    monkeypatch.setattr(estimate.device, "memory", lambda: (2 << 30, 2 << 30))
    batch, speed, _ = estimate.largest_batch("tiny", {}, "float32", plan_of(Tiny()))
    assert 1 <= batch < 1 << 17 and speed > 0


def main(given: dict) -> None:
    devices = backend.set_up("float32", 1, given.get("devices", 1))
    model = Tiny() if given.get("even") else small_model()
    faces = faces_of({identity: Path(folder) for identity, folder in given["folders"].items()}, model)
    plan = plan_of(model, on_device=given.get("on_device", False))
    print(json.dumps([losses(model, faces, plan, calls, devices)[0] for calls in given.get("calls", [[1] * 6])]))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
