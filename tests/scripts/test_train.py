"""`train`, run as a user runs it, on the faces of two portraits."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from lib.errors import INTERRUPTED
from lib.training.saved import checkpoint

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def line(face_folders) -> list:
    return ["train", "-A", face_folders["a"], "-B", face_folders["b"], "-t", "tiny", "--precision", "float32", "--seed", 5]


@pytest.fixture(scope="module")
def whole(faceswap, own_plugins, line, tmp_path_factory) -> Path:
    """A model trained for 40 iterations in one go; beside it said.txt, what was told."""
    folder = tmp_path_factory.mktemp("whole") / "model"
    done = faceswap(*line, "-m", folder, "-i", 40, **own_plugins)
    (folder.parent / "said.txt").write_text(done.stderr)
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
    assert "Resuming from iteration 13" in done.stderr
    one, other = learnt(whole), learnt(tmp_path / "model")
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_allclose(other[name], values, rtol=1e-4, atol=1e-6, err_msg=name)


def test_what_a_run_leaves_and_says(faceswap, own_plugins, line, whole):
    row = rows(whole)[-1]
    assert row["iteration"] == 40 and {"a", "b", "seconds", "speed", "rate"} <= row.keys() and 0 < row["a"] < 1
    preview = cv2.imread(str(whole / "preview.png"))
    assert preview.shape[1] == 6 * 128 and preview.std() > 20
    assert cv2.imread(str(whole / "loss.png")).size
    again = faceswap(*line, "-m", whole, "-i", 40, **own_plugins)
    assert "trained already" in again.stderr
    said = (whole.parent / "said.txt").read_text()
    status = next(text for text in said.splitlines() if text.startswith("iteration 40"))
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
        assert 60 * minutes <= state.seconds < 60 * minutes + 60  # an iteration more at most, however busy the machine is


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
    said, _ = process.communicate(timeout=600)
    assert process.returncode == INTERRUPTED and "Stopping: saving first" in said and "Traceback" not in said
    assert endless.newest() >= max(before, rows(endless.folder)[-1]["iteration"])  # all that it trained


def test_killed_at_any_moment_nothing_saved_is_lost(endless, faceswap, own_plugins, line):
    moments = random.Random(1)
    reached = 0
    for _ in range(3):
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


def test_where_numbers_leave_all_bounds_it_goes_back_to_the_last_save(faceswap, own_plugins, line, tmp_path):
    """Iteration 600 breaks everything at a rate over 0.3 of that which was asked for: two returns, to half and a quarter of it."""
    brittle = [*line, "-m", tmp_path / "model", "--optimizer", "brittle", "--optimizer.at", 600, "--optimizer.below", 3e-4,
               "--learning-rate", 1e-3, "--save-minutes", 0.01]
    done = faceswap(*brittle, "-i", 620, **own_plugins)
    returns = re.findall(r"is no longer a number at iteration (\d+)\. Went back to the checkpoint of iteration (\d+); .* is ([\d.]+) of",
                         done.stderr)
    assert [share for _, _, share in returns] == ["0.5", "0.25"]
    assert all(0 < int(to) <= 600 <= int(at) for at, to, _ in returns)
    assert checkpoint.newest(tmp_path / "model")[1].cut == 0.25
    assert all(np.isfinite(values).all() for values in learnt(tmp_path / "model").values())
    shown = [row["iteration"] for row in rows(tmp_path / "model")]
    assert shown == sorted(set(shown)) and shown[-1] == 620
    again = faceswap(*brittle, "-i", 630, "--learning-rate", 0.5, code=1, **own_plugins)
    assert "did not help 3 times" in again.stderr and "is untouched" in again.stderr and checkpoint.newest(tmp_path / "model")
    lost = faceswap(*line, "-m", tmp_path / "new", "--optimizer", "brittle", "--optimizer.at", 0, "-i", 9, code=1, **own_plugins)
    assert "There is no checkpoint to go back to: run again with a lower --learning-rate" in lost.stderr


def test_another_optimizer_begins_anew_and_the_networks_go_on(faceswap, own_plugins, line, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "model")
    adam = faceswap(*line, "-m", tmp_path / "model", "-i", 41, **own_plugins)
    assert "starts anew" not in adam.stderr
    lion = faceswap(*line, "-m", tmp_path / "model", "-i", 42, "--optimizer", "lion", "--clip", "adaptive", "--accumulate", 2,
                    "--schedule", "step", "--schedule.every", 5, "--rate-dropout", 0.1, "--warm-up", 10, **own_plugins)
    assert "The optimizer starts anew" in lion.stderr and "Resuming from iteration 41" in lion.stderr
    same = faceswap(*line, "-m", tmp_path / "model", "-i", 43, "--optimizer", "lion", "--clip", "adaptive", "--accumulate", 2,
                    "--rate-dropout", 0.1, **own_plugins)
    assert "starts anew" not in same.stderr


@pytest.mark.parametrize("given, words", [
    (["--freeze", "encodre"], "has no network 'encodre'. It has: encoder, decoder_a, decoder_b"),
    (["--freeze", "encoder", "decoder_a", "decoder_b"], "nothing would learn"),
    (["--parts", "encoder"], "--load-weights MODEL. Give that too"),
    (["--weights-a", "1", "2"], "--weights-a needs one number for each of the 1 inputs of -A"),
    (["--weights-b", "0"], "--weights-b needs one number for each of the 1 inputs of -B"),
    (["-b", "many"], "--batch must be at least 1 and at most 4096, or auto, not many"),
    (["--optimizer", "adma"], "no optimizer 'adma'. Did you mean 'adam'?"),
    (["--schedule", "cosin"], "no schedule 'cosin'. Did you mean 'cosine'?"),
    (["--clip", "all"], "--clip must be one of none, value, norm, global, adaptive"),
])
def test_options_that_cannot_be(faceswap, own_plugins, line, tmp_path, given, words):
    assert words in faceswap(*line, "-m", tmp_path / "model", *given, code=2, **own_plugins).stderr


def test_an_earlier_save_is_restored_and_gone_on_with(faceswap, own_plugins, line, tmp_path):
    model = tmp_path / "model"
    for iterations in (20, 40):
        faceswap(*line, "-m", model, "-i", iterations, "--keep", 2, "--snapshots", 8, **own_plugins)
    assert [int(path.name) for path in checkpoint.snapshots(model)] == [40, 32, 24, 16, 8]
    done = faceswap(*line, "-m", model, "-i", 26, "--restore", 24, **own_plugins)
    assert "Back at the checkpoint of iteration 24" in done.stderr and "Resuming from iteration 24" in done.stderr
    assert checkpoint.newest(model)[1].iteration == 26 and [row["iteration"] for row in rows(model)][-1] == 26
    refused = faceswap(*line, "-m", model, "--restore", 23, code=1, **own_plugins)
    assert "There is no checkpoint '23'" in refused.stderr and "16" in refused.stderr and checkpoint.newest(model)[1].iteration == 26


def test_weights_of_another_model_are_begun_with(faceswap, own_plugins, line, whole, tmp_path):
    taken = [*line, "-m", tmp_path / "model", "--load-weights", whole, "--parts", "encoder", "decoder_a", "--freeze", "encoder"]
    done = faceswap(*taken, "-i", 1, "--learning-rate", 1e-8, **own_plugins)
    assert f"From {whole}, iteration 40: encoder, decoder_a." in done.stderr
    before, after = learnt(whole), learnt(tmp_path / "model")
    apart = {name: np.abs(after[name] - before[name]).max() for name in before if ".weights.h5" in name and before[name].dtype.kind == "f"}
    for network, least, most in (("encoder", 0, 0), ("decoder_a", 0, 1e-6), ("decoder_b", 1e-3, 9)):
        found = max(value for name, value in apart.items() if name.startswith(network))
        assert least <= found <= most, network
    other = faceswap(*line, "-m", tmp_path / "wider", "-i", 1, "--model.width", 12, "--load-weights", whole, **own_plugins)
    assert "encoder (0 of 2 arrays; the others are of other shapes)" in other.stderr and "decoder_a (1 of 2" in other.stderr
    for name, words in ((tmp_path / "none", "There is no model folder"), (whole.parent, "holds no model")):
        assert words in faceswap(*line, "-m", tmp_path / "x", "-i", 1, "--load-weights", name, code=1, **own_plugins).stderr


def test_several_folders_of_a_person_and_packed_faces(faceswap, own_plugins, face_folders, tmp_path):
    faceswap("faces", "pack", "-i", face_folders["a"], "-o", tmp_path / "a.h5")
    done = faceswap("train", "-A", tmp_path / "a.h5", face_folders["a"], "-B", face_folders["b"], "-m", tmp_path / "model", "-t", "tiny",
                    "-i", 3, "--weights-a", 1, 3, "--balance", "pose", "--progress-minutes", 0, **own_plugins)
    assert "on 24 faces of A and 12 of B" in done.stderr and "Done at iteration 3" in done.stderr
    described = json.loads((tmp_path / "model" / "options.json").read_text())
    assert described["faces"]["a"]["folders"] == [str(tmp_path / "a.h5"), str(face_folders["a"].resolve())]
    packed = [*["train", "-A", tmp_path / "a.h5", "-B", face_folders["b"], "-t", "tiny", "-i", 5, "--seed", 5, "--precision", "float32"],
              "--progress-minutes", 0]
    faceswap(*packed, "-m", tmp_path / "packed", **own_plugins)
    packed[2] = face_folders["a"]
    faceswap(*packed, "-m", tmp_path / "folder", **own_plugins)
    one, other = learnt(tmp_path / "packed"), learnt(tmp_path / "folder")
    assert all((one[name] == other[name]).all() for name in one), "the same faces in the same order"


def test_faces_that_are_few_and_alike_are_told(faceswap, own_plugins, line, face_folders, tmp_path):
    twins = tmp_path / "twins"
    twins.mkdir()
    for number in range(12):
        shutil.copy(next(face_folders["a"].glob("*.png")), twins / f"{number}.png")
    done = faceswap("train", "-A", twins, *line[3:], "-m", tmp_path / "model", "-i", 1, **own_plugins)
    assert "holds only 12 faces" in done.stderr and "of the 12 faces of A look the same as others" in done.stderr


def test_the_summary_trains_nothing(faceswap, own_plugins, line, tmp_path):
    done = faceswap(*line, "-m", tmp_path / "model", "--summary", **own_plugins)
    table = done.stdout.splitlines()
    assert table[0] == "tiny, 32 pixels, coverage whole, float32"
    assert [row.split()[:2] for row in table[2:6]] == [["encoder", "608"], ["decoder_a", "603"], ["decoder_b", "603"], ["all", "1,814"]]
    assert re.search(r"about [\d.]+ GiB", done.stdout) and re.search(r"about \d+ images/s", done.stdout)
    assert not (tmp_path / "model").exists()


def test_the_learning_rate_is_found_and_nothing_saved(faceswap, own_plugins, line, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "model")
    before = learnt(tmp_path / "model")
    done = faceswap(*line, "-m", tmp_path / "model", "--find-rate", **own_plugins)
    assert 1e-5 < float(re.search(r"Try --learning-rate ([\d.e-]+)\.$", done.stderr, re.MULTILINE)[1]) < 0.3
    assert cv2.imread(str(tmp_path / "model" / "rate.png")).size
    after = learnt(tmp_path / "model")
    assert all((after[name] == before[name]).all() for name in before) and len(checkpoint.saves(tmp_path / "model")) == 1


def test_the_largest_batch_is_found(faceswap, own_plugins, line, tmp_path):
    done = faceswap(*line, "-m", tmp_path / "model", "-i", 1, "-b", "auto", "--model.width", 256, **own_plugins)
    found = re.search(r"Batch: (\d+) faces of each person, \d+ images/s; more (take too long|do not fit)", done.stderr)
    assert int(found[1]) >= 64 and "Done at iteration 1" in done.stderr


def test_what_it_leaves_to_look_at(faceswap, own_plugins, line, tmp_path):
    import tensorflow as tf
    from tensorflow.core.util import event_pb2

    for iterations in (20, 30):
        faceswap(*line, "-m", tmp_path / "model", "-i", iterations, "--time-lapse", "--histograms", **own_plugins)
    frames = sorted((tmp_path / "model" / "timelapse").iterdir())
    assert [path.name for path in frames] == ["00000020.jpg", "00000030.jpg"] and cv2.imread(str(frames[0])).shape[1] == 6 * 128
    seen = {}
    for path in sorted((tmp_path / "model" / "events").iterdir()):
        for record in tf.data.TFRecordDataset(str(path)):
            event = event_pb2.Event.FromString(record.numpy())
            for value in event.summary.value:
                seen.setdefault(value.tag, []).append(event.step)
    assert seen["a"] == seen["preview"] == [20, 30] and any(name.startswith("encoder/00") for name in seen)
    page = (tmp_path / "model" / "report.html").read_text()
    assert "30" in page and "data:image" in page


def test_two_workers_on_two_machines_train_as_one(faceswap, own_plugins, face_folders, tmp_path):
    """Each a process with a port of its own, started as tf.distribute wants it; the model `tiny` has losses that are plain means."""
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    command = ["train", "-A", str(face_folders["a"]), "-B", str(face_folders["b"]), "-t", "tiny", "--seed", "5", "--precision", "float32",
               "-i", "10", "--progress-minutes", "0", "-m"]
    cluster = {"cluster": {"worker": [f"127.0.0.1:{port}" for port in ports]}}
    workers = [subprocess.Popen([sys.executable, str(ROOT / "faceswap.py"), *command, str(tmp_path / "two")], stderr=subprocess.PIPE,
                                text=True, env=os.environ | own_plugins | {"TF_CONFIG": json.dumps(task)})
               for task in (cluster | {"task": {"type": "worker", "index": number}} for number in range(2))]
    try:
        said = [worker.communicate(timeout=600)[1] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], said
    faceswap(*command, tmp_path / "one", **own_plugins)
    one, two = rows(tmp_path / "one"), rows(tmp_path / "two")
    assert [row["iteration"] for row in two] == [10]
    for name in "ab":
        assert two[0][name] == pytest.approx(one[0][name], rel=1e-4)
    weights, others = learnt(tmp_path / "one"), learnt(tmp_path / "two")
    for name, values in weights.items():
        np.testing.assert_allclose(others[name], values, rtol=2e-3, atol=1e-5, err_msg=name)


def test_a_cluster_that_is_none(faceswap, own_plugins, line, tmp_path):
    refused = faceswap(*line, "-m", tmp_path / "model", code=1, TF_CONFIG='{"cluster": {}}', **own_plugins)
    assert "TF_CONFIG does not say which worker" in refused.stderr


def test_another_person_in_a_model_that_is_gone_on_with_is_told(faceswap, own_plugins, line, whole, face_folders, tmp_path):
    shutil.copytree(whole, tmp_path / "model")
    before = json.loads((tmp_path / "model" / "identities.json").read_text())
    shutil.copytree(face_folders["a"], tmp_path / "moved")
    moved = faceswap("train", "-A", tmp_path / "moved", *line[3:], "-m", tmp_path / "model", "-i", 41, **own_plugins)
    assert "another person" not in moved.stderr
    described = (tmp_path / "model" / "identities.json").read_text()
    crossed = faceswap("train", "-A", face_folders["b"], "-B", face_folders["a"], *line[5:], "-m", tmp_path / "model", "-i", 42, code=1,
                       **own_plugins)
    assert "-A and -B are the wrong way round" in crossed.stderr and checkpoint.newest(tmp_path / "model")[1].iteration == 41
    assert (tmp_path / "model" / "identities.json").read_text() == described
    shutil.copytree(face_folders["a"], tmp_path / "other")
    other = faceswap("train", "-A", tmp_path / "moved", "-B", tmp_path / "other", *line[5:], "-m", tmp_path / "model", "-i", 42,
                     **own_plugins)
    assert "B's faces are of another person" in other.stderr and "A's faces" not in other.stderr
    assert "--parts encoder decoder_a" in other.stderr
    now = json.loads((tmp_path / "model" / "identities.json").read_text())
    np.testing.assert_allclose(now["b"], before["a"], atol=1e-4)
    (tmp_path / "model" / "identities.json").write_text("x")
    mended = faceswap("train", "-A", tmp_path / "moved", "-B", tmp_path / "other", *line[5:], "-m", tmp_path / "model", "-i", 43,
                      **own_plugins)
    assert "identities.json is damaged" in mended.stderr and "Done at iteration 43" in mended.stderr
    assert json.loads((tmp_path / "model" / "identities.json").read_text()).keys() == {"a", "b"}


def test_a_description_that_is_damaged_has_a_copy(faceswap, own_plugins, line, whole, tmp_path):
    for number, spoil in enumerate((lambda path: path.write_text('{"model": '), lambda path: path.unlink())):
        folder = tmp_path / str(number)
        shutil.copytree(whole, folder)
        spoil(folder / "options.json")
        done = faceswap(*line, "-m", folder, "-i", 41, **own_plugins)
        assert "its copy, stands in for it" in done.stderr and "Resuming from iteration 40" in done.stderr
        assert json.loads((folder / "options.json").read_text())["model"] == "tiny"


def test_folders_that_are_no_place_for_a_model(faceswap, own_plugins, line, face_folders, tmp_path):
    taken = faceswap(*line, "-m", face_folders["a"], "-i", 1, code=1, **own_plugins)
    assert "which holds the faces" in taken.stderr and not (face_folders["a"] / "options.json").exists()
    for name, words in (("notes.txt", "holds 'notes.txt' and is no model folder"), ("options.json", "is not the description of a model")):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        (folder / name).write_text('{"name": "npm"}')
        assert words in faceswap(*line, "-m", folder, "-i", 1, code=1, **own_plugins).stderr
        assert [path.name for path in folder.iterdir()] == [name] and (folder / name).read_text() == '{"name": "npm"}'


def test_losses_are_chosen_and_kept(faceswap, own_plugins, line, face_folders, tmp_path):
    refused = [(["--loss", "ssmi"], 2, "there is no loss 'ssmi'. Did you mean 'ssim'?"), (["--loss", "ssim=no"], 2, "'no' is no number"),
               (["--loss", "ssim=0"], 2, "must be more than 0"), (["--eyes", 3], 2, "--eyes is not for tiny")]
    for given, code, words in refused:
        assert words in faceswap(*line, "-m", tmp_path / "model", *given, code=code, **own_plugins).stderr
    little = [*line[:5], "-t", "little", "--progress-minutes", 0, "-m", tmp_path / "model"]
    faceswap(*little, "-i", 1, "--loss", "laplacian=2", "mae", "--eyes", 1, **own_plugins)
    faceswap(*little, "-i", 2, **own_plugins)
    for row in rows(tmp_path / "model"):
        assert {"all laplacian a", "all mae a"} <= row.keys() and "all ssim a" not in row
    kept = json.loads((tmp_path / "model" / "options.json").read_text())["losses"]
    assert kept == {"criteria": {"laplacian": 2.0, "mae": 1.0}, "eyes": 1.0}


@pytest.mark.parametrize("name, words", [("jaxx", "Keras cannot compute with 'jaxx'"), ("tensorfow", "pip install tensorfow")])
def test_a_backend_that_is_none(faceswap, own_plugins, line, tmp_path, name, words):
    assert words in faceswap(*line, "-m", tmp_path / "model", "-i", 1, code=1, KERAS_BACKEND=name, **own_plugins).stderr


@pytest.mark.parametrize("given, words", [
    (["--clip-at", "2"], "--clip-at is the limit of --clip"),
    (["--clip", "adaptive", "--clip-at", "200"], "a percentile, at most 100"),
    (["--clip", "norm", "--clip-at", "0"], "must be more than 0"),
    (["--devices", "2", "--accumulate", "2"], "--accumulate is for one device"),
    (["--devices", "0", "-b", "auto"], "--batch auto is for one device"),
])
def test_options_that_do_not_go_together(faceswap, own_plugins, line, tmp_path, given, words):
    assert words in faceswap(*line, "-m", tmp_path / "model", *given, code=2, **own_plugins).stderr


def test_faces_of_a_among_those_of_b_are_told_at_the_start(faceswap, own_plugins, line, face_folders, tmp_path):
    """A quarter of B's faces."""
    shutil.copytree(face_folders["b"], tmp_path / "b")
    for path in sorted(face_folders["a"].glob("*.png"))[::3]:
        shutil.copy(path, tmp_path / "b" / f"x{path.name}")
    said = faceswap("train", "-A", face_folders["a"], "-B", tmp_path / "b", *line[5:], "-m", tmp_path / "model", "-i", 1, **own_plugins).stderr
    assert "About 25 % of B's faces are A's (4 of 16" in said and f"sort -i {tmp_path / 'b'} --by identity" in said and "A's faces are" not in said


def test_faces_of_two_people_are_not_taken_for_mixed_up(whole):
    assert "of B's faces are" not in (whole.parent / "said.txt").read_text() and "Take them out" not in (whole.parent / "said.txt").read_text()


def test_without_measurements_the_end_tells_of_none(faceswap, own_plugins, line, whole, tmp_path):
    """Not of those that an earlier run made, either."""
    shutil.copytree(whole, tmp_path / "model")
    with open(tmp_path / "model" / "log.jsonl", "a") as log:
        log.write(json.dumps({"iteration": 40, "progress": {"landmark_error": 9.5}}) + "\n")
    said = faceswap(*line, "-m", tmp_path / "model", "-i", 41, "--progress-minutes", 0, **own_plugins).stderr
    assert "Done at iteration 41" in said and "Of faces" not in said and "9.5" not in said and "Not good yet" not in said
