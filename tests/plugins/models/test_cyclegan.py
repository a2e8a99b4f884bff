"""CycleGAN, as the training loop trains it, on real faces."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lib.facesets.face_file import read_face
from lib.facesets.folder import list_faces
from lib.nn import backend
from lib.plugin import MODELS, SCHEDULES
from lib.training.batches.faces import Faces
from lib.training.plan import Plan
from lib.training.run import loop
from lib.training.saved import checkpoint, weights

PARTS = [f"{kind} {identity}" for identity in "ab" for kind in ("G", "D", "cycle", "identity", "D(real)", "D(fake)")]


def small(**options):
    return MODELS.create("cyclegan", **{"size": 64, "width": 4, "discriminator_width": 4, "blocks": 1, "pool": 3} | options)


@pytest.fixture(scope="module")
def faces(face_folders) -> dict[str, Faces]:
    backend.set_up("float32", 1)
    people, model = {}, small()
    for identity, folder in face_folders.items():
        files = [read_face(path) for path in list_faces(folder)]
        people[identity] = Faces([file.image for file in files], [file.landmarks for file in files], "whole", model.size, model.coverage)
    return people


def trained(faces, folder: Path, *ends: int, **changes) -> Path:
    """The folder, after a run up to each of `ends`."""
    model = small()
    for end in ends:
        loop.train(model, faces, folder, Plan(**{
            "batch": 2, "learning_rate": 1e-3, "augmentation": model.augmentation, "seed": 1, "schedule": SCHEDULES.create("level"),
            "iterations": end, "preview_seconds": None, "report_seconds": 0.01} | changes))
    return folder


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def weights_of(folder: Path) -> dict[str, list[np.ndarray]]:
    networks = small().networks()
    weights.load_networks(checkpoint.newest(folder)[0], networks, averaged=False)
    return {name: network.get_weights() for name, network in networks.items()}


@pytest.fixture(scope="module")
def whole(faces, tmp_path_factory) -> Path:
    return trained(faces, tmp_path_factory.mktemp("whole"), 40)


def test_every_loss_is_reported_by_name(whole):
    first = rows(whole)[0]
    assert {"a", "b", *PARTS, "gradient generators", "gradient discriminator_a", "gradient discriminator_b"} <= first.keys()
    assert first["cycle a"] == pytest.approx(20 * first["a"], rel=1e-4), "ten times the error of pixels from -1 to 1"


def test_what_goes_there_and_back_comes_nearer_to_what_it_was(whole):
    told = rows(whole)
    for name in ("cycle a", "cycle b", "identity a", "identity b"):
        values = [row[name] for row in told]
        assert np.mean(values[-5:]) < 0.7 * np.mean(values[:3]), name


def test_stopped_and_gone_on_with_it_is_the_same(faces, whole, tmp_path):
    """Pools and optimizers, too."""
    one, other = weights_of(whole), weights_of(trained(faces, tmp_path, 15, 40))
    for name, its in one.items():
        for mine, theirs in zip(its, other[name], strict=True):
            np.testing.assert_allclose(theirs, mine, atol=1 if name.startswith("pool") else 1e-4, err_msg=name)


def test_the_pools_hold_translations(whole):
    found = weights_of(whole)
    for identity in "ab":
        pictures, filled = found[f"pool_{identity}"]
        assert filled == 3 and all(np.std(picture) > 5 for picture in pictures)


def test_a_generator_learns_from_its_own_losses_alone(faces):
    """The discriminators' losses do not reach the generators, nor the generators' the discriminators."""
    import tensorflow

    from lib.training.batches.augmentation import NONE
    from lib.training.batches.batch import Side

    model = small(pool=0)
    networks = model.networks()
    batch = {}
    for identity in "ab":
        side = faces[identity].batch([0], NONE, np.random.default_rng(0))
        batch[identity] = Side(*(tensorflow.cast(one, "float32") / 255 for one in side[:3]), side.landmarks)
    with tensorflow.GradientTape(persistent=True) as tape:
        losses = model.losses(networks, batch).minimise
        totals = {group: sum(parts.values()) for group, parts in losses.items()}
    told_apart = [variable.value for variable in networks["discriminator_a"].trainable_variables]
    made = [variable.value for name in ("generator_a", "generator_b") for variable in networks[name].trainable_variables]
    assert all(slope is None for slope in tape.gradient(totals["discriminator_a"], made))
    assert all(slope is not None for slope in tape.gradient(totals["discriminator_a"], told_apart))
    assert all(slope is None for slope in tape.gradient(totals["discriminator_b"], told_apart))
    assert all(slope is not None for slope in tape.gradient(totals["generators"], made))


@pytest.mark.parametrize("options", [{"loss": "hinge", "norm": "spectral"}, {"loss": "non_saturating", "depth": 1}], ids=str)
def test_other_games_are_trained_likewise(faces, options, tmp_path):
    model = small(**options)
    loop.train(model, faces, tmp_path, Plan(1, 2e-4, model.augmentation, 1, SCHEDULES.create("linear"), iterations=2, preview_seconds=None))
    assert all(np.isfinite(rows(tmp_path)[-1][name]) for name in PARTS)


def test_a_translation_is_the_swap_in_any_size(faces):
    model = small()
    networks = model.networks()
    pictures = np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
    translation = model.translation(networks, "b")
    swapped = model.swapper(networks, "b").predict_on_batch(pictures)
    np.testing.assert_allclose(swapped, translation.predict_on_batch(pictures), atol=1e-5)
    assert translation.predict_on_batch(np.zeros((1, 20, 36, 3), np.float32)).shape == (1, 20, 36, 3)
