"""Pictures that move are read and written as videos: with their delays, and with what is transparent."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib.command import parsing
from lib.errors import FaceswapError
from lib.jobs.ffmpeg import FfmpegSettings
from lib.media.endpoints.sink import writer_for
from lib.media.endpoints.source import open_source
from lib.plugin import WRITERS
from lib.videotools import info
from scripts.ffmpeg import run
from tests.plain import film, plain_times

ENDINGS = ("gif", "webp", "png", "avif")
DELAYS = [100, 40, 40, 200, 30, 500]  # milliseconds


def command(*arguments) -> int:
    return run(FfmpegSettings(**parsing.parse("ffmpeg", parsing.declaration("ffmpeg"), list(map(str, arguments)))))


def moving(path: Path, astronaut: np.ndarray, transparent: bool = False) -> Path:
    """Six pictures of 96 x 80 pixels, shown for DELAYS; `transparent` around a disc."""
    images = [np.ascontiguousarray(astronaut[40:120, 160 + 4 * number:256 + 4 * number]) for number in range(len(DELAYS))]
    if transparent:
        y, x = np.mgrid[:80, :96]
        images = [np.dstack([image, np.clip(255 * (38 - np.hypot(x - 48, y - 40)) / 6, 0, 255).astype(np.uint8)]) for image in images]
    first, *others = map(Image.fromarray, images)
    exact = {"lossless": True} if path.suffix == ".webp" else {"quality": 95} if path.suffix == ".avif" else {}
    first.save(path, save_all=True, append_images=others, duration=DELAYS, loop=0, **exact)
    return path


def passed_through(source, path: Path, **options):
    with WRITERS.create(writer_for(path, source), **options).open(path, source) as sink:
        for frame in source:
            sink.patch(frame, [])
    return open_source(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_frames_are_shown_as_long_as_the_file_says(ending, astronaut, tmp_path):
    source = open_source(moving(tmp_path / f"m.{ending}", astronaut))
    frames = list(source)
    assert source.rate and source.count == len(frames) == 6
    assert [frame.time for frame in frames] == pytest.approx(np.cumsum([0, *DELAYS[:-1]]) / 1000, abs=0.0015)
    assert source.last_length == pytest.approx(0.5, abs=0.0015)
    for number, frame in enumerate(frames):
        assert np.abs(frame.image - astronaut[40:120, 160 + 4 * number:256 + 4 * number].astype(float)).mean() < 6
    assert info.facts(source.path)["duration_s"] == pytest.approx(0.91, abs=0.0015)
    assert np.array_equal(next(source.frames(4, 5)).image, frames[4].image)
    if ending in ("gif", "png"):  # older ffmpegs read no WebP that moves, and of AVIF the first picture
        assert [frame.time for frame in frames] == pytest.approx(plain_times(source.path), abs=0.0015)


@pytest.mark.parametrize("ending", ENDINGS)
def test_they_are_written_as_they_were(ending, astronaut, tmp_path):
    source = open_source(moving(tmp_path / f"in.{ending}", astronaut))
    made = passed_through(source, tmp_path / f"out.{ending}")
    assert made.size == source.size == (96, 80)
    assert [frame.time for frame in made] == pytest.approx([frame.time for frame in source], abs=0.0015)
    assert made.last_length == pytest.approx(0.5, abs=0.0015)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_video_becomes_one_and_lasts_as_long(ending, tmp_path):
    video = film(tmp_path / "v.mp4", "-c:v", "libx264", seconds=1, rate=60)
    source = open_source(video)
    made = passed_through(source, tmp_path / f"out.{ending}")
    times = [frame.time for frame in made]
    assert times[-1] + made.last_length == pytest.approx(1, abs=0.012)
    if ending == "gif":  # viewers show none for less than 20 ms
        assert len(times) < 60 and min(np.diff(times)) > 0.019
    else:
        assert times == pytest.approx(plain_times(video), abs=0.0015)


def test_it_becomes_a_video_that_lasts_as_long(astronaut, tmp_path):
    made = passed_through(open_source(moving(tmp_path / "m.gif", astronaut)), tmp_path / "o.mp4")
    assert [frame.time for frame in made] == pytest.approx(np.cumsum([0, *DELAYS[:-1]]) / 1000, abs=0.0015)
    assert made.last_length == pytest.approx(0.5, abs=0.002)


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_transparent_stays_so(ending, astronaut, tmp_path):
    source = open_source(moving(tmp_path / f"in.{ending}", astronaut, transparent=True))
    frame = next(source.frames())
    assert source.transparent and frame.rgba[0, 0, 3] == 0 and frame.rgba[40, 48, 3] == 255
    assert (frame.image[0, 0] == 255).all()  # seen on white
    for name in (f"out.{ending}", "out.png", "out.mkv", "out.mov"):
        options = {"codec": {"out.mkv": "ffv1", "out.mov": "prores"}[name]} if name[-3:] in ("mkv", "mov") else {}
        made = next(passed_through(source, tmp_path / name, **options).frames())
        assert np.abs(made.rgba[..., 3].astype(float) - frame.rgba[..., 3]).mean() < (6 if ending == "gif" else 2)


def test_it_is_told_where_transparency_is_lost(astronaut, tmp_path, caplog):
    made = passed_through(open_source(moving(tmp_path / "in.png", astronaut, transparent=True)), tmp_path / "out.mp4")
    assert "in.png is transparent in places, which h264 does not keep" in caplog.text
    assert next(made.frames()).image[0, 0].min() > 240


def test_prores_keeps_what_is_transparent(shared, tmp_path, caplog):
    source = open_source(shared("videos/formats/prores_4444_alpha.mov"))
    frame = next(source.frames())
    for name, codec in (("o.mov", "prores"), ("o.mkv", "ffv1")):
        made = next(passed_through(source, tmp_path / name, codec=codec).frames())
        assert np.abs(made.rgba.astype(float) - frame.rgba).mean() < 0.5
    assert "transparent" not in caplog.text
    passed_through(source, tmp_path / "o.mp4")
    assert "which hevc does not keep" in caplog.text


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_video_tools_take_them(ending, astronaut, tmp_path):
    source = moving(tmp_path / f"in.{ending}", astronaut, transparent=ending != "gif")
    command("scale", "-i", source, "--size", "50%", "-o", tmp_path / "o.mp4")
    assert [frame.time for frame in open_source(tmp_path / "o.mp4")] == pytest.approx(np.cumsum([0, *DELAYS[:-1]]) / 1000, abs=0.0015)
    command("extract", "-i", source, "-o", tmp_path / "frames")
    pairs = list(zip(open_source(tmp_path / "frames"), open_source(source), strict=True))
    assert all(np.abs(made.image - frame.image.astype(float)).mean() < 1 for made, frame in pairs)
    command("assemble", "-i", tmp_path / "frames", "-o", tmp_path / "again.mkv", "--lossless")
    again = open_source(tmp_path / "again.mkv")
    assert again.transparent == (ending != "gif") and len(list(again)) == 6


def test_a_signed_one_still_moves(astronaut, tmp_path):
    """What signs a PNG puts some kilobytes before the chunk that says that it moves."""
    data = moving(tmp_path / "m.png", astronaut).read_bytes()
    signature = b"caBX" + bytes(20000)
    chunk = struct.pack(">I", 20000) + signature + struct.pack(">I", zlib.crc32(signature))
    (tmp_path / "signed.png").write_bytes(data[:33] + chunk + data[33:])
    source = open_source(tmp_path / "signed.png")
    assert len(list(source)) == 6 and source.path.name == "signed.png"
    command("scale", "-i", tmp_path / "signed.png", "--size", "50%", "-o", tmp_path / "o.mp4")
    assert len(list(open_source(tmp_path / "o.mp4"))) == 6


def test_of_those_in_a_folder_the_first_picture_is_taken_and_that_is_told(astronaut, tmp_path, caplog):
    (tmp_path / "in").mkdir()
    for name in ("a.gif", "b.webp"):
        moving(tmp_path / "in" / name, astronaut)
    assert len(list(open_source(tmp_path / "in"))) == 2
    assert caplog.text.count("a.gif is an animation: in a folder only its first picture is used") == 1


def test_a_still_picture_is_no_video(astronaut, tmp_path):
    for ending in ENDINGS:
        Image.fromarray(astronaut).save(tmp_path / f"still.{ending}")
        assert open_source(tmp_path / f"still.{ending}").rate is None


def test_damage_is_told(astronaut, tmp_path):
    path = moving(tmp_path / "in.webp", astronaut)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(FaceswapError, match="in.webp"):
        list(open_source(path))
