import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from ffmpy import ffmpy

from lib.command import parsing
from lib.errors import DONE, INTERRUPTED, SOME_FAILED, FaceswapError, UsageError
from lib.files.writing import part_beside
from lib.jobs.ffmpeg import FfmpegSettings
from lib.media.pictures import picture_file
from lib.media.video.video_source import VideoSource
from lib.provenance.reading import statement_in
from lib.videotools import ffmpeg
from lib.videotools.times import SIDECAR, ticks_of
from lib.videotools.transform import parse_size
from scripts.ffmpeg import run
from tests.leftovers import unfinished

ROOT = Path(__file__).resolve().parent.parent.parent
MINUTES = 10
MILLISECOND = 0.001


def command(*arguments) -> int:
    """`faceswap.py ffmpeg` within this process."""
    return run(FfmpegSettings(**parsing.parse("ffmpeg", parsing.declaration("ffmpeg"), list(map(str, arguments)))))


def times(path: Path) -> np.ndarray:
    """Seconds from the beginning of the file."""
    source = VideoSource(path)
    return np.array([float(tick * source.time_base) for tick in ticks_of(source)])


def images(path: Path, stop: int | None = None) -> list[np.ndarray]:
    return [frame.image for frame in VideoSource(path).frames(0, stop)]


def extracted(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name != SIDECAR)


def nothing_but(folder: Path, *names: str) -> bool:
    return sorted(path.name for path in folder.iterdir()) == sorted(names)


@pytest.mark.parametrize("arguments, words", [
    (("-i", "x"), "ffmpeg needs ACTION"),
    (("extrakt", "-i", "x"), "Did you mean 'extract'"),
    (("extract", "-i", "x"), "ffmpeg extract needs -o/--output"),
    (("extract", "-i", "x", "-o", "y", "--size", "720p"), "--size belongs to ffmpeg scale or thumbnail, not to extract"),
    (("cut", "-i", "x", "-o", "y.mp4"), "needs --from, --to or both"),
    (("rotate", "-i", "x", "-o", "y.mp4"), "needs --turn"),
    (("rotate", "-i", "x", "-o", "y.mp4", "--turn", "45"), "--turn must be one of 90, 180, 270"),
    (("mux", "-i", "x", "-o", "y.mp4"), "ffmpeg mux needs --audio"),
    (("concat", "-i", "x", "-o", "y.mp4"), "joins two videos or more"),
    (("scale", "-i", "x", "z", "-o", "y.mp4", "--size", "50%"), "takes one input"),
    (("cut", "-i", "x", "-o", "y.mp4", "--to", "1", "--copy", "--crf", "20"), "--copy does not encode, so that --crf"),
    (("cut", "-i", "x", "-o", "y.mp4", "--to", "1", "--lossless", "--crf", "20"), "--lossless chooses codec and quality itself"),
])
def test_wrong_usage_is_told_before_anything_is_read(arguments, words):
    with pytest.raises(UsageError, match=words):
        command(*arguments)


@pytest.mark.parametrize("text, size, wanted", [("1280x720", (640, 480), (1280, 720)), ("720p", (1920, 1080), (1280, 720)),
                                                ("50%", (1920, 1080), (960, 540)), ("480p", (853, 480), (852, 480)),
                                                ("33%", (640, 480), (212, 158))])
def test_one_number_keeps_the_shape_in_even_sides(text, size, wanted):
    assert parse_size(text, size) == wanted


@pytest.mark.parametrize("text", ["big", "0x100", "100", "-50%", "99999x2"])
def test_sizes_that_cannot_be_are_refused(text):
    with pytest.raises(UsageError, match="--size"):
        parse_size(text, (640, 480))


# --- taking apart and putting together


def test_extracted_pictures_are_the_frames_that_the_toolkit_sees(clips, tmp_path):
    assert command("extract", "-i", clips[0], "-o", tmp_path / "frames") == DONE
    files = extracted(tmp_path / "frames")
    assert [path.name for path in files] == [f"{clips[0].stem}_{number:06d}.png" for number in range(1, 17)]
    assert all(np.array_equal(picture_file.read(path), image) for path, image in zip(files, images(clips[0]), strict=True))


