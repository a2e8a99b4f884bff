"""Lists of addresses, which people hand on to each other."""

import os

import pytest

from lib.errors import FaceswapError
from lib.files import reading
from lib.gathering.addresses import Listed, read_list


@pytest.mark.parametrize("line", ["http://[x", "http://[x#y", "http://a\u2100b/", "http://a\u2100b/#", "http://h:99999999/", "http://h:x/"])
def test_a_line_that_is_no_address_is_one_problem(tmp_path, line):
    (tmp_path / "list").write_text(f"{line}\nhttp://127.0.0.1/a.png#top\n", encoding="utf-8")
    bad, good = read_list(tmp_path / "list")
    assert "is no address" in bad.problem and good == Listed(2, "http://127.0.0.1/a.png")


@pytest.mark.skipif(os.name != "posix", reason="needs pipes")
@pytest.mark.parametrize("kind", ["pipe", "zero"])
def test_a_list_that_never_ends_is_not_waited_for(tmp_path, kind):
    if kind == "pipe":
        os.mkfifo(tmp_path / "list")
    else:
        (tmp_path / "list").symlink_to("/dev/zero")
    with pytest.raises(FaceswapError):
        read_list(tmp_path / "list")


def test_a_list_beyond_all_bounds_is_told(tmp_path):
    with open(tmp_path / "list", "wb") as file:
        file.truncate(reading.MOST + 1)
    with pytest.raises(FaceswapError, match="too long.*Cut it into several lists"):
        read_list(tmp_path / "list")
