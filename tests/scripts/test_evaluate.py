"""`evaluate` as its users run it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from lib.evaluation.report import ranges
from lib.media import pictures
from lib.media.source import open_source


@pytest.fixture
def clip(clips, tmp_path) -> Path:
    return Path(shutil.copy(clips[0], tmp_path / "a.mp4"))


def test_a_swap_gets_a_table_and_a_report(faceswap, astronaut, clip, clips, tiny_swap, tmp_path):
    (tmp_path / "others").mkdir()
    pictures.write(tmp_path / "others" / "someone.png", astronaut)
    done = faceswap("evaluate", clip, tiny_swap / "out.mp4", "--reference", clips[1], "--gallery", tmp_path / "others",
                    "-o", tmp_path / "report", "-D", "hog")
    assert "Distance to B" in done.stdout and "Taken for B" in done.stdout
    assert "Exactness outside" in done.stdout and "lower is better" in done.stdout
    count = sum(1 for _ in open_source(clip))
    said = json.loads((tmp_path / "report" / "report.json").read_text())
    assert said["frames"] == said["frames_with_face"] == count
    assert said["measures"]["swapped"]["value"] == 100 and said["measures"]["outside_psnr"]["value"] > 30
    rows = list(csv.DictReader((tmp_path / "report" / "frames.csv").open()))
    assert [int(row["frame"]) for row in rows] == list(range(count)) and all(float(row["landmark_error"]) >= 0 for row in rows)
    page = (tmp_path / "report" / "report.html").read_text()
    assert page.count("<img") >= 4 and "data:image/jpeg;base64," in page and "http" not in page and "<script" not in page


def test_two_swaps_are_compared(faceswap, clip, tiny_swap, tmp_path):
    done = faceswap("evaluate", clip, tiny_swap / "out.mp4", "--compare", clip, "-D", "hog", "-o", tmp_path / "report")
    assert "Landmark error" in done.stdout.partition("against")[2] and "second is better" in done.stdout
    said = json.loads((tmp_path / "report" / "report.json").read_text())["compared"]
    assert said["measures"]["landmark_error"]["value"] == 0 and said["differences"]["landmark_error"]["high"] < 0
    page = (tmp_path / "report" / "report.html").read_text()
    assert "a.mp4 (second)" in page and "second is better" in page and page.count("<polyline") > 2 * page.count("<svg")


def test_pictures_are_compared_too(faceswap, astronaut, tmp_path):
    for name in "before", "after":
        (tmp_path / name).mkdir()
        for number in range(3):
            pictures.write(tmp_path / name / f"{number}.png", astronaut)
    done = faceswap("evaluate", tmp_path / "before", tmp_path / "after", "-D", "hog")
    assert "Not swapped: frames 0-2" in done.stdout


def test_mistakes(faceswap, clip, clips, tmp_path):
    assert "needs SWAPPED" in faceswap("evaluate", clip, code=2).stderr
    assert "does not exist" in faceswap("evaluate", clip, tmp_path / "none.mp4", "-D", "hog", code=1).stderr
    pictures.write(tmp_path / "one.png", next(iter(open_source(clip))).image)
    assert "not of one length" in faceswap("evaluate", clip, tmp_path / "one.png", "-D", "hog", code=1).stderr
    done = faceswap("evaluate", clip, clip, "--reference", tmp_path / "none", "-D", "hog", code=1)
    assert "does not exist" in done.stderr


def test_ranges():
    assert ranges([3, 4, 5, 9, 11, 12]) == "3-5, 9, 11-12" and ranges([]) == ""


def test_a_set_of_faces_is_measured(faceswap, face_folders, tmp_path):
    done = faceswap("evaluate", "--faces", face_folders["b"], "--source", face_folders["a"], "-o", tmp_path / "report")
    assert "12 faces in" in done.stdout and "Nearly the same" in done.stdout and "one like them here" in done.stdout
    assert "There are only" in done.stdout.partition("Advice")[2]
    said = json.loads((tmp_path / "report" / "faces.json").read_text())
    assert said["count"] == 12 and said["covered"].keys() == {"pose", "light", "expression"} and said["advice"]
    rows = list(csv.DictReader((tmp_path / "report" / "faces.csv").open()))
    assert len(rows) == 12 and all(20 < float(row["light"]) < 100 and 0 < float(row["blur"]) < 1 for row in rows)
    page = (tmp_path / "report" / "faces.html").read_text()
    assert page.count("<img") >= 12 and page.count("<svg") == 9 and "http" not in page and "<script" not in page


def test_sets_are_set_against_each_other(faceswap, face_folders, tmp_path):
    for name in "one", "two":
        (tmp_path / name).mkdir()
        for identity, folder in face_folders.items():
            for path in folder.glob("*.png"):
                shutil.copy(path, tmp_path / name / f"{identity}{path.name}")
    done = faceswap("evaluate", "--faces", tmp_path / "one", "--reference", tmp_path / "two")
    assert "Frechet distance                  0.000" in done.stdout and "KID" in done.stdout and "few" in done.stdout
    done = faceswap("evaluate", "--faces", tmp_path / "one", "--reference", face_folders["a"], code=1)
    assert "has 12 faces" in done.stderr and "at least 16" in done.stderr


def test_mistakes_about_sets(faceswap, clip, face_folders, tmp_path):
    done = faceswap("evaluate", clip, "--faces", face_folders["a"], "--compare", clip, code=2)
    assert "leave ORIGINAL and --compare out" in done.stderr
    assert "does not exist" in faceswap("evaluate", "--faces", tmp_path / "none", code=1).stderr
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in faceswap("evaluate", "--faces", tmp_path / "empty", code=1).stderr
