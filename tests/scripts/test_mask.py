"""`faceswap.py mask`: adds what is missing, goes on after a kill, makes masks anew whose options changed, and draws them."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lib.alignments.store import AlignmentStore
from lib.faces.geometry import crop, transform_points
from lib.faces.masks import extended
from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file

ROOT = Path(__file__).resolve().parent.parent.parent
FRAMES = 16


@pytest.fixture(scope="module")
def extracted(clips, faceswap, tmp_path_factory) -> Path:
    """A folder with clip.mp4 and its alignments, with masks by hull."""
    folder = tmp_path_factory.mktemp("extracted")
    shutil.copy(clips[0], folder / "clip.mp4")
    faceswap("extract", "-i", folder / "clip.mp4", "-D", "hog")
    return folder


@pytest.fixture
def clip(extracted, tmp_path) -> Path:
    return Path(shutil.copytree(extracted, tmp_path / "here")) / "clip.mp4"


def stored(clip: Path) -> list:
    with AlignmentStore.open(Path(f"{clip}.alignments.db"), read_only=True) as store:
        return [face for index in range(FRAMES) for face in store.faces(index)]


def settings(clip: Path) -> dict:
    with AlignmentStore.open(Path(f"{clip}.alignments.db"), read_only=True) as store:
        return store.settings


def test_masks_are_added_to_those_that_are_there(faceswap, clip):
    before = stored(clip)
    done = faceswap("mask", "-i", clip, "-M", "hull", "extended")
    assert f"Made masks of {FRAMES} faces in {FRAMES} frames." in done.stderr
    frames = list(open_source(clip))
    for old, face, frame in zip(before, stored(clip), frames, strict=True):
        assert np.array_equal(old.masks["hull"], face.masks["hull"]) and np.array_equal(old.face.landmarks, face.face.landmarks)
        aligned = crop(frame.image, face.fitted, 256)
        expected = extended(transform_points(face.fitted.landmarks, aligned.matrix), 256).reshape(128, 2, 128, 2, 1).mean((1, 3))
        assert np.abs(face.masks["extended"] - expected).max() < 0.01
    assert "All faces had these masks before." in faceswap("mask", "-i", clip, "-M", "extended", "hull").stderr


def test_other_options_make_the_masks_of_that_masker_anew(faceswap, clip):
    faceswap("mask", "-i", clip, "-M", "hull", "extended")
    before = stored(clip)
    faceswap("mask", "-i", clip, "-M", "hull", "extended", "--masker.extended.dilation", -0.1)
    for old, face in zip(before, stored(clip), strict=True):
        assert np.array_equal(old.masks["hull"], face.masks["hull"])
        assert face.masks["extended"].sum() < 0.8 * old.masks["extended"].sum()
    assert settings(clip)["maskers"] == {"hull": {"dilation": 0.0, "feather": 0.0}, "extended": {"dilation": -0.1, "feather": 0.0}}
    again = faceswap("extract", "-i", clip, "-D", "hog", "-M", "extended", "--masker.feather", 0.2)
    assert "All frames had been searched before." in again.stderr and settings(clip)["maskers"]["extended"]["feather"] == 0.2
    assert all(((mask > 0.05) & (mask < 0.95)).mean() > 0.05 for mask in (face.masks["extended"] for face in stored(clip)))


def test_a_changed_description_of_a_network_makes_its_masks_anew(faceswap, clip, skin_network, tmp_path):
    shutil.copy(skin_network.with_suffix(".onnx"), tmp_path)
    network = Path(shutil.copy(skin_network, tmp_path))
    arguments = ("mask", "-i", clip, "-M", "onnx", "--masker.network", network)
    faceswap(*arguments)
    first = stored(clip)
    assert "All faces had these masks before." in faceswap(*arguments).stderr
    network.write_text(network.read_text().replace("face = [1]", "face = [0]"))
    assert f"Made masks of {FRAMES} faces" in faceswap(*arguments).stderr
    assert all(np.abs(old.masks["onnx"] + face.masks["onnx"] - 1).max() < 0.01 for old, face in zip(first, stored(clip), strict=True))


def test_extract_makes_masks_by_several_maskers(faceswap, clips, tmp_path):
    clip = Path(shutil.copy(clips[0], tmp_path / "clip.mp4"))
    config = tmp_path / "faceswap.toml"
    config.write_text('[extract]\nmasker = ["hull", "extended"]\n[masker.extended]\nfeather = 0.1\n')
    faceswap("extract", "-i", clip, "-D", "hog", "--config", config, "--masker.hull.dilation", 0.1)
    assert all(set(face.masks) == {"hull", "extended"} for face in stored(clip))
    assert settings(clip)["maskers"] == {"hull": {"dilation": 0.1, "feather": 0.0}, "extended": {"dilation": 0.0, "feather": 0.1}}


@pytest.mark.skipif(sys.platform == "win32", reason="has no signal to kill another process")
def test_killed_it_goes_on_where_it_was(faceswap, clip, own_plugins):
    arguments = ["mask", "-i", str(clip), "-M", "slow_hull", "--masker.seconds", "0.5"]
    run = subprocess.Popen([sys.executable, str(ROOT / "faceswap.py"), *arguments], env=os.environ | own_plugins, stderr=subprocess.DEVNULL)

    def made() -> int:
        database = sqlite3.connect(f"file:{clip}.alignments.db?mode=ro", uri=True, timeout=30)
        (count,), = database.execute("SELECT COUNT(*) FROM masks WHERE name = 'slow_hull'")
        database.close()
        return count

    deadline = time.monotonic() + 600
    while not made():
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    run.kill()
    run.wait()
    before = made()
    assert 0 < before < FRAMES
    done = faceswap(*arguments, **own_plugins)
    assert f"Made masks of {FRAMES - before} faces in {FRAMES - before} frames." in done.stderr
    assert all("slow_hull" in face.masks for face in stored(clip))


def test_pictures_of_masks_side_by_side(faceswap, clip, tmp_path):
    done = faceswap("mask", "-i", clip, "-M", "hull", "extended", "-o", tmp_path / "look", "--overlay", 3)
    assert f"Pictures to look at: {tmp_path / 'look'}" in done.stderr
    assert sorted(path.name for path in (tmp_path / "look").iterdir()) == ["000001_0.png", "000009_0.png", "000016_0.png"]
    drawn = picture_file.read(tmp_path / "look" / "000009_0.png")
    bar, side = len(drawn) - 256, 256
    assert drawn.shape == (bar + side, 3 * side, 3)
    plain, *shown = (drawn[bar:, start:start + side].astype(int) for start in range(0, 3 * side, side))
    frame = next(open_source(clip, exact=False).frames(8, 9))
    face = stored(clip)[8]
    assert np.array_equal(plain, crop(frame.image, face.fitted).image)
    for picture, name in zip(shown, ("hull", "extended")):
        mask = np.kron(face.masks[name][..., 0], np.ones((2, 2)))
        tinted = np.abs(picture - 0.6 * plain - 0.4 * np.array([255, 40, 120])).max(2) <= 1
        same = (picture == plain).all(2)
        line = (picture == (255, 255, 0)).all(2)
        assert (tinted | line)[mask == 1].mean() > 0.96 and same[mask == 0].mean() > 0.98 and 100 < line.sum() < 1500
    assert all(drawn[:bar, start:start + side].max() > 100 for start in (side, 2 * side))  # their names


def test_pictures_keep_their_names_and_what_cannot_be_read_is_told(faceswap, tmp_path, astronaut, hopper):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, image in (("a.png", astronaut), ("b.png", hopper), ("c.png", astronaut[:, ::-1])):
        picture_file.write(folder / name, image)
    faceswap("extract", "-i", folder, "-D", "hog", "-M", "")
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:500])
    done = faceswap("mask", "-i", folder, "-M", "extended", "-o", tmp_path / "look", code=3)
    assert "Made masks of 2 faces in 2 frames." in done.stderr
    assert "Frames that could not be read, whose faces have no masks: b.png." in done.stderr
    assert sorted(path.name for path in (tmp_path / "look").iterdir()) == ["a.png_0.png", "c.png_0.png"]


@pytest.mark.parametrize("arguments, code, answer", [
    (["-M", "hul"], 2, "-M/--masker: There is no masker 'hul'. Did you mean 'hull'"),
    ([], 2, "mask needs -M/--masker"),
    (["-M", ""], 2, "mask needs -M/--masker, the name of a masker"),
    (["-M", "hull", "--overlay", "3"], 2, "--overlay needs a folder for the pictures: name it with -o"),
    (["-M", "hull", "onnx"], 2, "--masker.onnx.network must be given"),
    (["-M", "onnx", "--masker.network", "nowhere.toml"], 1, "nowhere.toml, which should describe the network"),
    (["-M", "hull", "-p", "nowhere.db"], 1, "There is no alignments file"),
])
def test_mistakes_are_answered_in_a_line(faceswap, clip, arguments, code, answer):
    done = faceswap("mask", "-i", clip, *arguments, code=code)
    assert answer in done.stderr and done.stderr.count("\n") == 1
    assert not Path("nowhere.db").exists()


def test_the_alignments_of_another_video_are_refused(faceswap, clip, clips):
    done = faceswap("mask", "-i", clips[1], "-p", f"{clip}.alignments.db", "-M", "extended", code=1)
    assert "belongs to" in done.stderr


def test_a_masker_of_ones_own_knows_the_frame_and_the_coverage(clips, faceswap, own_plugins, tmp_path):
    """Masks of whole frames, read from files: the left half of each frame, another one for each."""
    clip = Path(shutil.copy(clips[0], tmp_path / "clip.mp4"))
    (tmp_path / "drawn").mkdir()
    for frame in open_source(clip):
        drawn = np.zeros_like(frame.image)
        drawn[:, :frame.size[0] // 2] = 100 + frame.index
        picture_file.write(tmp_path / "drawn" / f"{frame.index + 1:06d}.png", drawn)
    masker = ("-M", "from_files", "--masker.from_files.folder", tmp_path / "drawn")
    faceswap("extract", "-i", clip, "-D", "hog", *masker, **own_plugins)
    for index, face in enumerate(stored(clip)):
        mask = face.masks["from_files"] * 255
        assert abs(np.median(mask[mask > 50]) - (100 + index)) < 1.5 and 0.2 < (mask > 50).mean() < 0.8 and face.face.frame == index
        assert crop(np.zeros((256, 256, 3), np.uint8), face.face, 300, "head").coverage == "head"
