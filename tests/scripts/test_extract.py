import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lib.faces.faceset import list_faces, read_face
from lib.faces.store import AlignmentStore
from lib.media import pictures
from lib.media.portraits import MovingCamera, astronaut as astronaut_portrait
from lib.plugin import WRITERS

ROOT = Path(__file__).resolve().parent.parent.parent
LONG = 75  # frames of the clip that is interrupted
SLOW = ("--detector.upsample", 2, "--detector.min-score", 0.5)  # so that there is time to interrupt


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    camera = MovingCamera(astronaut_portrait(), seconds=LONG / 25, side=192)
    with WRITERS.create("video").open(path, camera) as sink:
        for frame in camera:
            sink.write(frame, frame.image)
    return path


@pytest.fixture
def clip(clips, tmp_path) -> Path:
    return Path(shutil.copy(clips[0], tmp_path / "clip.mp4"))


def start(*arguments) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, str(ROOT / "faceswap.py"), "extract", *map(str, arguments)], stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True)


def wait_for_faces(folder: Path, count: int) -> None:
    """Until `folder` holds `count` faces."""
    deadline = time.monotonic() + 120
    while not folder.is_dir() or len(list_faces(folder)) < count:
        assert time.monotonic() < deadline, "no faces came"
        time.sleep(0.01)


def test_faces_alignments_and_a_summary_in_words(faceswap, clip, tmp_path):
    done = faceswap("extract", "-i", clip, "-o", tmp_path / "faces", "-D", "hog", "-z", 128)
    assert "Found 16 faces in 16 of 16 frames of clip.mp4." in done.stderr
    files = [read_face(path) for path in list_faces(tmp_path / "faces")]
    assert len(files) == 16 and all(file.size == 128 and file.origin.source == str(clip) for file in files)
    with AlignmentStore.open(tmp_path / "clip.mp4.alignments.db", read_only=True) as store:
        assert store.counts() == (16, 16, 16) and store.settings["detector"]["name"] == "hog"
    again = faceswap("extract", "-i", clip, "-o", tmp_path / "faces", "-D", "hog")
    assert "searched before" in again.stderr and "Faces: 0 new" in again.stderr


def test_every_nth_frame_of_a_folder_of_pictures(faceswap, tmp_path, astronaut):
    (tmp_path / "x").mkdir()
    for index in range(1, 12):
        pictures.write(tmp_path / "x" / f"video-{index}.png", np.roll(astronaut, index, 1))
    faceswap("extract", "-i", f"{tmp_path}/x/", "-o", f"{tmp_path}/faces/", "-D", "hog", "-N", 5, "-p", tmp_path / "own.db")
    assert [read_face(path).origin.name for path in list_faces(tmp_path / "faces")] == ["video-1.png", "video-6.png", "video-11.png"]
    assert not (tmp_path / "x.alignments.db").exists() and (tmp_path / "own.db").exists()


def test_a_single_picture(faceswap, tmp_path, hopper):
    pictures.write(tmp_path / "hopper.png", hopper)
    faceswap("extract", "-i", tmp_path / "hopper.png", "-o", tmp_path / "faces", "-D", "hog")
    assert len(list_faces(tmp_path / "faces")) == 1


def test_no_faces_says_what_to_try(faceswap, tmp_path):
    ramp = np.tile(np.arange(300, dtype=np.uint8)[:, None, None], (1, 300, 3))
    pictures.write(tmp_path / "ramp.png", ramp)
    done = faceswap("extract", "-i", tmp_path / "ramp.png", "-D", "hog", code=1)
    assert "No faces found in" in done.stderr and "--detector yunet" in done.stderr


def test_another_detector_for_a_store_says_what_to_do(faceswap, clip, tmp_path):
    faceswap("extract", "-i", clip, "-D", "hog", "-N", 8)
    done = faceswap("extract", "-i", clip, "-D", "hog", "--detector.search", 320, code=1)
    assert "search=640" in done.stderr and "search=320" in done.stderr and "-p" in done.stderr


def test_a_damaged_store_says_what_to_do(faceswap, clip, tmp_path):
    faceswap("extract", "-i", clip, "-D", "hog", "-N", 8)
    store = tmp_path / "clip.mp4.alignments.db"
    store.write_bytes(store.read_bytes()[:6000])
    done = faceswap("extract", "-i", clip, "-D", "hog", code=1)
    assert str(store) in done.stderr and "run extract again" in done.stderr


