"""Hair that hangs over a face is painted over, and nothing else is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lib.faces.geometry import MIRRORED, crop, transform_points
from lib.faces.hair import removal
from lib.faces.masks import hull
from lib.plugin import ALIGNERS, DETECTORS
from lib.types import Face


@pytest.fixture(scope="module")
def portrait(astronaut) -> tuple[np.ndarray, np.ndarray]:
    """A crop of 256 pixels and its landmarks: hair hangs over the left brow, none over the right."""
    found = DETECTORS.create("hog").detect([astronaut])[0][0]
    aligned = crop(astronaut, Face(found, ALIGNERS.create("dlib68").align([astronaut], [found.box[None]])[0][0]))
    return aligned.image, transform_points(aligned.face.landmarks, aligned.matrix)


def _strand(image: np.ndarray, start: np.ndarray, end: np.ndarray, width: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """`image` with a brown strand from `start` to `end`, and where that is."""
    strand = np.zeros(image.shape[:2], np.uint8)
    cv2.line(strand, start.round().astype(int).tolist(), end.round().astype(int).tolist(), 1, width)
    return np.where(strand[..., None] > 0, np.uint8((70, 40, 20)), image), strand > 0


def test_a_strand_over_the_temple_becomes_skin(portrait):
    image, points = portrait
    up = points[27] - points[33]
    hung, strand = _strand(image, points[17] + 0.8 * up, points[0])
    face = hull(points, 256)[..., 0] > 0.5
    away = np.ones_like(face)
    for brow in (points[17:22], points[22:27]):
        away &= np.abs(np.stack(np.meshgrid(np.arange(256), np.arange(256)), -1)[..., None, :] - brow).max(-1).min(-1) > 10
    hidden = strand & face & away
    assert hidden.sum() > 50
    skin = np.median(image[cv2.fillConvexPoly(np.zeros((256, 256), np.uint8), np.int32(points[[1, 3, 31]]), 1) > 0], 0)
    painted = removal.paint_over_hair(hung, points)
    assert np.abs(hung[hidden].astype(float) - skin).mean() > 80
    assert np.abs(painted[hidden].astype(float) - skin).mean() < 40


@pytest.mark.parametrize("size", [64, 171, 512])
def test_crops_of_any_size_are_painted_alike(portrait, size):
    image, points = portrait
    hidden = removal.find_hidden_brow_points([image], [points])
    scaled = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if size < 256 else cv2.INTER_CUBIC)
    painted = removal.paint_over_hair(scaled, (points + 0.5) * size / 256 - 0.5, hidden)
    change = painted.astype(int) - scaled
    wanted = cv2.resize(removal.paint_over_hair(image, points, hidden), (size, size), interpolation=cv2.INTER_AREA).astype(int) - scaled
    assert not change[int(points[31:36, 1].max() * size / 256) + 4:].any()  # nothing below the nose
    assert np.abs(change - wanted).mean() < 0.35 * np.abs(wanted).mean() and np.abs(wanted).mean() > 3


def test_what_is_no_hair_is_left_alone(portrait):
    image, points = portrait
    up, right = points[27] - points[33], points[45] - points[36]
    plain = removal.paint_over_hair(image, points).astype(int)
    for start, end in ((points[8] - 0.3 * right, points[8] + 0.3 * right),  # a beard
                       (points[27] + 0.1 * up - 0.05 * right, points[27] + 0.1 * up + 0.05 * right)):  # not joined to the rim
        hung, strand = _strand(image, start, end)
        painted = removal.paint_over_hair(hung, points)
        assert np.abs(painted[strand].astype(int) - hung[strand]).mean() < 3
    features = np.zeros((256, 256), np.uint8)
    for part in (slice(36, 42), slice(42, 48), slice(48, 60)):
        cv2.fillConvexPoly(features, cv2.convexHull(np.int32(points[part])), 1)
    assert np.abs(plain - image)[features > 0].mean() < 1


def test_a_face_of_one_colour_passes(portrait):
    flat = np.full((256, 256, 3), 120, np.uint8)
    np.testing.assert_array_equal(removal.paint_over_hair(flat, portrait[1]), flat)
    np.testing.assert_array_equal(removal.paint_over_hair(flat, np.zeros((68, 2))), flat)


def test_a_brow_under_hair_is_drawn_as_the_other_ones_mirror_image(portrait):
    image, points = portrait
    hidden = removal.find_hidden_brow_points([image] * 3, [points] * 3)
    assert set(hidden) in ({25, 26}, {24, 25, 26})
    other_way = (points * (-1, 1) + (255, 0))[MIRRORED]
    mirrored = np.ascontiguousarray(image[:, ::-1])
    assert sorted(MIRRORED[hidden]) == removal.find_hidden_brow_points([mirrored, mirrored, image], [other_way, other_way, points])

    def brows(picture: np.ndarray) -> list[np.ndarray]:
        """What stands on the hidden part of the brow, and on the same part of the other one."""
        masks = []
        for part in hidden, MIRRORED[hidden]:
            masks.append(cv2.polylines(np.zeros((256, 256), np.uint8), [points[part].round().astype(np.int32)], False, 1, 5) > 0)
        return [picture[mask].mean(0) for mask in masks]

    hung, bare = brows(image)
    drawn, other = brows(removal.paint_over_hair(image, points, hidden))
    np.testing.assert_allclose(other, bare, atol=3)
    assert np.abs(drawn - bare).mean() < 0.5 * np.abs(hung - bare).mean()
    inked = image.copy()  # the other brow blacker: so is what is drawn after it
    cv2.polylines(inked, [points[17:22].round().astype(np.int32)], False, (0, 0, 0), 5)
    assert brows(removal.paint_over_hair(inked, points, hidden))[0].mean() < drawn.mean() - 15
