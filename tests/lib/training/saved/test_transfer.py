"""Weights begun with across models of different depth."""

from __future__ import annotations

import logging
from dataclasses import asdict

import numpy as np

from lib.nn import backend
from lib.plugin import MODELS
from lib.training.saved import checkpoint, model_folder, transfer


def test_a_deeper_network_begins_with_the_layers_that_both_have(tmp_path, caplog):
    backend.set_up("float32", 1)
    models = [MODELS.create("compact", size=size, width=16, latent=32) for size in (64, 128)]
    shallow, deep = (model.networks() for model in models)
    model_folder.write_options(tmp_path, {"model": "compact", "options": asdict(models[0])})
    checkpoint.save(tmp_path, shallow, {}, {}, checkpoint.State(7, 0.0))
    before = {name: network.get_weights() for name, network in deep.items()}
    with caplog.at_level(logging.INFO):
        transfer.load_weights(tmp_path, deep)
    assert "iteration 7" in caplog.text and "the others are of other shapes" in caplog.text
    for name in ("encoder", "decoder_a", "decoder_b"):
        own, theirs = deep[name].get_weights(), shallow[name].get_weights()
        kernels = [array for array in own if array.ndim == 4]
        taken = [any(array.shape == one.shape and (array == one).all() for one in theirs if one.ndim == 4) for array in kernels]
        kept = [(array == one).all() for array, one in zip(kernels, [array for array in before[name] if array.ndim == 4])]
        assert np.mean(taken) > 0.5 and all(one != other for one, other in zip(taken, kept)), "each is the other's or as it was"
