"""Which frames --from, --to and --frames choose."""

from __future__ import annotations

import numpy as np
import pytest

from lib.errors import FaceswapError, UsageError
from lib.media.endpoints.source import open_source
from lib.media.frame_range import FrameRange, parse_frame_range, parse_shard
from lib.media.pictures import picture_file
from lib.types import Shard


@pytest.fixture(scope="module")
def clip(clips):
    """16 frames, 25 a second."""
    return open_source(clips[0])


@pytest.mark.parametrize("begin, end, start, stop", [
    ("0", None, 0, None), ("0.2", "00:00.4", 5, 10), ("00:00:00.21", None, 6, None), (None, "0.44", 0, 11), ("0.1999", "0.2001", 5, 6),
    ("0.6", "10", 15, 16)])
def test_times_choose_the_frames_shown_from_then_on(clip, begin, end, start, stop):
    assert parse_frame_range(clip, begin, end, None) == FrameRange(start, stop)


@pytest.mark.parametrize("frames, chosen", [
    ("3", [2]), ("1-3,15-", [0, 1, 2, 14, 15]), ("2-3 3-4", [1, 2, 3]), ("14-90", [13, 14, 15])])
def test_frames_are_counted_from_one(clip, frames, chosen):
    assert parse_frame_range(clip, None, None, frames).indices(clip) == chosen


def test_both_at_once(clip):
    stretch = parse_frame_range(clip, "0.2", "0.4", "2-7,9")
    assert stretch.indices(clip) == [5, 6, 8] and not stretch.includes(7)


def test_where_nothing_is_chosen_all_is_meant(clip):
    assert parse_frame_range(clip, None, None, None).indices(clip) is None


@pytest.mark.parametrize("choice, words", [
    (("x", None, None), "must be a time such as"), (("1:2:3:4", None, None), "must be a time"), ((None, "-3", None), "must be a time"),
    (("0.4", "0.2", None), "is not after"), (("0.41", "0.43", None), "no frame lies between"), (("5", None, None), "there are 16"),
    ((None, "0", None), "before the first frame"), ((None, None, "17-20"), "has 16 frames"), ((None, None, "0-3"), "counted from 1"),
    ((None, None, "5-3"), "counted from 1"), ((None, None, "a"), "counted from 1"), ((None, None, ","), "counted from 1")])
def test_mistakes_are_told(clip, choice, words):
    with pytest.raises(FaceswapError, match=words):
        parse_frame_range(clip, *choice)


def test_pictures_have_no_times(tmp_path):
    picture_file.write(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(UsageError, match="--from is for videos"):
        parse_frame_range(open_source(tmp_path), "1", None, None)


def test_shards():
    assert parse_shard("3/16") == Shard(3, 16) and parse_shard(None) is None
    for text in ("0/3", "4/3", "3", "a/b", "1/"):
        with pytest.raises(UsageError, match="such as 3/16"):
            parse_shard(text)
