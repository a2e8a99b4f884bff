"""Faces bent to the pose and expression of another person's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lib.faces import bending
from lib.faces.bending import MOST_MOVED, crossed_share
from lib.facesets.face_file import read_face
from lib.facesets.folder import list_faces
from lib.plugin import ALIGNERS, DETECTORS
from lib.training.batches import retarget
from lib.training.batches.augmentation import Augmentation
from lib.training.batches.faces import Faces
from lib.training.batches.regions import region_map

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
    field = bending.spread(bending.bend(wanted, present), SIZE)
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
    assert np.abs(bending.spread(bending.bend(shape, shape), SIZE)).max() < 1e-3


def test_one_of_the_faces_that_stand_most_alike_is_bent(people):
    shapes = people["a"].shapes
    chosen = [retarget.nearest(shapes, shapes[3], place) for place in range(len(shapes))]
    assert chosen[0] == 3 and sorted(chosen) == list(range(len(shapes)))
    apart = [np.abs(shapes[index] - shapes[3])[17:].mean() for index in chosen]
    assert np.mean(apart[:4]) < np.mean(apart[-4:])


def test_bent_faces_show_what_their_landmarks_and_regions_say(people):
    plain = people["a"].batch(range(12), Augmentation(), np.random.default_rng(2), people["b"])
    bent = people["a"].batch(range(12), Augmentation(retarget=1.0), np.random.default_rng(2), people["b"])
    assert np.abs(bent.target.astype(int) - plain.target).mean() > 3
    detector, aligner = DETECTORS.create("hog"), ALIGNERS.create("dlib68")
    errors = []
    for picture, points, regions in zip(bent.target, bent.landmarks * SIZE - 0.5, bent.regions):
        found, expected = (np.argwhere(areas[..., 0] > 127).mean(0) for areas in (regions, region_map(points, SIZE)))
        np.testing.assert_allclose(found, expected, atol=2)
        large = np.ascontiguousarray(cv2.resize(picture, (4 * SIZE, 4 * SIZE), interpolation=cv2.INTER_CUBIC))
        for detection in detector.detect([large])[0][:1]:
            found = (aligner.align([large], [detection.box[None]])[0][0] + 0.5) / 4 - 0.5
            errors.append(np.linalg.norm(found - points, axis=1)[17:].mean() / np.linalg.norm(points[36] - points[45]))
    assert len(errors) > 6 and np.median(errors) < 0.06


def test_between_open_lips_is_what_the_other_shows_there(people):
    picture, lips = people["a"].images[0].copy(), people["a"].landmarks[0][48:].copy()
    colors = people["a"].colors[0]
    lips[12:], closed = lips[:12:2][[0, 1, 2, 3, 3, 4, 5, 0]], lips.copy()  # the opening reaches the lips' outline
    closed[12:, 1] = closed[12:, 1].mean()
    before = picture.copy()
    red = np.zeros_like(picture) + np.uint8((250, 10, 10))
    retarget.fill_mouth(picture, closed, colors, red, lips, np.array([[250, 10, 10], [50, 50, 50]]))
    np.testing.assert_array_equal(picture, before)

    retarget.fill_mouth(picture, lips, colors, red, lips, np.array([[200, 60, 60], [50, 50, 50]]))  # one deviation above, two ones below
    changed = (picture != before).any(-1)
    ys, xs = np.nonzero(changed)
    assert changed.sum() > 20 and lips.min(0)[0] - 3 <= xs.min() and xs.max() <= lips.max(0)[0] + 3
    assert lips.min(0)[1] - 3 <= ys.min() and ys.max() <= lips.max(0)[1] + 3
    x, y = np.round(lips[[14, 18]].mean(0)).astype(int)
    np.testing.assert_allclose(picture[y, x], np.clip(colors[0] + colors[1] * (1, -1, -1), 0, 255), atol=2)


def test_the_colours_of_a_face_are_those_of_its_skin():
    image = np.full((10, 10, 3), 9, np.uint8)
    face = np.zeros((10, 10), np.uint8)
    image[2:6, :, :], image[2:4, :, 1], face[2:6] = (100, 50, 20), 70, 255
    mean, deviation = retarget.face_colors(image, face)
    np.testing.assert_allclose(mean, (100, 60, 20))
    np.testing.assert_allclose(deviation, np.sqrt(100 / 3))


def test_a_crossed_face_is_drawn_from_the_other_person_whom_it_stands_like(people):
    crossed = people["a"].batch(range(12), Augmentation(retarget=1.0, crossed=1.0), np.random.default_rng(4), people["b"])
    others = people["b"].batch(range(len(people["b"])), Augmentation(), np.random.default_rng(0))
    for source, target, regions, points in zip(*crossed):
        same = (others.input == source).all(axis=(1, 2, 3))
        assert same.any() and (target != source).any()
        np.testing.assert_allclose(points, others.landmarks[same][0], atol=1e-6)
        brow, chin = (np.argwhere(drawn[..., 0] > 127)[[0, -1], 0] for drawn in (regions, region_map(points * SIZE - 0.5, SIZE)))
        assert np.abs(brow - chin).max() < 0.1 * SIZE, "target and input have their faces in the same place"


def test_light_grows_across_a_crossed_face_as_on_the_other(people):
    side = people["a"].batch([0], Augmentation(), np.random.default_rng(0))
    dark, face = side.target[0] // 2, side.regions[0, ..., 0]  # no pixel is clipped
    x = np.linspace(-1, 1, SIZE)[None, :, None]
    other = np.rint(dark * np.exp(0.4 * x)).astype(np.uint8)
    lit = retarget.lit_like(dark, other, face)
    clear = (face > 127) & (dark.min(-1) > 30)  # rounding matters little
    brighter = np.log(lit[clear].sum(-1) / dark[clear].sum(-1))
    slope, _ = np.polyfit(np.broadcast_to(x[..., 0], face.shape)[clear], brighter, 1)
    assert abs(slope - 0.4) < 0.08 and np.abs(brighter).max() < 0.4, "brighter on one side and darker on the other"
    np.testing.assert_array_equal(retarget.lit_like(dark, other, np.zeros_like(face)), dark)


def test_a_crossed_face_keeps_as_much_of_its_build_as_landmarks_may_move():
    other = np.random.default_rng(5).random((68, 2))
    eyes = np.linalg.norm(other[36:42].mean(0) - other[42:48].mean(0))
    like, unlike = (other + moved * eyes * np.float64([0.6, 0.8]) for moved in (0.02, 0.2))
    share = crossed_share(like, other)
    np.testing.assert_array_equal(share, np.repeat([[0.0], [1.0]], [17, 51], axis=0), "all but the jaw")
    moved = np.linalg.norm(crossed_share(unlike, other) * (unlike - other), axis=1)
    np.testing.assert_allclose(moved.mean(), MOST_MOVED * eyes, rtol=1e-5)
    assert not moved[:17].any()
