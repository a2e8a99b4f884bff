"""Discriminators as a finishing stage of an autoencoder."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from test_loop import plan, tiny

from lib.facesets.face_file import read_face
from lib.facesets.folder import list_faces
from lib.training.batches.faces import Faces
from lib.training.model.finishing import GROUP, Finishing
from lib.training.run import assembly, loop
from lib.training.saved import checkpoint, weights


@pytest.fixture(scope="module")
def faces(face_folders) -> dict[str, Faces]:
    people, model = {}, tiny()
    for identity, folder in face_folders.items():
        files = [read_face(path) for path in list_faces(folder)]
        people[identity] = Faces([file.image for file in files], [file.landmarks for file in files], "whole", model.size, model.coverage)
    return people


@pytest.fixture(scope="module")
def finished(faces, tmp_path_factory):
    """A model of 30 iterations, and of 60 with the stage: their folder."""
    folder = tmp_path_factory.mktemp("finished") / "model"
    loop.train(tiny(), faces, folder, plan(30))
    loop.train(Finishing(tiny(), 0.1), faces, folder, plan(60, report_seconds=0.01))
    return folder


def weights_of(save, model) -> dict[str, list[np.ndarray]]:
    networks = model.networks()
    weights.load_networks(save, networks, averaged=False)
    return {name: network.get_weights() for name, network in networks.items()}


def test_it_goes_on_from_a_save_without_it(finished):
    """No network begins anew: what the stage makes of the decoders in one iteration is near what they were."""
    before, after = (weights_of(finished / "saves" / name, tiny()) for name in ("00000030", "00000060"))
    for name in before:
        moved = np.mean([np.abs(one - other).mean() for one, other in zip(before[name], after[name])])
        assert 0 < moved < 0.05, name


def test_discriminators_are_saved_and_learn(finished, faces):
    begun = Finishing(tiny(), 0.1).networks()
    learnt = weights_of(finished / "saves" / "00000060", Finishing(tiny(), 0.1))
    assert {"discriminator_whole_a", "discriminator_half_b"} < set(learnt)
    assert not all(np.array_equal(one, other) for one, other in zip(begun["discriminator_whole_b"].get_weights(),
                                                                  learnt["discriminator_whole_b"]))
    rows = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    told = [row["D(real) b"] - row["D(fake) b"] for row in rows if "D(real) b" in row]
    assert told[-1] > told[0], "real faces are told from drawn ones better and better, as long as the weight is small"


def test_the_model_alone_is_what_convert_loads(finished):
    networks = tiny().networks()
    weights.load_networks(checkpoint.newest(finished)[0], networks, averaged=False)


def test_the_decoders_are_asked_for_what_fools_the_discriminators(faces):
    """With a weight of 0 the gradients are the model's own; with one they are not."""
    from lib.training.step.choice import make_step

    changes = {}
    for share in (None, 0.0, 1.0):
        model = tiny() if share is None else Finishing(tiny(), share)
        parts = assembly.make_parts(model, faces, plan(1))
        begun = parts.networks["decoder_b"].get_weights()
        feed = assembly.make_feed(model, faces, plan(1))
        make_step(parts)(feed.take(), 0, [1e-3])
        feed.close()
        changes[share] = [one - other for one, other in zip(parts.networks["decoder_b"].get_weights(), begun)]
    alike = [np.allclose(one, other, atol=1e-7) for one, other in zip(changes[None], changes[0.0])]
    assert all(alike) and not all(np.allclose(one, other, atol=1e-7) for one, other in zip(changes[None], changes[1.0]))


def test_the_surroundings_are_hidden_from_the_discriminators(faces):
    """They see the face alone: grey around it, in real and drawn pictures alike."""
    seen = []

    class Watching(Finishing):
        def networks(self):
            made = super().networks()
            real = made["discriminator_whole_a"]

            class Spy(keras.Model):
                def call(self, pictures, training=False):
                    seen.append(np.asarray(keras.ops.convert_to_numpy(pictures)))
                    return real(pictures, training=training)

            made["discriminator_whole_a"] = Spy()
            return made

    model = Watching(tiny(), 0.1)
    networks = model.networks()
    feed = assembly.make_feed(model, faces, plan(1))
    from lib.training.step.base import as_floats

    fed = feed.take()
    feed.close()
    model.losses(networks, as_floats({identity: type(side)(*(array[0] for array in side)) for identity, side in fed.items()}))
    corners = np.concatenate([pictures[:, :2, :2].ravel() for pictures in seen])
    assert len(seen) == 3 and np.allclose(corners, 0, atol=0.02)


def test_its_optimizer_is_its_own():
    groups = Finishing(tiny(), 0.1)
    groups.networks()
    assert groups.groups() == {"all": ["encoder", "decoder_a", "decoder_b"], GROUP: [
        "discriminator_whole_a", "discriminator_half_a", "discriminator_whole_b", "discriminator_half_b"]}