@pytest.mark.parametrize("name", ["rotated_90.mp4", "rotated_180.mp4", "anamorphic_384x512_sar4-3.mp4", "interlaced_top_first.mp4",
                                  "h264_full_range.mp4", "odd_size_361x271.webm", "h264_lossless_rgb.mkv", "wmv2.wmv",
                                  "имя с пробелами 视频 ñ (1).mp4", "cut_without_reencode_edit_list.mp4"])
def test_turned_stretched_and_odd_video_is_seen_alike(shared, tmp_path, name):
    path = shared(f"videos/formats/{name}")
    command("extract", "-i", path, "-o", tmp_path / "frames")
    files = extracted(tmp_path / "frames")
    assert len(files) == VideoSource(path).count
    pairs = list(zip(files, images(path, 3)))
    if "interlaced" in name:  # of the first frame, which has none before it, versions of ffmpeg make different pictures
        file, image = pairs.pop(0)
        assert np.abs(picture_file.read(file) - image.astype(float)).mean() < 0.1
    assert all(np.array_equal(picture_file.read(file), image) for file, image in pairs)


def test_deep_video_becomes_pictures_of_16_bits(shared, tmp_path):
    path = shared("videos/formats/hevc_10bit.mov")
    command("extract", "-i", path, "-o", tmp_path / "frames")
    picture = picture_file.pixels(extracted(tmp_path / "frames")[0]).image
    assert picture.dtype == np.uint16
    assert np.abs(picture / 257 - images(path, 1)[0]).max() <= 0.51


def lossless(video: Path, folder: Path, ending: str) -> Path:
    command("extract", "-i", video, "-o", folder / "frames")
    command("assemble", "-i", folder / "frames", "-r", video, "-o", folder / f"again{ending}", "--lossless")
    return folder / f"again{ending}"


@pytest.mark.parametrize("ending", [".mkv", ".mp4", ".mov", ".avi"])
def test_taken_apart_and_put_together_the_frames_and_times_are_the_same(clips, tmp_path, ending):
    again = lossless(clips[0], tmp_path, ending)
    assert all(np.array_equal(a, b) for a, b in zip(images(again), images(clips[0]), strict=True))
    assert np.abs(times(again) - times(clips[0])).max() < MILLISECOND / 2


@pytest.mark.parametrize("name", ["vfr_dropped_frames.mp4", "video_starts_480ms_late.mkv", "h264.ts", "h264_fragmented.mp4",
                                  "fps_23976.mp4", "h264_long_gop_bframes.mp4"])
def test_variable_and_late_times_come_back(shared, tmp_path, name):
    path = shared(f"videos/formats/{name}")
    again = lossless(path, tmp_path, ".mov")  # .mkv would round to milliseconds
    assert np.abs(times(again) - times(path)).max() < 1e-6
    assert np.array_equal(images(again, 2)[1], images(path, 2)[1])


def test_sound_subtitles_and_tracks_are_taken_from_the_reference(shared, tmp_path):
    again = lossless(shared("videos/formats/two_audio_tracks_subtitles.mkv"), tmp_path, ".mkv")
    with av.open(str(again)) as made:
        assert [stream.type for stream in made.streams] == ["video", "audio", "audio", "subtitle"]


def test_16_bits_come_back_exactly(shared, tmp_path):
    path = shared("videos/formats/hevc_10bit.mov")
    again = lossless(path, tmp_path, ".mkv")
    with av.open(str(again)) as made:
        frame = next(made.decode(video=0)).to_ndarray(format="gbrp16le")
    assert np.array_equal(frame, picture_file.pixels(extracted(tmp_path / "frames")[0]).image)


