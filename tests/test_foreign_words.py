"""What a file's name, or anything else that others wrote, can do to a terminal: nothing."""

import json

import numpy as np
import pytest

from lib.media.pictures import picture_file

HARMFUL = "\x1b\x9b\u202e\r"
NAME = f"a{HARMFUL}[2J\nerror: b.png"


@pytest.mark.parametrize(
    "arguments",
    [
        [NAME],
        ["extract", "-i", NAME, "-o", "out"],
        ["extract", f"--{NAME}"],
        ["convert", "-i", NAME, "-o", "x.mp4", "-m", "m"],
        ["train", "-A", NAME, "-B", NAME, "-m", "m"],
        ["ffmpeg", "info", NAME],
        ["provenance", NAME],
        ["gather", "-i", NAME, "-o", "out"],
        ["alignments", "info", NAME],
        ["faces", "report", "-i", NAME],
        ["sort", "-i", NAME],
        ["evaluate", NAME, NAME],
        ["extract", "--config", NAME, "-i", "x"],
        ["plugins", NAME],
    ],
    ids=lambda arguments: arguments[0][:8].strip("\x1b"),
)
@pytest.mark.parametrize("log", [[], ["--log", "json"]], ids=["text", "json"])
def test_an_error_is_one_line_whatever_the_name(faceswap, tmp_path, monkeypatch, arguments, log):
    monkeypatch.chdir(tmp_path)
    done = faceswap(*arguments, *log, code=None)
    assert done.returncode in (1, 2) and not set(HARMFUL) & set(done.stdout + done.stderr)
    assert done.stderr.count("\n") == 1 and (not log or json.loads(done.stderr)["message"])


def test_results_are_shown_escaped(faceswap, tmp_path):
    picture_file.write(tmp_path / NAME, np.zeros((8, 8, 3), np.uint8))
    told = faceswap("provenance", "--inspect", tmp_path).stdout
    assert told == "unmarked  a" + r"\u001b\u009b\u202e\r[2J\nerror: b.png  no mark" + "\n"
