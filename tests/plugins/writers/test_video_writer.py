"""A written video has the frames, times, colours and sound of its input, and appears whole or not at all."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.files.writing import MARK
from lib.files.writing import work_folder_of as part_of
from lib.media.encoding.segments import decoding_times
from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file
from lib.media.samples import planes
from lib.plugin import WRITERS
from lib.types import Shard

ROOT = Path(__file__).resolve().parents[3]
TIMES = [0, 40, 80, 240, 280, 413, 520, 601, 640, 1001, 1040, 1080]  # ms


def passed_through(source, path: Path, start: int = 0, stop: int | None = None, **options):
    """`source` written unchanged to `path`, and opened again."""
    with WRITERS.create("video", **options).open(path, source) as sink:
        for frame in source.frames(start, stop):
            sink.write(frame, frame.image)
    return open_source(path)


def packets(path: Path, track: int = 0) -> list[tuple[float, bytes]]:
    """Time and content of each packet of a sound track."""
    with av.open(str(path)) as container:
        return [(float(packet.pts * packet.time_base), bytes(packet)) for packet in container.demux(audio=track) if packet.size]


def loudness(path: Path, zero: float = 0.0, step: float = 0.1) -> np.ndarray:
    """Root mean square of the first sound track in steps of seconds from second `zero` on."""
    with av.open(str(path)) as container:
        rate, samples = container.streams.audio[0].rate, []
        for frame in container.decode(audio=0):
            if frame.time is None:
                continue
            values = frame.to_ndarray().astype(float)
            if not frame.format.is_planar:
                values = values.reshape(-1, frame.layout.nb_channels).T
            begins = round((frame.time - zero) * rate)
            samples.append((begins, values.mean(0) / (1 if frame.format.name.startswith("flt") else 32768)))
    track = np.zeros(max(begins + len(values) for begins, values in samples))
    for begins, values in samples:
        kept = values[max(0, -begins):]
        track[max(0, begins):max(0, begins) + len(kept)] = kept
    window = round(rate * step)
    return np.sqrt((track[:len(track) // window * window].reshape(-1, window) ** 2).mean(1))


@pytest.fixture(scope="module")
def clip(tmp_path_factory, astronaut) -> Path:
    """192x160, variable rate, BT.709, with a tone that pulses twice a second; 1.12 s, sound 2 s."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, time_base=Fraction(1, 1000))
        video.width, video.height, video.pix_fmt = 192, 160, "yuv420p"
        video.codec_context.colorspace = video.codec_context.color_primaries = video.codec_context.color_trc = 1
        video.codec_context.color_range = 1
        sound = container.add_stream("aac", rate=48000, layout="mono")
        for number, moment in enumerate(TIMES):
            rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(astronaut[60:220, 100 + 2 * number:292 + 2 * number]), "rgb24")
            rgb.colorspace, rgb.color_range = 1, 2
            frame = rgb.reformat(format="yuv420p", dst_color_range=1)
            frame.pts, frame.time_base = moment, Fraction(1, 1000)
            container.mux(video.encode(frame))
        seconds = np.arange(96_000) / 48_000
        tone = (np.sin(2 * np.pi * 440 * seconds) * (seconds % 0.5 < 0.25) * 0.5).astype(np.float32)
        for begins in range(0, len(tone), 1000):
            frame = av.AudioFrame.from_ndarray(tone[None, begins:begins + 1000], "fltp", "mono")
            frame.pts, frame.time_base, frame.rate = begins, Fraction(1, 48_000), 48_000
            container.mux(sound.encode(frame))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return path


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "webm", "nut", "flv"])
def test_frames_times_and_colours_come_back(ending, clip, tmp_path):
    source = open_source(clip)
    written = passed_through(source, tmp_path / f"out.{ending}")
    frames, back = list(source), list(written)
    assert [frame.time for frame in back] == pytest.approx([moment / 1000 for moment in TIMES], abs=1e-6)
    assert written.size == source.size and written.colours == source.colours
    for frame, again in zip(frames, back, strict=True):
        error = again.image.astype(float) - frame.image
        assert np.abs(error).mean() < 3 and np.abs(error.mean((0, 1))).max() < 0.8
    assert os.listdir(tmp_path) == [f"out.{ending}"]


