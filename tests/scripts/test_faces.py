from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib.facesets import face_set, packing
from lib.facesets.folder import list_faces
from tests.leftovers import unfinished

ROOT = Path(__file__).resolve().parent.parent.parent
MANY = 1500  # faces of the folder whose packing is broken off


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in list_faces(folder)}


def test_there_and_back(faceswap, face_folders, tmp_path):
    said = faceswap("faces", "pack", "-i", *face_folders.values(), "-o", tmp_path / "x.h5").stderr
    assert "Packing 24 faces: 5 MB needed, " in said and "B free." in said and "Packed 24 faces into" in said
    assert "Unpacked 24 faces into" in faceswap("faces", "unpack", "-i", tmp_path / "x.h5", "-o", tmp_path / "out").stderr
    assert contents(tmp_path / "out") == contents(face_folders["a"]) | contents(face_folders["b"])
    faceswap("sort", "-i", tmp_path / "out", "--by", "size")
    assert len(list_faces(tmp_path / "out")) == 24


def test_damaged_files_are_named(faceswap, face_folders, tmp_path):
    shutil.copytree(face_folders["a"], tmp_path / "faces")
    (tmp_path / "faces" / "notes.txt").write_text("mine")
    damaged = list_faces(tmp_path / "faces")[3]
    damaged.write_bytes(damaged.read_bytes()[:-3000])
    arguments = "faces", "pack", "-i", tmp_path / "faces", "-o", tmp_path / "x.h5"
    said = faceswap(*arguments, code=1).stderr
    assert f"{damaged} is damaged" in said and "--skip-damaged" in said and not (tmp_path / "x.h5").exists()
    said = faceswap(*arguments, "--skip-damaged", code=3).stderr
    assert f"Left out: The face file {damaged} is damaged" in said and "no faces: notes.txt" in said and "Packed 11 faces" in said


def test_the_report_tells_kinds_and_trouble(faceswap, face_folders, tmp_path):
    faceswap("faces", "pack", "-i", face_folders["a"], "-o", tmp_path / "x.h5")
    there, here = (faceswap("faces", "report", "-i", path).stdout for path in (tmp_path / "x.h5", face_folders["a"]))
    assert there.replace(str(tmp_path / "x.h5"), str(face_folders["a"])) == here
    assert "12 faces (whole, 256 pixels) from 1 source" in here and "hardly turns" in here  # a camera that moves before a portrait


@pytest.mark.parametrize("arguments, answer, code", [
    (("pack", "-i", "none", "-o", "x.h5"), "none does not exist", 1),
    (("pack", "-i", "file", "-o", "x.h5"), "file is a file", 1),
    (("pack", "-i", "empty", "-o", "x.h5"), "There are no faces", 1),
    (("pack", "-i", "empty", "-o", "out"), "ends in .h5", 1),
    (("pack", "-i", "empty", "-o", "none/x.h5"), "There is no folder", 1),
    (("pack", "-i", "empty", "empty", "-o", "x.h5"), "twice", 2),
    (("pack", "-i", "empty"), "needs -o/--output", 2),
    (("unpack", "-i", "file", "-o", "out"), "file is no packed face set", 1),
    (("unpack", "-i", "file", "empty", "-o", "out"), "takes one", 2),
    (("unpack", "-i", "file", "-o", "out", "--compress"), "--compress belongs to faces pack", 2),
    (("report", "-i", "empty"), "holds no faces", 1),
    (("report", "-i", "empty", "-o", "out"), "leave -o out", 2)], ids=str)
def test_mistakes_are_answered(faceswap, tmp_path, arguments, answer, code):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    names = ("none", "file", "empty", "out", "x.h5")
    done = faceswap("faces", *(tmp_path / word if word.split("/")[0] in names else word for word in arguments), code=code)
    assert answer in done.stderr and done.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]


@pytest.fixture(scope="module")
def many(many_faces, tmp_path_factory) -> Path:
    return many_faces(tmp_path_factory.mktemp("many") / "faces", MANY)


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
@pytest.mark.parametrize("before", [False, True], ids=["new", "again"])
def test_broken_off_while_packing_nothing_half_made_has_the_name(faceswap, face_folders, many, tmp_path, number, before):
    path = tmp_path / "x.h5"
    if before:
        packing.pack([face_folders["a"]], path)
    arguments = "faces", "pack", "-i", many, "-o", path
    run = subprocess.Popen([sys.executable, str(ROOT / "faceswap.py"), *map(str, arguments)], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 600
    while not unfinished(tmp_path):
        assert run.poll() is None and time.monotonic() < deadline
    run.send_signal(number)
    _, said = run.communicate(timeout=600)
    assert run.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130) and b"Traceback" not in said
    assert bool(unfinished(tmp_path)) == (number == signal.SIGKILL)
    assert path.exists() == before and (not before or len(face_set.read_faces(path, 1)) == 12)
    faceswap(*arguments)
    assert len(face_set.read_faces(path, 1)) == MANY
    assert [one.name for one in tmp_path.iterdir()] == ["x.h5"]
