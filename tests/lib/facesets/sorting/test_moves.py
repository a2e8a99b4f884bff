"""No file is lost, overwritten or moved out of its folder, and what was renamed gets its old name back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.facesets.face_file import Origin
from lib.facesets.sorting import moves
from lib.facesets.sorting.moves import Move, plain_name
from lib.facesets.sorting.order import Group, SortedFace


def face(folder: Path, name: str) -> SortedFace:
    origin = Origin("a.mp4", 7, 0)
    return SortedFace(folder / name, plain_name(name, origin), origin, np.zeros(1))


def contents(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.png")}


@pytest.fixture
def folder(tmp_path) -> Path:
    """Files that hold their own names."""
    for name in "x.png", "y.png", "z.png":
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize("name, plain", [
    ("a_000007_0.png", "a_000007_0.png"), ("00012_a_000007_0.png", "a_000007_0.png"), ("123456_a_000007_0-2.png", "a_000007_0-2.png"),
    ("00012_mine.png", "mine.png"), ("1234_mine.png", "1234_mine.png"), ("00012_.png", ".png")])
def test_the_rank_is_taken_off_and_nothing_else(name, plain):
    assert plain_name(name, Origin("/videos/a.mp4", 7, 0)) == plain


def test_digits_of_the_sources_own_name_stay():
    origin = Origin("/videos/20240131_trip.mp4", 7, 0)
    assert plain_name("20240131_trip_000007_0.png", origin) == "20240131_trip_000007_0.png"
    assert plain_name("00003_20240131_trip_000007_0.png", origin) == "20240131_trip_000007_0.png"


def test_names_sort_as_their_ranks_do(tmp_path):
    names = [f"{index}.png" for index in range(12)]
    named = [move.after for move in moves.named([Group("", [face(tmp_path, name) for name in names])], tmp_path, True)]
    assert named == sorted(named) and named[11] == "00011_11.png"
    many = moves.named([Group("", [face(tmp_path, "x.png")] * 100_001)], tmp_path, False)
    assert many[0].after == "000000_x.png" and many[-1].after == "100000_x.png"


def test_a_name_that_is_taken_is_not_given(folder):
    (folder / "00001_x.png").write_text("in the way")  # also where a file system ignores case
    (folder / "g").mkdir()
    (folder / "g" / "00000_y.png").write_text("in the way")
    named = moves.named([Group("g", [face(folder, "y.png")]), Group("", [face(folder, "X.png")])], folder, True)
    assert named == [Move("y.png", "g/00000_y-2.png"), Move("X.png", "00001_X-2.png")]


def test_each_undo_takes_one_sort_back(folder):
    before = contents(folder)
    moves.rename(folder, "blur", [Move("x.png", "00001_x.png"), Move("y.png", "g/00000_y.png"), Move("z.png", "z.png")])
    between = contents(folder)
    assert between == {"00001_x.png": "x.png", "g/00000_y.png": "y.png", "z.png": "z.png"}
    moves.rename(folder, "size", [Move("00001_x.png", "00000_x.png"), Move("z.png", "00001_z.png")])
    plan = moves.read_undo(folder)
    assert plan.by == "size" and plan.earlier == 1 and len(plan.moves) == 2
    moves.undo(folder, plan)
    assert contents(folder) == between
    moves.undo(folder, moves.read_undo(folder))
    assert contents(folder) == before and sorted(path.name for path in folder.iterdir()) == ["x.png", "y.png", "z.png"]
    with pytest.raises(FaceswapError, match="nothing to take back"):
        moves.read_undo(folder)


def test_a_sort_on_top_of_a_broken_off_one_is_taken_back_too(folder):
    before = contents(folder)
    moves.rename(folder, "blur", [Move("x.png", "00001_x.png"), Move("y.png", "00000_y.png")])
    (folder / "00000_y.png").rename(folder / "y.png")  # as if it had never come to this one
    moves.rename(folder, "blur", [Move("y.png", "00000_y.png")])
    moves.undo(folder, moves.read_undo(folder))
    moves.undo(folder, moves.read_undo(folder))
    assert contents(folder) == before


def test_files_that_are_gone_or_whose_old_name_is_taken(folder):
    moves.rename(folder, "blur", [Move(f"{name}.png", f"g/0000{rank}_{name}.png") for rank, name in enumerate("xyz")])
    (folder / "g" / "00000_x.png").unlink()
    (folder / "y.png").write_text("new")
    plan = moves.read_undo(folder)
    assert plan.gone == ["g/00000_x.png"] and plan.blocked == [Move("y.png", "g/00001_y.png")] and len(plan.moves) == 1
    moves.undo(folder, plan)
    assert contents(folder) == {"y.png": "new", "g/00001_y.png": "y.png", "z.png": "z.png"}
    (folder / "y.png").unlink()
    moves.undo(folder, moves.read_undo(folder))
    assert contents(folder) == {"y.png": "y.png", "z.png": "z.png"} and not (folder / "g").exists() and not list(folder.glob("*.jsonl"))


def test_folders_that_were_there_before_stay(folder):
    (folder / "g").mkdir()
    moves.rename(folder, "blur", [Move("x.png", "g/00000_x.png")])
    moves.undo(folder, moves.read_undo(folder))
    assert (folder / "g").is_dir()


def test_a_file_that_is_taken_away_meanwhile_stops_nothing(folder):
    assert moves.rename(folder, "blur", [Move("none.png", "00000_none.png"), Move("x.png", "00001_x.png")]) == ["none.png"]
    assert (folder / "00001_x.png").exists()


def test_nothing_is_overwritten(folder):
    with pytest.raises(FaceswapError, match="sort --undo"):
        moves.rename(folder, "blur", [Move("x.png", "00000_x.png"), Move("y.png", "z.png")])
    assert contents(folder) == {"00000_x.png": "x.png", "y.png": "y.png", "z.png": "z.png"}


@pytest.mark.parametrize("line", [{"before": "../x.png", "after": "x.png"}, {"before": "x.png", "after": "/tmp/x.png"},
                                  {"before": "a/b/x.png", "after": "x.png"}, {"before": "", "after": "x.png"},
                                  {"before": 3, "after": "x.png"}, {"after": "x.png"}, []], ids=str)
def test_a_log_that_leads_elsewhere_or_is_damaged_is_refused(folder, line):
    log = folder / "sort-undo-1.jsonl"
    log.write_text(json.dumps({"format": 1, "by": "blur", "folders": []}) + "\n" + json.dumps(line) + "\n")
    with pytest.raises(FaceswapError, match="sort-undo-1.jsonl is damaged"):
        moves.read_undo(folder)


@pytest.mark.parametrize("text", ["", "{", '{"format": 2, "by": "blur", "folders": []}', '{"format": 1, "by": "blur", "folders": [".."]}'])
def test_a_log_without_a_head_is_refused(folder, text):
    (folder / "sort-undo-1.jsonl").write_text(text)
    with pytest.raises(FaceswapError, match="sort-undo-1.jsonl is damaged"):
        moves.read_undo(folder)


def test_two_runs_do_not_sort_one_folder(folder):
    with moves.locked_folder(folder), pytest.raises(FaceswapError, match="Another run"):
        with moves.locked_folder(folder):
            pass
    with moves.locked_folder(folder):
        pass