@pytest.mark.parametrize("codec, ending", [("ffv1", "mkv"), ("ffv1", "avi"), ("ffv1", "mp4"), ("h264rgb", "mp4"), ("h264rgb", "mov")])
def test_a_lossless_codec_keeps_every_pixel(codec, ending, clip, tmp_path):
    source = open_source(clip)
    for frame, again in zip(source, passed_through(source, tmp_path / f"out.{ending}", codec=codec), strict=True):
        assert np.array_equal(frame.image, again.image)


@pytest.mark.parametrize("codec, ending", [("hevc", "mp4"), ("vp9", "mkv"), ("h264", "avi"), ("av1", "mp4"), ("prores", "mov")])
def test_other_codecs(codec, ending, clip, tmp_path):
    source = open_source(clip)
    written = passed_through(source, tmp_path / f"out.{ending}", codec=codec)
    for frame, again in zip(source, written, strict=True):
        error = again.image.astype(float) - frame.image
        assert np.abs(error).mean() < 3 and np.abs(error.mean((0, 1))).max() < 1
    assert written.layout == ("yuv422p10le" if codec == "prores" else "yuv420p")


@pytest.mark.parametrize("options, words", [
    ({"codec": "h264", "hardware": "nvenc"}, "out.mp4 cannot be encoded with h264_nvenc.*Choose another --writer.hardware, or none"),
    ({"codec": "vp9", "hardware": "qsv"}, "--writer.hardware is for h264, hevc, av1, not for vp9")])
def test_a_chip_that_is_not_there_is_told(options, words, clip, tmp_path):
    from lib.system import device

    if device.gpus():
        pytest.skip("there may be one")
    with pytest.raises(FaceswapError, match=words):
        passed_through(open_source(clip), tmp_path / "out.mp4", **options)
    assert os.listdir(tmp_path) == []


def kept(source, path: Path, **options):
    """As `passed_through`, of frames as they were decoded."""
    with WRITERS.create("video", **options).open(path, source) as sink:
        for frame in source:
            sink.patch(frame, [])
    return open_source(path)


@pytest.mark.parametrize("name, ending, options, layout", [
    ("h264_10bit.mp4", "mp4", {}, "yuv420p10le"), ("hevc_10bit.mov", "mov", {}, "yuv420p10le"),
    ("hevc_10bit.mov", "mp4", {"codec": "h264"}, "yuv420p10le"), ("vp9_10bit.webm", "webm", {}, "yuv420p10le"),
    ("hevc_10bit.mov", "mkv", {"codec": "av1"}, "yuv420p10le"), ("h264_422_10bit.mov", "mov", {"codec": "prores"}, "yuv422p10le"),
    ("h264_8bit.mp4", "mp4", {}, "yuv420p")])
def test_bits_are_kept(name, ending, options, layout, shared, tmp_path):
    source = open_source(shared(f"videos/formats/{name}"))
    written = kept(source, tmp_path / f"out.{ending}", **options)
    assert written.layout == layout
    there = slice(40, 200), slice(40, 200)
    error = np.stack([again.part(*there, deep=True).astype(float) - frame.part(*there, deep=True)
                      for frame, again in zip(source, written, strict=True)]) / 256
    assert np.abs(error).mean() < 3 and np.abs(error.mean((0, 1, 2))).max() < 0.5


def test_samples_of_10_bits_are_kept_exactly_by_a_lossless_codec(shared, tmp_path):
    source = open_source(shared("videos/formats/hevc_10bit.mov"))
    for frame, again in zip(source, kept(source, tmp_path / "out.mkv", codec="ffv1"), strict=True):
        assert all((one == other).all() for one, other in zip(planes(frame.coded), planes(again.coded), strict=True))


@pytest.mark.parametrize("codec", ["auto", "av1"])
def test_hdr_is_kept(codec, hdr, tmp_path):
    source = open_source(hdr)
    written = kept(source, tmp_path / "out.mp4", codec=codec)
    assert written.colours == source.colours and written.colours.transfer == 16
    assert source.hdr.light == "1000,400" and source.hdr.luminance == (0.005, 1000.0)
    assert written.hdr.light == source.hdr.light
    np.testing.assert_allclose(written.hdr.primaries, source.hdr.primaries, atol=2e-4)
    np.testing.assert_allclose(written.hdr.luminance, source.hdr.luminance, rtol=0.02)


@pytest.mark.parametrize("codec", ["auto", "h264", "av1"])
def test_hlg_is_kept(codec, hlg, tmp_path):
    source = open_source(hlg)
    written = kept(source, tmp_path / "out.mp4", codec=codec)
    assert written.colours == source.colours and (written.colours.transfer, written.colours.primaries) == (18, 9)
    assert written.layout == "yuv420p10le"