def test_deep_pictures_become_video_of_10_bits_as_bright_as_they_are(shared, tmp_path):
    path = shared("videos/formats/h264_422_10bit.mov")
    command("extract", "-i", path, "-o", tmp_path / "frames")
    command("assemble", "-i", tmp_path / "frames", "-r", path, "-o", tmp_path / "out.mkv", "--crf", 5)
    source = VideoSource(tmp_path / "out.mkv")
    assert source.depth == 10
    assert np.abs(images(tmp_path / "out.mkv", 1)[0].mean((0, 1)) - images(path, 1)[0].mean((0, 1))).max() < 0.25


def test_where_pictures_were_deleted_the_others_keep_their_times(clips, tmp_path):
    command("extract", "-i", clips[0], "-o", tmp_path / "frames")
    for number in 4, 5, 9:
        (tmp_path / "frames" / f"{clips[0].stem}_{number:06d}.png").unlink()
    command("assemble", "-i", tmp_path / "frames", "-o", tmp_path / "fewer.mp4")
    assert np.allclose(times(tmp_path / "fewer.mp4"), np.delete(times(clips[0]), [3, 4, 8]), atol=MILLISECOND / 10)


def test_every_third_frame_keeps_its_number_and_its_time(clips, tmp_path):
    command("extract", "-i", clips[0], "-o", tmp_path / "frames", "--every", 3)
    files = extracted(tmp_path / "frames")
    assert [int(path.stem[-6:]) for path in files] == [1, 4, 7, 10, 13, 16]
    assert np.array_equal(picture_file.read(files[1]), images(clips[0], 4)[3])
    command("assemble", "-i", tmp_path / "frames", "-o", tmp_path / "third.mp4")
    assert np.allclose(times(tmp_path / "third.mp4"), times(clips[0])[::3], atol=MILLISECOND / 10)


def test_pictures_without_times_take_those_of_the_reference_or_a_rate(clips, tmp_path):
    command("extract", "-i", clips[0], "-o", tmp_path / "it's 1")
    (tmp_path / "it's 1" / SIDECAR).unlink()
    with pytest.raises(FaceswapError, match="-r/--reference, or give --rate"):
        command("assemble", "-i", tmp_path / "it's 1", "-o", tmp_path / "out.mp4")
    command("assemble", "-i", tmp_path / "it's 1", "-o", tmp_path / "out.mp4", "-r", clips[0])
    assert np.allclose(times(tmp_path / "out.mp4"), times(clips[0]))
    command("assemble", "-i", tmp_path / "it's 1", "-o", tmp_path / "out.mp4", "--rate", 10)
    assert np.allclose(times(tmp_path / "out.mp4"), np.arange(16) / 10)


def test_pictures_are_put_together_in_natural_order(clips, tmp_path):
    command("extract", "-i", clips[0], "-o", tmp_path / "frames")
    (tmp_path / "frames" / SIDECAR).unlink()
    for number, path in enumerate(extracted(tmp_path / "frames"), 1):
        path.rename(tmp_path / "frames" / f"video-{number}.png")
    command("assemble", "-i", tmp_path / "frames", "-o", tmp_path / "out.mkv", "--rate", 25, "--lossless")
    assert all(np.array_equal(a, b) for a, b in zip(images(tmp_path / "out.mkv"), images(clips[0]), strict=True))


def test_an_assembled_video_has_the_colours_of_its_pictures_and_says_which_matrix(clips, tmp_path):
    command("extract", "-i", clips[0], "-o", tmp_path / "frames")
    command("assemble", "-i", tmp_path / "frames", "-o", tmp_path / "out.mp4", "--rate", 25)
    made, before = images(tmp_path / "out.mp4", 1)[0].astype(float), images(clips[0], 1)[0]
    assert np.abs((made - before).mean((0, 1))).max() < 0.5
    assert VideoSource(tmp_path / "out.mp4").colours.matrix == VideoSource(clips[0]).matrix


