"""`train -t occlusion` and the masker `occlusion`: what covers a face is learnt, and found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from lib.alignments.store import AlignmentStore
from lib.faces.geometry import crop, transform_points
from lib.media.pictures import picture_file
from lib.plugin import ALIGNERS, DETECTORS, MASKERS
from lib.training.saved import checkpoint
from lib.types import Face

SMALL = ("-t", "occlusion", "--model.size", 96, "--model.width", 6, "-b", 8, "--precision", "float32", "--seed", 3)
ITERATIONS = 150


@pytest.fixture(scope="module")
def model(faceswap, face_folders, tmp_path_factory) -> Path:
    """A small model that was trained for some seconds on faces of one person."""
    folder = tmp_path_factory.mktemp("occlusion") / "model"
    done = faceswap("train", *SMALL, "-A", face_folders["a"], "-m", folder, "-i", ITERATIONS)
    assert f"Done at iteration {ITERATIONS}" in done.stderr
    return folder


@pytest.fixture
def portrait(astronaut) -> tuple[np.ndarray, Face]:
    box = DETECTORS.create("hog").detect([astronaut])[0][0]
    return astronaut, Face(box, ALIGNERS.create("dlib68").align([astronaut], [box.box[None]])[0][0])


def mask_of(model: Path, image: np.ndarray, face: Face, size: int = 256, coverage: str = "whole") -> np.ndarray:
    return MASKERS.create("occlusion", model=model).mask(crop(image, face, size, coverage))[..., 0]


def with_cover(image: np.ndarray, face: Face) -> tuple[np.ndarray, np.ndarray]:
    """The picture with a blue board over mouth and chin, and its corners."""
    mouth = face.landmarks[48:68].mean(0)
    half = 0.4 * np.ptp(face.landmarks[:17, 0])
    corners = mouth + half * np.array([(-1, -0.5), (1, -0.5), (1, 0.9), (-1, 0.9)])
    covered = image.copy()
    cv2.fillPoly(covered, [np.rint(corners).astype(np.int32)], (20, 60, 200))
    return covered, corners


@pytest.mark.parametrize("coverage, size", [("whole", 256), ("full", 128)])
def test_a_large_cover_is_found_and_the_face_is_not(model, portrait, coverage, size):
    image, face = portrait
    covered, corners = with_cover(image, face)
    before, after = (mask_of(model, picture, face, size, coverage) for picture in (image, covered))
    aligned = crop(image, face, size, coverage)
    board = np.zeros((size, size), np.uint8)
    cv2.fillPoly(board, [np.rint(transform_points(corners, aligned.matrix)).astype(np.int32)], 1)
    hull = MASKERS.create("hull").mask(aligned)[..., 0] > 0.5
    board, free = hull & (board > 0), hull & (board == 0)
    assert before[hull].mean() > 0.8 and before[board].mean() > 0.8
    assert after[board].mean() < before[board].mean() - 0.25 and after[free].mean() > 0.75


def test_a_training_resumes_and_its_masks_are_made_again(faceswap, model, face_folders, tmp_path, clips):
    shutil.copytree(model, tmp_path / "model")
    shutil.copy(clips[0], tmp_path / "clip.mp4")
    made = ("mask", "-i", tmp_path / "clip.mp4", "-M", "occlusion", "--masker.model", tmp_path / "model", "-o", tmp_path / "look")
    faceswap("extract", "-i", tmp_path / "clip.mp4", "-D", "hog")
    assert "Made masks" in faceswap(*made).stderr and "All faces had these masks" in faceswap(*made).stderr
    assert list((tmp_path / "look").glob("*.png"))
    before = (tmp_path / "model" / "occlusion.onnx").read_bytes()
    done = faceswap("train", *SMALL, "-A", face_folders["a"], "-m", tmp_path / "model", "-i", ITERATIONS + 3)
    assert f"Resuming from iteration {ITERATIONS}" in done.stderr
    assert checkpoint.newest(tmp_path / "model")[1].iteration == ITERATIONS + 3
    assert (tmp_path / "model" / "occlusion.onnx").read_bytes() != before
    assert "Made masks" in faceswap(*made).stderr
    with AlignmentStore.open(tmp_path / "clip.mp4.alignments.db", read_only=True) as store:
        assert store.faces(0)[0].masks["occlusion"].shape == (128, 128, 1)
        assert "digest" in str(store.state.maskers["occlusion"]) or "network" in store.state.maskers["occlusion"]


def test_labels_and_cut_outs_are_taken(faceswap, face_folders, tmp_path):
    faces = sorted(face_folders["a"].glob("*.png"))
    (tmp_path / "covers").mkdir()
    (tmp_path / "painted").mkdir()
    rgba = np.zeros((40, 60, 4), np.uint8)
    rgba[5:35, 5:55] = (0, 200, 0, 255)
    cv2.imwrite(str(tmp_path / "covers" / "board.png"), rgba)
    painted = np.full((64, 64, 3), 255, np.uint8)
    painted[40:] = 0
    cv2.imwrite(str(tmp_path / "painted" / f"{faces[0].stem}_mask.png"), painted)
    faceswap("train", *SMALL, "-A", face_folders["a"], "-m", tmp_path / "model", "-i", 2, "--labels", tmp_path / "painted",
             "--covers", tmp_path / "covers")
    log = [json.loads(line) for line in (tmp_path / "model" / "log.jsonl").read_text().splitlines()]
    assert 0 < log[-1]["overlap of covers"] < 1 and 0 < log[-1]["seen as seen"] < 1
    assert picture_file.read(tmp_path / "model" / "preview.png").shape[1] == 5 * 128


@pytest.mark.parametrize("options, words", [
    (("-B", "b"), "leave -B out"), (("--labels", "nothing"), "--labels nothing says nothing"), (("--covers", "nowhere"), "no folder"),
    (("--find-rate",), "--find-rate is for models that draw faces"), (("-M", "hull"), "-M/--mask is for models"),
    (("--loss", "mse"), "--loss is not for occlusion"), (("--until", "plateau"), "--until is for models"),
    (("--augment", "device"), "--augment device"), (("--warp", 1), "--warp is for models that draw faces"), (("--model.size", "99"), "must be one of")])
def test_bad_options_are_answered_in_one_line(faceswap, face_folders, tmp_path, options, words):
    options = [face_folders["b"] if text == "b" else text for text in options]
    done = faceswap("train", *SMALL, "-A", face_folders["a"], "-m", tmp_path / "model", "-i", 2, *options, code=None)
    assert done.returncode in (1, 2) and words in done.stderr.splitlines()[-1]
    assert not (tmp_path / "model").exists() or not list((tmp_path / "model").glob("saves/*"))


def test_models_that_draw_faces_take_no_labels(faceswap, face_folders, tmp_path):
    for option in ("--labels", "--covers"):
        done = faceswap("train", "-A", face_folders["a"], "-B", face_folders["b"], "-m", tmp_path / "model", option, tmp_path, code=2)
        assert f"{option} is for the model occlusion" in done.stderr


def test_folders_without_such_a_network_are_named(faceswap, model, clips, tmp_path):
    shutil.copy(clips[0], tmp_path / "clip.mp4")
    done = faceswap("extract", "-i", tmp_path / "clip.mp4", "-M", "occlusion", "--masker.model", tmp_path, code=1)
    assert f"{tmp_path} holds no network that finds covers" in done.stderr
    done = faceswap("convert", "-i", tmp_path / "clip.mp4", "-o", tmp_path / "out.mp4", "-m", model, code=1)
    assert "finds what covers faces and swaps none" in done.stderr
    done = faceswap("generate", "-m", model, "-o", tmp_path / "out", code=1)
    assert "draws no new faces" in done.stderr
    shutil.copytree(model, tmp_path / "damaged")
    (tmp_path / "damaged" / "occlusion.onnx").write_bytes(b"no network")
    done = faceswap("extract", "-i", tmp_path / "clip.mp4", "-M", "occlusion", "--masker.model", tmp_path / "damaged", code=1)
    assert "is not a network" in done.stderr
