from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lib.faces.traits import width
from lib.facesets.face_file import read_face
from lib.facesets.folder import list_faces, write_face
from lib.facesets.sorting.moves import MARK
from lib.files.writing import part_beside
from lib.media.pictures import picture_file

ROOT = Path(__file__).resolve().parent.parent.parent
MANY = 2500  # faces of the folder in which renaming is broken off


@pytest.fixture
def faces(face_folders, tmp_path) -> Path:
    """A face folder of two people, 12 faces each."""
    for folder in face_folders.values():
        shutil.copytree(folder, tmp_path / "faces", dirs_exist_ok=True)
    return tmp_path / "faces"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")}


def test_sorted_copies_are_faces_in_order(faceswap, faces, tmp_path):
    before = contents(faces)
    done = faceswap("sort", "-i", faces, "-o", tmp_path / "out", "--by", "size")
    assert "Copied 24 faces, sorted by size" in done.stderr
    names = [path.name for path in sorted((tmp_path / "out").iterdir())]
    assert len(names) == 24 and [int(name[:5]) for name in names] == list(range(24))
    widths = [width(read_face(path).aligned.face) for path in list_faces(tmp_path / "out")]
    assert widths == sorted(widths, reverse=True) and len(set(widths)) > 3
    assert contents(faces) == before == {name[6:]: data for name, data in contents(tmp_path / "out").items()}


def test_two_people_come_into_two_folders(faceswap, faces, tmp_path):
    faceswap("sort", "-i", faces, "-o", tmp_path / "out", "--by", "identity", "--group", 5)
    found = {folder.name: {read_face(path).origin.source for path in list_faces(folder)} for folder in (tmp_path / "out").iterdir()}
    assert sorted(found) == ["1_person", "2_person"] and sorted(map(len, found.values())) == [1, 1]
    assert len(contents(tmp_path / "out")) == 24


def test_in_place_twice_and_back(faceswap, faces):
    before = contents(faces)
    said = faceswap("sort", "-i", faces, "--by", "blur").stderr
    assert f"sort -i {faces} --undo takes it back" in said
    blur = contents(faces)
    assert sorted(blur.values()) == sorted(before.values()) and {name[6:] for name in blur} == set(before)
    assert "in this order already" in faceswap("sort", "-i", faces, "--by", "blur").stderr
    faceswap("sort", "-i", faces, "--by", "time")
    assert {name[6:] for name in contents(faces)} == set(before)  # no rank before a rank
    assert [read_face(path).origin.frame for path in list_faces(faces)] == [*range(12), *range(12)]
    assert "1 earlier sort can be taken back" in faceswap("sort", "-i", faces, "--undo").stderr
    assert contents(faces) == blur
    faceswap("sort", "-i", faces, "--undo")
    assert contents(faces) == before and not [path for path in faces.iterdir() if path.suffix != ".png"]
    assert "nothing to take back" in faceswap("sort", "-i", faces, "--undo", code=1).stderr


def test_groups_in_place_and_back(faceswap, faces):
    before = contents(faces)
    faceswap("sort", "-i", faces, "--by", "pose-yaw", "--group", 3)
    assert not list_faces(faces) and len(contents(faces)) == 24
    assert "--undo" in faceswap("sort", "-i", faces, "--by", "blur", code=1).stderr
    assert "24 files would get" in faceswap("sort", "-i", faces, "--undo", "--dry-run").stderr and not list_faces(faces)
    faceswap("sort", "-i", faces, "--undo")
    assert contents(faces) == before and not any(path.is_dir() for path in faces.iterdir())


def test_extract_does_not_write_renamed_faces_again(faceswap, clips, tmp_path):
    clip = shutil.copy(clips[0], tmp_path / "clip.mp4")
    faceswap("extract", "-i", clip, "-o", tmp_path / "faces", "-D", "hog")
    faceswap("sort", "-i", tmp_path / "faces", "--by", "expression")
    assert "Faces: 0 new" in faceswap("extract", "-i", clip, "-o", tmp_path / "faces", "-D", "hog").stderr
    assert len(list_faces(tmp_path / "faces")) == 16


@pytest.mark.parametrize("more", [(), ("--group", 2), ("-o", "out"), ("-o", "out", "--group", 2)], ids=str)
def test_a_dry_run_tells_and_changes_nothing(faceswap, faces, tmp_path, more):
    there = sorted(tmp_path.rglob("*"))
    more = [tmp_path / word if word == "out" else word for word in more]
    done = faceswap("sort", "-i", faces, "--by", "size", "--dry-run", *more)
    assert "24 faces would be sorted by size. Nothing was changed." in done.stderr and "... and 14 more" in done.stdout
    assert (" 12 in 0_" in done.stdout) == ("--group" in more)
    assert sorted(tmp_path.rglob("*")) == there


def test_what_is_no_face_is_told_and_left_alone(faceswap, faces, tmp_path, astronaut):
    picture_file.write(faces / "photo.png", astronaut)
    (faces / "notes.txt").write_text("mine")
    done = faceswap("sort", "-i", faces, "-o", tmp_path / "out", "--by", "blur")
    assert "Left alone, since extract did not make them: photo.png, notes.txt." in done.stderr
    assert len(list_faces(tmp_path / "out")) == 24
    faceswap("sort", "-i", faces, "--by", "blur")
    assert (faces / "photo.png").exists() and (faces / "notes.txt").exists()


