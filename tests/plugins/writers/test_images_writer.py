"""Written pictures keep names, order, format and pixels; each appears whole or not at all."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from lib.errors import FaceswapError
from lib.media.endpoints.sink import writer_for
from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file
from lib.media.pictures.metadata import read_metadata
from lib.plugin import WRITERS
from lib.types import Patch, Shard

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
        picture_file.write(path / name, astronaut[:50 + number, :60])
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
            assert picture.format == picture_file.WRITTEN[Path(again.name).suffix.lower()][0]


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
    assert np.array_equal(picture_file.read(tmp_path / "a" / "one_frame_000001.png"), next(iter(source)).image)


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
    assert read_metadata(tmp_path / "out.png").profile == read_metadata(photo).profile
    assert np.array_equal(picture_file.read(tmp_path / "out.png"), picture_file.read(photo))


def test_the_input_is_never_overwritten(folder, tmp_path):
    for source, path in ((folder, tmp_path / "in" / ".." / "in"), (folder / "x.tif", folder), (folder / "x.tif", folder / "x.tif")):
        with pytest.raises(FaceswapError, match="input"):
            passed_through(open_source(source), path)


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_place_that_cannot_be_written_is_told(place, folder, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FaceswapError, match="cannot be written"):
        passed_through(open_source(folder), tmp_path / place)


def test_a_full_disk_is_told(folder, tmp_path, full_disk):
    (tmp_path / "out").mkdir()
    with full_disk(1000), pytest.raises(FaceswapError, match="larger than this disk allows"):
        passed_through(open_source(folder), tmp_path / "out")
    assert not any(name.endswith(".part") for name in os.listdir(tmp_path / "out"))


@pytest.fixture
def patched(astronaut) -> Patch:
    """A green face on the astronaut's, half of it seen."""
    rows, columns = slice(20, 60), slice(30, 80)
    before = astronaut[rows, columns]
    face, mask = np.zeros_like(before), np.zeros(before.shape[:2], np.float32)
    face[..., 1] = 200
    mask[5:35, 5:45] = 0.5
    pixels = np.rint(before + mask[..., None] * (face.astype(float) - before)).astype(np.uint8)
    aligned = np.dstack([face, np.rint(255 * mask).astype(np.uint8)])[:, ::2], np.array([[2.0, 0, 30], [0, 1, 20]])
    return Patch(rows, columns, pixels, before, face, mask, aligned)


def put(writer: str, source, path: Path, patches, frames: int | None = None, **options) -> None:
    with WRITERS.create(writer, **options).open(path, source) as sink:
        for frame in itertools.islice(source, frames):
            sink.patch(frame, patches)


@pytest.fixture
def single(astronaut, tmp_path):
    (tmp_path / "in").mkdir()
    picture_file.write(tmp_path / "in" / "one.png", astronaut[:100, :120])
    return open_source(tmp_path / "in")


def test_faces_alone_lie_on_nothing(single, patched, astronaut, tmp_path):
    put("images", single, tmp_path / "out", [patched], mask="alpha")
    picture = np.asarray(Image.open(tmp_path / "out" / "one.png"))
    assert picture.shape == (100, 120, 4) and (picture[..., 3] > 0).sum() == 30 * 40
    assert (picture[25:55, 35:75] == (0, 200, 0, 128)).all()
    over = picture[..., :3] * (picture[..., 3:] / 255) + astronaut[:100, :120] * (1 - picture[..., 3:] / 255)
    put("images", single, tmp_path / "whole", [patched], mask="separate")
    assert np.abs(over - picture_file.read(tmp_path / "whole" / "one.png")).max() < 1.5
    mask = np.asarray(Image.open(tmp_path / "whole" / "one_mask.png"))
    assert mask.shape == (100, 120) and (mask == picture[..., 3]).all()


def test_masks_have_no_profile_of_colours(patched, astronaut, tmp_path):
    (tmp_path / "in").mkdir()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture_file.write(tmp_path / "in" / "a.png", astronaut[:100, :120], profile)
    put("images", open_source(tmp_path / "in"), tmp_path / "out", [patched], mask="separate")
    assert read_metadata(tmp_path / "out" / "a.png").profile == profile and read_metadata(tmp_path / "out" / "a_mask.png").profile is None