@pytest.mark.parametrize("codec", ["h264", "vp9", "h264rgb", "ffv1", "prores"])
def test_hdr_that_would_be_lost_is_refused(codec, hdr, tmp_path):
    with pytest.raises(FaceswapError, match="is HDR video .* Choose --writer.codec hevc or av1"):
        kept(open_source(hdr), tmp_path / "out.mov", codec=codec)


def test_subtitles_chapters_and_names_are_kept(shared, tmp_path, caplog):
    original = shared("videos/formats/two_audio_tracks_subtitles.mkv")
    named = tmp_path / "named.mkv"
    with av.open(str(original)) as before, av.open(str(named), "w") as container:
        streams = {stream.index: container.add_stream_from_template(stream) for stream in before.streams}
        container.metadata["title"] = "A talk"
        container.set_chapters([
            {"id": 1, "start": 0, "end": 500, "time_base": Fraction(1, 1000), "metadata": {"title": "Beginning"}},
            {"id": 2, "start": 500, "end": 900, "time_base": Fraction(1, 1000), "metadata": {"title": "End"}}])
        for packet in before.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                container.mux(packet)
    source = open_source(named)

    def told(path: Path) -> tuple:
        with av.open(str(path)) as container:
            subtitles = container.streams.subtitles
            texts = [bytes(packet) for packet in container.demux(subtitles) if packet.size] if subtitles else []
            chapters = [(*(round(float(one[end] * one["time_base"]), 3) for end in ("start", "end")), one["metadata"]["title"])
                        for one in container.chapters()]
            languages = [stream.metadata.get("language", "und") for stream in container.streams.audio]
            return container.metadata.get("title"), chapters, texts, languages

    assert told(passed_through(source, tmp_path / "out.mkv").path) == told(named) and told(named)[2]
    title, chapters, texts, languages = told(passed_through(source, tmp_path / "out.mp4").path)
    assert (title, chapters, languages, texts) == ("A talk", told(named)[1], told(named)[3], [])
    assert "cannot be held by mp4 and are left out" in caplog.text
    assert told(passed_through(source, tmp_path / "part.mkv", 15).path)[1] == [(0.0, 0.3, "End")]


@pytest.mark.parametrize("ending", ["mp4", "mov"])
def test_sound_is_copied_as_it_is(ending, clip, tmp_path):
    passed_through(open_source(clip), tmp_path / f"out.{ending}")
    before, after = packets(clip), packets(tmp_path / f"out.{ending}")
    assert [content for _, content in after] == [content for _, content in before]
    assert [moment for moment, _ in after] == pytest.approx([moment for moment, _ in before], abs=2e-5)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm", "avi", "flv", "ts"])
def test_sound_stays_in_sync_in_every_container(ending, clip, tmp_path):
    written = passed_through(open_source(clip), tmp_path / f"out.{ending}")
    begins = next(iter(written)).time  # a transport stream starts its clock where it likes
    before, after = loudness(clip, step=0.05), loudness(written.path, begins, 0.05)
    both = min(len(before), len(after))
    assert both >= 38 and np.corrcoef(before[:both], after[:both])[0, 1] > 0.97


def test_a_part_begins_at_zero_with_its_own_sound(clip, tmp_path):
    source = open_source(clip)
    written = passed_through(source, tmp_path / "part.mp4", 3, 9)
    assert [frame.time for frame in written] == pytest.approx([(moment - 240) / 1000 for moment in TIMES[3:9]], abs=1e-6)
    last = (TIMES[8] - 240) / 1000 + float(1 / source.rate)
    wanted = [(moment - 0.24, content) for moment, content in packets(clip) if 0 <= moment - 0.24 < last]
    after = packets(tmp_path / "part.mp4")
    assert [content for _, content in after] == [content for _, content in wanted]
    assert [moment for moment, _ in after] == pytest.approx([moment for moment, _ in wanted], abs=2e-5)


def test_without_sound(clip, tmp_path):
    passed_through(open_source(clip), tmp_path / "out.mp4", sound=False)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert not container.streams.audio


@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm", "avi"])
def test_odd_sizes_are_kept(ending, astronaut, tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(3):
        picture_file.write(tmp_path / "in" / f"{number}.png", astronaut[:271, number:361 + number])
    source = open_source(tmp_path / "in")
    frames = list(passed_through(source, tmp_path / f"out.{ending}", rate=10.0))
    assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.2], abs=1e-6)
    for frame in frames:
        error = frame.image.astype(float) - astronaut[:271, frame.index:361 + frame.index]
        assert np.abs(error).mean() < 4 and np.abs(error.mean((0, 1))).max() < 1


