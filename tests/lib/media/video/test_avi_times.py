"""AVI counts frames in the order of storage: with B-frames they have the times that a plain ffmpeg gives them."""

import numpy as np
import pytest

from lib.media.endpoints.source import open_source
from tests.plain import film, plain, plain_times


@pytest.mark.parametrize("codec", [("-c:v", "libxvid", "-bf", "2", "-g", "12"), ("-c:v", "mpeg4", "-bf", "2", "-g", "12"),
                                   ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "3"), ("-c:v", "mpeg2video", "-bf", "2")],
                         ids=("packed", "mpeg4", "h264", "mpeg2"))
def test_frames_have_ffmpegs_times_and_are_found_again(codec, tmp_path):
    video = film(tmp_path / "x.avi", *codec)
    source = open_source(video)
    frames = list(source)
    assert [frame.time for frame in frames] == pytest.approx(plain_times(video), abs=0.001)
    assert source.ticks() == [round(frame.time / source.time_base) for frame in frames]
    for start in range(1, len(frames), 8):
        again = next(source.frames(start, start + 1))
        assert again.time == frames[start].time and np.array_equal(again.image, frames[start].image)


def test_left_out_frames_leave_a_gap(tmp_path):
    video = tmp_path / "gap.avi"
    plain("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=2", "-vf", "select='not(between(n,10,19))'", "-fps_mode", "passthrough", "-c:v",
          "libxvid", "-bf", "2", video)
    assert [frame.time for frame in open_source(video)] == pytest.approx(plain_times(video), abs=0.001)
