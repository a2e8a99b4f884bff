import json

import pytest

from lib.errors import FaceswapError
from lib.videotools import info
from tests.conftest import SHARED

KNOWN = json.loads((SHARED / "videos" / "videos.json").read_text())["files"] if (SHARED / "videos" / "videos.json").exists() else {}
TOLD = ("codec", "pix_fmt", "stored", "shown", "frames", "avg_fps", "duration_s", "first_s", "last_s", "sar", "rotation_ccw_deg")
WHOLE = [name for name, known in KNOWN.items() if known["readable"] and known.get("video", True) and "decode_error" not in known]


def sound_facts(tracks: list[dict]) -> list[dict]:
    return [{key: track[key] for key in ("codec", "rate", "channels", "layout")} for track in tracks]


@pytest.mark.parametrize("name", WHOLE or [pytest.param("none", marks=pytest.mark.skip(reason="needs the test data"))])
def test_tells_of_each_video_what_was_measured(name):
    known, found = KNOWN[name], info.facts(SHARED / "videos" / name)
    assert {key: found[key] for key in TOLD if key in known} == {key: known[key] for key in TOLD if key in known}
    decoders = {"mp3float": "mp3"}  # the list has the names of decoders
    assert sound_facts(found["audio"]) == [track | {"codec": decoders.get(track["codec"], track["codec"])} for track in known["audio"]]
    assert (bool(found["vfr"]), bool(found["interlaced"])) == (known.get("vfr", False), known.get("interlaced", False))


def test_tells_frames_times_and_size_of_a_video_that_was_just_made(clips):
    found = info.facts(clips[0])
    assert (found["codec"], found["shown"], found["frames"], found["avg_fps"]) == ("h264", [256, 256], 16, "25")
    assert (found["first_s"], found["last_s"], found["vfr"]) == (0.0, 0.6, False)
    assert found["bytes"] == clips[0].stat().st_size


def test_a_quick_look_tells_the_same_without_decoding(clips):
    thorough, quick = info.facts(clips[0]), info.facts(clips[0], quick=True)
    assert quick == thorough | {"interlaced": None}


def test_a_broken_video_tells_the_frames_that_decode(shared):
    found = info.facts(shared("videos/broken/truncated_at_60_percent.mp4"))
    assert 20 < found["frames"] < 50 and "of 50 frames" in found["losses"][0]


def test_sound_alone_is_told_as_such(shared):
    found = info.facts(shared("videos/broken/audio_only.mp4"))
    assert found["video"] is False and found["audio"][0]["codec"] == "aac"


def test_subtitles_tracks_and_covers_are_told(shared):
    found = info.facts(shared("videos/formats/two_audio_tracks_subtitles.mkv"))
    assert len(found["audio"]) == 2 and [track["codec"] for track in found["subtitles"]] == ["subrip"]
    assert info.facts(shared("videos/formats/cover_art_first_stream.mp4"))["cover_pictures"] == 1


@pytest.mark.parametrize("name, words", [("text_named.mp4", "is not a video"), ("zero_bytes.mp4", "is empty"),
                                         ("truncated_without_index.mp4", "cut off before its index"),
                                         ("init_segment_without_frames.mp4", "no frame that can be read")])
def test_what_cannot_be_read_is_told_in_a_line(shared, name, words):
    with pytest.raises(FaceswapError, match=words):
        info.facts(shared(f"videos/broken/{name}"))


@pytest.mark.parametrize("times, variable", [([0, 40, 80, 120], False), ([0, 33, 67, 100], False), ([0, 40, 120, 160], True)])
def test_rounded_times_are_steady_and_gaps_are_not(times, variable):
    from fractions import Fraction

    assert info.is_variable(times, Fraction(1, 1000)) is variable