def test_pictures_of_different_sizes_are_refused(astronaut, tmp_path):
    (tmp_path / "in").mkdir()
    picture_file.write(tmp_path / "in" / "a.png", astronaut[:100, :100])
    picture_file.write(tmp_path / "in" / "b.png", astronaut[:100, :120])
    with pytest.raises(FaceswapError, match="b.png is 120x100"):
        passed_through(open_source(tmp_path / "in"), tmp_path / "out.mp4")
    assert os.listdir(tmp_path) == ["in"]


def test_the_input_is_never_overwritten(clip):
    content = clip.read_bytes()
    with pytest.raises(FaceswapError, match="is the input"):
        passed_through(open_source(clip), clip.parent / ".." / clip.parent.name / clip.name)
    assert clip.read_bytes() == content


def test_a_codec_that_the_container_does_not_take(clip, tmp_path):
    with pytest.raises(FaceswapError, match="cannot hold"):
        passed_through(open_source(clip), tmp_path / "out.webm", codec="ffv1")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("ending, options, share", [("mp4", {}, 0), ("mkv", {"codec": "ffv1"}, 0), ("mp4", {}, 0.7)],
                         ids=["segment", "segment-ffv1", "joined"])
def test_a_full_disk_is_told_and_the_old_file_stays(ending, options, share, clip, tmp_path, full_disk, short_segments):
    path = tmp_path / f"out.{ending}"
    source = open_source(clip)
    size = passed_through(source, path, **options).path.stat().st_size
    path.write_text("old")
    with full_disk(int(share * size) or 1000), pytest.raises(FaceswapError, match="larger than this disk allows"):
        with WRITERS.create("video", **options).open(path, source) as sink:
            sink.missing("key")
            for frame in source:
                sink.write(frame, frame.image)
    kept = len(os.listdir(part_of(path))) if part_of(path).exists() else 0
    assert path.read_text() == "old" and (kept > 2) == (share > 0)  # each segment fits, the file that is joined of them does not


def test_the_same_frames_become_the_same_file(short_segments, clip, tmp_path):
    source = open_source(clip)
    assert len({passed_through(source, tmp_path / f"{number}.mkv").path.read_bytes() for number in range(30)}) == 1


def test_4k_is_written(astronaut, tmp_path):
    image = cv2.resize(astronaut, (3840, 2160))
    (tmp_path / "in").mkdir()
    picture_file.write(tmp_path / "in" / "1.png", image)
    picture_file.write(tmp_path / "in" / "2.png", image[::-1])
    first, second = passed_through(open_source(tmp_path / "in"), tmp_path / "out.mp4")
    for shown, meant in ((first, image), (second, image[::-1])):
        assert np.abs(shown.image.astype(float) - meant).mean() < 2


def test_an_output_under_a_file_is_refused(clip, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FaceswapError, match="cannot be written"):
        passed_through(open_source(clip), tmp_path / "file" / "out.mp4")


def test_an_error_of_the_caller_leaves_nothing_behind(clip, tmp_path):
    source = open_source(clip)
    with pytest.raises(ZeroDivisionError):
        with WRITERS.create("video").open(tmp_path / "out.mp4", source) as sink:
            for frame in source:
                sink.write(frame, frame.image)
                1 / (5 - frame.index)
    assert os.listdir(tmp_path) == []


def written(path: Path, source, key: str, shard: Shard | None = None, broken: int | None = None):
    """Writes what is missing of `source`, up to frame `broken`; returns the sink and the stretches that were missing."""
    with WRITERS.create("video").open(path, source) as sink:
        stretches = sink.missing(key, shard=shard)
        for start, stop in stretches:
            for frame in source.frames(start, stop):
                if frame.index == broken:
                    while not (part_of(path) / f"{broken // 5 - 1:06d}").exists():  # the encoder is a little behind
                        time.sleep(0.01)
                    raise KeyboardInterrupt
                sink.write(frame, frame.image)
    return sink, stretches


@pytest.fixture
def short_segments(monkeypatch):
    monkeypatch.setattr("lib.media.encoding.video_sink.SEGMENT", 5)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi", "ts"])
