"""Batches: what the network is shown, and that it is repeatable."""

from __future__ import annotations

import contextlib
import itertools

import cv2
import numpy as np
import pytest

from lib.faces import geometry
from lib.faces.geometry import MIRRORED
from lib.facesets.face_file import read_face
from lib.facesets.folder import list_faces
from lib.plugin import ALIGNERS, DETECTORS
from lib.training.batches.augmentation import CLASSIC, NONE, Augmentation
from lib.training.batches.batch import Side
from lib.training.batches.chance import Chance
from lib.training.batches.faces import Faces
from lib.training.batches.feed import Feed, Host
from lib.training.batches.regions import region_map
from lib.types import Face

SIZE = 64


@pytest.fixture(scope="module")
def files(face_folders):
    return [read_face(path) for path in list_faces(face_folders["a"])]


@pytest.fixture(scope="module")
def faces(files) -> Faces:
    return Faces([file.image for file in files], [file.landmarks for file in files], "whole", SIZE, "full")


@pytest.fixture(scope="module")
def face(astronaut) -> Face:
    """The face of the portrait, seen large."""
    (detection, *_), = DETECTORS.create("hog").detect([astronaut])
    return Face(detection, ALIGNERS.create("dlib68").align([astronaut], [detection.box[None]])[0][0])


def two(faces: Faces, augmentation: Augmentation = CLASSIC, seed: int = 7, **options) -> Feed:
    both = {"a": faces, "b": faces}
    return Feed(Host(both, Chance({"a": len(faces), "b": len(faces)}, SIZE, 5, augmentation, seed)), **options)


def first(feed: Feed, count: int) -> list:
    with contextlib.closing(feed):
        return [{identity: Side(*(array[0] for array in side)) for identity, side in feed.take().items()} for _ in range(count)]


def assert_same(one, other) -> None:
    for identity in "ab":
        for field in one[identity]._fields:
            np.testing.assert_array_equal(getattr(one[identity], field), getattr(other[identity], field))


def test_mirroring_twice_gives_the_same_points():
    np.testing.assert_array_equal(MIRRORED[MIRRORED], np.arange(68))


def test_points_of_a_mirrored_face_are_those_of_its_mirror_image(astronaut, face):
    mirrored = np.ascontiguousarray(astronaut[:, ::-1])
    (detection, *_), = DETECTORS.create("hog").detect([mirrored])
    found = ALIGNERS.create("dlib68").align([mirrored], [detection.box[None]])[0][0]
    expected = face.landmarks[MIRRORED] * (-1, 1) + (astronaut.shape[1] - 1, 0)
    between_eyes = np.linalg.norm(expected[36] - expected[45])
    distance = np.linalg.norm(found - expected, axis=1) / between_eyes
    assert np.median(distance) < 0.05 and distance.max() < 0.25
    right_names = np.linalg.norm(found[:, None] - expected[None], axis=2).argmin(1) == np.arange(68)
    assert right_names.mean() > 0.7, "points of the mouth lie near each other, yet most must be nearest to their own"


def test_what_a_model_is_given(faces):
    batch = first(two(faces), 1)[0]
    assert list(batch) == ["a", "b"]
    for side in batch.values():
        for picture in (side.input, side.target, side.regions):
            assert picture.shape == (5, SIZE, SIZE, 3) and picture.dtype == np.uint8
        assert side.landmarks.shape == (5, 68, 2) and side.landmarks.dtype == np.float32
        assert 0 < side.landmarks[:, geometry.INNER].min() and side.landmarks[:, geometry.INNER].max() < 1


def test_batches_follow_from_seed_and_number_alone(faces):
    one, other = first(two(faces, threads=1), 6), first(two(faces, threads=3, ahead=2), 6)
    for batch, same in zip(one, other):
        assert_same(batch, same)
    assert_same(first(two(faces, start=4), 2)[1], one[5])
    assert (first(two(faces, seed=8), 1)[0]["a"].target != one[0]["a"].target).any()
    assert (one[0]["a"].target != one[0]["b"].target).any(), "the sides are drawn apart"


