"""Networks that a received folder describes are measured before memory is taken for them."""

from __future__ import annotations

import json
import random

import psutil
import pytest

from lib.errors import FaceswapError
from lib.generating.generator import load_generator
from lib.nn import backend
from lib.plugin import MODELS
from lib.training.saved import budget, model_folder, transfer
from lib.training.saved.swapper import load_swapper

HUGE = {"amp": {"size": 640, "code": 1024, "inter": 2048, "encoder_width": 256, "decoder_width": 256, "mask_width": 256},
        "stylegan": {"size": 1024, "width": 65536, "most": 1024}}
MEGABYTE = 1 << 20


@pytest.fixture(scope="module", autouse=True)
def keras():
    backend.set_up("float32")


def received(folder, name: str, options: dict, networks=()):
    """A folder of such a model, whose files of weights hold a kilobyte each."""
    save = folder / "saves" / "00000001"
    save.mkdir(parents=True)
    for network in networks:
        (save / f"{network}.weights.h5").write_bytes(bytes(1024))
    (save / "state.json").write_text(json.dumps({"iteration": 1, "seconds": 1.0, "files": {}}))
    model_folder.write_options(folder, {"format": 1, "model": name, "options": options, "precision": "float32"})
    return folder


@pytest.mark.parametrize("name", ["compact", "stylegan", "phaze_a", "cyclegan"])
def test_networks_are_measured_as_they_are_built(name):
    model = MODELS.create(name)
    assert budget.network_bytes(model) == {key: 4 * network.count_params() for key, network in model.networks().items()}


def test_measuring_changes_no_training():
    """Layers that draw, such as dropout, take their seeds from Python's generator."""
    random.seed(7)
    expected = random.Random(7).random()
    assert budget.network_bytes(MODELS.create("amp", size=64, inter=64))["encoder"] > 0
    assert random.random() == expected


@pytest.mark.parametrize("name, read", [("amp", load_swapper), ("stylegan", load_generator), ("amp", lambda folder: transfer.load_weights(folder, {}))])
def test_a_small_folder_that_describes_huge_networks(tmp_path, name, read):
    before = psutil.Process().memory_info().rss
    model = MODELS.create(name, **HUGE[name])
    sizes = budget.network_bytes(model)
    assert sum(sizes.values()) > 800 * MEGABYTE
    with pytest.raises(FaceswapError, match="describes another model: its network"):
        read(received(tmp_path, name, HUGE[name], sizes))
    assert psutil.Process().memory_info().rss - before < 300 * MEGABYTE


def test_networks_that_no_memory_holds(tmp_path, monkeypatch):
    folder = received(tmp_path, "compact", {})
    monkeypatch.setattr(budget.device, "memory", lambda: (MEGABYTE, 10 * MEGABYTE))
    with pytest.raises(FaceswapError, match="this machine has 0.0 GB of memory"):
        load_swapper(folder)


def test_train_measures_them_too(tmp_path, face_folders, faceswap):
    folder = received(tmp_path / "model", "amp", HUGE["amp"], ["encoder"])
    done = faceswap("train", "-A", face_folders["a"], "-B", face_folders["b"], "-m", folder, "-t", "amp", "--iterations", 1, code=1)
    assert "describes another model: its network 'encoder'" in done.stderr