def test_what_a_broken_off_run_had_finished_is_not_made_again(ending, short_segments, clip, tmp_path):
    source, path = open_source(clip), tmp_path / f"out.{ending}"
    passed_through(source, tmp_path / f"whole.{ending}")
    with pytest.raises(KeyboardInterrupt):
        written(path, source, "key", broken=7)
    assert sorted(os.listdir(part_of(path))) == [MARK, "000000"] and not path.exists()
    assert written(path, source, "key")[1] == [(5, None)]
    assert path.read_bytes() == (tmp_path / f"whole.{ending}").read_bytes() and not part_of(path).exists()
    assert [frame.time for frame in open_source(path)] == pytest.approx(
        [frame.time for frame in open_source(tmp_path / f"whole.{ending}")], abs=1e-9)


def test_what_was_made_with_other_options_is_made_again(short_segments, clip, tmp_path):
    source, path = open_source(clip), tmp_path / "out.mp4"
    with pytest.raises(KeyboardInterrupt):
        written(path, source, "key", broken=11)
    (part_of(path) / "000001").write_bytes(b"damaged")
    with pytest.raises(KeyboardInterrupt):
        written(path, source, "key", broken=5)
    assert sorted(os.listdir(part_of(path))) == [MARK, "000000"]
    assert written(path, source, "other")[1] == [(0, None)]


def test_a_gap_is_filled_and_a_part_keeps_to_its_frames(short_segments, clip, tmp_path):
    source, path = open_source(clip), tmp_path / "out.mp4"
    with pytest.raises(KeyboardInterrupt):
        written(path, source, "key", broken=11)
    (part_of(path) / "000000").unlink()
    shutil.copy(part_of(path) / "000001", part_of(path) / "kept")
    with WRITERS.create("video").open(path, source) as sink:
        assert sink.missing("key") == [(0, 5), (10, None)]
        assert sink.missing("key", again=[7]) == [(0, None)], "a segment with a frame that failed is made again"
        shutil.copy(part_of(path) / "kept", part_of(path) / "000001")
        assert sink.missing("key", 0, 12) == [(0, 5), (10, 12)] and sink.missing("key", 0, 10) == [(0, 5)]
        for frame in source.frames(0, 5):
            sink.write(frame, frame.image)
    assert [frame.time for frame in open_source(path)] == pytest.approx([moment / 1000 for moment in TIMES[:10]], abs=1e-6)


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_shards_are_put_together_by_whoever_comes_last(order, short_segments, clip, tmp_path):
    source, path = open_source(clip), tmp_path / "out.mp4"
    passed_through(source, tmp_path / "whole.mp4")
    for place, number in enumerate(order):
        assert not path.exists()
        sink, _ = written(path, source, "key", Shard(number, 3))
        assert sink.missing_parts == 2 - place
    assert path.read_bytes() == (tmp_path / "whole.mp4").read_bytes()


@pytest.mark.parametrize("shown, decoded", [
    ([0, 1, 2, 3], [0, 1, 2, 3]), ([0, 3, 1, 2, 4], [-1, 0, 1, 2, 3]), ([0, 40, 10, 20, 25, 60], [-10, 0, 10, 20, 25, 40]), ([7], [7])])
def test_packets_are_decoded_in_time(shown, decoded):
    assert decoding_times(shown) == decoded


def test_no_frame_is_no_video(clip, tmp_path):
    with pytest.raises(FaceswapError, match="no frame to write"):
        passed_through(open_source(clip), tmp_path / "out.mp4", 5, 5)
    assert os.listdir(tmp_path) == []