@pytest.mark.parametrize("size", [5, 4, 7, 24])
def test_every_face_is_seen_equally_often(faces, size):
    host = Host({"a": faces}, Chance({"a": len(faces)}, SIZE, size, NONE, seed=1))
    plain = faces.batch(range(len(faces)), NONE, np.random.default_rng(0)).target
    seen = np.zeros(len(faces), int)
    for number in range(len(faces)):
        for target in host(number)["a"].target:
            seen += (plain == target).all(axis=(1, 2, 3))
    assert (seen == size).all()


def test_every_third_batch_is_the_one_before_it_unwarped(faces):
    plain, resting = (first(two(faces, augmentation=Augmentation(warp=1.0, rotation=5.0, unwarped=every)), 6) for every in (0, 3))
    for number in (0, 1, 3, 4):
        assert_same(plain[number], resting[number])
    for number in (2, 5):
        for identity, side in resting[number].items():
            np.testing.assert_array_equal(side.target, plain[number - 1][identity].target)
            np.testing.assert_array_equal(side.input, side.target)
            assert (plain[number - 1][identity].input != side.input).any()


def test_several_iterations_are_fed_at_once(faces):
    one = first(two(faces), 3)
    with contextlib.closing(two(faces)) as feed:
        batches = feed.take(3)
    for number, batch in enumerate(one):
        assert_same(batch, {identity: Side(*(array[number] for array in side)) for identity, side in batches.items()})


@pytest.mark.parametrize("size", [5, 24])
def test_weights_say_how_often_a_face_is_seen(faces, size):
    weights = np.arange(len(faces)) + 0.5
    weights /= weights.sum()
    chance = Chance({"a": len(faces)}, SIZE, size, NONE, 1, {"a": weights})
    seen = np.bincount(np.concatenate([chance(number)["a"].index for number in range(200)]), minlength=len(faces))
    np.testing.assert_allclose(seen / seen.sum(), weights, atol=0.01)
    even = Chance({"a": 12}, SIZE, 12, NONE, 1, {"a": np.full(12, 1 / 12)})
    assert sorted(even(3)["a"].index) == list(range(12)), "each pass holds each face once"


def test_without_augmentation_a_target_is_the_crop(astronaut, face):
    crop = geometry.crop(astronaut, face, SIZE, "whole")
    points = geometry.transform_points(face.landmarks, crop.matrix)
    side = Faces([crop.image], [points], "whole", SIZE, "whole").batch([0], NONE, np.random.default_rng(0))
    np.testing.assert_array_equal(side.target[0], crop.image)
    np.testing.assert_array_equal(side.input[0], crop.image)
    np.testing.assert_allclose(side.landmarks[0] * SIZE - 0.5, points, atol=1e-3)


