"""Written pictures keep names, order, format and pixels; each appears whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib.errors import FaceswapError
from lib.media import pictures
from lib.media.source import open_source
from lib.plugin import WRITERS
from lib.types import Shard

ROOT = Path(__file__).resolve().parents[3]


def passed_through(source, path: Path, **options):
    with WRITERS.create("images", **options).open(path, source) as sink:
        for frame in source:
            sink.write(frame, frame.image)
    return open_source(path)


@pytest.fixture
def folder(astronaut, tmp_path) -> Path:
    """Pictures of several formats and sizes, one of them without an ending."""
    path = tmp_path / "in"
    path.mkdir()
    for number, name in enumerate(["video-1.png", "video-2.jpg", "video-10.webp", "B.JPG", "имя 视频.bmp", "x.tif"]):
        pictures.write(path / name, astronaut[:50 + number, :60])
    Image.fromarray(astronaut[:40, :40]).save(path / "x.gif")
    Image.fromarray(astronaut[:40, :40]).save(path / "bare", "JPEG")
    return path


def test_names_and_formats_are_kept(folder, tmp_path):
    source = open_source(folder)
    written = passed_through(source, tmp_path / "out")
    assert [frame.name for frame in source] == [
        "B.JPG", "bare", "video-1.png", "video-2.jpg", "video-10.webp", "x.gif", "x.tif", "имя 视频.bmp"]
    assert [frame.name for frame in written] == ["B.JPG", "bare.png", "video-1.png", "video-2.jpg", "video-10.webp", "x.png", "x.tif",
                                                 "имя 视频.bmp"]
    for frame, again in zip(source, written, strict=True):
        lossy = Path(frame.name).suffix.lower() in (".jpg", ".webp")
        assert np.abs(again.image.astype(float) - frame.image).mean() < (3 if lossy else 1e-9)
        with Image.open(tmp_path / "out" / again.name) as picture:
            assert picture.format == pictures.WRITTEN[Path(again.name).suffix.lower()][0]


def test_one_format_for_all_without_losing_a_picture(folder, tmp_path):
    written = passed_through(open_source(folder), tmp_path / "out", format="png")
    assert written.count == 8
    assert sorted(os.listdir(tmp_path / "out")) == sorted(["B.png", "bare.png", "video-1.png", "video-2.png", "video-10.png", "x.png",
                                                           "x.tif.png", "имя 视频.png"])


def test_a_video_becomes_numbered_pictures(shared, tmp_path):
    source = open_source(shared("videos/formats/one_frame.mp4"))
    passed_through(source, tmp_path / "a")
    passed_through(source, tmp_path / "b", format="jpg")
    assert os.listdir(tmp_path / "a") == ["one_frame_000001.png"] and os.listdir(tmp_path / "b") == ["one_frame_000001.jpg"]
    assert np.array_equal(pictures.read(tmp_path / "a" / "one_frame_000001.png"), next(iter(source)).image)


def test_a_single_picture_becomes_a_single_picture(folder, tmp_path):
    written = passed_through(open_source(folder / "x.tif"), tmp_path / "deep" / "out.png")
    assert written.path == tmp_path / "deep" / "out.png" and os.listdir(tmp_path / "deep") == ["out.png"]
    with pytest.raises(FaceswapError, match="name of one picture"):
        passed_through(open_source(folder), tmp_path / "out.png")
    with pytest.raises(FaceswapError, match="not written as .gif"):
        passed_through(open_source(folder / "x.tif"), tmp_path / "out.gif")


def test_the_colour_profile_goes_with_the_pixels(shared, tmp_path):
    photo = shared("photos/single/rudd_adobe_rgb.jpg")
    passed_through(open_source(photo), tmp_path / "out.png")
    assert pictures.profile(tmp_path / "out.png") == pictures.profile(photo)
    assert np.array_equal(pictures.read(tmp_path / "out.png"), pictures.read(photo))


def test_the_input_is_never_overwritten(folder, tmp_path):
    for source, path in ((folder, tmp_path / "in" / ".." / "in"), (folder / "x.tif", folder), (folder / "x.tif", folder / "x.tif")):
        with pytest.raises(FaceswapError, match="input"):
            passed_through(open_source(source), path)


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_place_that_cannot_be_written_is_told(place, folder, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FaceswapError, match="cannot be written"):
        passed_through(open_source(folder), tmp_path / place)


def test_a_full_disk_is_told(folder, tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    (tmp_path / "out").mkdir()
    os.symlink("/dev/full", tmp_path / "out" / "video-1.png.part")
    with pytest.raises(FaceswapError, match="No space left on the disk"):
        passed_through(open_source(folder), tmp_path / "out")
    assert not any(name.endswith(".part") for name in os.listdir(tmp_path / "out"))


def test_what_a_run_with_the_same_key_wrote_is_not_missing(folder, tmp_path):
    source, out = open_source(folder), tmp_path / "out"

    def missing(key, *stretch) -> list:
        with WRITERS.create("images", format="png").open(out, source) as sink:
            return sink.missing(key, *stretch)

    passed_through(source, out, format="png")
    assert missing("key") == [(0, 8)], "of a run without a key nothing is known"
    with WRITERS.create("images", format="png").open(out, source) as sink:
        for frame in source:
            if frame.index in (1, 4, 5):
                sink.write(frame, frame.image)
    assert missing("key") == [(0, 1), (2, 4), (6, 8)] and missing("key", 3, 7) == [(3, 4), (6, 7)]
    assert missing("key", 0, None, Shard(2, 2)) == [(6, 8)]
    assert missing("other") == [(0, 8)] and missing("key") == [(0, 8)]


def test_a_kill_never_leaves_half_a_picture(folder, tmp_path):
    program = ("import sys; from pathlib import Path; from lib.media.source import open_source; from lib.plugin import WRITERS\n"
               "source = open_source(Path(sys.argv[1]))\n"
               "print('ready', flush=True)\n"
               "while True:\n"
               "    with WRITERS.create('images').open(Path(sys.argv[2]), source) as sink:\n"
               "        for frame in source: sink.write(frame, frame.image)\n")
    for wait in (0.01, 0.05, 0.09):
        process = subprocess.Popen([sys.executable, "-c", program, folder, tmp_path / "out"], cwd=ROOT, stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        for file in (tmp_path / "out").iterdir() if (tmp_path / "out").exists() else ():
            if file.suffix != ".part":
                pictures.read(file)
