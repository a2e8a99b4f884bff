"""Names and files."""

from __future__ import annotations

import errno
import os

import pytest

from lib.errors import FaceswapError
from lib.media.files import disk_errors, natural_key, same_path
from lib.media.sink import writer_for


def test_natural_order():
    names = ["video-10.png", "video-2.png", "Video-1.png", "a1b20.png", "a1b3.png", "10", "9", "b"]
    assert sorted(names, key=natural_key) == ["9", "10", "a1b3.png", "a1b20.png", "b", "Video-1.png", "video-2.png", "video-10.png"]


def test_one_file_under_two_names(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "v.mp4").touch()
    os.symlink(tmp_path / "a", tmp_path / "link")
    assert same_path(tmp_path / "a" / "v.mp4", tmp_path / "link" / ".." / "a" / "v.mp4")
    assert same_path(tmp_path / "link" / "new.mp4", tmp_path / "a" / "new.mp4")
    assert not same_path(tmp_path / "a" / "v.mp4", tmp_path / "a" / "w.mp4")


@pytest.mark.parametrize("number, words", [
    (errno.ENOSPC, "No space left"), (errno.EROFS, "may not be written"), (errno.EIO, "cannot be written")])
def test_what_the_disk_refuses_is_told_in_one_line(number, words, tmp_path):
    with pytest.raises(FaceswapError, match=words):
        with disk_errors(tmp_path / "out.mp4"):
            raise OSError(number, os.strerror(number))


def test_the_output_name_chooses_the_writer(tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    assert [writer_for(name) for name in ("a.mp4", "b.MKV", "c.webm", "faces", "faces/", "x.png", tmp_path / "folder.mp4")] == \
        ["video"] * 3 + ["images"] * 4
