"""`evaluate` as its users run it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from lib.evaluation.reports.swap_report import ranges
from lib.faces.masks import hull
from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file
from lib.plugin import ALIGNERS, DETECTORS, WRITERS


@pytest.fixture
def clip(clips, tmp_path) -> Path:
    return Path(shutil.copy(clips[0], tmp_path / "a.mp4"))


@pytest.fixture(scope="module")
def softened(clips, tmp_path_factory) -> Path:
    """The clip with a softer and redder face: found again, and not the same."""
    detector, aligner = DETECTORS.create("hog"), ALIGNERS.create("dlib68")
    path, source = tmp_path_factory.mktemp("softened") / "soft.mp4", open_source(clips[0])
    with WRITERS.create("video").open(path, source) as sink:
        for frame in source:
            landmarks = aligner.align([frame.image], [detector.detect([frame.image])[0][0].box[None]])[0][0]
            mask = hull(landmarks, max(frame.image.shape))[:frame.image.shape[0], :frame.image.shape[1]]
            soft = cv2.GaussianBlur(frame.image, (0, 0), 1.5) * np.array((1.0, 0.9, 0.9))
            sink.write(frame, np.rint(frame.image + mask * (soft - frame.image)).astype(np.uint8))
    return path


def test_a_swap_gets_a_table_and_a_report(faceswap, astronaut, clip, clips, softened, tmp_path):
    (tmp_path / "others").mkdir()
    picture_file.write(tmp_path / "others" / "someone.png", astronaut)
    picture_file.write(tmp_path / "others" / "nobody.png", np.zeros_like(astronaut))
    done = faceswap("evaluate", clip, softened, "--reference", clips[1], "--gallery", tmp_path / "others",
                    "-o", tmp_path / "report", "-D", "hog")
    assert "Distance to B" in done.stdout and "Taken for B" in done.stdout
    assert "Taken for somebody else than B: A in 16 frames." in done.stdout or "someone.png in" in done.stdout
    assert "The gallery shows 1 other person." in done.stderr and "nobody.png" in done.stderr
    assert "Exactness outside" in done.stdout and "lower is better" in done.stdout
    count = sum(1 for _ in open_source(clip))
    said = json.loads((tmp_path / "report" / "report.json").read_text())
    assert said["frames"] == said["frames_with_face"] == count
    assert said["measures"]["swapped"]["value"] == 100 and said["measures"]["outside_psnr"]["value"] > 30
    rows = list(csv.DictReader((tmp_path / "report" / "frames.csv").open()))
    assert [int(row["frame"]) for row in rows] == list(range(1, count + 1)) and all(float(row["landmark_error"]) >= 0 for row in rows)
    page = (tmp_path / "report" / "report.html").read_text()
    assert page.count("<img") >= 4 and "data:image/jpeg;base64," in page and "http" not in page and "<script" not in page


def test_two_swaps_are_compared(faceswap, clip, softened, tmp_path):
    done = faceswap("evaluate", clip, softened, "--compare", softened, "-D", "hog", "-o", tmp_path / "report")
    assert "is compared with itself" in done.stderr
    beside = done.stdout.partition(f" against {softened}")[2]
    assert "Landmark error" in beside and "too few frames to tell" in beside and "better" not in beside
    said = json.loads((tmp_path / "report" / "report.json").read_text())
    assert said["compared"]["measures"] == said["measures"]
    assert all(one["first"] == one["second"] and one["low"] is None for one in said["compared"]["differences"].values())
    page = (tmp_path / "report" / "report.html").read_text()
    assert "soft.mp4 (second)" in page and page.count("<polyline") > 2 * page.count("<svg")


def test_a_face_that_is_none_is_told_and_not_measured(faceswap, own_plugins, clip, clips, tiny_swap, tmp_path):
    faceswap("convert", "-i", clip, "-o", tmp_path / "out.mp4", "-m", tiny_swap / "out.faceswap" / "model", "-D", "hog", "--no-exemplars",
             **own_plugins)  # its model learnt next to nothing
    done = faceswap("evaluate", clip, tmp_path / "out.mp4", "--reference", clips[1], "-D", "hog")
    assert "No face found where the original's was: frames 1-16" in done.stdout and "Distance to B" not in done.stdout
    assert "In 16 of 16 frames no face is found" in done.stderr


def test_unswapped_frames_do_not_make_a_swap_look_better(faceswap, clip, softened, tmp_path):
    for name, source in ("before", clip), ("after", softened), ("half", softened):
        (tmp_path / name).mkdir()
        for frame in open_source(source):
            picture_file.write(tmp_path / name / f"{frame.index:02d}.png", frame.image)
    for number in range(0, 16, 2):
        shutil.copy(tmp_path / "before" / f"{number:02d}.png", tmp_path / "half")
    done = faceswap("evaluate", tmp_path / "before", tmp_path / "after", "--compare", tmp_path / "half", "-D", "hog",
                    "-o", tmp_path / "report")
    said = json.loads((tmp_path / "report" / "report.json").read_text())
    whole, half = said["measures"], said["compared"]["measures"]
    assert half["swapped"]["value"] == 50 and whole["swapped"]["value"] == 100
    assert half["landmark_error"]["value"] > 0.6 * whole["landmark_error"]["value"]
    assert said["compared"]["not_swapped"] == list(range(1, 17, 2)) and "Frames swapped" in done.stdout


def test_pictures_are_compared_too(faceswap, astronaut, tmp_path):
    for name in "before", "after":
        (tmp_path / name).mkdir()
        for number in range(3):
            picture_file.write(tmp_path / name / f"{number}.png", astronaut)
    done = faceswap("evaluate", tmp_path / "before", tmp_path / "after", "-D", "hog")
    assert "Not swapped: 0.png, 1.png, 2.png." in done.stdout and "Not one face was changed" in done.stderr


def test_mistakes(faceswap, clip, clips, tmp_path):
    assert "needs SWAPPED" in faceswap("evaluate", clip, code=2).stderr
    assert "does not exist" in faceswap("evaluate", clip, tmp_path / "none.mp4", "-D", "hog", code=1).stderr
    picture_file.write(tmp_path / "one.png", next(iter(open_source(clip))).image)
    assert "differ in length" in faceswap("evaluate", clip, tmp_path / "one.png", "-D", "hog", code=1).stderr
    done = faceswap("evaluate", clip, clip, "--reference", tmp_path / "none", "-D", "hog", code=1)
    assert "does not exist" in done.stderr and "Finding faces" not in done.stderr
    assert "say with --reference" in faceswap("evaluate", clip, clip, "--gallery", tmp_path, "-D", "hog", code=2).stderr
    done = faceswap("evaluate", clip, clip, "-o", tmp_path / "one.png", "-D", "hog", code=1)
    assert "is a file. Name a folder" in done.stderr and "Finding faces" not in done.stderr


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
    assert "Frechet distance                      0 " in done.stdout and "KID" in done.stdout and "few" in done.stdout
    done = faceswap("evaluate", "--faces", tmp_path / "one", "--reference", face_folders["a"], code=1)
    assert "has 12 faces" in done.stderr and "at least 16" in done.stderr


def test_mistakes_about_sets(faceswap, clip, face_folders, tmp_path):
    done = faceswap("evaluate", clip, "--faces", face_folders["a"], "--compare", clip, code=2)
    assert "leave ORIGINAL and --compare out" in done.stderr
    assert "does not exist" in faceswap("evaluate", "--faces", tmp_path / "none", code=1).stderr
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in faceswap("evaluate", "--faces", tmp_path / "empty", code=1).stderr
