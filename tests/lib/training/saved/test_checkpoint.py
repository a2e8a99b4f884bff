"""Saves: whatever happens to a run or to a file, the last good one is found."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.files.writing import write_json
from lib.nn import backend  # noqa: F401  TensorFlow starts silently
from lib.system.lock import Beat
from lib.training.saved import checkpoint, model_folder, weights

import keras  # isort: skip

ROOT = Path(__file__).resolve().parents[4]


class Trained:
    """Small networks, their averages and a built optimizer, all with values of their own."""

    def __init__(self, seed: int, width: int = 4):
        self.networks = {name: self._network(width) for name in ("encoder", "decoder_a")}
        self.averages = {name: self._network(width) for name in self.networks}
        self.optimizers = {"all": keras.optimizers.Adam(1e-3)}
        self.optimizers["all"].build([variable for network in self.networks.values() for variable in network.trainable_variables])
        random = np.random.default_rng(seed)
        for variable in self.variables():
            variable.assign(random.integers(0, 99, variable.shape).astype(variable.dtype))

    @staticmethod
    def _network(width: int) -> keras.Model:
        face = keras.Input((8, 8, 3))
        return keras.Model(face, keras.layers.Dense(10)(keras.layers.Flatten()(keras.layers.Conv2D(width, 3)(face))))

    def variables(self) -> list:
        holders = (*self.networks.values(), *self.averages.values(), *self.optimizers.values())
        return [variable for holder in holders for variable in holder.variables]

    def save(self, folder: Path, iteration: int, seconds: float = 1.5, scores: dict | None = None, **options) -> Path:
        return checkpoint.save(folder, self.networks, self.averages, self.optimizers,
                               checkpoint.State(iteration, seconds, scores=scores or {}), **options)

    def load(self, save: Path) -> None:
        weights.load_networks(save, self.networks, averaged=False)
        weights.load_networks(save, self.averages, averaged=True)
        weights.load_optimizers(save, self.optimizers)


@pytest.fixture(scope="module")
def trained() -> Trained:
    return Trained(1)


@pytest.fixture(scope="module")
def two_saves(trained, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("saves")
    trained.save(folder, 10)
    trained.save(folder, 20)
    return folder


@pytest.fixture
def folder(two_saves, tmp_path) -> Path:
    """A model folder with the saves 10 and 20, to be damaged."""
    return shutil.copytree(two_saves, tmp_path / "model")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_saved_is_loaded(trained, folder):
    path, state = checkpoint.newest(folder)
    assert (state.iteration, state.seconds) == (20, 1.5)
    other = Trained(2)
    other.load(path)
    for one, same in zip(trained.variables(), other.variables(), strict=True):
        np.testing.assert_array_equal(np.asarray(one.value), np.asarray(same.value))


def test_a_folder_that_was_never_saved_into(tmp_path):
    assert checkpoint.newest(tmp_path) is None and checkpoint.saves(tmp_path) == []


def numbers(paths: list[Path]) -> list[int]:
    return [int(path.name) for path in paths]


def test_the_last_saves_are_kept(trained, folder):
    trained.save(folder, 99_999_999)
    trained.save(folder, 100_000_000)
    assert numbers(checkpoint.saves(folder)) == [100_000_000, 99_999_999, 20]
    trained.save(folder, 100_000_001, keep=1)
    assert numbers(checkpoint.saves(folder)) == [100_000_001]


def test_the_best_is_kept_as_well(trained, tmp_path):
    for iteration, loss in ((10, 0.5), (20, 0.1), (30, 0.3), (40, 0.4), (50, float("inf"))):
        trained.save(tmp_path, iteration, scores={"loss": loss}, keep=2)
    assert numbers(checkpoint.saves(tmp_path)) == [50, 40, 20] and checkpoint.best(tmp_path).name == "00000020"
    trained.save(tmp_path, 60, scores={"loss": 0.4, "swap": 0.6}, keep=2)
    trained.save(tmp_path, 70, scores={"loss": 0.01, "swap": 0.7}, keep=2)
    assert checkpoint.best(tmp_path).name == "00000060", "how well faces were swapped says more than the loss"


def test_a_snapshot_outlives_its_save(trained, folder):
    snapshot = checkpoint.keep_for_good(folder / "saves" / "00000010")
    before = contents(snapshot)
    for iteration in (30, 40, 50):
        trained.save(folder, iteration)
    assert numbers(checkpoint.saves(folder)) == [50, 40, 30] and contents(snapshot) == before
    assert checkpoint.restore(folder, "10").iteration == 10
    assert numbers(checkpoint.saves(folder)) == [10] and checkpoint.newest(folder)[1].iteration == 10
    assert (folder / "saves" / "00000050.undone").is_dir() and contents(snapshot) == before


@pytest.mark.parametrize("which, iteration", [("previous", 10), ("best", 10), ("10", 10), ("20", 20), ("0010", 10)])
def test_an_earlier_save_is_gone_back_to(trained, tmp_path, which, iteration):
    trained.save(tmp_path, 10, scores={"loss": 0.1})
    trained.save(tmp_path, 20, scores={"loss": 0.2})
    assert checkpoint.restore(tmp_path, which).iteration == iteration
    assert checkpoint.newest(tmp_path)[1].iteration == iteration
    assert (tmp_path / "saves" / "00000020.undone").is_dir() == (iteration == 10)


def test_a_save_that_is_none_or_damaged_is_not_gone_back_to(folder):
    flip_a_bit(folder / "saves" / "00000010" / "encoder.weights.h5")
    before = contents(folder)
    with pytest.raises(FaceswapError, match="There is no checkpoint '15'.*There are: 10, 20"):
        checkpoint.restore(folder, "15")
    with pytest.raises(FaceswapError, match="00000010 is damaged .*Nothing was changed"):
        checkpoint.restore(folder, "previous")
    with pytest.raises(FaceswapError, match="There is no checkpoint 'best'"):
        checkpoint.restore(folder, "best")
    assert contents(folder) == before


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "file cut short": lambda save: cut(save / "encoder.weights.h5"),
    "a bit": lambda save: flip_a_bit(save / "all.optimizer.h5"),
    "file missing": lambda save: (save / "decoder_a.averaged.weights.h5").unlink(),
    "state missing": lambda save: (save / "state.json").unlink(),
    "state cut short": lambda save: cut(save / "state.json"),
    "state of nonsense": lambda save: (save / "state.json").write_text("[1, 2]"),
    "state of another save": lambda save: shutil.copy(save.with_name("00000010") / "state.json", save),
    "emptied": lambda save: [path.unlink() for path in save.iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_save_is_passed_over(folder, caplog, damage):
    damage(folder / "saves" / "00000020")
    path, state = checkpoint.newest(folder)
    assert path.name == "00000010" and state.iteration == 10
    assert "00000020 is damaged" in caplog.text


def test_damaged_saves_are_set_aside_before_new_ones_come(trained, folder):
    cut(folder / "saves" / "00000020" / "encoder.weights.h5")
    checkpoint.set_aside_newer(folder, 10)
    trained.save(folder, 15)
    trained.save(folder, 20)
    assert [path.name for path in checkpoint.saves(folder)] == ["00000020", "00000015", "00000010"]
    assert checkpoint.newest(folder)[1].iteration == 20
    assert (folder / "saves" / "00000020.damaged").is_dir(), "a person may want to look at it"


def test_nothing_but_damaged_saves(folder):
    for path in checkpoint.saves(folder):
        cut(path / "encoder.weights.h5")
    with pytest.raises(FaceswapError, match="Every checkpoint .* damaged.*Restore"):
        checkpoint.newest(folder)


def test_what_a_killed_save_left_is_cleared_away(trained, folder):
    leftover = folder / "saves" / ".00000025"
    shutil.copytree(folder / "saves" / "00000020", leftover)
    (leftover / "state.json").unlink()
    assert checkpoint.newest(folder)[1].iteration == 20
    trained.save(folder, 30)
    assert not leftover.exists()
    assert {path.name for path in (folder / "saves").iterdir()} == {"00000010", "00000020", "00000030"}


@pytest.mark.parametrize("width", [2, 6])
def test_networks_of_another_size(folder, width):
    other = Trained(2, width)
    save = checkpoint.newest(folder)[0]
    with pytest.raises(FaceswapError, match="encoder.weights.h5 does not hold the weights of this model") as told:
        weights.load_networks(save, other.networks, averaged=False)
    assert "\n" not in str(told.value)
    with pytest.raises(FaceswapError, match="does not hold this model's optimizer"):
        weights.load_optimizers(save, other.optimizers)


def test_a_file_far_too_large_is_not_read(folder):
    save = checkpoint.newest(folder)[0]
    with open(save / "encoder.weights.h5", "ab") as file:
        file.truncate(1 << 40)  # a hole of a terabyte takes no room
    with pytest.raises(FaceswapError, match="far larger than this model's weights"):
        weights.load_networks(save, Trained(2).networks, averaged=False)


def test_a_file_that_promises_more_than_it_holds(folder):
    import h5py

    save = checkpoint.newest(folder)[0]
    with h5py.File(save / "all.optimizer.h5", "r+") as file:
        del file["00003"]
        file.create_dataset("00003", shape=(1 << 40,), chunks=(1024,), dtype="float32", compression="gzip")
    with pytest.raises(FaceswapError, match="does not hold this model's optimizer"):
        weights.load_optimizers(save, Trained(2).optimizers)


def test_a_file_is_missing(folder):
    save = checkpoint.newest(folder)[0]
    (save / "decoder_a.weights.h5").unlink()
    with pytest.raises(FaceswapError, match="decoder_a.weights.h5 is missing"):
        weights.load_networks(save, Trained(2).networks, averaged=False)


@pytest.fixture
def small_disk(tmp_path):
    """A disk with room for two saves of `Trained` and a half."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = shutil.which("mount") and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk], capture_output=True)
    if not mounted or mounted.returncode:
        pytest.skip("this user cannot mount a small disk")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_disk_that_is_full(trained, small_disk):
    trained.save(small_disk, 10)
    (small_disk / "other_files").write_bytes(bytes(shutil.disk_usage(small_disk).free - 20_000))
    before = contents(small_disk)
    with pytest.raises(OSError, match="No space left"):
        trained.save(small_disk, 20)
    assert contents(small_disk) == before
    assert checkpoint.newest(small_disk)[1].iteration == 10
    (small_disk / "other_files").unlink()
    trained.save(small_disk, 20)
    assert checkpoint.newest(small_disk)[1].iteration == 20


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_a_file_that_may_not_grow(trained, folder):
    import resource

    before, limits = contents(folder), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            trained.save(folder, 30)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert contents(folder) == before


