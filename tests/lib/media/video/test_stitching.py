"""Files whose clock jumps have the times, frames and sound that a plain ffmpeg makes of them."""

from pathlib import Path

import numpy as np
import pytest

from lib.command import parsing
from lib.jobs.ffmpeg import FfmpegSettings
from lib.media.endpoints.source import open_source
from lib.plugin import WRITERS
from lib.videotools import info
from scripts.ffmpeg import run
from tests.plain import film, plain_sound, plain_times

MPEG = ("-c:v", "mpeg2video", "-g", "8", "-bf", "2", "-c:a", "mp2")
JOINED = ("cat.ts", "jump.ts", "back.ts", "cat.mpg")


def command(*arguments) -> int:
    return run(FfmpegSettings(**parsing.parse("ffmpeg", parsing.declaration("ffmpeg"), list(map(str, arguments)))))


@pytest.fixture(scope="module")
def joined(tmp_path_factory) -> dict[str, Path]:
    """Files of 2 seconds, one after the other: the same twice, with a clock 10 hours ahead or back, and program streams."""
    folder = tmp_path_factory.mktemp("joined")
    h264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "20", "-c:a", "aac")
    near, far = film(folder / "a.ts", *h264), film(folder / "far.ts", *h264, "-output_ts_offset", "36000")
    program = film(folder / "a.mpg", *MPEG)
    for name, parts in zip(JOINED, ((near, near), (near, far), (far, near), (program, program))):
        (folder / name).write_bytes(b"".join(part.read_bytes() for part in parts))
    return {name: folder / name for name in JOINED}


@pytest.mark.parametrize("name", JOINED)
def test_frames_have_ffmpegs_times(name, joined):
    source = open_source(joined[name])
    frames = list(source)
    wanted = plain_times(joined[name])
    assert len(frames) == len(wanted) == 100 and source.losses == []
    assert np.array([frame.time for frame in frames]) - source.origin == pytest.approx(np.array(wanted), abs=0.002)
    assert 3.9 < frames[-1].time - frames[0].time < 4.1
    assert source.jumps.count == 1
    for start in (3, 49, 50, 63, 75, 99):
        again = next(source.frames(start, start + 1))
        assert again.time == frames[start].time and np.array_equal(again.image, frames[start].image)


@pytest.mark.parametrize("name", JOINED)
def test_a_written_video_has_ffmpegs_sound(name, joined, tmp_path):
    source = open_source(joined[name])
    with WRITERS.create("video", preset="ultrafast").open(tmp_path / "o.mkv", source) as sink:
        for frame in source:
            sink.patch(frame, [])
    made, wanted = plain_sound(tmp_path / "o.mkv", tmp_path), plain_sound(joined[name], tmp_path)
    assert len(made) == len(wanted)  # headers of AAC go, so that their bytes differ
    assert [second for second, _ in made] == pytest.approx([second for second, _ in wanted], abs=0.004)


def test_sound_is_encoded_on_over_the_jump(joined, tmp_path):
    source = open_source(joined["cat.ts"])
    with WRITERS.create("video", preset="ultrafast").open(tmp_path / "o.webm", source) as sink:
        for frame in source:
            sink.patch(frame, [])
    found = info.facts(tmp_path / "o.webm")
    assert found["frames"] == 100 and found["duration_s"] == pytest.approx(4, abs=0.2)


@pytest.mark.parametrize("name", ("cat.ts", "jump.ts", "cat.mpg"))
def test_the_video_tools_make_of_them_what_ffmpeg_makes(name, joined, tmp_path):
    video, wanted = joined[name], plain_times(joined[name])
    command("scale", "-i", video, "--size", "50%", "-o", tmp_path / "scaled.mp4")
    command("cut", "-i", video, "--from", 1, "--to", 3, "-o", tmp_path / "cut.mp4")
    command("extract", "-i", video, "-o", tmp_path / "frames")
    command("assemble", "-i", tmp_path / "frames", "-r", video, "-o", tmp_path / "assembled.mp4")
    command("concat", "-i", video, video, "-o", tmp_path / "twice.mp4")
    assert plain_times(tmp_path / "scaled.mp4") == pytest.approx(wanted, abs=0.002)
    assert plain_times(tmp_path / "assembled.mp4") == pytest.approx(wanted, abs=0.002)
    piece = [second for second in wanted if 1 <= second < 3]
    assert plain_times(tmp_path / "cut.mp4") == pytest.approx([second - piece[0] for second in piece], abs=0.002)
    assert len(plain_times(tmp_path / "twice.mp4")) == 200
    assert len(plain_sound(tmp_path / "scaled.mp4", tmp_path)) == len(plain_sound(video, tmp_path))


def test_info_tells_the_jump_and_the_true_length(joined):
    found = info.facts(joined["jump.ts"])
    assert found["clock_jumps"] == 1 and found["frames"] == 100 and found["duration_s"] == pytest.approx(4, abs=0.2)
    assert info.facts(joined["jump.ts"].with_name("a.ts"))["clock_jumps"] == 0
