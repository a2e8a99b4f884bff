"""Files are examined in a process of its own, whose end is the failure of one file alone."""

import os
import signal

import pytest
from PIL import Image

from lib.gathering.checking import Content, Damaged, Refused
from lib.gathering.isolated import Examiner


@pytest.fixture
def picture(tmp_path):
    Image.new("RGB", (96, 64)).save(tmp_path / "a ü\n.png")
    return tmp_path / "a ü\n.png"


@pytest.fixture
def examiner():
    examiner = Examiner()
    yield examiner
    examiner.close()


def test_it_tells_what_a_file_holds(examiner, picture, tmp_path):
    assert examiner.examine(picture) == Content("picture", ".png", 96, 64)
    (tmp_path / "page").write_text("<html>")
    with pytest.raises(Refused, match="a web page instead") as told:
        examiner.examine(tmp_path / "page")
    assert not isinstance(told.value, Damaged)
    (tmp_path / "cut").write_bytes(picture.read_bytes()[:60])
    with pytest.raises(Damaged):
        examiner.examine(tmp_path / "cut")
    assert examiner.examine(picture) == Content("picture", ".png", 96, 64)


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_process_that_was_ended_is_started_again(examiner, picture):
    examiner.examine(picture)
    os.kill(examiner._process.pid, signal.SIGSEGV)
    assert examiner.examine(picture) == Content("picture", ".png", 96, 64)


@pytest.mark.skipif(os.name != "posix", reason="needs limits of the system")
def test_a_file_that_takes_too_long_is_damaged(picture):
    examiner = Examiner(seconds=0)
    with pytest.raises(Damaged, match="crashes what reads it, or keeps it busy"):
        examiner.examine(picture)
    assert examiner._process is None
