"""`swap`: the whole way in one command, resumed at the step that is not finished."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from lib.media.endpoints.source import open_source

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def swap(tiny_swap, clips, faceswap, own_plugins, tmp_path):
    """`swap("-c", "none")` runs again in a copy of the finished folder and returns the log."""
    folder = tmp_path / "swap"
    shutil.copytree(tiny_swap, folder)

    def run(*more, code=0, a=clips[0], b=clips[1]) -> str:
        return faceswap("swap", "-A", a, "-B", b, "-o", folder / "out.mp4", "-t", "tiny", "-i", 3, "-D", "hog", *more,
                        code=code, **own_plugins).stderr

    run.folder = folder
    return run


def test_result_has_all_frames_with_faces_swapped_and_the_rest_near_the_original(tiny_swap, clips):
    before = [frame.image.astype(float) for frame in open_source(clips[0])]
    after = [frame.image.astype(float) for frame in open_source(tiny_swap / "out.mp4")]
    assert len(after) == len(before) == 16
    for one, two in zip(before, after):
        difference = np.abs(one - two).mean(-1)
        assert 0.03 < (difference > 25).mean() < 0.3  # the face, and no more
        assert difference[:32].mean() < 4 and difference[-32:].mean() < 4  # above and below it: what encoding leaves


def test_work_folder_holds_what_was_made_on_the_way(tiny_swap):
    work = tiny_swap / "out.faceswap"
    for name in ("faces_a", "faces_b"):
        assert len(list((work / name).glob("*.png"))) == 16
    assert (work / "a.alignments.db").exists() and (work / "model" / "preview.png").exists()
    assert set(json.loads((work / "swap.json").read_text())["steps"]) == {"extract A", "extract B", "train", "convert"}


def test_a_second_run_does_nothing_again(swap):
    before = {path: path.stat().st_mtime_ns for path in swap.folder.rglob("*") if path.is_file() and path.name != "swap.json"}
    log = swap()
    assert log.count(": already done") == 4 and "Everything was done before." in log
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_work_folder_of_an_earlier_version_does_nothing_again(swap):
    """Some options had other names, others did not exist."""
    path = swap.folder / "out.faceswap" / "swap.json"
    record = json.loads(path.read_text())
    for step in record["steps"].values():
        step["options"]["settings"] = step["options"].pop("plugin_options")
    record["steps"]["convert"]["options"]["save"] = record["steps"]["convert"]["options"].pop("checkpoint")
    del record["steps"]["train"]["options"]["augmentation"]
    path.write_text(json.dumps(record))
    assert swap().count(": already done") == 4


def test_other_colours_convert_again_and_no_more(swap):
    log = swap("-c", "none")
    assert log.count(": already done") == 3
    assert "convert: again, because color was reinhard, is none." in log


def test_until_plateau_takes_the_place_of_the_ten_minutes(swap, tiny_swap, clips, own_plugins):
    """A run of known length tells what is left of it."""
    command = ["swap", "-A", clips[0], "-B", clips[1], "-o", swap.folder / "out.mp4", "-t", "tiny", "-D", "hog", "--until", "plateau"]
    with subprocess.Popen([sys.executable, str(ROOT / "faceswap.py"), *map(str, command)], stderr=subprocess.PIPE, text=True,
                          env=os.environ | own_plugins) as process:
        before = []
        for said in process.stderr:
            if said.startswith("iteration"):
                break
            before.append(said)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=600)
    assert "it/s" in said and "left" not in said
    assert before and not any("InitializeLog" in text for text in before), "TensorFlow greets"


def test_more_iterations_train_on_and_convert_again(swap):
    log = swap("-i", "5")
    assert log.count(": already done") == 2
    assert "train: again, because iterations was 3, is 5." in log and "Resuming from iteration 3" in log
    assert "Swapped 16 faces in 16 of 16 frames" in log


def test_a_result_that_was_deleted_is_made_again(swap):
    (swap.folder / "out.mp4").unlink()
    assert "convert: again, because its results are gone." in swap()
    with av.open(str(swap.folder / "out.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 16


def test_an_unfinished_step_is_gone_on_with(swap):
    record = swap.folder / "out.faceswap" / "swap.json"
    state = json.loads(record.read_text())
    del state["steps"]["convert"]  # as a kill during it leaves the record
    record.write_text(json.dumps(state))
    log = swap()
    assert log.count(": already done") == 3 and "convert ..." in log


def test_other_footage_is_refused(swap, clips):
    log = swap(code=1, a=clips[1], b=clips[0])
    assert "was begun with other footage for -A: astronaut.mp4" in log and "--work" in log


@pytest.mark.parametrize("arguments, answer", [
    (["-A", "{a}", "-B", "{a}", "-o", "x.mp4"], "-A and -B are both"),
    (["-A", "{a}", "-B", "{b}", "-o", "{a}"], "-A and -o are both"),
    (["-A", "{a}", "-B", "{b}", "-o", "x.mp4", "-M", "predictd"], "Did you mean 'predicted'"),
    (["-A", "{a}", "-B", "{b}"], "swap needs -o/--output"),
])
def test_a_mistake_is_told_before_the_work_begins(faceswap, clips, own_plugins, tmp_path, arguments, answer):
    given = [item.format(a=clips[0], b=clips[1]).replace("x.mp4", str(tmp_path / "x.mp4")) for item in arguments]
    assert answer in faceswap("swap", *given, "-t", "tiny", code=2, **own_plugins).stderr
    assert not list(tmp_path.iterdir())
