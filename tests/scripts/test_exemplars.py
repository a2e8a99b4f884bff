"""Exemplars as users meet them: in the model's folder, in what convert makes of it, and before any training."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lib.media.pictures import picture_file

BANKS = {"exemplars_a.h5", "exemplars_b.h5"}


@pytest.fixture
def model(tiny_swap, tmp_path) -> Path:
    return Path(shutil.copytree(tiny_swap / "out.faceswap" / "model", tmp_path / "model"))


@pytest.fixture
def clip(clips, tmp_path) -> Path:
    return Path(shutil.copy(clips[0], tmp_path / "clip.mp4"))


@pytest.fixture
def convert(faceswap, own_plugins, clip, model, tmp_path):
    """`convert("out", "-s")` makes pictures in the folder "out" and returns them, by name."""

    def run(name: str, *more) -> dict[str, np.ndarray]:
        faceswap("convert", "-i", clip, "-o", tmp_path / name, "-m", model, "-D", "hog", "-w", "images", *more, **own_plugins)
        return {path.name: picture_file.read(path) for path in sorted((tmp_path / name).glob("*.png"))}

    return run


def changed(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    assert one.keys() == other.keys() and one
    return any((one[name] != other[name]).any() for name in one)


def test_a_model_holds_pictures_of_both_people_and_a_resumed_run_the_same_bytes(faceswap, own_plugins, face_folders, tmp_path):
    line = ["train", "-A", face_folders["a"], "-B", face_folders["b"], "-t", "tiny", "-m", tmp_path / "model", "--seed", 5]
    faceswap(*line, "-i", 2, **own_plugins)
    hashes = [{name: hashlib.sha256((tmp_path / "model" / name).read_bytes()).hexdigest() for name in BANKS}]
    faceswap(*line, "-i", 4, **own_plugins)
    hashes.append({name: hashlib.sha256((tmp_path / "model" / name).read_bytes()).hexdigest() for name in BANKS})
    assert hashes[0] == hashes[1]


def test_no_exemplars_leaves_none_and_that_is_remembered(faceswap, own_plugins, face_folders, tmp_path):
    line = ["train", "-A", face_folders["a"], "-B", face_folders["b"], "-t", "tiny", "-m", tmp_path / "model"]
    faceswap(*line, "-i", 2, **own_plugins)
    for iterations, more in ((3, ["--no-exemplars"]), (4, [])):
        faceswap(*line, "-i", iterations, *more, **own_plugins)
        assert not BANKS & {path.name for path in (tmp_path / "model").iterdir()}
    assert json.loads((tmp_path / "model" / "options.json").read_text())["exemplars"] is False
    faceswap(*line, "-i", 5, "--exemplars", **own_plugins)
    assert BANKS <= {path.name for path in (tmp_path / "model").iterdir()}


def test_exemplars_change_faces_both_ways(convert):
    for more in ([], ["-s"]):
        assert changed(convert("with" + "".join(more), *more), convert("without" + "".join(more), "--no-exemplars", *more))


def test_a_model_without_a_bank_converts_as_without_exemplars(convert, model):
    without = convert("without", "--no-exemplars")
    for name in BANKS:
        (model / name).unlink()
    assert not changed(without, convert("no-bank"))


def test_what_was_made_with_other_exemplars_is_not_used_again(convert, model, tmp_path):
    first = convert("out")
    shutil.copy(model / "exemplars_a.h5", model / "exemplars_b.h5")
    assert changed(first, convert("out"))


def test_a_damaged_bank_is_told_in_a_line(faceswap, own_plugins, clip, model, tmp_path):
    (model / "exemplars_b.h5").write_bytes(b"\x89HDF\r\n\x1a\nand no more")
    said = faceswap("convert", "-i", clip, "-o", tmp_path / "out.mp4", "-m", model, "-D", "hog", code=1, **own_plugins).stderr
    assert "exemplars_b.h5" in said and "Delete it to convert without exemplars" in said


def test_shards_draw_the_same_faces_as_one_run(convert):
    whole = convert("whole")
    convert("parts", "--shard", "1/2")
    assert not changed(whole, convert("parts", "--shard", "2/2"))


def test_pictures_get_exemplars_each_for_itself(faceswap, own_plugins, astronaut, model, tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(2):
        picture_file.write(tmp_path / "photos" / f"{number}.png", astronaut)
    made = []
    for name, more in (("with", []), ("without", ["--no-exemplars"])):
        faceswap("convert", "-i", tmp_path / "photos", "-o", tmp_path / name, "-m", model, "-D", "hog", "--no-match-detail", *more, **own_plugins)
        made.append([picture_file.read(tmp_path / name / f"{number}.png") for number in range(2)])
    assert (made[0][0] == made[0][1]).all() and (made[0][0] != made[1][0]).any()


def test_a_quick_look_trains_nothing_and_says_what_speaks_against_the_footage(faceswap, clips, tmp_path):
    sheet = tmp_path / "look" / "sheet.png"
    said = faceswap("swap", "-A", clips[0], "-B", clips[1], "-o", tmp_path / "out.mp4", "-D", "hog", "--quick-look", sheet).stderr
    assert picture_file.read(sheet).shape == (512, 8 * 256, 3)
    assert "There are only 16 faces of B." in said and "Expect faults" in said
    assert not (tmp_path / "out.mp4").exists() and not (tmp_path / "out.faceswap" / "model").exists()
