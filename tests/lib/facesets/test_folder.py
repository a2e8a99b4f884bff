import json
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from lib.errors import FaceswapError
from lib.faces.geometry import MEAN_FACE, crop, transform_points
from lib.facesets.face_file import ForeignFace, Origin, read_face
from lib.facesets.folder import FaceFolder, foreign_faces, is_face_folder, list_faces, write_face
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


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunk(path, made) -> None:
    """Replaces the text chunk of a face's PNG by `made(text)`, as another program may save it."""
    data = path.read_bytes()
    length, = struct.unpack(">I", data[33:37])
    path.write_bytes(data[:33] + made(data[41 + 9:41 + length]) + data[33 + 12 + length:])


@pytest.mark.parametrize("made", [
    lambda text: chunk(b"zTXt", b"faceswap\0\0" + zlib.compress(text)), lambda text: chunk(b"iTXt", b"faceswap\0\0\0\0\0" + text),
    lambda text: chunk(b"iTXt", b"faceswap\0\1\0en\0word\0" + zlib.compress(text))], ids=["zTXt", "iTXt", "compressed iTXt"])
def test_text_that_another_program_saved_in_another_kind_of_chunk_is_read(aligned, tmp_path, made):
    path = write_face(tmp_path, aligned, ORIGIN)
    before = read_face(path)
    with_chunk(path, made)
    assert is_face_folder(tmp_path) and read_face(path).origin == before.origin
    assert np.array_equal(read_face(path).aligned.matrix, before.aligned.matrix)


@pytest.mark.parametrize("made", [
    lambda text: chunk(b"zTXt", b"faceswap\0\0" + zlib.compress(b" " * (1 << 24) + text)), lambda text: chunk(b"zTXt", b"faceswap\0\0x"),
    lambda text: chunk(b"iTXt", b"faceswap\0\0\0"), lambda text: chunk(b"iTXt", b"faceswap\0"), lambda text: chunk(b"zTXt", b"faceswap\0")])
def test_damaged_and_swollen_texts_are_no_faces(aligned, tmp_path, made):
    with_chunk(write_face(tmp_path, aligned, ORIGIN), made)
    assert not is_face_folder(tmp_path)
    with pytest.raises(FaceswapError, match="does not say where its face is"):
        read_face(*list_faces(tmp_path))


@pytest.mark.parametrize("size", [64, 256, 333])
@pytest.mark.parametrize("known", [True, False], ids=["with size", "of an earlier version"])
def test_a_scaled_picture_keeps_its_face_where_it_is(aligned, tmp_path, size, known):
    """As programs that make pictures larger leave it: the text is kept, the pixels are others."""
    path = write_face(tmp_path, aligned, ORIGIN)
    text = Image.open(path).text["faceswap"]
    before = read_face(path)
    written = PngImagePlugin.PngInfo()
    written.add_text("faceswap", text if known else text.replace('"size": 128, ', ""))
    Image.fromarray(aligned.image).resize((size, size)).save(path, pnginfo=written)
    scaled = read_face(path)
    assert scaled.size == size and np.allclose((scaled.landmarks + 0.5) / size, (before.landmarks + 0.5) / 128, atol=0.003)
    assert np.abs(scaled.recrop(96, "half").image.astype(float) - before.recrop(96, "half").image).mean() < 8


@pytest.mark.parametrize("size", [0, -1, 1.5, "128", 10 ** 9, True, None])
def test_a_size_that_is_none_is_told(aligned, tmp_path, size):
    path = write_face(tmp_path, aligned, ORIGIN)
    with_chunk(path, lambda text: chunk(b"tEXt", b"faceswap\0" + text.replace(b'"size": 128', f'"size": {json.dumps(size)}'.encode())))
    with pytest.raises(FaceswapError, match="is damaged"):
        read_face(path)


def test_face_pictures_of_other_tools_are_told(aligned, tmp_path):
    path = write_face(tmp_path, aligned, ORIGIN)
    foreign = b'{"alignments": {"x": 1, "landmarks_xy": []}, "source": {"alignments_version": 2.4, "face_index": 0}}'
    with_chunk(path, lambda text: chunk(b"iTXt", b"faceswap\0\0\0\0\0" + foreign))
    assert foreign_faces(tmp_path) == "deepfakes/faceswap" and not is_face_folder(tmp_path)
    with pytest.raises(ForeignFace, match="is a face picture of deepfakes/faceswap"):
        read_face(path)
    path.unlink()
    Image.fromarray(aligned.image).save(tmp_path / "a.jpg")
    assert foreign_faces(tmp_path) is None
    data, payload = (tmp_path / "a.jpg").read_bytes(), b"\x80\x04 face_type source_landmarks"
    (tmp_path / "a.jpg").write_bytes(data[:2] + b"\xff\xef" + struct.pack(">H", len(payload) + 2) + payload + data[2:])
    assert foreign_faces(tmp_path) == "DeepFaceLab"


def test_two_runs_never_take_one_name(aligned, tmp_path):
    """Clips of the same name in other folders, extracted into one folder at once."""
    origins = [Origin(f"/{run}/clip.mp4", frame, 0) for frame in range(20) for run in range(4)]
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda origin: write_face(tmp_path, aligned, origin), origins))
    assert len(set(paths)) == len(origins) == len(list_faces(tmp_path))
    assert [read_face(path).origin for path in paths] == origins


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