def test_pictures_of_other_videos_are_not_mixed_with_these(clips, tmp_path):
    command("extract", "-i", clips[0], "-o", tmp_path / "frames")
    with pytest.raises(FaceswapError, match="holds other pictures already"):
        command("extract", "-i", clips[1], "-o", tmp_path / "frames")
    command("extract", "-i", clips[0], "-o", tmp_path / "frames", "--every", 8)  # of the same one, they give way
    assert len(extracted(tmp_path / "frames")) == 2


# --- cut, scale, rotate, mux, concat


def test_a_cut_has_exactly_the_frames_from_one_time_to_the_other(clips, tmp_path):
    command("cut", "-i", clips[0], "-o", tmp_path / "cut.mkv", "--from", "0.2", "--to", "0.4", "--lossless")
    made, before = images(tmp_path / "cut.mkv"), images(clips[0])[5:10]
    assert all(np.abs(a.astype(int) - b).max() <= 1 for a, b in zip(made, before, strict=True))


def test_a_copied_cut_begins_at_the_key_frame_before_and_loses_nothing(clips, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    command("cut", "-i", clips[0], "-o", tmp_path / "cut.mp4", "--from", "0.2", "--copy")
    assert "begins at the key frame before, 0.200 s earlier" in caplog.text
    assert all(np.array_equal(a, b) for a, b in zip(images(tmp_path / "cut.mp4"), images(clips[0]), strict=True))


@pytest.mark.parametrize("turn, quarters", [(90, -1), (180, 2), (270, 1)])
@pytest.mark.parametrize("copy", [(), ("--copy",)])
def test_turning_is_clockwise_with_and_without_encoding(clips, tmp_path, turn, quarters, copy):
    command("rotate", "-i", clips[0], "-o", tmp_path / "turned.mp4", "--turn", turn, *copy)
    made, before = images(tmp_path / "turned.mp4", 1)[0].astype(int), np.rot90(images(clips[0], 1)[0], quarters)
    assert np.abs(made - before).mean() < 3


def test_what_was_turned_by_its_tag_turns_on_from_there(shared, tmp_path):
    command("rotate", "-i", shared("videos/formats/rotated_90.mp4"), "-o", tmp_path / "turned.mp4", "--turn", 90, "--copy")
    before = np.rot90(images(shared("videos/formats/rotated_90.mp4"), 1)[0], -1)
    assert np.abs(images(tmp_path / "turned.mp4", 1)[0].astype(int) - before).mean() < 1


def test_scaling_keeps_times_and_colours_of_untagged_hd(shared, tmp_path):
    path = shared("videos/swap/d_astley.mp4")  # 1280x720, which is BT.709 where nothing is said; 640x360 would be BT.601
    command("cut", "-i", path, "-o", tmp_path / "short.mp4", "--to", 0.3)
    command("scale", "-i", tmp_path / "short.mp4", "-o", tmp_path / "small.mp4", "--size", "50%")
    made, before = images(tmp_path / "small.mp4", 1)[0], images(tmp_path / "short.mp4", 1)[0]
    assert made.shape == (360, 640, 3)
    assert np.abs(made.mean((0, 1)) - before.mean((0, 1))).max() < 0.5
    assert np.array_equal(times(tmp_path / "small.mp4"), times(tmp_path / "short.mp4"))


def test_unlike_videos_are_joined_in_the_size_of_the_first(clips, tmp_path):
    command("scale", "-i", clips[1], "-o", tmp_path / "wide.mp4", "--size", "400x200")
    command("concat", "-i", clips[0], tmp_path / "wide.mp4", "-o", tmp_path / "all.mp4")
    made = images(tmp_path / "all.mp4")
    assert len(made) == 32 and made[0].shape == (256, 256, 3)
    assert made[-1][:60].max() < 20 < made[-1][128].max()  # black above and below


# --- sound: a flash for a frame and a beep at second 5 of each minute


RATE = 4  # frames a second


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    lights = f"geq=lum='if(eq(mod(N,{60 * RATE}),{5 * RATE}),235,16+mod(N,7))':cb=128:cr=128"
    beeps = "if(between(mod(t,60),5,5.0999999),sin(2*PI*1000*t),0)"
    subprocess.run([ffmpeg.executable(), "-v", "error", "-f", "lavfi", "-i", f"color=black:s=64x64:r={RATE}:d={60 * MINUTES},{lights}",
                    "-f", "lavfi", "-i", f"aevalsrc='{beeps}':s=48000:d={60 * MINUTES}", "-c:v", "libx264", "-preset", "ultrafast",
                    "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac", str(path)], check=True)
    return path


@pytest.fixture(scope="module")
def film_frames(film, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("film_frames") / "frames"
    command("extract", "-i", film, "-o", folder)
    return folder


def flashes(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.array([float(frame.time) for frame in container.decode(video=0)
                         if np.frombuffer(frame.planes[0], np.uint8)[:32].mean() > 120])


def beeps(path: Path) -> np.ndarray:
    """When each begins, by the samples."""
    found = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            loud = np.flatnonzero(np.abs(frame.to_ndarray().reshape(frame.layout.nb_channels, -1)[0]) > 0.2)
            if len(loud):
                second = float(frame.pts * frame.time_base) + loud[0] / frame.sample_rate
                if not found or second - found[-1][1] > 1:
                    found.append([second, second])
                found[-1][1] = second
    return np.array([begin for begin, _ in found])


@pytest.mark.parametrize("words, ending, count", [
    (["assemble"], ".mp4", MINUTES), (["assemble"], ".mkv", MINUTES),
    (["cut", "--from", "2.55", "--to", "9:40"], ".mp4", MINUTES), (["cut", "--from", "4:02.55"], ".mkv", MINUTES - 4),
    (["cut", "--from", "2.55", "--copy"], ".mp4", MINUTES), (["scale", "--size", "50%"], ".mp4", MINUTES),
    (["rotate", "--turn", "90"], ".mp4", MINUTES), (["mux"], ".mp4", MINUTES), (["concat"], ".mp4", 2 * MINUTES),
], ids=lambda value: "-".join(value) if isinstance(value, list) else None)
def test_ten_minutes_stay_in_sync_to_a_millisecond(film, film_frames, tmp_path, words, ending, count):
    output = tmp_path / f"made{ending}"
    given = {"assemble": ["-i", film_frames, "-r", film], "mux": ["-i", film, "--audio", film], "concat": ["-i", film, film]}
    assert command(*words, *given.get(words[0], ["-i", film]), "-o", output) == DONE
    lights, sounds = flashes(output), beeps(output)
    assert len(lights) == len(sounds) == count
    assert np.abs(sounds - lights).max() <= MILLISECOND


def test_offset_lets_the_sound_begin_later(film, tmp_path):
    command("mux", "-i", film, "--audio", film, "--offset", 0.25, "-o", tmp_path / "late.mp4")
    assert np.abs(beeps(tmp_path / "late.mp4") - flashes(tmp_path / "late.mp4") - 0.25).max() <= MILLISECOND


def test_pieces_joined_again_stay_in_sync(film, tmp_path):
    command("cut", "-i", film, "-o", tmp_path / "a.mp4", "--from", "1", "--to", "2:07.3")
    command("cut", "-i", film, "-o", tmp_path / "b.mp4", "--from", "3:02.9", "--to", "4:11.1")
    command("concat", "-i", tmp_path / "a.mp4", tmp_path / "b.mp4", tmp_path / "a.mp4", "-o", tmp_path / "all.mp4")
    lights, sounds = flashes(tmp_path / "all.mp4"), beeps(tmp_path / "all.mp4")
    assert len(lights) == 8
    assert np.abs(sounds - lights).max() <= MILLISECOND


# --- thumbnails


def test_a_thumbnail_shows_the_frame_of_its_time(clips, tmp_path):
    command("thumbnail", "-i", clips[0], "-o", tmp_path / "a.png", "--at", "0.2")
    assert np.abs(picture_file.read(tmp_path / "a.png").astype(int) - images(clips[0], 6)[5]).mean() < 0.5


def test_a_sheet_shows_frames_of_the_whole_video_side_by_side(clips, tmp_path):
    command("thumbnail", "-i", clips[0], "-o", tmp_path / "a.png", "--tiles", "4x2", "--size", "64x64")
    sheet = picture_file.read(tmp_path / "a.png")
    assert sheet.shape == (128, 256, 3)
    assert np.abs(sheet[:64, :64].astype(int) - sheet[64:, 192:]).mean() > 1


# --- what goes wrong


@pytest.mark.parametrize("name, words", [("text_named.mp4", "is not a video"), ("zero_bytes.mp4", "is empty"),
                                         ("audio_only.mp4", "holds only sound"),
                                         ("truncated_without_index.mp4", "cut off before its index")])
@pytest.mark.parametrize("arguments", [("extract",), ("cut", "--to", "1"), ("thumbnail",), ("scale", "--size", "50%")],
                         ids=lambda value: value[0])
def test_broken_videos_are_told_in_a_line_and_leave_nothing(shared, tmp_path, name, words, arguments):
    ending = {"extract": "", "thumbnail": ".png"}.get(arguments[0], ".mp4")
    with pytest.raises(FaceswapError, match=words):
        command(*arguments, "-i", shared(f"videos/broken/{name}"), "-o", tmp_path / f"out{ending}")
    assert nothing_but(tmp_path)


def test_what_a_truncated_video_still_holds_is_kept_and_the_loss_told(shared, tmp_path, caplog):
    path = shared("videos/broken/truncated_at_60_percent.mp4")
    assert command("extract", "-i", path, "-o", tmp_path / "frames") == SOME_FAILED
    assert len(extracted(tmp_path / "frames")) == len(images(path)) and "of 50 frames could be read" in caplog.text


def test_a_failure_says_why_in_ffmpegs_words_and_leaves_the_result_of_before(clips, tmp_path, monkeypatch):
    (tmp_path / "out.mp4").write_text("of before")
    monkeypatch.setattr("lib.videotools.encoders.EXACT", "no_such_flag")
    with pytest.raises(FaceswapError, match="ffmpeg could not scale: .*no_such_flag"):
        command("scale", "-i", clips[0], "-o", tmp_path / "out.mp4", "--size", "50%")
    assert (tmp_path / "out.mp4").read_text() == "of before" and nothing_but(tmp_path, "out.mp4")


def test_a_result_that_is_not_what_was_asked_for_does_not_take_its_name(clips, tmp_path, monkeypatch):
    monkeypatch.setattr("lib.videotools.transform.parse_size", lambda text, size: (64, 64))
    monkeypatch.setattr("lib.videotools.transform.encode_arguments", lambda *_, **__: ["-map", "0:V:0", "-vf", "scale=32:32", "-c:v", "libx264"])
    with pytest.raises(FaceswapError, match="32x32 pixels instead of 64x64"):
        command("scale", "-i", clips[0], "-o", tmp_path / "out.mp4", "--size", "64x64")
    assert nothing_but(tmp_path)


def test_frames_that_went_missing_are_noticed(clips, tmp_path, monkeypatch):
    nine = ["-map", "0:V:0", "-vf", "scale=128:128", "-frames:v", "9", "-c:v", "libx264"]
    monkeypatch.setattr("lib.videotools.transform.encode_arguments", lambda *_, **__: nine)
    with pytest.raises(FaceswapError, match="wrote 9 of 16 frames"):
        command("scale", "-i", clips[0], "-o", tmp_path / "out.mp4", "--size", "50%")
    assert nothing_but(tmp_path)


def test_the_input_is_never_overwritten(clips, tmp_path):
    shutil.copy(clips[0], tmp_path / "clip.mp4")
    with pytest.raises(FaceswapError, match="is an input"):
        command("scale", "-i", tmp_path / "clip.mp4", "-o", tmp_path / "clip.mp4", "--size", "50%")


@pytest.mark.parametrize("words, output", [(("scale", "--size", "1200%", "--preset", "veryslow"), "out.mp4"), (("extract",), "out")],
                         ids=["scale", "extract"])
def test_ctrl_c_leaves_nothing_half_written(film, tmp_path, words, output):
    process = subprocess.Popen([sys.executable, ROOT / "faceswap.py", "ffmpeg", *words, "-i", film, "-o", tmp_path / output],
                               stderr=subprocess.PIPE, text=True)
    part, deadline = tmp_path / f"{output}.part", time.monotonic() + 600
    while not (unfinished(tmp_path) or part.is_dir() and len(list(part.iterdir())) > 1) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert unfinished(tmp_path) or part.exists(), "it never began"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=600)
    assert process.returncode == INTERRUPTED, said
    assert nothing_but(tmp_path)


# --- commands and reports


def test_a_dry_run_prints_a_line_that_a_shell_can_run(clips, tmp_path, capsys):
    output = tmp_path / "it's %d.mp4"
    command("scale", "-i", clips[0], "-o", output, "--size", "50%", "--dry-run")
    line = capsys.readouterr().out
    assert nothing_but(tmp_path)
    subprocess.run(["sh", "-c", line], check=True, capture_output=True)
    assert VideoSource(output).size == (128, 128)


def test_a_dry_run_of_assemble_brings_its_list_along(clips, tmp_path, capsys):
    command("extract", "-i", clips[0], "-o", tmp_path / "frames")
    command("assemble", "-i", tmp_path / "frames", "-o", tmp_path / "out.mp4", "--dry-run")
    subprocess.run(["sh", "-c", capsys.readouterr().out], check=True, capture_output=True)
    assert np.allclose(times(tmp_path / "out.mp4"), times(clips[0]))


def test_progress_is_told_in_frames(film, tmp_path, faceswap):
    done = faceswap("ffmpeg", "scale", "-i", film, "-o", tmp_path / "out.mp4", "--size", "50%", "--log", "json")
    reports = [json.loads(line) for line in done.stderr.splitlines()]
    last = [report for report in reports if report.get("progress") == "scale"][-1]
    assert (last["done"], last["total"]) == (60 * RATE * MINUTES, 60 * RATE * MINUTES)


def test_info_prints_json(clips, faceswap):
    found = json.loads(faceswap("ffmpeg", "info", "-i", clips[0]).stdout)
    assert (found["frames"], found["shown"], Fraction(found["avg_fps"])) == (16, [256, 256], 25)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows may have it")
def test_a_graphics_card_that_is_not_there_is_told_and_auto_does_without(clips, tmp_path):
    with pytest.raises(FaceswapError, match="--hwaccel amf does not work here: .*Choose --hwaccel auto, or none"):
        command("scale", "-i", clips[0], "-o", tmp_path / "out.mp4", "--size", "50%", "--hwaccel", "amf")
    assert command("scale", "-i", clips[0], "-o", tmp_path / "out.mp4", "--size", "50%", "--hwaccel", "auto") == DONE
    assert VideoSource(tmp_path / "out.mp4").count == 16


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell script")
@pytest.mark.parametrize("version, taken", [("4.4.2-0ubuntu0.22.04.1", False), ("6.1.1-3ubuntu5", True), ("n7.0", True),
                                            ("N-118000-g1a2b3c", True)])
def test_the_system_s_ffmpeg_is_taken_if_it_is_new_enough(tmp_path, monkeypatch, version, taken):
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\necho 'ffmpeg version {version} Copyright (c) the FFmpeg developers'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert (ffmpeg.executable.__wrapped__() == str(program)) is taken


@pytest.mark.skipif(sys.platform != "linux", reason="other systems let it run on")
def test_a_killed_run_takes_its_ffmpeg_with_it(film, tmp_path):
    words = ["scale", "-i", film, "-o", tmp_path / "out.mp4", "--size", "1200%", "--preset", "veryslow"]
    run = subprocess.Popen([sys.executable, ROOT / "faceswap.py", "ffmpeg", *map(str, words)], stderr=subprocess.DEVNULL)
    while not (children := psutil.Process(run.pid).children()):
        time.sleep(0.02)
    child, = children
    run.kill()
    run.wait()
    child.wait(600)
    assert not (tmp_path / "out.mp4").exists()


def test_an_ffmpeg_whose_start_was_interrupted_is_ended(monkeypatch):
    """As where Ctrl-C comes after the program began and before anybody has its handle."""
    start, started = ffmpy.popen, []

    def interrupted(*arguments, **options):
        started.append(start([sys.executable, "-c", "import time; time.sleep(600)"], **options))
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)
        return started[0]

    monkeypatch.setattr("ffmpy.ffmpy.popen", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ffmpeg.run([], "wait")
    assert not psutil.pid_exists(started[0].pid)


def test_an_ffmpeg_that_outlived_its_run_does_not_write_into_the_next_result(clips, tmp_path):
    with open(part_beside(tmp_path / "out.mp4"), "wb") as left:
        command("scale", "-i", clips[0], "-o", tmp_path / "out.mp4", "--size", "50%")
        size = (tmp_path / "out.mp4").stat().st_size
        left.write(bytes(1_000_000))
    assert (tmp_path / "out.mp4").stat().st_size == size


def test_where_a_video_has_no_sound_the_joined_one_is_silent(shared, tmp_path):
    command("concat", "-i", shared("videos/formats/no_audio.mp4"), shared("videos/formats/h264_8bit.mp4"), "-o", tmp_path / "all.mp4")
    with av.open(str(tmp_path / "all.mp4")) as made:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in made.decode(audio=0)])
    rate = len(samples) / 4.0
    assert abs(rate - 16000) < 600 and np.abs(samples[:int(1.8 * rate)]).max() < 1e-3 < np.abs(samples[int(2.2 * rate):]).max()