def test_one_training_at_a_time(tmp_path):
    folder = tmp_path / "new" / "model"
    with model_folder.alone(folder):
        with pytest.raises(FaceswapError, match="Another training is at work in .*model"):
            with model_folder.alone(folder):
                pass
        (folder / "options.json").touch()
    assert sorted(path.name for path in folder.iterdir()) == ["options.json"]
    with model_folder.alone(folder):
        pass
    assert folder.exists()


def test_another_machine_that_trains_there_is_told_by_its_beat(tmp_path):
    beat = tmp_path / ".beat"
    with model_folder.alone(tmp_path):
        own = beat.read_text()
    assert own and not beat.exists()
    beat.write_text("gpu-box 1234")
    with pytest.raises(FaceswapError, match="Another training is at work in .*, on the machine gpu-box"):
        with model_folder.alone(tmp_path):
            pass
    assert beat.read_text() == "gpu-box 1234"
    os.utime(beat, (time.time() - 61,) * 2)
    with model_folder.alone(tmp_path):
        assert beat.read_text() == own, "the other has been silent for a minute"
    beat.write_text(own)
    with model_folder.alone(tmp_path):
        pass  # a training of this machine that was killed


def test_a_beat_goes_on(tmp_path):
    path = tmp_path / ".beat"
    with Beat(path, beats=0.05):
        os.utime(path, (0, 0))
        end = time.monotonic() + 10
        while path.stat().st_mtime < time.time() - 60:
            assert time.monotonic() < end
            time.sleep(0.02)