def test_a_kill_never_leaves_half_a_video(clip, tmp_path):
    program = ("import sys; from pathlib import Path; from lib.media.endpoints.source import open_source; from lib.plugin import WRITERS\n"
               "source = open_source(Path(sys.argv[1]))\n"
               "print('ready', flush=True)\n"
               "while True:\n"
               "    with WRITERS.create('video').open(Path(sys.argv[2]), source) as sink:\n"
               "        for frame in source: sink.write(frame, frame.image)\n")
    path = tmp_path / "out.mp4"
    for wait in (0.02, 0.11, 0.23, 0.31, 0.47):
        process = subprocess.Popen([sys.executable, "-c", program, clip, path], cwd=ROOT, stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        if path.exists():
            assert sum(1 for _ in open_source(path)) == len(TIMES)
        assert {name for name in os.listdir(tmp_path) if not name.startswith(".faceswap-")} <= {"out.mp4", "out.mp4.part"}
    assert sum(1 for _ in passed_through(open_source(clip), path)) == len(TIMES)
    assert os.listdir(tmp_path) == ["out.mp4"], "what a killed run left is taken away by the next"


# --- on the shared footage

@pytest.mark.parametrize("name, ending", [
    ("vfr_dropped_frames.mp4", "mp4"), ("h264_full_range.mp4", "mp4"), ("rotated_90.mp4", "mp4"), ("odd_size_361x271.webm", "webm"),
    ("video_starts_480ms_late.mkv", "mp4"), ("audio_starts_500ms_late.mkv", "mkv"), ("audio_longer_3500ms.mp4", "mp4"),
    ("audio_shorter_1000ms.mp4", "mkv"), ("h264_fragmented.mp4", "mp4"), ("h264_aac.flv", "mp4"), ("raw.h264", "mp4"),
    ("two_audio_tracks_subtitles.mkv", "mkv"), ("audio_51_48k.mp4", "webm"), ("h264_422_10bit.mov", "mp4"), ("wmv2.wmv", "mp4"),
    ("mpeg2.mpg", "mp4"), ("h264.ts", "mp4"), ("hevc_12bit_444.mkv", "mkv"), ("mjpeg_pcm.avi", "mp4"), ("vfr_dropped_frames.mp4", "avi"),
    ("anamorphic_384x512_sar4-3.mp4", "mp4"), ("fps_23976.mp4", "mov"), ("cut_without_reencode_edit_list.mp4", "mp4")])
def test_odd_media_pass_through(name, ending, shared, tmp_path):
    source = open_source(shared(f"videos/formats/{name}"))
    written = passed_through(source, tmp_path / f"out.{ending}", preset="superfast")
    frames, back = list(source), list(written)
    assert written.size == source.size
    # Matroska and WebM count milliseconds
    assert [frame.time for frame in back] == pytest.approx([frame.time - source.origin for frame in frames],
                                                           abs=6e-4 if ending in ("mkv", "webm") else 1e-5)
    for frame, again in zip(frames, back, strict=True):
        error = again.image.astype(float) - frame.image
        assert np.abs(error).mean() < 4 and np.abs(error.mean((0, 1))).max() < 1
    with av.open(str(source.path)) as before, av.open(str(written.path)) as after:
        assert len(after.streams.audio) == len(before.streams.audio)
    if len(packets_or_none(source.path)) > 1:
        before, after = loudness(source.path, source.origin), loudness(written.path)
        both = min(len(before), len(after))
        assert abs(len(before) - len(after)) <= 2 and np.corrcoef(before[:both], after[:both])[0, 1] > 0.9


@pytest.mark.parametrize("name", ["formats/rotated_0.mp4", "people/woman_720p.mp4", "people/stage_and_audience.mp4", "people/obama.mp4"])
def test_readers_that_take_tags_at_their_word_see_the_same_colours(name, shared, tmp_path):
    source = open_source(shared(f"videos/{name}"))
    passed_through(source, tmp_path / "out.mp4", 0, 3)
    with av.open(str(source.path)) as before, av.open(str(tmp_path / "out.mp4")) as after:
        for frame, again in zip(before.decode(video=0), after.decode(video=0)):  # swscale takes untagged for BT.601
            error = again.to_ndarray(format="rgb24").astype(float) - frame.to_ndarray(format="rgb24")
            assert np.abs(error.mean((0, 1))).max() < 1 and np.abs(error).mean() < 3


def packets_or_none(path: Path) -> list:
    with av.open(str(path)) as container:
        return [] if not container.streams.audio else packets(path)


def test_a_cut_far_into_a_video_keeps_its_sound(shared, tmp_path):
    source = open_source(shared("videos/swap/a_ocasio_cortez.mp4"))
    passed_through(source, tmp_path / "part.mp4", 120, 150, preset="ultrafast")
    wanted = [(moment - 4.8, content) for moment, content in packets(source.path) if 0 <= moment - 4.8 < 1.2]
    after = packets(tmp_path / "part.mp4")
    assert len(after) > 10 and [content for _, content in after] == [content for _, content in wanted]
    assert [moment for moment, _ in after] == pytest.approx([moment for moment, _ in wanted], abs=1e-4)


def test_a_truncated_video_is_written_as_far_as_it_goes(shared, tmp_path):
    source = open_source(shared("videos/broken/truncated_at_60_percent.mp4"))
    written = passed_through(source, tmp_path / "out.mp4", preset="ultrafast")
    assert source.losses and sum(1 for _ in written) == source.frames_read >= 24 and written.losses == []