@pytest.mark.parametrize("name", ["h264_8bit.mp4", "audio_51_48k.mp4"])
def test_sound_of_any_rate_and_number_of_channels_goes_into_mpg(shared, tmp_path, name):
    command("scale", "-i", shared(f"videos/formats/{name}"), "-o", tmp_path / "a.mpg", "--size", "50%")
    with av.open(str(tmp_path / "a.mpg")) as made:
        assert made.streams.audio[0].codec_context.layout.nb_channels == 2


def test_that_a_video_is_synthetic_stays_or_its_loss_is_told(clips, tmp_path, caplog):
    said = "AI-generated: faces in this video were replaced"
    with av.open(str(clips[0])) as before, av.open(str(tmp_path / "said.mp4"), "w") as after:
        stream = after.add_stream_from_template(before.streams.video[0])
        after.metadata["comment"] = said
        for packet in before.demux(before.streams.video[0]):
            if packet.size:
                packet.stream = stream
                after.mux(packet)
    command("concat", "-i", clips[0], tmp_path / "said.mp4", "-o", tmp_path / "all.mp4")
    command("extract", "-i", tmp_path / "said.mp4", "-o", tmp_path / "frames")
    assert "says that it is AI-generated, and frames does not" in caplog.text
    command("assemble", "-i", tmp_path / "frames", "-o", tmp_path / "again.mp4")
    command("cut", "-i", tmp_path / "said.mp4", "--to", "0.2", "-o", tmp_path / "cut.mp4")
    assert [statement_in(tmp_path / name) for name in ("all.mp4", "again.mp4", "cut.mp4")] == [said] * 3
    assert statement_in(clips[0]) == ""


def test_a_copied_cut_tells_what_it_keeps_at_its_end(shared, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    command("cut", "-i", shared("videos/formats/h264_long_gop_bframes.mp4"), "--copy", "--to", "0.5", "-o", tmp_path / "c.mp4")
    assert "more than asked for" in caplog.text
