"""Brows are found in the picture, where they are and not where landmarks have them."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from lib.faces.brows import find_brows
from lib.faces.geometry import LEFT_EYE, RIGHT_EYE
from lib.faces.hair import removal
from lib.media.pictures import picture_file
from lib.plugin import ALIGNERS, DETECTORS


@pytest.fixture(scope="module")
def fitted():
    """`fitted(picture)` -> landmarks (68, 2) of its largest face."""
    detector, aligner = DETECTORS.create("hog"), ALIGNERS.create("dlib68")

    def fit(picture: np.ndarray) -> np.ndarray:
        box = max(detector.detect([picture])[0], key=lambda found: found.box[2] - found.box[0]).box
        return aligner.align([picture], [box[None]])[0][0]

    return fit


def brow_mask(picture: np.ndarray, landmarks: np.ndarray, margin: float = 0.0) -> np.ndarray:
    """(H, W) uint8: 255 on both brows and `margin` around them, in distances between the eyes."""
    mask = np.zeros(picture.shape[:2], np.uint8)
    for brow in find_brows(picture, landmarks):
        if brow is not None:
            cv2.fillPoly(mask, [np.rint(brow.outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    across = landmarks[LEFT_EYE].mean(0) - landmarks[RIGHT_EYE].mean(0)
    radius = round(margin * float(np.linalg.norm(across)))
    if not radius:
        return mask
    return cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2))


def test_both_brows_of_a_portrait_are_darker_than_what_is_around_them(astronaut, fitted):
    points = fitted(astronaut)
    grey = cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)
    mask = brow_mask(astronaut, points) > 127
    around = (brow_mask(astronaut, points, margin=0.15) > 127) & ~mask
    assert all(brow is not None for brow in find_brows(astronaut, points))
    assert np.median(grey[mask]) < np.median(grey[around]) - 10


def test_a_raised_brow_is_found_above_its_landmarks(shared, fitted):
    picture = cv2.resize(picture_file.read(shared("masks/1309.jpg")), (512, 512), interpolation=cv2.INTER_AREA)
    points = fitted(picture)
    apart = np.linalg.norm(points[36:42].mean(0) - points[42:48].mean(0))
    moved = points.copy()
    moved[17:27, 1] += 0.12 * apart  # as landmarks of raised brows lie below them
    for here, there in zip(find_brows(picture, points), find_brows(picture, moved)):
        assert np.abs(here.middle - there.middle)[1] < 0.08 * apart


def test_plain_skin_has_no_brows(astronaut, fitted):
    assert find_brows(np.full_like(astronaut, 170), fitted(astronaut)) == (None, None)


@pytest.mark.parametrize("name", ["1", "1112", "1309", "1319", "1321", "2095", "2116"])
def test_brows_of_photographs_lie_where_they_are_labelled(shared, fitted, name):
    picture, labels = (picture_file.read(shared(f"masks/{name}{ending}")) for ending in (".jpg", "_mask.png"))
    known = json.loads(shared("masks/labels.json").read_text())["labels"]
    values = [int(value) for value, label in known.items() if label.endswith("brow")]
    labelled = np.isin(labels[..., 0], values)
    points = fitted(picture)
    found = brow_mask(picture, points) > 127
    assert found.any() and (found & cv2.dilate(labelled.astype(np.uint8), np.ones((25, 25))).astype(bool)).sum() > 0.6 * found.sum()


@pytest.mark.parametrize("name", ["1", "1112", "1309", "1319", "2095", "2116"])
def test_brows_survive_that_hair_is_painted_over(shared, fitted, name):
    picture = cv2.resize(picture_file.read(shared(f"masks/{name}.jpg")), (512, 512), interpolation=cv2.INTER_AREA)
    points = fitted(picture)
    brows = brow_mask(picture, points) > 127
    painted = removal.paint_over_hair(picture, points)
    changed = np.abs(painted.astype(int) - picture).max(-1) > 25
    assert changed[brows].mean() < 0.25