def test_output_in_the_way_of_the_input(faceswap, tmp_path, astronaut):
    (tmp_path / "photos").mkdir()
    pictures.write(tmp_path / "photos" / "a.png", astronaut)
    assert "the same" in faceswap("extract", "-i", tmp_path / "photos", "-o", f"{tmp_path}/photos/", code=1).stderr
    assert "-o" in faceswap("extract", "-i", tmp_path / "photos", "-o", tmp_path / "photos" / "a.png" / "faces", code=1).stderr


def test_a_cut_off_video_is_extracted_and_the_loss_told(faceswap, shared, tmp_path):
    clip = shared("videos/broken/truncated_at_60_percent.mp4")
    done = faceswap("extract", "-i", clip, "-p", tmp_path / "x.db", "-o", tmp_path / "faces", "-D", "hog", "--detector.upsample", 0, code=3)
    assert "Incomplete input: truncated_at_60_percent.mp4: only " in done.stderr
    assert len(list_faces(tmp_path / "faces")) >= 20
    faceswap("extract", "-i", clip, "-p", tmp_path / "x.db", "-D", "hog", "--detector.upsample", 0, code=3)


@pytest.mark.skipif(sys.platform == "win32", reason="has no signals to pause and end another process")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_saves_says_so_and_goes_on(faceswap, long_clip, tmp_path, stop):
    store, faces = tmp_path / "x.db", tmp_path / "faces"
    arguments = ("-i", long_clip, "-p", store, "-o", faces, "-D", "hog", *SLOW)
    run = start(*arguments)
    wait_for_faces(faces, 10)
    run.send_signal(signal.SIGSTOP)
    assert "Another run is writing" in faceswap("extract", *arguments, code=1).stderr
    run.send_signal(stop)
    run.send_signal(signal.SIGCONT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130 and "Run the same command again" in said and "Traceback" not in said
    with AlignmentStore.open(store, read_only=True) as reader:
        before = len(reader.done())
    assert 5 <= before < LONG  # but for the few in the works, all whose faces lay there
    done = faceswap("extract", *arguments)
    assert f"Found {LONG} faces in {LONG} of {LONG} frames" in done.stderr and f"({before} had been searched before)" in done.stderr
    assert len(list_faces(faces)) == LONG


def test_killed_at_any_moment_it_goes_on(faceswap, long_clip, tmp_path):
    store, faces = tmp_path / "x.db", tmp_path / "faces"
    arguments = ("-i", long_clip, "-p", store, "-o", faces, "-D", "hog", *SLOW)
    moments = random.Random(7)
    done = 0
    for _ in range(int(os.environ.get("FACESWAP_TEST_KILLS", 4))):
        run = start(*arguments)
        time.sleep(moments.uniform(0.2, 2.5))
        run.kill()
        run.communicate()
        if store.exists() and store.stat().st_size:
            with AlignmentStore.open(store) as reader:
                kept = reader.done()
                assert len(kept) >= done and kept == set(range(len(kept)))
                done = len(kept)
    assert f"Found {LONG} faces in {LONG} of {LONG} frames" in faceswap("extract", *arguments).stderr
    files = [read_face(path) for path in list_faces(faces)]
    assert [file.origin.frame for file in files] == list(range(LONG))
    assert not list(faces.glob(".*"))
    with AlignmentStore.open(store, read_only=True) as reader:
        for index, file in enumerate(files):
            stored, = reader.faces(index)
            assert np.allclose(stored.face.landmarks, file.aligned.face.landmarks, atol=1e-3)


def test_damage_between_frames_is_told_each_time(faceswap, shared, tmp_path):
    clip = shared("videos/broken/damaged_in_the_middle.mp4")
    for _ in range(2):
        done = faceswap("extract", "-i", clip, "-p", tmp_path / "x.db", "-D", "hog", "--detector.upsample", 0, code=3)
        assert "frames are damaged" in done.stderr and "of 50 frames" in done.stderr


def test_json_log_has_an_object_a_line(faceswap, clip, tmp_path):
    lines = faceswap("extract", "-i", clip, "-D", "hog", "--log", "json").stderr.splitlines()
    assert any(json.loads(line).get("message", "").startswith("Found 16 faces") for line in lines)
