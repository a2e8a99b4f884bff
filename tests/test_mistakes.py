"""A new user's mistakes: each is answered in one line, with exit code 1 or 2 and no traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def place(clips, tmp_path_factory) -> Path:
    """A folder with everything that can be wrong with an input, and a little that is right."""
    folder = tmp_path_factory.mktemp("mistakes")
    for name in "empty_folder", "no_pictures", "nothing_seen", "three_faces":
        (folder / name).mkdir()
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("This is not a video.\n" * 100)
    (folder / "text.png").write_text("This is not a picture.\n" * 100)
    (folder / "no_pictures" / "notes.txt").write_text("notes")
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 256, axis=1).repeat(3, axis=2)
    for number in range(3):
        picture_file.write(folder / "nothing_seen" / f"{number}.png", np.roll(ramp, 40 * number, 0))
    (folder / "no_index.mp4").write_bytes(clips[0].read_bytes()[:20_000])  # its index stood at the end
    (folder / "a_file").write_text("in the way")
    return folder


@pytest.fixture(scope="module")
def faces(tiny_swap) -> tuple[Path, Path]:
    return tiny_swap / "out.faceswap" / "faces_a", tiny_swap / "out.faceswap" / "faces_b"


@pytest.fixture(scope="module")
def model(tiny_swap) -> Path:
    return tiny_swap / "out.faceswap" / "model"


INPUTS = [
    ("missing.mp4", "missing.mp4"),
    ("missing/", "missing"),
    ("empty.mp4", "empty.mp4"),
    ("text.mp4", "text.mp4"),
    ("text.png", "text.png"),
    ("no_index.mp4", "no_index.mp4"),
    ("empty_folder", "empty_folder"),
    ("no_pictures", "no_pictures"),
]


def answer(done: subprocess.CompletedProcess) -> str:
    """The one line that starts with "error:"; nothing may come after it."""
    lines = [line for line in done.stderr.splitlines() if line]
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1 and lines[-1] == errors[0], done.stderr
    assert len(errors[0]) > 30, "says too little"
    return errors[0]


@pytest.mark.parametrize("name, words", INPUTS)
@pytest.mark.parametrize("command", ["extract", "convert", "train", "swap"])
def test_input_that_cannot_be_read(faceswap, own_plugins, place, clips, model, tmp_path, command, name, words):
    arguments = {
        "extract": ["-i", place / name, "-o", tmp_path / "faces", "-p", tmp_path / "x.db"],
        "convert": ["-i", place / name, "-o", tmp_path / "out", "-m", model, "-p", tmp_path / "x.db"],
        "train": ["-A", place / name, "-B", clips[1], "-m", tmp_path / "model", "-t", "tiny", "-i", 1],
        "swap": ["-A", clips[0], "-B", place / name, "-o", tmp_path / "out.mp4", "-t", "tiny", "-i", 1],
    }[command]
    assert words in answer(faceswap(command, *arguments, code=1, **own_plugins))
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("command", ["extract", "convert"])
def test_no_faces_at_all(faceswap, own_plugins, place, model, tmp_path, command):
    more = {"extract": ["-o", tmp_path / "faces"], "convert": ["-o", tmp_path / "out", "-m", model]}[command]
    done = faceswap(command, "-i", place / "nothing_seen", "-p", tmp_path / "x.db", *more, code=1, **own_plugins)
    assert "No faces found" in answer(done) and "--detector" in answer(done)


def test_too_few_faces_to_train_on(faceswap, own_plugins, place, faces, tmp_path):
    for path in sorted(faces[0].glob("*.png"))[:3]:
        shutil.copy(path, place / "three_faces")
    done = faceswap("train", "-A", place / "three_faces", "-B", faces[1], "-m", tmp_path / "m", "-t", "tiny", code=1, **own_plugins)
    assert "holds 3 faces, too few" in answer(done)


@pytest.mark.parametrize("command, option, name, nearest", [
    ("extract", "-D", "yunnet", "yunet"), ("extract", "-A", "dlib86", "dlib68"), ("extract", "-M", "hulk", "hull"),
    ("train", "-t", "orginal", "original"), ("convert", "-c", "reinhart", "reinhard"), ("convert", "-w", "vidoe", "video"),
    ("swap", "-t", "orginal", "original"), ("swap", "-M", "hulk", "hull"),
])
def test_unknown_plugin_is_answered_with_the_list_and_the_nearest(faceswap, clips, model, tmp_path, command, option, name, nearest):
    needed = {"extract": ["-i", clips[0]], "train": ["-A", clips[0], "-B", clips[1], "-m", tmp_path / "m"],
              "convert": ["-i", clips[0], "-o", tmp_path / "o.mp4", "-m", model],
              "swap": ["-A", clips[0], "-B", clips[1], "-o", tmp_path / "o.mp4"]}[command]
    told = answer(faceswap(command, *needed, option, name, code=2))
    assert repr(name) in told and f"Did you mean {nearest!r}" in told and "There are: " in told


@pytest.mark.parametrize("arguments, words", [
    (["extract", "-i", "x", "--size", "1"], "--size must be at least"),
    (["extract", "-i", "x", "--detector", "hog", "--detector.upsample", "50"], "--detector.upsample must be at least"),
    (["train", "-A", "x", "-B", "y", "-m", "z", "-b", "0"], "--batch must be at least 1"),
    (["train", "-A", "x", "-B", "y", "-m", "z", "-i", "many"], "--iterations needs a whole number"),
    (["convert", "-i", "x", "-o", "y", "-m", "z", "--feather", "9"], "--feather must be at least"),
    (["convert", "-i", "x", "-o", "y", "-m", "z", "--faces", "larges"], "Did you mean 'largest'"),
    (["swap", "-A", "x", "-B", "y", "-o", "z", "--minutes", "-1"], "--minutes must be at least"),
    (["extract"], "extract needs -i/--input"),
    (["train"], "train needs -A/--input-a and -m/--model-dir"),
    (["convert", "-i", "x"], "convert needs -o/--output."),
    (["convert", "-i", "x", "-o", "y"], "convert needs one of -m/--model-dir"),
    (["convert", "-i", "x", "-o", "y", "-m", "m", "--swap", "1=m"], "convert needs one of -m/--model-dir"),
])
def test_wrong_options(faceswap, tmp_path, arguments, words):
    assert words in answer(faceswap(*arguments, code=2))


@pytest.mark.parametrize("command", ["extract", "convert"])
def test_the_same_path_for_input_and_output(faceswap, clips, model, tmp_path, command):
    video = shutil.copy(clips[0], tmp_path / "a.mp4")
    before = video.read_bytes()
    done = faceswap(command, "-i", video, "-o", tmp_path / "." / "a.mp4", *(["-m", model] if command == "convert" else []), code=None)
    assert done.returncode in (1, 2) and "output" in answer(done)
    assert video.read_bytes() == before


def test_the_same_folder_for_input_and_output(faceswap, astronaut, model, tmp_path):
    (tmp_path / "photos").mkdir()
    picture_file.write(tmp_path / "photos" / "a.png", astronaut)
    for command, more in (("extract", []), ("convert", ["-m", model])):
        done = faceswap(command, "-i", tmp_path / "photos", "-o", f"{tmp_path}/photos/", *more, code=None)
        assert done.returncode in (1, 2) and "output" in answer(done)
    assert sorted(path.name for path in (tmp_path / "photos").iterdir()) == ["a.png"]


@pytest.mark.parametrize("name, words", [("out.jpg", "one picture"), ("out.ogv", ".mp4"), ("photos.mp4/out.mp4", "photos.mp4")])
def test_an_output_that_cannot_be_is_told_before_the_work_begins(faceswap, own_plugins, place, clips, model, tmp_path, name, words):
    (tmp_path / "photos.mp4").touch()
    swap = faceswap("swap", "-A", clips[0], "-B", clips[1], "-o", tmp_path / name, "-t", "tiny", "-i", 1, code=1, **own_plugins)
    convert = faceswap("convert", "-i", clips[0], "-o", tmp_path / name, "-m", model, "-p", tmp_path / "x.db", code=1, **own_plugins)
    for done in swap, convert:
        assert words in answer(done) and "Finding" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["photos.mp4"]


def test_one_person_for_both(faceswap, own_plugins, faces, tmp_path):
    done = faceswap("train", "-A", faces[0], "-B", faces[0] / ".", "-m", tmp_path / "m", "-t", "tiny", "-i", 1, code=1, **own_plugins)
    assert "two people" in answer(done) and not (tmp_path / "m").exists()


def unwritable(folder: Path) -> list[Path]:
    """Places where nothing can be written: inside a file and, unless rights do not bind this user, in a read-only folder."""
    places = [folder / "a_file" / "inside"]
    (folder / "read_only").mkdir(mode=0o555, exist_ok=True)
    if not os.access(folder / "read_only", os.W_OK):
        places.append(folder / "read_only" / "inside")
    return places


@pytest.mark.parametrize("command", ["extract", "train", "convert", "swap"])
def test_output_that_cannot_be_written(faceswap, own_plugins, place, clips, faces, model, tmp_path, command):
    for target in unwritable(place):
        arguments = {
            "extract": ["-i", clips[0], "-o", target, "-p", tmp_path / "x.db"],
            "train": ["-A", faces[0], "-B", faces[1], "-m", target, "-t", "tiny", "-i", 1],
            "convert": ["-i", clips[0], "-o", target / "out.mp4", "-m", model, "-p", tmp_path / "x.db"],
            "swap": ["-A", clips[0], "-B", clips[1], "-o", target / "out.mp4", "-t", "tiny", "-i", 1],
        }[command]
        assert target.parent.name in answer(faceswap(command, *arguments, code=1, **own_plugins))


def namespaces_work() -> bool:
    return shutil.which("unshare") is not None and subprocess.run(
        ["unshare", "-rm", "sh", "-c", "mount -t tmpfs tmpfs /mnt"], capture_output=True).returncode == 0


@pytest.mark.skipif(not namespaces_work(), reason="this system lets nobody mount a small disk of his own")
@pytest.mark.parametrize("command", ["extract", "train", "convert"])
def test_disk_full_while_writing(own_plugins, clips, faces, model, tmp_path, command):
    disk = tmp_path / "disk"
    disk.mkdir()
    line = {
        "extract": ["extract", "-i", clips[0], "-o", disk / "faces", "-p", tmp_path / "x.db", "-D", "hog"],
        "train": ["train", "-A", faces[0], "-B", faces[1], "-m", disk / "model", "-t", "tiny", "-i", 2],
        "convert": ["convert", "-i", clips[0], "-o", disk / "out.mp4", "-m", model, "-p", tmp_path / "x.db", "-D", "hog"],
    }[command]
    script = f'mount -t tmpfs -o size=12k tmpfs {disk} && exec "$0" "$@"'
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script, sys.executable, ROOT / "faceswap.py", *map(str, line)],
                          capture_output=True, text=True, env=os.environ | own_plugins)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    told = answer(done)
    assert "No space left" in told or "The disk is full" in told


def test_a_truncated_video_is_converted_as_far_as_it_goes(faceswap, own_plugins, clips, model, tmp_path):
    whole, cut = tmp_path / "whole.mp4", tmp_path / "cut.mp4"
    with av.open(str(clips[0])) as source, av.open(str(whole), "w", options={"movflags": "+faststart"}) as target:  # index in front
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    data = whole.read_bytes()
    cut.write_bytes(data[: len(data) * 6 // 10])
    done = faceswap("convert", "-i", cut, "-o", tmp_path / "out.mp4", "-m", model, "-D", "hog", code=3, **own_plugins)
    assert "of 16 frames could be read" in done.stderr
    count = sum(1 for _ in open_source(tmp_path / "out.mp4"))
    assert 3 <= count < 16


def test_a_model_of_another_kind_or_size_in_the_folder(faceswap, own_plugins, faces, model, tmp_path):
    folder = shutil.copytree(model, tmp_path / "model")
    line = ["train", "-A", faces[0], "-B", faces[1], "-m", folder, "-i", 9]
    assert "'tiny'" in answer(faceswap(*line, "-t", "original", code=1, **own_plugins))
    assert "--model.width 8, not 16" in answer(faceswap(*line, "-t", "tiny", "--model.width", 16, code=1, **own_plugins))


@pytest.mark.parametrize("damage", ["missing folder", "no model", "options", "weights", "not a folder"])
def test_a_damaged_model(faceswap, own_plugins, clips, model, tiny_swap, tmp_path, damage):
    folder = shutil.copytree(model, tmp_path / "model")
    if damage == "missing folder":
        shutil.rmtree(folder)
    elif damage == "no model":
        for path in folder.glob("options*.json"):
            path.unlink()
    elif damage == "options":  # and their copy
        for path in folder.glob("options*.json"):
            path.write_text('{"model": "tiny", "opti')
    elif damage == "weights":
        for path in folder.glob("saves/*/*.weights.h5"):
            path.write_bytes(path.read_bytes()[:1000])
    else:
        shutil.rmtree(folder)
        folder.write_text("a file")
    done = faceswap("convert", "-i", clips[0], "-o", tmp_path / "out.mp4", "-m", folder,
                    "-p", tiny_swap / "out.faceswap" / "a.alignments.db", "-D", "hog", code=1, **own_plugins)
    assert "model" in answer(done)
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("content", [b"", b"no database" * 500, None])
def test_a_damaged_alignments_file(faceswap, own_plugins, clips, model, tiny_swap, tmp_path, content):
    path = tmp_path / "x.db"
    whole = (tiny_swap / "out.faceswap" / "a.alignments.db").read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    done = faceswap("extract", "-i", clips[0], "-p", path, "-D", "hog", code=None, **own_plugins)
    if content == b"":  # an empty file is an empty store to SQLite
        assert done.returncode in (0, 1)
    else:
        assert done.returncode == 1 and "x.db" in answer(done)


def test_alignments_of_another_video(faceswap, clips, tiny_swap):
    done = faceswap("extract", "-i", clips[1], "-p", tiny_swap / "out.faceswap" / "a.alignments.db", "-D", "hog", code=1)
    assert "belongs to" in answer(done)
