"""Faces bent to the pose and expression of another person's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lib.faces.faceset import list_faces, read_face
from lib.plugin import ALIGNERS, DETECTORS
from lib.training import retarget
from lib.training.data import Augmentation, Faces, region_map

SIZE = 128


@pytest.fixture(scope="module")
def people(face_folders) -> dict[str, Faces]:
    people = {}
    for identity, folder in face_folders.items():
        files = [read_face(path) for path in list_faces(folder)]
        people[identity] = Faces([file.image for file in files], [file.landmarks for file in files], "whole", SIZE, "full")
    return people


def test_a_bend_brings_what_is_at_the_landmarks_to_where_they_are_wanted(people):
    present, wanted = people["a"].shapes[0], people["b"].shapes[0]
    assert np.abs(wanted - present).max() * SIZE > 4, "there is something to bend"
    grid = np.arange(SIZE, dtype=np.float32)
    field = retarget.bend(wanted, present, SIZE)
    assert field.shape == (SIZE, SIZE, 2) and field.dtype == np.float32
    looked_at = np.dstack(np.meshgrid(grid, grid)) + field
    left = []
    for here, there in zip(wanted * SIZE - 0.5, present * SIZE - 0.5):
        if 0 <= here.min() and here.max() <= SIZE - 1:
            x, y = np.round(here).astype(int)
            left.append(np.linalg.norm(looked_at[y, x] + here - (x, y) - there))
    assert len(left) > 50 and np.mean(left) < 0.3 * np.linalg.norm(wanted - present, axis=1).mean() * SIZE


def test_equal_landmarks_bend_nothing(people):
    shape = people["a"].shapes[0]
    assert np.abs(retarget.bend(shape, shape, SIZE)).max() < 1e-3


def test_one_of_the_faces_that_stand_most_alike_is_bent(people):
    shapes, random = people["a"].shapes, np.random.default_rng(0)
    chosen = [retarget.nearest(shapes, shapes[3], random) for _ in range(60)]
    assert 3 in chosen and 1 < len(set(chosen)) <= retarget.CANDIDATES
    assert retarget.nearest(shapes[:1], shapes[3], random) == 0


def test_bent_faces_show_what_their_landmarks_and_regions_say(people):
    plain = people["a"].batch(range(12), Augmentation(), np.random.default_rng(2), people["b"])
    bent = people["a"].batch(range(12), Augmentation(retarget=1.0), np.random.default_rng(2), people["b"])
    assert np.abs(bent.target.astype(int) - plain.target).mean() > 3
    detector, aligner = DETECTORS.create("hog"), ALIGNERS.create("dlib68")
    errors = []
    for picture, points, regions in zip(bent.target, bent.landmarks * SIZE - 0.5, bent.regions):
        np.testing.assert_allclose(np.argwhere(regions[..., 0] > 127).mean(0), np.argwhere(region_map(points, SIZE)[..., 0] > 127).mean(0), atol=2)
        large = np.ascontiguousarray(cv2.resize(picture, (4 * SIZE, 4 * SIZE), interpolation=cv2.INTER_CUBIC))
        for detection in detector.detect([large])[0][:1]:
            found = (aligner.align(large, detection.box[None])[0] + 0.5) / 4 - 0.5
            errors.append(np.linalg.norm(found - points, axis=1)[17:].mean() / np.linalg.norm(points[36] - points[45]))
    assert len(errors) > 6 and np.median(errors) < 0.06