def test_a_mask_of_ones_own_says_what_is_face(astronaut, face):
    crop = geometry.crop(astronaut, face, 256, "whole")
    points = geometry.transform_points(face.landmarks, crop.matrix)
    mask = np.zeros((256, 256), np.float32)
    mask[:128] = 1
    faces = [Faces([crop.image], [points], "whole", SIZE, "whole", face_masks=masks) for masks in (None, [mask])]
    hull, own = (side.batch([0], NONE, np.random.default_rng(0)).regions[0] for side in faces)
    assert (own[..., 1:] == hull[..., 1:]).all()
    assert (own[:SIZE // 2 - 1, :, 0] == 255).all() and (own[SIZE // 2 + 1:, :, 0] == 0).all()


@pytest.mark.parametrize("coverage", ["half", "full"])
def test_a_narrower_crop_is_cut_out_of_a_stored_one(astronaut, face, coverage):
    stored = geometry.crop(astronaut, face, 256, "whole")
    points = geometry.transform_points(face.landmarks, stored.matrix)
    side = Faces([stored.image], [points], "whole", SIZE, coverage).batch([0], NONE, np.random.default_rng(0))
    direct = geometry.crop(astronaut, face, SIZE, coverage)
    assert np.abs(side.target[0].astype(int) - direct.image).mean() < 4  # of 255: taken from the frame with other interpolation
    moved = np.roll(direct.image, 1, axis=1).astype(int)
    assert np.abs(side.target[0] - moved).mean() > 2 * np.abs(side.target[0].astype(int) - direct.image).mean(), "not a pixel aside"
    np.testing.assert_allclose(side.landmarks[0] * SIZE - 0.5, geometry.transform_points(face.landmarks, direct.matrix), atol=1e-2)


@pytest.mark.parametrize("augmentation", [
    Augmentation(rotation=20.0), Augmentation(scale=0.2), Augmentation(shift=0.1), Augmentation(flip=True), CLASSIC,
], ids=["rotation", "scale", "shift", "flip", "classic"])
def test_landmarks_and_regions_move_with_the_picture(faces, augmentation):
    side = faces.batch(range(len(faces)), augmentation, np.random.default_rng(3))
    for points, regions in zip(side.landmarks, side.regions):
        drawn = region_map(points * SIZE - 0.5, SIZE)
        for channel in range(3):  # drawn at the crop's coarse pixels, regions are some pixels off at their rims, not in their middle
            one, other = (np.argwhere(drawing[..., channel] > 127).mean(0) for drawing in (regions, drawn))
            assert np.linalg.norm(one - other) < 1


def test_landmarks_lie_where_the_aligner_finds_them_in_an_augmented_picture(files):
    large = Faces([file.image for file in files[:1]], [file.landmarks for file in files[:1]], "whole", 256, "whole")
    side = large.batch([0], Augmentation(rotation=8.0, scale=0.1, shift=0.05, flip=True), np.random.default_rng(5))
    picture = np.ascontiguousarray(side.target[0])
    (detection, *_), = DETECTORS.create("hog").detect([picture])
    found = ALIGNERS.create("dlib68").align([picture], [detection.box[None]])[0][0]
    expected = side.landmarks[0] * 256 - 0.5
    assert np.median(np.linalg.norm(found - expected, axis=1)) < 0.06 * np.linalg.norm(expected[36] - expected[45])


def test_the_warp_bends_the_input_and_leaves_the_target(faces):
    plain = faces.batch([0, 1], NONE, np.random.default_rng(0))
    warped = faces.batch([0, 1], Augmentation(warp=1.0), np.random.default_rng(0))
    np.testing.assert_array_equal(warped.target, plain.target)
    np.testing.assert_array_equal(warped.landmarks, plain.landmarks)
    differs = np.abs(warped.input.astype(int) - plain.input).mean()
    stronger = np.abs(faces.batch([0, 1], Augmentation(warp=3.0), np.random.default_rng(0)).input.astype(int) - plain.input).mean()
    assert 1 < differs < stronger


def test_a_flip_mirrors_everything(faces):
    plain = faces.batch(range(12), NONE, np.random.default_rng(0))
    flipped = faces.batch(range(12), Augmentation(flip=True), np.random.default_rng(0))
    mirrored = (flipped.target == plain.target[:, :, ::-1]).all(axis=(1, 2, 3))
    assert 2 < mirrored.sum() < 10
    np.testing.assert_array_equal(flipped.target[~mirrored], plain.target[~mirrored])
    np.testing.assert_array_equal(flipped.regions[mirrored], plain.regions[mirrored][:, :, ::-1])
    np.testing.assert_allclose(flipped.landmarks[mirrored], plain.landmarks[mirrored][:, MIRRORED] * (-1, 1) + (1, 0), atol=1e-6)


def test_colours_change_alike_in_input_and_target(faces):
    plain = faces.batch(range(12), NONE, np.random.default_rng(0))
    coloured = faces.batch(range(12), Augmentation(color=0.2), np.random.default_rng(0))
    np.testing.assert_array_equal(coloured.input, coloured.target)
    assert np.abs(coloured.target.astype(int) - plain.target).mean() > 5
    for before, after in zip(plain.target, coloured.target):
        assert cv2.matchTemplate(before, after, cv2.TM_CCOEFF_NORMED)[0, 0] > 0.9, "the same picture still"


def test_a_light_from_one_side_falls_on_input_and_target_alike(faces):
    plain = faces.batch(range(12), NONE, np.random.default_rng(0)).target.astype(float)
    lit = faces.batch(range(12), Augmentation(light=0.5), np.random.default_rng(0))
    np.testing.assert_array_equal(lit.input, lit.target)
    y, x = np.mgrid[:SIZE, :SIZE] / (SIZE - 1) * 2 - 1
    for before, after in zip(plain, lit.target):
        clear = (before > 30) & (before < 120)  # neither rounded to nothing nor clipped
        gain = (after / np.maximum(before, 1))[clear]
        plane = np.stack([np.ones_like(before), *np.broadcast_arrays(x[..., None], y[..., None], before)[:2]], -1)[clear]
        (middle, *sides), *_ = np.linalg.lstsq(plane, gain, rcond=None)
        assert abs(middle - 1) < 0.02 and 0 < np.abs(sides).max() < 0.51
        assert np.abs(plane @ (middle, *sides) - gain).max() < 0.04


def test_the_blur_softens_the_input_and_leaves_the_target(faces):
    plain = faces.batch(range(12), NONE, np.random.default_rng(0))
    blurred = faces.batch(range(12), Augmentation(blur=0.03), np.random.default_rng(0))
    np.testing.assert_array_equal(blurred.target, plain.target)
    sharpness = [[cv2.Laplacian(picture, cv2.CV_32F).std() for picture in pictures] for pictures in (plain.input, blurred.input)]
    shares = np.divide(sharpness[1], sharpness[0])
    assert shares.max() <= 1.001 and shares.min() < 0.6 and shares.std() > 0.1, "by another strength each"


def test_faces_of_any_stored_size_and_coverage_serve(astronaut, face):
    for stored, coverage in itertools.product(("full", "whole", "head"), ("half", "full", "head")):
        crop = geometry.crop(astronaut, face, 100, stored)
        points = geometry.transform_points(face.landmarks, crop.matrix)
        side = Faces([crop.image], [points], stored, SIZE, coverage).batch([0], NONE, np.random.default_rng(0))
        expected = geometry.transform_points(face.landmarks, geometry.crop_matrix(face.landmarks, SIZE, coverage))
        np.testing.assert_allclose(side.landmarks[0] * SIZE - 0.5, expected, atol=0.05)


@pytest.mark.parametrize("augmentation", [NONE, CLASSIC, Augmentation(retarget=1.0, light=0.3)], ids=["none", "classic", "retargeted"])
def test_what_is_to_be_drawn_larger_is_the_same_picture(files, augmentation):
    plain, large = (Faces([file.image for file in files], [file.landmarks for file in files], "whole", SIZE, "full", drawn)
                    for drawn in (None, 2 * SIZE))
    assert plain.images.shape[1] < large.images.shape[1] <= files[0].size and plain.regions.shape == large.regions.shape
    side, double = (faces.batch(range(8), augmentation, np.random.default_rng(1), faces) for faces in (plain, large))
    assert double.target.shape == (8, 2 * SIZE, 2 * SIZE, 3) and double.input.shape == side.input.shape
    np.testing.assert_array_equal(side.regions, double.regions)
    np.testing.assert_allclose(side.landmarks, double.landmarks, atol=1e-6)
    for one, other in zip(side.target, double.target):
        apart = np.abs(cv2.resize(other, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(int) - one)
        assert apart.mean() < 3 and cv2.Laplacian(other, cv2.CV_32F).var() > cv2.Laplacian(
            cv2.resize(one, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), cv2.CV_32F).var(), "the same, with more in it"


def test_opencv_has_its_threads_back_when_a_feed_is_closed(faces):
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        with contextlib.closing(two(faces)) as feed:
            feed.take()
            assert cv2.getNumThreads() == 1
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)


def test_no_thread_is_left_behind(faces):
    import threading

    before = threading.active_count()
    feed = two(faces, threads=3)
    feed.take()
    assert threading.active_count() > before
    feed.close()
    assert threading.active_count() == before
