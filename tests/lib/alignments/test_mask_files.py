"""Masks as pictures of any program, and as polygons."""

import cv2
import numpy as np
import pytest
from PIL import Image

from lib.alignments.mask_files.pictures import onto_crop, read_mask
from lib.alignments.mask_files.polygons import (
    from_json,
    from_labelme,
    mask_of_polygons,
    polygons_of_mask,
    to_json,
)
from lib.errors import FaceswapError
from lib.faces.geometry import crop_matrix, transform_points
from lib.faces.masks import extended, hull
from lib.plugin import ALIGNERS, DETECTORS

GREY = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))


@pytest.fixture(scope="module")
def landmarks(astronaut) -> np.ndarray:
    box = DETECTORS.create("hog").detect([astronaut])[0][0].box
    return ALIGNERS.create("dlib68").align([astronaut], [box[None]])[0][0]


@pytest.fixture(scope="module")
def mask(landmarks) -> np.ndarray:
    """(128, 128, 1): a face with a box in front, and in the box a window."""
    points = transform_points(landmarks, crop_matrix(landmarks, 128))
    mask = hull(points, 128).copy()
    mask[70:90, 40:80] = 0
    mask[76:84, 50:70] = 1
    return mask


def saved(path, picture: Image.Image):
    picture.save(path)
    return path


@pytest.mark.parametrize("picture, most", [
    (Image.fromarray(GREY), 0), (Image.fromarray(GREY).convert("RGB"), 0), (Image.fromarray(GREY).convert("LA"), 0),
    (Image.fromarray(GREY).convert("RGBA"), 0), (Image.fromarray(GREY).convert("P"), 0),
    (Image.fromarray(GREY.astype(np.uint16) * 257), 0), (Image.fromarray(GREY > 127), 0.51)], ids=["L", "RGB", "LA", "RGBA", "P", "16", "1"])
def test_grey_is_read_from_pictures_of_every_kind(tmp_path, picture, most):
    read = read_mask(saved(tmp_path / "x.png", picture))
    assert read.dtype == np.float32 and np.abs(read - GREY / np.float32(255)).max() <= most + 1e-6


def layer(color, alpha) -> Image.Image:
    picture = np.zeros((64, 64, 4), np.uint8)
    picture[..., :3] = color
    picture[..., 3] = alpha
    return Image.fromarray(picture)


def test_what_is_transparent_is_no_face(tmp_path):
    alpha = np.full((64, 64), 255, np.uint8)
    alpha[:20] = 0
    assert np.array_equal(read_mask(saved(tmp_path / "x.png", layer(255, alpha))), alpha / np.float32(255))


def test_of_a_layer_of_black_strokes_the_rest_is_face(tmp_path):
    alpha = np.zeros((64, 64), np.uint8)
    alpha[:20] = 255
    assert np.array_equal(read_mask(saved(tmp_path / "x.png", layer(0, alpha))), 1 - alpha / np.float32(255))
    assert read_mask(saved(tmp_path / "y.png", layer(0, 0 * alpha))).min() == 1  # nothing was painted yet


def test_of_a_photo_with_parts_erased_the_rest_is_face(tmp_path, astronaut):
    alpha = np.full((64, 64), 255, np.uint8)
    alpha[30:50] = 0
    assert np.array_equal(read_mask(saved(tmp_path / "x.png", layer(astronaut[:64, :64], alpha))), alpha / np.float32(255))


@pytest.mark.parametrize("picture, words", [
    (lambda path, photo: Image.fromarray(photo).save(path), "is in colours. Paint masks in black and white"),
    (lambda path, photo: Image.new("L", (64, 65)).save(path), "has 64x65 pixels, but masks are square"),
    (lambda path, photo: Image.new("1", (5000, 5000)).save(path), "has 5000x5000 pixels, more than 4096 a side"),
    (lambda path, photo: path.write_bytes(b"no picture"), "x.png"),
    (lambda path, photo: path.write_bytes(cv2.imencode(".png", photo)[1].tobytes()[:400]), "is damaged")])
def test_what_is_no_mask_is_told_in_a_line(tmp_path, astronaut, picture, words):
    picture(tmp_path / "x.png", astronaut)
    with pytest.raises(FaceswapError, match=words) as raised:
        read_mask(tmp_path / "x.png")
    assert "\n" not in str(raised.value) and str(tmp_path / "x.png") in str(raised.value)


