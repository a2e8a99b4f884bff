"""Videos of every kind are read as `videos.json` of the test data says, or refused in one clear line."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.media.endpoints.source import open_source

FORMATS = """UPPER_CASE.MP4 anamorphic_384x512_sar4-3.mp4 audio_51_48k.mp4 audio_longer_3500ms.mp4 audio_mono_8k.mov
audio_shorter_1000ms.mp4
audio_starts_500ms_late.mkv av1.mp4 cover_art_first_stream.mp4 cut_without_reencode_edit_list.mp4 ffv1_flac.mkv fps_10.mp4 fps_23976.mp4
h263.3gp h264.m4v h264.ts h264_10bit.mp4 h264_422_10bit.mov h264_444.mp4 h264_8bit.mp4 h264_aac.flv h264_faststart.mp4
h264_fragmented.mp4 h264_full_range.mp4 h264_long_gop_bframes.mp4 h264_lossless_rgb.mkv hevc_10bit.mov hevc_12bit_444.mkv hevc_8bit.mp4
interlaced_top_first.mp4 mjpeg_pcm.avi mpeg2.mpg mpeg4_mp3.avi no_audio.mp4 odd_size_361x271.avi odd_size_361x271.webm
odd_size_361x271_444.mp4 one_frame.mp4 prores_422hq.mov prores_4444_alpha.mov raw.h264 rotated_0.mp4 rotated_180.mp4 rotated_270.mp4
rotated_90.mp4 two_audio_tracks_subtitles.mkv two_frames.mp4 two_people_side_by_side.mp4 vfr_dropped_frames.mp4
video_starts_480ms_late.mkv vp8.webm vp9.webm vp9_10bit.webm wmv2.wmv""".split() + ["имя с пробелами 视频 ñ (1).mp4"]
LIKE_THE_BASE = """h264_10bit.mp4 h264_422_10bit.mov h264_444.mp4 h264_full_range.mp4 h264_long_gop_bframes.mp4 h264_fragmented.mp4
h264_aac.flv hevc_8bit.mp4 hevc_10bit.mov hevc_12bit_444.mkv vp8.webm vp9.webm vp9_10bit.webm av1.mp4 mpeg4_mp3.avi mpeg2.mpg wmv2.wmv
raw.h264 h264.ts anamorphic_384x512_sar4-3.mp4""".split()


@pytest.fixture(scope="module")
def expected(shared):
    return json.loads(shared("videos/videos.json").read_text(encoding="utf-8"))["files"]


@pytest.fixture(scope="module")
def frame_times(shared):
    return json.loads(shared("videos/vfr.json").read_text(encoding="utf-8"))["times"]


@pytest.fixture(scope="session")
def base(shared):
    return [frame.image.astype(np.float32) for frame in open_source(shared("videos/formats/h264_8bit.mp4"))]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_whole_and_seeks_exactly(name, shared, expected, frame_times):
    source, says = open_source(shared(f"videos/formats/{name}")), expected[f"formats/{name}"]
    frames = list(source)
    assert source.size == tuple(says["shown"])
    assert {frame.image.shape for frame in frames} == {(*source.size[::-1], 3)}
    assert source.count == len(frames) == says["frames"] and source.losses == []
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert source.rate == Fraction(says["avg_fps"])
    if "first_s" in says:
        assert [frames[0].time, frames[-1].time] == pytest.approx([says["first_s"], says["last_s"]], abs=1e-3)
    if times := frame_times.get(f"formats/{name}"):
        assert [frame.time for frame in frames] == pytest.approx(times, abs=1e-5)
    for start in {len(frames) // 2, len(frames) - 1}:
        for again, frame in zip(open_source(source.path).frames(start, start + 2), frames[start:start + 2], strict=True):
            assert (again.index, again.time) == (frame.index, frame.time) and np.array_equal(again.image, frame.image)


@pytest.mark.parametrize("name", LIKE_THE_BASE)
def test_the_same_footage_looks_the_same_in_every_format(name, shared, base):
    difference = np.stack([frame.image for frame, _ in zip(open_source(shared(f"videos/formats/{name}")), range(6))]) - np.stack(base[:6])
    assert np.abs(difference.mean((0, 1, 2))).max() < 1.6, "a wrong range or matrix shifts colours by much more"
    assert np.abs(difference).mean() < 4


def test_rotated_videos_are_shown_upright(shared):
    upright = [frame.image.astype(float) for frame in open_source(shared("videos/formats/rotated_0.mp4")).frames(0, 3)]
    for turn in (90, 180, 270):
        for frame in open_source(shared(f"videos/formats/rotated_{turn}.mp4")).frames(0, 3):
            assert np.abs(frame.image - upright[frame.index]).mean() < 4


def test_an_edit_list_hides_what_was_cut_off(shared):
    cut = next(iter(open_source(shared("videos/formats/cut_without_reencode_edit_list.mp4")))).image.astype(float)
    original = list(open_source(shared("videos/swap/a_ocasio_cortez.mp4")).frames(23, 28))
    errors = [np.abs(frame.image - cut).mean() for frame in original]
    assert int(np.argmin(errors)) == 2 and errors[2] < 3  # frame 25


def test_lossless_rgb_is_read_exactly(shared):
    path = shared("videos/formats/h264_lossless_rgb.mkv")
    with av.open(str(path)) as container:
        exact = [np.stack([np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:, :frame.width]
                           for plane in (frame.planes[2], frame.planes[0], frame.planes[1])], -1) for frame in container.decode(video=0)]
    for frame in open_source(path):
        assert np.array_equal(frame.image, exact[frame.index])


@pytest.mark.parametrize("name, words", [
    ("zero_bytes.mp4", "empty"), ("text_named.mp4", "not a video"), ("audio_only.mp4", "only sound"),
    ("init_segment_without_frames.mp4", "no frame"), ("truncated_without_index.mp4", "before its index was written")])
def test_what_cannot_be_read_is_refused_in_one_line(name, words, shared):
    with pytest.raises(FaceswapError, match=words) as raised:
        open_source(shared(f"videos/broken/{name}"))
    assert "\n" not in str(raised.value) and name in str(raised.value)


def test_a_picture_named_as_a_video_is_a_video_of_one_frame(shared):
    source = open_source(shared("videos/broken/jpeg_named.mp4"))
    assert [frame.image.shape for frame in source] == [(240, 360, 3)]


def test_a_truncated_video_gives_what_can_be_read_and_tells_the_loss(shared):
    source = open_source(shared("videos/broken/truncated_at_60_percent.mp4"))
    whole = open_source(shared("videos/formats/h264_faststart.mp4"))
    frames = list(source)
    assert 24 <= len(frames) < 50
    assert all(np.array_equal(frame.image, right.image) for frame, right in zip(frames, whole)), "only whole frames are given"
    assert source.losses == [
        f"truncated_at_60_percent.mp4: only {len(frames)} of 50 frames could be read; use a whole copy if there is one"]


@pytest.mark.parametrize("name", ["vp9.webm", "two_audio_tracks_subtitles.mkv", "h264_fragmented.mp4"])
def test_a_cut_off_stream_tells_where_it_breaks_off(name, shared, tmp_path):
    whole = shared(f"videos/formats/{name}")
    path = tmp_path / name
    path.write_bytes(whole.read_bytes()[:int(whole.stat().st_size * 0.6)])
    source = open_source(path)
    assert 10 < sum(1 for _ in source) < 45
    assert len(source.losses) == 1 and f"{name}: breaks off after" in source.losses[0]


def test_a_damaged_video_is_read_to_its_end_alike_each_time(shared):
    source = open_source(shared("videos/broken/damaged_in_the_middle.mp4"))
    first, again = ([frame.image for frame in source] for _ in range(2))
    assert len(first) == 50 and all(np.array_equal(a, b) for a, b in zip(first, again))
    assert "frames are damaged, the first is frame 4" in source.losses[0]


def test_what_does_not_exist_is_told(tmp_path):
    with pytest.raises(FaceswapError, match="does not exist"):
        open_source(tmp_path / "missing.mp4")


# what follows needs no shared data


def make_video(path: Path, picture: np.ndarray, times: list[int], codec: str = "libx264", matrix: int = 1, full: bool = False,
               **options: str) -> Path:
    """A video of `picture` sliding by 2 pixels a frame, shown at `times` (ms)."""
    clock = Fraction(1, 25 if codec == "mpeg2video" else 1000)  # MPEG-2 knows a few rates only
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, time_base=clock)
        stream.width, stream.height, stream.pix_fmt = 192, 160, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 2 if full else 1
        stream.options = {"crf": "14", "preset": "fast"} | options
        for number, time in enumerate(times):
            rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[60:220, 100 + 2 * number:292 + 2 * number]), "rgb24")
            rgb.colorspace, rgb.color_range = matrix, 2
            frame = rgb.reformat(format="yuv420p", dst_color_range=2 if full else 1)
            frame.pts, frame.time_base = round(Fraction(time, 1000) / clock), clock
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("matrix", [1, 6, 9], ids=["bt709", "bt601", "bt2020"])
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
def test_matrix_and_range_are_honoured(matrix, full, astronaut, tmp_path):
    source = open_source(make_video(tmp_path / "v.mp4", astronaut, [0, 40, 80], matrix=matrix, full=full))
    assert (source.colours.matrix, source.colours.range) == (matrix, 2 if full else 1)
    for frame in source:
        right = astronaut[60:220, 100 + 2 * frame.index:292 + 2 * frame.index].astype(float)
        assert np.abs((frame.image - right).mean((0, 1))).max() < 0.8


@pytest.mark.parametrize("name, codec, options", [
    ("open.mkv", "libx264", {"x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=4"}),
    ("open.ts", "libx264", {"x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=4"}),
    ("refresh.mp4", "libx264", {"x264-params": "intra-refresh=1:keyint=12"}),
    ("shuffled.avi", "libx264", {"x264-params": "keyint=12:bframes=3"}),
    ("cra.mkv", "libx265", {"x265-params": "open-gop=1:keyint=12:min-keyint=12:log-level=error"}),
    ("groups.mpg", "mpeg2video", {"g": "12", "bf": "2"}),
    ("hidden.webm", "libvpx", {"auto-alt-ref": "1", "lag-in-frames": "16", "g": "20", "b": "300k", "deadline": "good", "cpu-used": "5"})])
def test_seeking_to_frame_n_gives_frame_n(name, codec, options, astronaut, tmp_path):
    times = [40 * number for number in range(60)]
    source = open_source(make_video(tmp_path / name, astronaut, times, codec, **options))
    frames = list(source)
    assert source.count == len(frames) == 60
    assert np.diff([frame.time for frame in frames]) == pytest.approx(0.04, abs=1e-3)
    for start in range(1, 60, 5):
        for again, frame in zip(source.frames(start, start + 2), frames[start:start + 2], strict=True):
            assert (again.index, again.time) == (frame.index, frame.time) and np.array_equal(again.image, frame.image)
    assert list(source.frames(60)) == []


def test_variable_frame_times_are_exact(astronaut, tmp_path):
    times = [0, 40, 80, 240, 280, 413, 520, 1001]
    source = open_source(make_video(tmp_path / "v.mp4", astronaut, times))
    assert [frame.time for frame in source] == [time / 1000 for time in times]


def test_a_playlist_named_as_a_video_reaches_for_nothing(tmp_path):
    path = tmp_path / "list.mp4"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/segment.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(FaceswapError):
        open_source(path)


def test_some_frames_of_a_video(clips):
    source = open_source(clips[0])
    every = {frame.index: frame.image for frame in source}
    found = {frame.index: frame.image for frame in source.at([0, 3, 4, 15, 99])}
    assert list(found) == [0, 3, 4, 15] and all(np.array_equal(image, every[index]) for index, image in found.items())
