"""`train`, run as a user runs it, on the faces of two portraits."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from lib.errors import INTERRUPTED
from lib.training import checkpoint

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def line(face_folders) -> list:
    return ["train", "-A", face_folders["a"], "-B", face_folders["b"], "-t", "tiny", "--precision", "float32", "--seed", 5]


@pytest.fixture(scope="module")
def whole(faceswap, own_plugins, line, tmp_path_factory) -> Path:
    """A model trained for 40 iterations in one go."""
    folder = tmp_path_factory.mktemp("whole") / "model"
    faceswap(*line, "-m", folder, "-i", 40, **own_plugins)
    return folder


@pytest.fixture
def endless(line, own_plugins, tmp_path):
    """`endless()` starts a training of tmp_path/model that saves about every second; `endless.saves()` are the iterations saved."""
    processes = []

    def start() -> subprocess.Popen:
        command = [*line, "-m", tmp_path / "model", "--save-minutes", 0.02]
        processes.append(subprocess.Popen([sys.executable, str(ROOT / "faceswap.py"), *map(str, command)], stdout=subprocess.PIPE,
                                          stderr=subprocess.STDOUT, text=True, env=os.environ | own_plugins))
        return processes[-1]

    def newest() -> int:
        found = checkpoint.newest(tmp_path / "model")
        return found[1].iteration if found else 0

    start.newest, start.folder = newest, tmp_path / "model"
    yield start
    for process in processes:
        process.kill()
        process.wait()


def learnt(folder: Path) -> dict[str, np.ndarray]:
    """Every array of the newest save, weights and optimizer."""
    path, _ = checkpoint.newest(folder)
    arrays = {}
    for file in sorted(path.glob("*.h5")):
        with h5py.File(file) as content:
            def keep(name, item, file=file):
                if isinstance(item, h5py.Dataset):
                    arrays[f"{file.name} {name}"] = item[()]

            content.visititems(keep)
    assert len(arrays) > 10
    return arrays


def rows(folder: Path) -> list[dict]:
    return [json.loads(text) for text in (folder / "log.jsonl").read_text().splitlines()]


def wait_for(happened, process: subprocess.Popen, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def test_the_same_seed_makes_the_same_model(faceswap, own_plugins, line, whole, tmp_path):
    faceswap(*line, "-m", tmp_path / "again", "-i", 40, **own_plugins)
    faceswap(*line, "-m", tmp_path / "other", "-i", 40, "--seed", 6, **own_plugins)
    one, again, other = (learnt(folder) for folder in (whole, tmp_path / "again", tmp_path / "other"))
    for name, values in one.items():
        np.testing.assert_array_equal(again[name], values, name)
    assert any((other[name] != values).any() for name, values in one.items())


def test_stopped_and_gone_on_with_it_is_the_same_model(faceswap, own_plugins, line, whole, tmp_path):
    for iterations in (13, 40):
        done = faceswap(*line, "-m", tmp_path / "model", "-i", iterations, **own_plugins)
    assert "Going on from iteration 13" in done.stderr
    one, other = learnt(whole), learnt(tmp_path / "model")
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_allclose(other[name], values, rtol=1e-4, atol=1e-6, err_msg=name)


def test_what_a_run_leaves_and_says(faceswap, own_plugins, line, whole, tmp_path):
    row = rows(whole)[-1]
    assert row["iteration"] == 40 and {"a", "b", "seconds", "speed", "rate"} <= row.keys() and 0 < row["a"] < 1
    preview = cv2.imread(str(whole / "preview.png"))
    assert preview.shape[1] == 6 * 128 and preview.std() > 20
    assert cv2.imread(str(whole / "loss.png")).size
    again = faceswap(*line, "-m", whole, "-i", 40, **own_plugins)
    assert "trained already" in again.stderr
    said = faceswap(*line, "-m", tmp_path / "model", "-i", 30, **own_plugins).stderr
    status = next(text for text in said.splitlines() if text.startswith("iteration 30"))
    assert "loss a 0." in status and "it/s" in status and "images/s" in status and "0:00:00 left" in status


def test_it_learns(faceswap, own_plugins, line, tmp_path):
    faceswap(*line, "-m", tmp_path / "model", "-i", 1, **own_plugins)
    faceswap(*line, "-m", tmp_path / "model", "-i", 600, **own_plugins)
    first, last = rows(tmp_path / "model")[0], rows(tmp_path / "model")[-1]
    assert last["a"] < 0.7 * first["a"] and last["b"] < 0.7 * first["b"]


def test_minutes_of_training_are_counted_over_all_runs(faceswap, own_plugins, line, tmp_path):
    for minutes in (0.02, 0.05):
        faceswap(*line, "-m", tmp_path / "model", "--minutes", minutes, **own_plugins)
        _, state = checkpoint.newest(tmp_path / "model")
        assert 60 * minutes <= state.seconds < 60 * minutes + 1


def test_videos_are_extracted_first(faceswap, own_plugins, clips, tmp_path):
    copies = [tmp_path / clip.name for clip in clips]
    for clip, copy in zip(clips, copies):
        copy.write_bytes(clip.read_bytes())
    faceswap("train", "-A", copies[0], "-B", copies[1], "-m", tmp_path / "model", "-t", "tiny", "-i", 2, "-D", "hog", **own_plugins)
    assert len(list((tmp_path / "model" / "faces_a").glob("*.png"))) == 16
    assert checkpoint.newest(tmp_path / "model")[1].iteration == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_ends(endless, number):
    process = endless()
    wait_for(endless.newest, process)
    before = endless.newest()
    time.sleep(0.3)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED and "Stopping: saving first" in said and "Traceback" not in said
    assert endless.newest() >= max(before, rows(endless.folder)[-1]["iteration"])  # all that it trained


def test_killed_at_any_moment_nothing_saved_is_lost(endless, faceswap, own_plugins, line):
    moments = random.Random(1)
    reached = 0
    for _ in range(5):
        process = endless()
        wait_for(lambda: endless.newest() > reached, process)  # it goes on where it was, and further
        time.sleep(moments.uniform(0, 1.5))
        reached = endless.newest()
        process.kill()
        process.wait()
        assert endless.newest() >= reached
        reached = endless.newest()
    faceswap(*line, "-m", endless.folder, "-i", reached + 5, **own_plugins)
    assert endless.newest() == reached + 5
    assert sorted(path.name for path in (endless.folder / "saves").iterdir())[-1] == f"{reached + 5:08d}"
    assert [row["iteration"] for row in rows(endless.folder)] == sorted({row["iteration"] for row in rows(endless.folder)})


def test_the_swap_of_held_out_faces_is_measured_as_it_goes_on(faceswap, own_plugins, line, tmp_path):
    measuring = [*line, "-m", tmp_path / "model", "--minutes", 0.06, "--progress-minutes", 0.02]
    done = faceswap(*measuring, **own_plugins)
    assert "on 11 faces of A (1 held out to measure on) and 12 of B" in done.stderr and "Of 1 face of A held out" in done.stderr
    measured = [row["progress"] for row in rows(tmp_path / "model") if "progress" in row]
    assert len(measured) >= 3 and all(0.3 < one["distance_b"] < 1.2 and one["landmark_error"] > 0 for one in measured)
    assert any("to B 0." in text and "landmarks" in text for text in done.stderr.splitlines() if text.startswith("iteration"))
    held_out = json.loads((tmp_path / "model" / "options.json").read_text())["held_out"]
    faceswap(*measuring, "--minutes", 0.1, **own_plugins)
    assert json.loads((tmp_path / "model" / "options.json").read_text())["held_out"] == held_out
    assert cv2.imread(str(tmp_path / "model" / "loss.png")).shape[0] > 700  # two plots


def test_it_stops_when_nothing_gets_better(faceswap, own_plugins, line, tmp_path):
    still = [*line, "-m", tmp_path / "model", "--progress-minutes", 0.01, "--until", "plateau", "--learning-rate", "1e-8"]
    done = faceswap(*still, **own_plugins)
    assert "since it no longer gets better" in done.stderr
    assert sum("progress" in row for row in rows(tmp_path / "model")) == 20
    again = faceswap(*still, **own_plugins)
    assert "trained already" in again.stderr and "Leave --until plateau out" in again.stderr
    refused = faceswap(*line, "-m", tmp_path / "model", "--progress-minutes", 0, "--until", "plateau", code=2, **own_plugins)
    assert "--progress-minutes 0" in refused.stderr


def test_without_measurements_all_faces_are_trained_on(faceswap, own_plugins, line, tmp_path):
    done = faceswap(*line, "-m", tmp_path / "model", "-i", 3, "--progress-minutes", 0, **own_plugins)
    assert "on 12 faces of A" in done.stderr and not any("progress" in row for row in rows(tmp_path / "model"))


def test_masks_of_the_alignments_say_what_is_face(faceswap, own_plugins, clips, skin_network, tmp_path):
    masking = "-M", "onnx", "--masker.network", skin_network
    for name, clip in zip("ab", clips):
        faceswap("extract", "-i", clip, "-o", tmp_path / name, "-p", tmp_path / f"{name}.db", "-D", "hog", *masking)
    line = ["train", "-A", tmp_path / "a", "-B", tmp_path / "b", "-m", tmp_path / "model", "-t", "tiny", "-i", 2]
    files = ["--alignments-a", tmp_path / "a.db", "--alignments-b", tmp_path / "b.db"]
    refused = faceswap(*line, "-M", "hull", *files, code=1, **own_plugins).stderr
    assert "no mask hull of" in refused and "faceswap.py mask -i" in refused and not (tmp_path / "model").exists()
    assert "Done at iteration 2" in faceswap(*line, "-M", "onnx", *files, **own_plugins).stderr


@pytest.mark.parametrize("coverage, ok", [("half", False), ("full", False), ("head", True)])
def test_faces_that_show_less_than_the_model_sees_are_refused(faceswap, own_plugins, clips, face_folders, tmp_path, coverage, ok):
    faceswap("extract", "-i", clips[0], "-o", tmp_path / "a", "-p", tmp_path / "a.db", "-D", "hog", "--coverage", coverage)
    done = faceswap("train", "-A", tmp_path / "a", "-B", face_folders["b"], "-m", tmp_path / "model", "-t", "tiny", "-i", 1,
                    code=0 if ok else 1, **own_plugins)
    assert ok or f"shows {coverage} faces, but this model sees whole ones. Extract them with --coverage whole" in done.stderr


def test_a_mask_that_is_none_is_told_at_once(faceswap, own_plugins, line, tmp_path):
    refused = faceswap(*line, "-m", tmp_path / "m", "-M", "hul", code=2, **own_plugins)
    assert "there is no mask 'hul'. Did you mean 'hull'?" in refused.stderr