def test_pictures_that_differ_in_their_ending_alone_have_a_mask_each(patched, astronaut, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "a.jpg", "b.png"):
        picture_file.write(tmp_path / "in" / name, astronaut[:100, :120])
    put("images", open_source(tmp_path / "in"), tmp_path / "out", [patched], mask="separate")
    assert set(os.listdir(tmp_path / "out")) == {"a.png", "a.jpg", "b.png", "a.png_mask.png", "a.jpg_mask.png", "b_mask.png"}


@pytest.mark.parametrize("options, words", [({"mask": "alpha", "format": "jpg"}, "know no transparency"),
                                            ({"depth": 16, "format": "webp"}, "know no 16 bits")])
def test_formats_that_cannot_are_told(options, words, single, tmp_path):
    with pytest.raises(FaceswapError, match=words):
        put("images", single, tmp_path / "out", [], **options)


@pytest.mark.parametrize("ending", ["png", "tiff"])
def test_16_bits_of_a_video_are_kept(ending, shared, tmp_path):
    source = open_source(shared("videos/formats/hevc_10bit.mov"))
    put("images", source, tmp_path / "out", [], frames=8, depth=16, format=ending)
    for frame, file in zip(itertools.islice(source, 8), sorted((tmp_path / "out").glob("hevc*")), strict=True):
        picture = cv2.cvtColor(cv2.imread(str(file), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGR2RGB)
        assert picture.dtype == np.uint16 and len(np.unique(picture)) > 400
        assert np.abs(picture / 257 - frame.image).mean() < 0.6


@pytest.mark.parametrize("ending", ["png", "tiff"])
def test_pictures_of_16_bits_stay_as_they_are_around_the_face(ending, astronaut, patched, tmp_path):
    """And keep their colour profile."""
    fine = np.minimum(astronaut[:100, :120].astype(int) * 257 + np.arange(0, 240, 2)[:, None], 65535).astype(np.uint16)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    (tmp_path / "in").mkdir()
    picture_file.write(tmp_path / "in" / f"one.{ending}", fine, profile)
    source = open_source(tmp_path / "in")
    frame, = source
    assert frame.is_deep and np.abs(frame.image - (fine / 257)).max() <= 0.51
    before = frame.part(patched.rows, patched.columns, deep=True)
    mixed = np.rint(before + patched.mask[..., None] * (patched.face * 256.0 - before)).astype(np.uint16)
    put("images", source, tmp_path / "out", [replace(patched, before=before, pixels=mixed)], depth=16)
    written = tmp_path / "out" / f"one.{ending}"
    after = cv2.cvtColor(cv2.imread(str(written), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGR2RGB)
    there = np.zeros(fine.shape[:2], bool)
    there[patched.rows, patched.columns] = patched.mask > 0
    assert after.dtype == np.uint16 and (after[~there] == fine[~there]).all()
    assert np.abs(after[there] - (fine[there] * 0.5 + np.array([0, 200, 0]) * 128.5)).max() < 257
    assert read_metadata(written).profile == profile


@pytest.mark.parametrize("kind, transfer", [("hdr", 16), ("hlg", 18)])
def test_hdr_pictures_say_what_their_values_mean(kind, transfer, request, tmp_path):
    source = open_source(request.getfixturevalue(kind))
    put("images", source, tmp_path / "out", [], frames=1, depth=16)
    file, = (tmp_path / "out").glob("*.png")
    with av.open(str(file)) as opened:
        shown = next(opened.decode(video=0))
    assert (shown.color_primaries, shown.color_trc, shown.color_range) == (9, transfer, 2), "BT.2020, PQ or HLG, full range"
    picture = cv2.cvtColor(cv2.imread(str(file), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGR2RGB)
    frame, = itertools.islice(source, 1)
    assert np.abs(picture / 257 - frame.conversion.raw(frame.coded) / 256).mean() < 0.6


@pytest.mark.parametrize("writer, name, options", [
    ("images", "out", {}), ("images", "out", {"depth": 16, "format": "tiff"}), ("images", "out", {"depth": 16, "mask": "alpha"}),
    ("patch", "out", {}), ("animation", "out.gif", {})])
def test_hdr_that_pictures_would_lose_is_refused(writer, name, options, hdr, hlg, tmp_path):
    for video, kind in ((hdr, "HDR10"), (hlg, "HLG")):
        with pytest.raises(FaceswapError, match=f"is HDR video .{kind}., which .* does not keep. Write a video"):
            put(writer, open_source(video), tmp_path / name, [], **options)
        assert not (tmp_path / name).exists()


def test_faces_apart_come_with_the_matrix_that_carries_them_back(single, patched, tmp_path):
    put("patch", single, tmp_path / "out", [patched])
    told = json.loads((tmp_path / "out" / "one.json").read_text())
    assert told["size"] == [120, 100] and [face["file"] for face in told["faces"]] == ["one_face1.png"]
    face = np.asarray(Image.open(tmp_path / "out" / "one_face1.png"))
    back = cv2.warpAffine(face, np.array(told["faces"][0]["matrix"]), (120, 100), flags=cv2.INTER_NEAREST)
    assert (back[26:54, 38:72] == (0, 200, 0, 128)).all()
    with pytest.raises(FaceswapError, match="Name a folder"):
        put("patch", single, tmp_path / "out.png", [patched])


@pytest.mark.parametrize("ending", ["gif", "webp", "png", "avif"])
def test_a_clip_becomes_a_picture_that_moves(ending, clips, tmp_path):
    source = open_source(clips[0])
    assert writer_for(tmp_path / f"out.{ending}", source) == "animation"
    put("animation", source, tmp_path / f"out.{ending}", [], width=100)
    with Image.open(tmp_path / f"out.{ending}") as picture:
        assert picture.size == (100, 100) and picture.n_frames == 16
        for number, frame in enumerate(source):
            picture.seek(number)
            shown = np.asarray(picture.convert("RGB")).astype(float)
            assert np.abs(shown - cv2.resize(frame.image, (100, 100), interpolation=cv2.INTER_AREA)).mean() < 9
            assert picture.info["duration"] == 40
    assert os.listdir(tmp_path) == [f"out.{ending}"]


def test_what_a_run_with_the_same_key_wrote_is_not_missing(folder, tmp_path):
    source, out = open_source(folder), tmp_path / "out"

    def missing(key, *stretch, **more) -> list:
        with WRITERS.create("images", format="png").open(out, source) as sink:
            return sink.missing(key, *stretch, **more)

    passed_through(source, out, format="png")
    assert missing("key") == [(0, 8)], "of a run without a key nothing is known"
    with WRITERS.create("images", format="png").open(out, source) as sink:
        for frame in source:
            if frame.index in (1, 4, 5):
                sink.write(frame, frame.image)
    assert missing("key") == [(0, 1), (2, 4), (6, 8)] and missing("key", 3, 7) == [(3, 4), (6, 7)]
    assert missing("key", 0, None, Shard(2, 2)) == [(6, 8)]
    assert missing("key", again=(1, 5)) == [(0, 4), (5, 8)]
    assert missing("other") == [(0, 8)] and missing("key") == [(0, 8)]


def test_a_kill_never_leaves_half_a_picture(folder, tmp_path):
    program = ("import sys; from pathlib import Path; from lib.media.endpoints.source import open_source; from lib.plugin import WRITERS\n"
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
                picture_file.read(file)


def test_a_videos_name_is_no_folder_of_pictures(clips, tmp_path):
    with pytest.raises(FaceswapError, match="name of a video, but pictures are to be written"):
        put("images", open_source(clips[0]), tmp_path / "out.mp4", [], depth=16)
    assert not (tmp_path / "out.mp4").exists()
    (tmp_path / "out.mp4").mkdir()
    put("images", open_source(clips[0]), tmp_path / "out.mp4", [], frames=1)
    assert len(list((tmp_path / "out.mp4").glob("*.png"))) == 1
