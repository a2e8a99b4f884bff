"""Names and files."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.files.names import natural_key, same_path
from lib.files.writing import disk_errors
from lib.media.endpoints.sink import writer_for
from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file


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


def test_the_output_name_chooses_the_writer(clips, tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    picture_file.write(tmp_path / "one.png", np.zeros((8, 8, 3), np.uint8))
    film, one = open_source(clips[0]), open_source(tmp_path / "one.png")
    assert [writer_for(name, film) for name in ("a.mp4", "b.MKV", "c.webm", "faces", "faces/", "x.jpg", tmp_path / "folder.mp4")] == \
        ["video"] * 3 + ["images"] * 4
    assert [writer_for(name, film) for name in ("a.gif", "b.webp", "c.png", "d.avif")] == ["animation"] * 4
    assert [writer_for(name, one) for name in ("a.png", "b.webp", "c.mp4")] == ["images", "images", "video"]
