"""Flags of tracks, attached files and time codes go along where the container holds them; else that is told."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from lib.command import parsing
from lib.jobs.ffmpeg import FfmpegSettings
from lib.media.endpoints.source import open_source
from lib.media.timecode import later
from lib.plugin import WRITERS
from scripts.ffmpeg import run
from tests.plain import plain

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-pix_fmt", "yuv420p")


def command(*arguments) -> int:
    return run(FfmpegSettings(**parsing.parse("ffmpeg", parsing.declaration("ffmpeg"), list(map(str, arguments)))))


@pytest.fixture(scope="module")
def tracks(tmp_path_factory) -> Path:
    """An MKV of two seconds with two sound tracks, two of subtitles, flags and two attached files."""
    folder = tmp_path_factory.mktemp("tracks")
    (folder / "s.srt").write_text("1\n00:00:00,500 --> 00:00:01,500\nHello\n")
    (folder / "one.ttf").write_bytes(bytes(range(200)))
    (folder / "two.ttf").write_bytes(bytes(range(100)))
    sources = ["-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=2", "-f", "lavfi", "-i", "sine=d=2", "-i", folder / "s.srt"]
    plain(*sources, "-map", "0", "-map", "1", "-map", "1", "-map", "2", "-map", "2", *H264, "-c:a", "aac", "-c:s", "srt",
          "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fra", "-disposition:a:0", "0", "-disposition:a:1", "default+comment",
          "-disposition:s:0", "0", "-disposition:s:1", "forced+hearing_impaired", "-metadata:s:v:0", "language=deu",
          "-attach", folder / "one.ttf", "-attach", folder / "two.ttf", "-metadata:s:t", "mimetype=application/x-truetype-font",
          folder / "tracks.mkv")
    return folder / "tracks.mkv"


def flags(path: Path) -> list[tuple[str, str | None, str]]:
    """Kind, language and flags of each track of sound and subtitles."""
    with av.open(str(path)) as container:
        return [(stream.type, stream.metadata.get("language"), str(stream.disposition.value))
                for stream in container.streams if stream.type in ("audio", "subtitle")]


def attached(path: Path) -> list[tuple[str, bytes]]:
    with av.open(str(path)) as container:
        return [(stream.name, stream.data) for stream in container.streams.attachments]


def timecode(path: Path) -> str | None:
    with av.open(str(path)) as container:
        return {key.lower(): value for key, value in container.streams.video[0].metadata.items()}.get("timecode")


def passed_through(video: Path, path: Path, start: int = 0) -> Path:
    source = open_source(video)
    with WRITERS.create("video", preset="ultrafast").open(path, source) as sink:
        for frame in source.frames(start):
            sink.patch(frame, [])
    return path


def test_flags_and_fonts_stay_in_mkv(tracks, tmp_path):
    made = passed_through(tracks, tmp_path / "o.mkv")
    assert flags(made) == flags(tracks) and attached(made) == attached(tracks) and len(attached(made)) == 2
    with av.open(str(made)) as container:
        assert container.streams.video[0].metadata["language"] == "deu"


@pytest.mark.parametrize("words", [("scale", "--size", "50%"), ("cut", "--from", "0.4"), ("cut", "--from", "0.4", "--copy"),
                                   ("rotate", "--mirror")])
def test_the_video_tools_keep_them(words, tracks, tmp_path):
    command(*words, "-i", tracks, "-o", tmp_path / "o.mkv")
    assert flags(tmp_path / "o.mkv") == flags(tracks) and attached(tmp_path / "o.mkv") == attached(tracks)


def test_joined_videos_keep_those_of_the_first_ones_sound(tracks, tmp_path):
    command("concat", "-i", tracks, tracks, "-o", tmp_path / "o.mkv")
    assert flags(tmp_path / "o.mkv") == [row for row in flags(tracks) if row[0] == "audio"]


def test_the_default_stays_the_default_in_mp4(tracks, tmp_path, caplog):
    made = passed_through(tracks, tmp_path / "o.mp4")
    assert [(language, int(number) & 1) for _, language, number in flags(made)] == [("eng", 0), ("fra", 1)]
    assert "one.ttf, two.ttf cannot be held by mp4 and are left out" in caplog.text
    command("scale", "-i", tracks, "--size", "50%", "-o", tmp_path / "s.mp4")
    assert [(language, int(number) & 1) for _, language, number in flags(tmp_path / "s.mp4")][:2] == [("eng", 0), ("fra", 1)]
    assert caplog.text.count("one.ttf, two.ttf cannot be held by mp4 and are left out") == 2


@pytest.mark.parametrize("tool", [False, True])
def test_lost_flags_are_told(tool, tracks, tmp_path, caplog):
    if tool:
        command("scale", "-i", tracks, "--size", "50%", "-o", tmp_path / "o.mov")
    else:
        passed_through(tracks, tmp_path / "o.mov")
    assert "that audio tracks are flagged as comment cannot be held by mov" in caplog.text


@pytest.fixture(scope="module")
def coded(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("coded") / "tc.mov"
    plain("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=2", *H264, "-timecode", "01:00:00:10", path)
    return path


@pytest.mark.parametrize("ending", ["mov", "mp4", "mkv"])
def test_a_time_code_stays_and_goes_on_in_a_piece(ending, coded, tmp_path):
    assert timecode(passed_through(coded, tmp_path / f"o.{ending}")) == "01:00:00:10"
    assert timecode(passed_through(coded, tmp_path / f"p.{ending}", start=20)) == "01:00:01:05"
    command("cut", "-i", coded, "--from", "0.8", "-o", tmp_path / f"c.{ending}")
    assert timecode(tmp_path / f"c.{ending}") == "01:00:01:05"
    command("scale", "-i", coded, "--size", "50%", "-o", tmp_path / f"s.{ending}")
    assert timecode(tmp_path / f"s.{ending}") == "01:00:00:10"


def test_a_copied_piece_has_the_time_code_of_its_key_frame(coded, tmp_path):
    command("cut", "-i", coded, "--from", "0.9", "--copy", "-o", tmp_path / "o.mov")
    assert timecode(tmp_path / "o.mov") == "01:00:01:05"


def test_taken_apart_and_put_together_or_joined_it_is_there(coded, tmp_path):
    command("extract", "-i", coded, "-o", tmp_path / "frames")
    command("assemble", "-i", tmp_path / "frames", "-r", coded, "-o", tmp_path / "a.mov")
    command("concat", "-i", coded, coded, "-o", tmp_path / "j.mov", "--crf", 30)
    assert timecode(tmp_path / "a.mov") == timecode(tmp_path / "j.mov") == "01:00:00:10"


@pytest.mark.parametrize("tool", [False, True])
def test_a_lost_time_code_is_told_once(tool, coded, tmp_path, caplog):
    if tool:
        command("cut", "-i", coded, "--from", "0.4", "-o", tmp_path / "o.avi")
    else:
        passed_through(coded, tmp_path / "o.avi")
    assert caplog.text.count("its time code 01:00:00:10 cannot be held by") == 1


@pytest.mark.parametrize("begins, rate, frames, then", [
    ("01:00:00:10", Fraction(25), 100, "01:00:04:10"), ("23:59:59:24", Fraction(25), 1, "00:00:00:00"),
    ("00:00:59;28", Fraction(30000, 1001), 2, "00:01:00;02"), ("00:09:59;29", Fraction(30000, 1001), 1, "00:10:00;00"),
    ("00:00:00;00", Fraction(30000, 1001), 107892, "01:00:00;00"), ("00:00:00:00", Fraction(30000, 1001), 1800, "00:01:00:00"),
    ("00:00:00;00", Fraction(60000, 1001), 3600, "00:01:00;04"), ("no time code", Fraction(25), 1, None)])
def test_time_codes_count_as_smpte_says(begins, rate, frames, then):
    assert later(begins, rate, frames) == then
