import json

import cv2
import numpy as np
import pytest
from PIL import Image

from lib.errors import FaceswapError
from lib.faces.faceset import FaceFolder, Origin, is_face_folder, list_faces, read_face, write_face
from lib.faces.geometry import MEAN_FACE, crop, transform_points
from lib.types import Detection, Face


@pytest.fixture
def aligned(astronaut):
    random = np.random.default_rng(0)
    landmarks = (np.vstack([random.uniform(0, 1, (17, 2)), MEAN_FACE + random.normal(0, 0.02, (51, 2))]) * 100 + [170, 80]).astype(np.float32)
    return crop(astronaut, Face(Detection(np.array([170, 80, 270, 180], np.float32), 0.9), landmarks), 128)


ORIGIN = Origin("/videos/имя.mp4", 12, 1, "", 0.48)


def test_a_face_comes_back_as_it_was(aligned, tmp_path):
    path = write_face(tmp_path, aligned, ORIGIN, "head")
    assert path.name == "имя_000012_1.png"
    back = read_face(path)
    assert np.array_equal(back.image, aligned.image)
    assert back.origin == ORIGIN and back.coverage == "head" and back.size == 128
    assert np.allclose(back.aligned.face.landmarks, aligned.face.landmarks, atol=1e-3)
    assert np.allclose(back.landmarks, transform_points(aligned.face.landmarks, aligned.matrix), atol=1e-2)
    assert np.array_equal(back.aligned.matrix, aligned.matrix)


def test_other_programs_read_picture_and_metadata(aligned, tmp_path):
    path = write_face(tmp_path, aligned, ORIGIN)
    with Image.open(path) as picture:
        assert np.array_equal(np.asarray(picture), aligned.image)
        assert json.loads(picture.text["faceswap"])["origin"]["frame"] == 12


def test_a_copy_saved_by_another_program_is_told(aligned, tmp_path):
    path = write_face(tmp_path, aligned, ORIGIN)
    cv2.imwrite(str(path.with_name("copy.png")), cv2.imread(str(path)))
    with pytest.raises(FaceswapError, match="copy.png does not say"):
        read_face(path.with_name("copy.png"))


@pytest.mark.parametrize("damage", [
    lambda data: data[:len(data) // 2], lambda data: data[:-20], lambda data: data.replace(b'"coverage": "whole"', b'"coverage": "wh le"'),
    lambda data: data.replace(b'"score"', b'"sc re"'), lambda data: data.replace(b'"format": 1', b'"format": 9'),
    lambda data: data[:16] + b"\x7f\xff\xff\xff" * 2 + data[24:], lambda data: data.replace(b'"frame": 12', b'"frame": ""')],
    ids=["half", "end", "coverage", "key", "format", "size", "origin"])
def test_damage_is_told(aligned, tmp_path, damage):
    path = write_face(tmp_path, aligned, ORIGIN)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FaceswapError, match="000012_1.png.*(Delete it|Take it away)"):
        read_face(path)


def test_two_sources_of_one_name_share_a_folder(aligned, tmp_path):
    first = write_face(tmp_path, aligned, Origin("/a/clip.mp4", 3, 0))
    second = write_face(tmp_path, aligned, Origin("/b/clip.mp4", 3, 0))
    again = write_face(tmp_path, aligned, Origin("/b/clip.mp4", 3, 0))
    assert first != second and again == second
    assert read_face(first).origin.source == "/a/clip.mp4" and read_face(second).origin.source == "/b/clip.mp4"


def test_lists_faces_in_numeric_order_and_nothing_else(aligned, tmp_path):
    for frame in (2, 10, 1):
        write_face(tmp_path, aligned, Origin("/a/1.mp4", frame, 0))
    (tmp_path / ".half.png.part").touch()
    (tmp_path / "notes.txt").touch()
    assert [read_face(path).origin.frame for path in list_faces(tmp_path)] == [1, 2, 10]


def test_a_face_folder_is_told_from_a_folder_of_pictures(aligned, astronaut, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.fromarray(astronaut).save(pictures / "astronaut.png")
    assert not is_face_folder(pictures) and not is_face_folder(tmp_path / "none")
    write_face(pictures, aligned, ORIGIN)
    assert is_face_folder(pictures)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FaceswapError, match="-o"):
        FaceFolder(tmp_path / "file" / "faces")
