"""The command lines of the articles about face swapping work as they are written there."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lib.media.endpoints.sample_clips import MovingCamera, admiral, astronaut
from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file

ROOT = Path(__file__).resolve().parent.parent
SIDE = 192
ENOUGH = 8  # iterations: after the very first ones the mask may be empty


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A working folder with ./data/photo/x, ./data/photo/y and ./data/test, pictures of two people."""
    folder = tmp_path_factory.mktemp("article")
    for name, portrait, phase in (("photo/x", astronaut(), 0.0), ("photo/y", admiral(), 1.0), ("test", astronaut(), 2.5)):
        (folder / "data" / name).mkdir(parents=True)
        for frame in MovingCamera(portrait, 12 / 25, SIDE, phase):
            picture_file.write(folder / "data" / name / f"{frame.index}.png", frame.image)
    return folder


def start(project: Path, line: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, ROOT / "faceswap.py", *shlex.split(line)], cwd=project, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def finish(project: Path, line: str) -> str:
    process = start(project, line)
    _, log = process.communicate(timeout=600)
    assert process.returncode == 0 and "InitializeLog" not in log, log  # TensorFlow's greeting
    return log


@pytest.fixture(scope="module")
def extracted(project) -> Path:
    finish(project, "extract -i ./data/photo/x/ -o ./data/extract/x/")
    finish(project, "extract -i ./data/photo/y/ -o ./data/extract/y/")
    return project


@pytest.fixture(scope="module")
def trained(extracted) -> Path:
    """The article's line, which trains until it is stopped: Ctrl-C once it knows roughly where a face is."""
    process = start(extracted, "train -A ./data/extract/x/ -B ./data/extract/y/ -m ./models/x2y/")
    log = ""
    try:
        for line in process.stderr:
            log += line
            if line.startswith("iteration ") and int(line.split()[1]) >= ENOUGH:
                break
        process.send_signal(signal.SIGINT)
        log += process.communicate(timeout=600)[1]
    finally:
        process.kill()
    assert process.returncode == 130 and "InitializeLog" not in log, log
    return extracted


def test_extract_writes_a_face_of_each_picture(extracted):
    for name in "x", "y":
        assert len(list((extracted / "data" / "extract" / name).glob("*.png"))) == 12


def test_train_saves_when_it_is_stopped(trained):
    model = trained / "models" / "x2y"
    assert list(model.glob("saves/*/*.weights.h5")) and (model / "preview.png").exists()


def test_convert_takes_pictures_that_were_never_extracted(trained):
    finish(trained, "convert -i ./data/test/ -o ./data/output/ -m ./models/x2y/")
    names = sorted(path.name for path in (trained / "data" / "test").glob("*.png"))
    assert sorted(path.name for path in (trained / "data" / "output").glob("[!.]*")) == names
    before, after = (picture_file.read(trained / "data" / folder / "0.png") for folder in ("test", "output"))
    assert (before != after).any() and (before[:8] == after[:8]).all()  # the face, and nothing above it


def test_a_video_taken_apart_is_put_together_in_numeric_order(clips, tmp_path):
    import imageio_ffmpeg

    (tmp_path / "dir").mkdir()
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", clips[0], tmp_path / "dir" / "video-%d.png"], check=True)
    names = [frame.name for frame in open_source(tmp_path / "dir")]
    assert names == [f"video-{number}.png" for number in range(1, 17)]