def test_a_damaged_face_is_named_and_left_alone(faceswap, faces):
    damaged, flat = list_faces(faces)[5:7]
    damaged.write_bytes(damaged.read_bytes()[:-3000])
    file = read_face(flat)
    write_face(faces, replace(file.aligned, face=replace(file.aligned.face, landmarks=np.ones((68, 2), np.float32))), file.origin)
    done = faceswap("sort", "-i", faces, "--by", "pose-pitch", code=3)
    assert f"{damaged} is damaged" in done.stderr and f"{flat} is damaged (its landmarks lie on one spot)" in done.stderr
    assert damaged.exists() and flat.exists() and len([path for path in list_faces(faces) if path.name[:5].isdigit()]) == 22


def test_nothing_but_damaged_faces(faceswap, tmp_path):
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "x.png").write_text("no picture")
    assert "x.png does not say where its face is" in faceswap("sort", "-i", tmp_path / "faces", "--by", "blur", code=1).stderr


@pytest.mark.parametrize("arguments, answer, code", [
    (("-i", "none", "--by", "blur"), "none does not exist", 1),
    (("-i", "file", "--by", "blur"), "file is a file", 1),
    (("-i", "empty", "--by", "blur"), "There are no faces", 1),
    (("-i", "empty", "-o", "empty/../empty", "--by", "blur"), "are the same", 1),
    (("-i", "empty", "-o", "file", "--by", "blur"), "it is a file", 1),
    (("-i", "empty"), "needs --by, or --undo", 2),
    (("-i", "empty", "--by", "blurr"), "Did you mean 'blur'?", 2),
    (("-i", "empty", "--by", "blur", "--group", "0"), "at least 1", 2),
    (("-i", "empty", "--undo"), "nothing to take back", 1),
    (("-i", "empty", "--undo", "--by", "blur", "--group", "2"), "leave --by and --group out", 2)], ids=str)
def test_mistakes_are_answered(faceswap, tmp_path, arguments, answer, code):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    places = [tmp_path / word if word.split("/")[0] in ("none", "file", "empty") else word for word in arguments]
    done = faceswap("sort", *places, code=code)
    assert answer in done.stderr and done.stderr.count("\n") == 1
    assert not list((tmp_path / "empty").iterdir())


def test_an_output_with_other_pictures_is_refused_before_the_work(faceswap, faces, tmp_path):
    out = tmp_path / "out"
    faceswap("sort", "-i", faces, "-o", out, "--by", "size", "--group", 2)
    before = contents(out)
    for by in "size", "identity":
        done = faceswap("sort", "-i", faces, "-o", out, "--by", by, code=1)
        assert f"{out} holds pictures already" in done.stderr and "Looking" not in done.stderr
    assert contents(out) == before


def test_copying_that_was_broken_off_goes_on(faceswap, faces, tmp_path):
    out = tmp_path / "out"
    arguments = ("sort", "-i", faces, "-o", out, "--by", "size")
    faceswap(*arguments)
    whole = contents(out)
    for path in list_faces(out)[10:]:
        path.unlink()
    mark = f'{{"input": "{faces}", "by": "size", "group": null}}'
    (out / MARK).write_text(mark)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = part_beside(out / max(whole))
    left = left.with_name(left.name.replace(f"-{os.getpid()}-", f"-{ended.pid}-"))
    left.write_text("half")
    faceswap(*arguments)
    assert contents(out) == whole and not list(out.glob(".*"))
    (out / MARK).write_text(mark)
    list_faces(faces)[0].unlink()  # other faces now: their ranks would mix with those that lie there
    assert "other pictures already" in faceswap(*arguments, code=1).stderr and contents(out) == whole


@pytest.fixture(scope="module")
def many(many_faces, tmp_path_factory) -> Path:
    return many_faces(tmp_path_factory.mktemp("many") / "faces", MANY)


@pytest.mark.skipif(sys.platform == "win32", reason="has no signal to end another process at once")
def test_killed_while_renaming_nothing_is_lost_and_all_goes_back(faceswap, many):
    before = contents(many)
    moments = random.Random(3)
    reached = []
    for trial in range(int(os.environ.get("FACESWAP_TEST_KILLS", 4))):
        group = ["--group", "7"] if trial % 2 else []
        enough = trial and moments.randrange(1, MANY // 2)  # first at once, then in the midst
        _killed_when(lambda: (many / "sort-undo-1.jsonl").exists() and _renamed(many) >= enough, "-i", many, "--by", "time", *group)
        there = contents(many)
        assert sorted(there.values()) == sorted(before.values())
        reached.append(len(set(there) - set(before)))
        count = len(there)
        _killed_when(lambda: len(list(many.glob("a_*.png"))) > count - reached[-1], "-i", many, "--undo")
        assert sorted(contents(many).values()) == sorted(before.values())
        if (many / "sort-undo-1.jsonl").exists():
            faceswap("sort", "-i", many, "--undo")
        assert contents(many) == before and not any(path.is_dir() for path in many.iterdir())
    assert any(0 < count < MANY for count in reached), reached


def _renamed(folder: Path) -> int:
    """How many faces have a rank before their names."""
    return sum(1 for path in folder.rglob("[0-9][0-9][0-9][0-9][0-9]_*.png"))


def _killed_when(ready, *arguments) -> None:
    """Runs `sort`, and kills it once `ready()`, if it has not ended by then."""
    run = subprocess.Popen([sys.executable, str(ROOT / "faceswap.py"), "sort", *map(str, arguments)], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while run.poll() is None and not ready():
        assert time.monotonic() < deadline
    run.send_signal(signal.SIGKILL)
    run.wait()
