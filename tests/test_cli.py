"""The command line as a user meets it: help at once, mistakes in a line, exit codes."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib.command import parsing
from lib.errors import trouble_with_machine

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"numpy", "cv2", "av", "dlib", "h5py", "PIL", "matplotlib", "keras", "tensorflow", "tqdm"}


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in parsing.commands())], ids=" ".join)
def test_help_imports_nothing_heavy(arguments):
    done = subprocess.run([sys.executable, "-X", "importtime", ROOT / "faceswap.py", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage: faceswap.py" in done.stdout
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "argparse" in imported
    assert not imported & HEAVY


def test_overview_lists_every_command_with_a_line(faceswap):
    lines = faceswap().stdout.splitlines()
    assert faceswap("--help").stdout.splitlines() == lines
    for name in parsing.commands():
        assert any(line.split()[:1] == [name] and len(line.split()) > 3 for line in lines), name


@pytest.mark.parametrize("arguments, answer", [
    (["extrakt"], "There is no command 'extrakt'. Did you mean 'extract'? Commands: "),
    (["--foo"], "There is no command '--foo'."),
    (["devices", "--jsn"], "There is no option --jsn. Did you mean '--json'? See: faceswap.py devices --help"),
    (["devices", "here"], "'here' belongs to no option."),
    (["plugins", "detektors"], "There is no kind of plugin 'detektors'. Did you mean 'detectors'? There are: detectors, "),
    (["plugins", "detectors", "hug"], "There is no detector 'hug'. Did you mean 'hog'? There are: "),
    (["devices", "--log", "xml"], "invalid choice: 'xml'"),
])
def test_a_wrong_command_line_is_answered_in_one_line(faceswap, arguments, answer):
    done = faceswap(*arguments, code=2)
    assert done.stderr.startswith("error: ") and answer in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_errors_are_json_with_log_json(faceswap):
    for arguments in (["devices", "--jsn", "--log", "json"], ["devices", "--jsn", "--log=json"]):
        line = json.loads(faceswap(*arguments, code=2).stderr)
        assert line["level"] == "error" and "--jsn" in line["message"]


def test_devices(faceswap):
    facts = json.loads(faceswap("devices", "--json").stdout)
    assert facts["cores"] >= 1 and facts["memory"] >= facts["memory_free"] > 0
    assert facts["precision"] in ("bfloat16", "float32")
    shown = faceswap("devices").stdout
    assert facts["backend"] in shown and facts["precision"] in shown


def test_plugins_lists_every_kind_and_shows_options(faceswap):
    listing = faceswap("plugins").stdout
    for kind, name in (("detectors", "hog"), ("aligners", "dlib68"), ("colors", "reinhard"), ("blenders", "alpha")):
        assert f"\n{kind}\n" in f"\n{listing}" and f"\n  {name} " in listing
    shown = faceswap("plugins", "detectors", "hog").stdout
    assert "--detector.upsample  int, default 1, at least 0 and at most" in shown
    assert faceswap("plugins", "detector", "hog").stdout == shown


def test_output_into_a_closed_pipe_is_no_error():
    done = subprocess.run(f"{sys.executable} faceswap.py plugins | true; echo ${{PIPESTATUS[0]}}", shell=True, executable="/bin/bash",
                          capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "0" and "Error" not in done.stderr


COMMAND = """

import sys, time
sys.path.insert(0, {root!r})
import faceswap

def long_work(command, argv):
    try:
        print("ready", flush=True)
        time.sleep(30)
    finally:
        time.sleep({saving})
        print("saved", flush=True)

faceswap._run = long_work
sys.exit(faceswap.main(["sleep"]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_exits_130(number):
    process = subprocess.Popen([sys.executable, "-c", COMMAND.format(root=str(ROOT), saving=0)], stdout=-1, stderr=-1, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=600)
    assert out == "saved\n"
    assert err == "interrupted: Run the same command again to go on.\n"
    assert process.returncode == 130


def test_a_second_signal_ends_at_once():
    process = subprocess.Popen([sys.executable, "-c", COMMAND.format(root=str(ROOT), saving=20)], stdout=-1, stderr=-1, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(600) == -signal.SIGTERM


@pytest.mark.parametrize("error, answer", [
    (OSError(errno.ENOSPC, "No space left on device", "out.mp4"), "The disk is full. Make room and run the same command again: out.mp4."),
    (OSError("Unable to write: No space left on device"), "The disk is full"),  # as h5py puts it
    (PermissionError(errno.EACCES, "Permission denied", "/root/x"),
     "Permission denied. Choose another place or change its permissions: /root/x."),
    (OSError(errno.EROFS, "Read-only file system", "/x"), "This disk is read-only"),
    (MemoryError(), "Out of memory. Close other programs"),
    (FileNotFoundError(errno.ENOENT, "No such file", "x"), None),  # a stage should have looked: our bug
    (KeyError("x"), None),
])
def test_trouble_with_the_machine_is_one_line_and_a_bug_keeps_its_traceback(error, answer):
    told = trouble_with_machine(error)
    assert (told is None) if answer is None else (answer in told and "\n" not in told)


def test_disk_full_in_sqlite(tmp_path):
    import sqlite3

    database = sqlite3.connect(tmp_path / "x.db")
    database.execute("PRAGMA max_page_count = 1")
    with pytest.raises(sqlite3.OperationalError) as caught:
        database.execute("CREATE TABLE x (y)")
    assert "The disk is full" in trouble_with_machine(caught.value)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_under_the_output_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, ROOT / "faceswap.py", "devices"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "The disk is full" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("command, words", [("train", "Take a smaller --batch, or close other"), ("extract", "Take a smaller --size, or close other"),
                                            ("convert", "Out of memory. Close other programs.")])
def test_out_of_memory_names_an_option_that_the_command_has(command, words):
    assert words in trouble_with_machine(MemoryError(), [option.name for option in parsing.declaration(command).options])
