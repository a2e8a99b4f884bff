"""Covers over faces: made by chance, cut out of pictures, and what is known of them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.faces.geometry import crop, transform_points
from lib.faces.masks import hull
from lib.plugin import ALIGNERS, DETECTORS
from lib.training.batches.augmentation import Augmentation
from lib.training.batches.chance import draw
from lib.training.covers import painting
from lib.training.covers.covered_faces import CoveredFaces
from lib.training.covers.cutouts import read_cutouts
from lib.types import Face

SIZE, COUNT = 128, 40
MAKERS = [maker for maker, _ in painting.MAKERS]
MOVED = Augmentation(rotation=10.0, scale=0.05, shift=0.04, flip=True)


@pytest.fixture(scope="module")
def portraits(astronaut, hopper) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Crops of 128 pixels, and their landmarks."""
    images, landmarks = [], []
    for picture in (astronaut, hopper):
        box = DETECTORS.create("hog").detect([picture])[0][0]
        points = ALIGNERS.create("dlib68").align([picture], [box.box[None]])[0][0]
        aligned = crop(picture, Face(box, points), SIZE)
        images.append(aligned.image)
        landmarks.append(transform_points(points, aligned.matrix))
    return images, landmarks


def covered_faces(portraits, labels=(None, None), cutouts=None) -> CoveredFaces:
    images, landmarks = portraits
    return CoveredFaces(images, landmarks, "whole", SIZE, "whole", list(labels), cutouts)


def batch(faces: CoveredFaces, augmentation: Augmentation = MOVED, seed: int = 0):
    random = np.random.default_rng(seed)
    draws = draw(random.integers(2, size=COUNT), augmentation, SIZE, 2, 0, random)
    return faces.side(draws, augmentation.augmenters)


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_every_cover_hides_a_part_of_the_face(portraits, maker):
    faces = covered_faces(portraits)
    faces._prepare(0)
    image, points = faces._images[0].astype(np.float32), faces.shapes[0] * SIZE - 0.5
    face, shares = hull(points, SIZE)[..., 0], []
    for seed in range(12):
        random = np.random.default_rng(seed)
        colors, alpha = maker(faces._scene(image, points, random), random)
        assert colors.shape == (SIZE, SIZE, 3) and alpha.shape == (SIZE, SIZE)
        assert np.isfinite(colors).all() and alpha.min() >= 0 and alpha.max() <= 1
        shares.append((alpha * face).sum() / face.sum())
    assert 0.01 < np.median(shares) < 0.8 and max(shares) > min(shares)


def test_what_is_covered_is_known_and_the_rest_is_the_face(portraits):
    side = batch(covered_faces(portraits), Augmentation())  # which moves nothing
    seen, counts, known = np.moveaxis(side.regions, -1, 0)
    covered = (seen < 128).any((1, 2))
    assert 0.3 < covered.mean() < 0.8  # the others are as they are
    assert (known[seen < 200] == 255).all() and not known[~covered].any()
    assert counts[:, SIZE // 2, SIZE // 2].min() == 255 and not counts[:, 0, 0].any()
    # Where something lies over a face, it looks other than the face; elsewhere much as before
    change = np.abs(side.input.astype(int) - side.target).mean(-1)
    over = (seen < 20) & (counts > 0)
    assert np.median(change[over]) > 1.5 * np.median(change[(seen == 255) & (counts > 0)])


def test_a_batch_follows_from_its_draws_alone(portraits):
    first, again = (batch(covered_faces(portraits), seed=5) for _ in range(2))
    other = batch(covered_faces(portraits), seed=6)
    assert all((one == two).all() for one, two in zip(first, again))
    assert (first.input != other.input).any()


def test_labels_move_with_their_faces(portraits):
    label = np.ones((SIZE, SIZE), np.float32)
    label[:, :60] = 0  # the left of the picture is covered
    faces = covered_faces(portraits, (label, None))
    random = np.random.default_rng(1)
    side = faces.side(draw([0] * 20 + [1] * 20, MOVED, SIZE, 2, 0, random), MOVED.augmenters)
    seen, _, known = np.moveaxis(side.regions, -1, 0)
    assert (side.landmarks[:, 0, 0] < side.landmarks[:, 16, 0]).all()
    assert (known[:20] == 255).all() and 0 < (known[20:] == 255).all((1, 2)).mean() < 0.5
    left, right = (seen[:20, 40:90, part].astype(float).mean((1, 2)) for part in (slice(0, 40), slice(88, 128)))
    assert (np.minimum(left, right) < 30).mean() > 0.9


def test_beside_the_face_a_label_of_the_face_says_nothing(portraits):
    images, landmarks = portraits
    face = hull(landmarks[0], SIZE)[..., 0]
    for label, most in ((face, 1.05), (np.ones_like(face), 2.0)):  # of the face; of covers
        side = covered_faces(portraits, (label, None))
        counts = side.side(draw([0], Augmentation(), SIZE, 2, 0, np.random.default_rng(0)), Augmentation().augmenters).regions[0, ..., 1]
        assert most - 1 < (counts > 127).sum() / face.sum() < most


def test_covers_of_labelled_faces_are_set_over_the_others(portraits):
    label = np.ones((SIZE, SIZE), np.float32)
    label[70:100, 40:90] = 0
    faces = covered_faces(portraits, (label, None))
    colors, alpha = faces._taken(np.random.default_rng(3))
    assert 0.4 < alpha.sum() / (1 - label).sum() < 1.8
    inner = faces._images[0][75:95, 45:85].reshape(-1, 3)
    assert np.abs(colors[alpha == 1].mean(0) - inner.mean(0)).max() < 25


@pytest.fixture
def red_discs(tmp_path) -> Path:
    rgba = np.zeros((90, 120, 4), np.uint8)
    cv2.circle(rgba, (60, 45), 40, (0, 0, 255, 255), -1)
    cv2.imwrite(str(tmp_path / "disc.png"), rgba)
    return tmp_path


def test_cut_outs_are_set_over_faces(portraits, red_discs):
    faces = covered_faces(portraits, cutouts=read_cutouts(red_discs))
    faces._prepare(0)
    random = np.random.default_rng(0)
    scene = faces._scene(faces._images[0].astype(np.float32), faces.shapes[0] * SIZE - 0.5, random)
    colors, alpha = faces._cutouts(scene, random)
    assert 0.01 < alpha.mean() < 0.7
    assert np.abs(colors[alpha > 0.9] - (255, 0, 0)).max() < 3


def test_pictures_that_are_no_cut_outs_are_named(red_discs, tmp_path):
    with pytest.raises(FaceswapError, match="holds no pictures"):
        (tmp_path / "empty").mkdir()
        read_cutouts(tmp_path / "empty")
    with pytest.raises(FaceswapError, match="is no folder"):
        read_cutouts(red_discs / "disc.png")
    cv2.imwrite(str(red_discs / "whole.png"), np.full((9, 9, 3), 7, np.uint8))
    with pytest.raises(FaceswapError, match="whole.png has nothing transparent"):
        read_cutouts(red_discs)
