"""Interlaced video is deinterlaced wherever frames are worked on, and frames of another size are set into the first one's."""

import logging
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lib.command import parsing
from lib.errors import FaceswapError, UsageError
from lib.jobs.ffmpeg import FfmpegSettings
from lib.media.endpoints.source import open_source
from lib.plugin import WRITERS
from scripts.ffmpeg import run
from tests.plain import film, plain, plain_times


def command(*arguments) -> int:
    return run(FfmpegSettings(**parsing.parse("ffmpeg", parsing.declaration("ffmpeg"), list(map(str, arguments)))))


def fields_of(path: Path) -> str:
    """What ffmpeg says of the order of fields: progressive, top first, bottom first."""
    return re.search(r"Video: .*?\((?:[^()]*, )?(progressive|top first|bottom first)", plain("-i", path, check=False))[1]


def combed(image: np.ndarray) -> float:
    """How much every other line differs from its neighbours, of what these differ from each other."""
    lines = image.astype(float).mean(2)
    return np.abs(lines[1:-1] - (lines[:-2] + lines[2:]) / 2).mean() / (np.abs(lines[2:] - lines[:-2]).mean() + 0.1)


@pytest.fixture(scope="module", params=["top", "bottom"])
def interlaced(request, tmp_path_factory) -> Path:
    """A ball that moves across 128 x 96 pixels, fields 50 times a second."""
    path = tmp_path_factory.mktemp("interlaced") / "fields.mp4"
    ball = "geq=lum='if(lt(hypot(X-20-1.6*N,Y-48),18),230,40)':cb=110:cr=150"
    plain("-f", "lavfi", "-i", f"color=s=128x96:r=50:d=1,{ball}", "-vf", f"tinterlace=interleave_{request.param}", "-r", "25", "-c:v",
          "libx264", "-crf", "4", "-flags", "+ilme+ildct", "-x264-params", f"{request.param[0]}ff=1:keyint=8", "-pix_fmt", "yuv420p", path)
    return path


def test_frames_are_whole_pictures_as_ffmpeg_makes_them(interlaced, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    source = open_source(interlaced)
    frames = list(source)
    plain("-i", interlaced, "-vf", "bwdif=mode=send_frame", "-c:v", "libx264rgb", "-qp", "0", tmp_path / "plain.mp4")
    wanted = [frame.image.astype(float) for frame in open_source(tmp_path / "plain.mp4")]
    assert len(frames) == len(wanted) == 25
    assert max(np.abs(frame.image - other).mean() for frame, other in zip(frames, wanted)) < 1
    assert [frame.time for frame in frames] == pytest.approx(plain_times(interlaced))
    assert caplog.text.count("is interlaced: its frames are deinterlaced") == 1
    for start in range(1, 25, 5):  # key frames are 0, 8, 16 and 24
        assert np.array_equal(next(source.frames(start, start + 1)).image, frames[start].image)
        assert np.array_equal(next(open_source(interlaced).frames(start, start + 1)).image, frames[start].image)


def test_a_written_video_is_progressive_unless_its_fields_are_to_stay(interlaced, tmp_path):
    source = open_source(interlaced)
    for name, keep in (("whole.mp4", False), ("fields.mp4", True)):
        with replace(WRITERS.create("video", crf=4), keep_interlaced=keep).open(tmp_path / name, source) as sink:
            for frame in source:
                sink.patch(frame, [])
    assert fields_of(tmp_path / "whole.mp4") == "progressive"
    assert combed(next(open_source(tmp_path / "whole.mp4").frames()).image) < 0.6
    assert fields_of(tmp_path / "fields.mp4") == fields_of(interlaced) != "progressive"
    pairs = zip(open_source(tmp_path / "fields.mp4"), source, strict=True)
    assert max(np.abs(made.stored.to_ndarray().astype(float) - frame.stored.to_ndarray()).mean() for made, frame in pairs) < 1
    with pytest.raises(FaceswapError, match="--keep-interlaced"):
        replace(WRITERS.create("video", codec="hevc"), keep_interlaced=True).open(tmp_path / "no.mp4", source)


@pytest.mark.parametrize("words", [("scale", "--size", "50%"), ("cut", "--from", "0.2"), ("rotate", "--turn", "90"), ("rotate", "--mirror")])
def test_the_video_tools_deinterlace(words, interlaced, tmp_path):
    command(*words, "-i", interlaced, "-o", tmp_path / "o.mp4")
    assert fields_of(tmp_path / "o.mp4") == "progressive"
    assert max(combed(frame.image) for frame in open_source(tmp_path / "o.mp4")) < 0.6


def test_extracted_pictures_and_joined_videos_are_deinterlaced(interlaced, tmp_path):
    command("extract", "-i", interlaced, "-o", tmp_path / "frames", "--every", 4)
    for made, frame in zip(open_source(tmp_path / "frames"), list(open_source(interlaced))[::4], strict=True):
        assert np.abs(made.image - frame.image.astype(float)).mean() < 1
    command("concat", "-i", interlaced, interlaced, "-o", tmp_path / "o.mp4", "--crf", 10)
    assert fields_of(tmp_path / "o.mp4") == "progressive"


def test_a_cut_may_keep_the_fields(interlaced, tmp_path):
    command("cut", "-i", interlaced, "--from", "0.2", "-o", tmp_path / "o.mp4", "--keep-interlaced")
    assert fields_of(tmp_path / "o.mp4") == fields_of(interlaced)
    with pytest.raises(FaceswapError, match="--keep-interlaced"):
        command("cut", "-i", interlaced, "--from", "0.2", "-o", tmp_path / "p.mp4", "--keep-interlaced", "--codec", "hevc")
    with pytest.raises(UsageError, match="--keep-interlaced belongs to"):
        command("scale", "-i", interlaced, "--size", "50%", "-o", tmp_path / "p.mp4", "--keep-interlaced")


def test_frames_of_another_size_are_set_into_the_first_ones(tmp_path, caplog):
    h264 = ("-c:v", "libx264", "-preset", "ultrafast")
    wide, small = film(tmp_path / "a.ts", *h264, seconds=1), film(tmp_path / "b.ts", *h264, seconds=1, size="64x64")
    (tmp_path / "ab.ts").write_bytes(wide.read_bytes() + small.read_bytes())
    source = open_source(tmp_path / "ab.ts")
    frames = list(source)
    assert len(frames) == 50 and {frame.image.shape for frame in frames} == {(64, 96, 3)}
    assert frames[40].image[:, :14].max() < 8 and frames[40].image[:, 82:].max() < 8  # black on both sides
    original = list(open_source(small))[15].image.astype(float)
    assert np.abs(frames[40].image[4:-4, 20:76] - original[4:-4, 4:-4]).mean() < 5
    assert "from frame 26 on it is 64x64 instead of 96x64" in caplog.text
    command("scale", "-i", tmp_path / "ab.ts", "--size", "100%", "-o", tmp_path / "o.mp4")
    made = list(open_source(tmp_path / "o.mp4"))
    assert len(made) == 50 and np.abs(made[40].image - frames[40].image.astype(float)).mean() < 6