def test_a_folder_in_which_nothing_came_to_be_is_taken_away(tmp_path):
    with pytest.raises(ValueError):
        with model_folder.alone(tmp_path / "model"):
            raise ValueError
    assert not (tmp_path / "model").exists()


def test_the_lock_of_a_killed_training_is_none(tmp_path):
    script = f"from pathlib import Path; from lib.training.saved import model_folder\n" \
             f"with model_folder.alone(Path({str(tmp_path)!r})): print('in', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"in\n"
        with pytest.raises(FaceswapError, match="Another training"):
            with model_folder.alone(tmp_path):
                pass
        other.send_signal(signal.SIGKILL)
        other.wait()
    with model_folder.alone(tmp_path):
        pass


def test_a_file_in_the_folders_place(tmp_path):
    (tmp_path / "model").write_text("a file")
    for folder in tmp_path / "model", tmp_path / "model" / "inside":
        with pytest.raises(FaceswapError, match=f"Cannot write into {folder}"):
            with model_folder.alone(folder):
                pass


def test_json_is_written_whole(tmp_path):
    write_json(tmp_path / "options.json", {"path": Path("a"), "name": "Ä"})
    assert json.loads((tmp_path / "options.json").read_text(encoding="utf-8")) == {"path": "a", "name": "Ä"}
    assert [path.name for path in tmp_path.iterdir()] == ["options.json"]