@pytest.mark.parametrize("size", [64, 100, 128, 256, 300, 1024])
def test_a_mask_of_another_size_lies_where_it_lay(mask, size):
    large = cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA if size < 128 else cv2.INTER_NEAREST)
    factor = 128 / size
    back = onto_crop(large, np.array([[factor, 0, (factor - 1) / 2], [0, factor, (factor - 1) / 2]]), 128)
    assert back.shape == (128, 128, 1) and np.abs(back - mask).mean() < (0.015 if size % 128 else 1e-6)


def test_polygons_follow_the_edge_of_a_mask(mask, landmarks):
    polygons = polygons_of_mask(mask, landmarks)
    assert [polygon.is_face for polygon in polygons] == [True, False, True]
    again = mask_of_polygons(from_json(to_json(polygons)), landmarks, 128)
    assert np.abs(again - mask).mean() < 0.004 and ((again > 0.5) != (mask > 0.5)).mean() < 0.003
    assert sum(len(polygon.points) for polygon in polygons) < 300


@pytest.mark.parametrize("value", [0, 1])
def test_polygons_of_an_even_mask(landmarks, value):
    mask = np.full((128, 128, 1), value, np.float32)
    assert np.array_equal(mask_of_polygons(polygons_of_mask(mask, landmarks), landmarks, 128), mask)


def test_covers_alone_lie_in_front_of_all(landmarks):
    points = landmarks[48:60].tolist()
    covered = mask_of_polygons(from_json([{"kind": "cover", "points": points}]), landmarks, 128)
    lips = transform_points(landmarks[48:60], crop_matrix(landmarks, 128)).mean(0).round().astype(int)
    assert covered[lips[1], lips[0]] == 0 and 0.9 < covered.mean() < 0.995
    assert covered[0, 0] == covered[-1, -1] == 1


def test_a_polygon_that_leaves_the_crop_is_cut_off(landmarks):
    far = [[-90000, -90000], [90000, -90000], [90000, 90000], [-90000, 90000]]
    assert mask_of_polygons(from_json([{"kind": "face", "points": far}]), landmarks, 128).min() == 1


def test_labelme_counts_from_the_corner_of_the_picture(landmarks):
    """Its polygon around a part of the crop, drawn at twice the size."""
    matrix = crop_matrix(landmarks, 256)
    drawn = {"imageWidth": 512, "shapes": [{"label": "hand", "shape_type": "polygon", "points": [[0, 256], [512, 256], [512, 512], [0, 512]]}]}
    mask = mask_of_polygons(from_labelme(drawn, 256, matrix), landmarks, 128)
    assert mask[:64].min() > 0.8 and mask[65:].max() == 0 and mask[:63].min() == 1
    drawn["shapes"][0]["label"] = "face"
    assert np.abs(mask_of_polygons(from_labelme(drawn, 256, matrix), landmarks, 128) - (1 - mask)).mean() < 0.01


@pytest.mark.parametrize("value, words", [
    ({}, "must be a list"), ([], "at least one polygon"), ([{"kind": "hand", "points": []}], 'the "kind" face or cover'),
    ([{"kind": "face", "points": [[0, 0], [1, 1]]}], "at least 3 pairs"), ([{"kind": "face", "points": [[0, 0], [1, 1], [2, 1e9]]}], "pairs of"),
    ([{"kind": "face", "points": [[0, 0], [1, 1], [True, 1]]}], "pairs of")])
def test_wrong_polygons_are_told(value, words):
    with pytest.raises(ValueError, match=words):
        from_json(value)


@pytest.mark.parametrize("value, words", [
    ([], 'no "shapes"'), ({"shapes": []}, 'no "shapes"'), ({"shapes": [{"shape_type": "circle"}]}, "is no polygon"),
    ({"shapes": [{}], "imageWidth": -1}, '"imageWidth"'), ({"shapes": [{"points": "x"}]}, "at least 3 pairs")])
def test_wrong_labelme_files_are_told(value, words, landmarks):
    with pytest.raises(ValueError, match=words):
        from_labelme(value, 256, crop_matrix(landmarks, 256))


def test_extended_masks_reach_the_edge_and_come_back(landmarks):
    points = transform_points(landmarks, crop_matrix(landmarks, 128)) * 1.6 - 40
    mask = extended(points, 128)
    assert mask[:, 0].max() + mask[-1].max() > 0  # it leaves the crop
    assert np.abs(mask_of_polygons(polygons_of_mask(mask, landmarks), landmarks, 128) - mask).mean() < 0.005