OPTIONS = {"format": 1, "model": "compact", "options": {}}


@pytest.mark.parametrize("text, words", [
    (None, "holds no model"),
    ('{"model": "compact", "opt', "Cannot read"),
    ("\0\xff", "Cannot read"),
    ("[]", "not the description of a model"),
    (json.dumps(OPTIONS | {"options": None}), "not the description of a model"),
    (json.dumps(OPTIONS | {"format": 99}), "newer version"),
], ids=["none", "cut short", "nonsense", "a list", "no options", "newer"])
def test_a_description_that_cannot_be_used(tmp_path, text, words):
    if text is not None:
        (tmp_path / "options.json").write_text(text, encoding="latin-1")
    with pytest.raises(FaceswapError, match=words):
        model_folder.read_options(tmp_path)


@pytest.mark.parametrize("given, upscale", [({}, 1), ({"upscale": 2}, 2)])
def test_options_that_came_later_are_what_older_models_had(tmp_path, given, upscale):
    (tmp_path / "options.json").write_text(json.dumps(OPTIONS | {"options": {"size": 64} | given}))
    assert model_folder.read_options(tmp_path)["options"] == {"size": 64, "upscale": upscale}


def test_there_is_no_folder(tmp_path):
    with pytest.raises(FaceswapError, match="There is no model folder .*Train one first"):
        model_folder.read_options(tmp_path / "model")


@pytest.mark.parametrize("moment", ["state", "weights"])
def test_a_save_that_training_removes_while_it_is_read_gives_way_to_the_newer_one(trained, tmp_path, monkeypatch, moment):
    """As `train --keep 1` does beside convert."""
    old, newer, into = Trained(2), Trained(3), Trained(4)
    old.save(tmp_path, 10)
    place, name = {"state": (checkpoint, "_checked_state"), "weights": (weights, "load_networks")}[moment]
    read = getattr(place, name)

    def read_slowly(save, *arguments, **options):
        if save.name.endswith("10"):
            newer.save(tmp_path, 20, keep=1)
            assert not save.exists()
        return read(save, *arguments, **options)

    monkeypatch.setattr(place, name, read_slowly)
    _, state = checkpoint.load_newest(tmp_path, into.networks)
    assert state.iteration == 20
    for wanted, there in zip(newer.averages["encoder"].get_weights(), into.networks["encoder"].get_weights(), strict=True):
        assert np.array_equal(wanted, there)
