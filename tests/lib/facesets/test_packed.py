"""A packed face set holds the faces of its folder, and what is wrong with a file is told."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import h5py
import numpy as np
import pytest
from PIL import Image

from lib.errors import FaceswapError
from lib.facesets import face_file, face_set, packed, packing
from lib.facesets.face_file import crop_landmarks, read_face
from lib.facesets.folder import list_faces, write_face
from lib.facesets.png import KEYWORD, LARGEST, make_chunk, write_png
from lib.media.pictures import picture_file


@pytest.fixture
def folder(face_folders, tmp_path) -> Path:
    """12 faces of one person, and 3 more that are smaller."""
    shutil.copytree(face_folders["a"], tmp_path / "faces")
    for path in list_faces(face_folders["b"])[:3]:
        file = read_face(path)
        small = replace(file.aligned, image=cv2.resize(file.image, (96, 96)), matrix=file.aligned.matrix * 96 / file.size)
        write_face(tmp_path / "faces", small, file.origin)
    return tmp_path / "faces"


@pytest.fixture
def whole(face_folders, tmp_path) -> Path:
    """A packed face set of 12 faces of 256 pixels."""
    packing.pack([face_folders["b"]], tmp_path / "whole.h5")
    return tmp_path / "whole.h5"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in list_faces(folder)}


@pytest.mark.parametrize("compress", [False, True])
def test_what_is_unpacked_is_what_was_packed(folder, tmp_path, compress):
    done = packing.pack([folder], tmp_path / "x.h5", compress, threads=2)
    assert done.count == 15 and not done.left_out and done.size == (tmp_path / "x.h5").stat().st_size
    assert packing.unpack(tmp_path / "x.h5", tmp_path / "out", threads=2) == 15
    assert contents(tmp_path / "out") == contents(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces", "out", "x.h5"]


@pytest.mark.parametrize("earlier", [False, True])
def test_scaled_pictures_keep_their_faces_where_they_are(folder, tmp_path, earlier):
    """Other programs make face pictures larger and keep their text. Earlier versions packed the matrix of the old size with them."""
    before = face_set.read_faces(folder, 1)
    for path, file in zip(list_faces(folder), before):
        text = Image.open(path).text["faceswap"]
        text = text.replace(f'"size": {file.size}, ', "") if earlier else text
        write_png(path, cv2.resize(file.image, (2 * file.size,) * 2), text)
    packing.pack([folder], tmp_path / "x.h5")
    if earlier:
        with h5py.File(tmp_path / "x.h5", "r+") as file:
            file["numbers"][:, 136:142] = [one.aligned.matrix.ravel() for one in before]
    for scaled, one in zip(face_set.read_faces(tmp_path / "x.h5", 1), before, strict=True):
        assert scaled.size == 2 * one.size and np.allclose((scaled.landmarks + 0.5) / 2, one.landmarks + 0.5, atol=0.01)
    assert packing.unpack(tmp_path / "x.h5", tmp_path / "out") == len(before)
    for scaled, one in zip(face_set.read_faces(tmp_path / "out", 1), before, strict=True):
        assert np.allclose((scaled.landmarks + 0.5) / 2, one.landmarks + 0.5, atol=0.01)


def test_threads_read_what_one_reads(folder, tmp_path):
    packing.pack([folder], tmp_path / "x.h5", compress=True)
    alone = [one.aligned.image for one in face_set.read_faces(tmp_path / "x.h5", 1)]
    for _ in range(100):  # HDF5 has no locks of its own
        together = [one.aligned.image for one in face_set.read_faces(tmp_path / "x.h5", 4)]
        assert all(np.array_equal(*pair) for pair in zip(alone, together, strict=True))


@pytest.mark.parametrize("compress", [False, True])
def test_faces_are_read_alike_from_folder_and_file(folder, tmp_path, compress):
    packing.pack([folder], tmp_path / "x.h5", compress)
    with packed.PackedFaces(tmp_path / "x.h5") as faces:
        assert faces.names == [path.name for path in list_faces(folder)]
    here, there = face_set.read_faces(folder, 2), face_set.read_faces(tmp_path / "x.h5", 2)
    assert len(here) == len(there) == 15 and sorted({file.size for file in there}) == [96, 256]
    for one, other in zip(here, there):
        assert (one.coverage, one.origin) == (other.coverage, other.origin)
        face, same = one.aligned.face, other.aligned.face
        assert face.detection.score == same.detection.score
        for array, copy in ((one.image, other.image), (one.aligned.matrix, other.aligned.matrix), (face.landmarks, same.landmarks),
                            (face.detection.box, same.detection.box)):
            np.testing.assert_array_equal(array, copy, strict=True)
    np.testing.assert_allclose(crop_landmarks(there), [file.landmarks for file in here], atol=1e-9)


def test_two_folders_make_one_set(face_folders, tmp_path):
    shutil.copytree(face_folders["a"], tmp_path / "again")
    packing.pack([face_folders["a"], face_folders["b"], tmp_path / "again"], tmp_path / "x.h5")
    packing.unpack(tmp_path / "x.h5", tmp_path / "out")
    a, b, out = contents(face_folders["a"]), contents(face_folders["b"]), contents(tmp_path / "out")
    assert out == a | b | {name.replace(".png", "-2.png"): data for name, data in a.items()}


def test_a_face_that_another_program_saved_keeps_pixels_and_metadata(folder, tmp_path):
    path = list_faces(folder)[0]
    before, text = face_file.read_face_and_text(path)
    _, png = cv2.imencode(".png", cv2.cvtColor(before.image, cv2.COLOR_RGB2BGRA))
    text += " " * 70000  # more than is written at a time
    path.write_bytes(png[:-12].tobytes() + make_chunk(b"tEXt", KEYWORD + text.encode()) + png[-12:].tobytes())
    packing.pack([folder], tmp_path / "x.h5")
    packing.unpack(tmp_path / "x.h5", tmp_path / "out")
    after, said = face_file.read_face_and_text(tmp_path / "out" / path.name)
    assert said == text and after.origin == before.origin
    np.testing.assert_array_equal(after.image, before.image)


def test_a_set_that_is_there_is_packed_anew_and_other_files_are_not(folder, whole, tmp_path):
    packing.pack([folder], whole)
    assert len(face_set.read_faces(whole, 1)) == 15
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["layer"] = np.ones(3)
    (tmp_path / "notes.h5").write_text("mine")
    for other in tmp_path / "weights.h5", tmp_path / "notes.h5":
        before = other.read_bytes()
        with pytest.raises(FaceswapError, match=f"{other.name} exists and is no packed face set"):
            packing.pack([folder], other)
        assert other.read_bytes() == before


def test_too_little_space_is_told_before_the_work(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2 * 10 ** 6))
    with pytest.raises(FaceswapError, match=r"15 faces .* takes 3 MB, and that disk has 2 MB free"):
        packing.pack([folder], tmp_path / "x.h5")
    assert not list(tmp_path.glob("*.h5*"))


@pytest.mark.parametrize("spoil, answer", [
    (lambda path, photo: path.write_bytes(path.read_bytes()[:-3000]), "is damaged"),
    (lambda path, photo: path.write_bytes(b""), "does not say where its face is"),
    (lambda path, photo: picture_file.write(path, photo), "does not say where its face is")])
def test_what_is_no_face_is_refused_or_left_out(folder, tmp_path, astronaut, spoil, answer):
    path = list_faces(folder)[4]
    spoil(path, astronaut)
    with pytest.raises(FaceswapError, match=f"{path.name} {answer}.*--skip-damaged"):
        packing.pack([folder], tmp_path / "x.h5")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces"]
    done = packing.pack([folder], tmp_path / "x.h5", skip_damaged=True)
    assert done.count == 14 and len(done.left_out) == 1 and path.name in str(done.left_out[0])
    packing.unpack(tmp_path / "x.h5", tmp_path / "out")
    path.unlink()
    assert contents(tmp_path / "out") == contents(folder)


def test_all_damaged_files_of_a_folder_are_told_at_once(folder, tmp_path):
    spoilt = list_faces(shutil.copytree(folder, tmp_path / "spoilt"))[2:9]
    for path in spoilt:
        path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(FaceswapError, match=rf"^7 files in .*spoilt are damaged, or no faces: {spoilt[0].name}, .* and 2 more. .*Delete it"):
        face_set.read_faces(tmp_path / "spoilt", 2)
    for path in spoilt[1:]:
        path.unlink()
    with pytest.raises(FaceswapError, match=f"^The face file .*{spoilt[0].name} is damaged"):
        face_set.read_faces(tmp_path / "spoilt", 2)


def test_unpacking_goes_on_and_leaves_other_pictures_alone(whole, face_folders, tmp_path):
    packing.unpack(whole, tmp_path / "out")
    for path in list_faces(tmp_path / "out")[5:]:
        path.unlink()
    assert packing.unpack(whole, tmp_path / "out") == 7
    assert contents(tmp_path / "out") == contents(face_folders["b"])
    mine = list_faces(tmp_path / "out")[3]
    shutil.copy(list_faces(tmp_path / "out")[4], mine)
    before = contents(tmp_path / "out")
    with pytest.raises(FaceswapError, match=f"holds other pictures already, such as {mine.name}"):
        packing.unpack(whole, tmp_path / "out")
    assert contents(tmp_path / "out") == before


def _rename_first(file: h5py.File, name: str) -> None:
    names = file["names"][:].tobytes().split(b"\0")
    _replace(file, "names", np.frombuffer(b"\0".join([name.encode(), *names[1:]]), np.uint8))


def _replace(file: h5py.File, name: str, data: np.ndarray) -> None:
    del file[name]
    file.create_dataset(name, data=data)


def _huge(file: h5py.File, **how) -> None:
    del file["images_256"]
    file.create_dataset("images_256", (10 ** 7, 256, 256, 3), np.uint8, **how)


def _elsewhere(file: h5py.File) -> None:
    file.copy("images_256", file, "other")
    del file["images_256"]
    file["images_256"] = h5py.ExternalLink("/etc/passwd", "/x")


def _short(file: h5py.File) -> None:
    """The last picture inflates to less than it should."""
    images = file["images_256"][:]
    del file["images_256"]
    made = file.create_dataset("images_256", data=images, chunks=(1, 256, 256, 3), compression="gzip")
    made.id.write_direct_chunk((11, 0, 0, 0), b"x\x9cc\0\0\0\1\0\1")


@pytest.mark.parametrize("spoil, answer", [
    (lambda file: file.attrs.update(format=2), "format 2; this program reads 1"),
    (lambda file: file.attrs.__delitem__("format"), "is damaged"),
    (lambda file: file.attrs.__delitem__("kind"), "no packed face set"),
    (lambda file: file.attrs.update(count=13), "not have as many faces as it says"),
    (lambda file: file.__delitem__("names"), "there is no names"),
    (lambda file: file.__delitem__("images_256"), "there is no images_256"),
    (lambda file: _rename_first(file, "../../x.png"), "is no name for a face"),
    (lambda file: _rename_first(file, "C:\\x.png"), "is no name for a face"),
    (lambda file: _rename_first(file, file["names"][:].tobytes().split(b"\0")[1].decode()), "two faces have one name"),
    (lambda file: file["places"].write_direct(np.full((12, 2), (256, 12), np.int32)), "two faces have one"),
    (lambda file: file["places"].write_direct(np.column_stack([np.full(12, 256), np.arange(12) + 1]).astype(np.int32)), "has no picture"),
    (lambda file: _replace(file, "numbers", np.full((12, 147), np.nan)), "not a number"),
    (lambda file: _replace(file, "facts", np.frombuffer(b"{}\0" * 12, np.uint8)), "is damaged"),
    (lambda file: _replace(file, "facts", np.frombuffer(b"what\0" * 12, np.uint8)), "is damaged"),
    (lambda file: _replace(file, "names", np.zeros((12, 3))), "names is not whole"),
    (lambda file: _huge(file), "is damaged"),
    (lambda file: _huge(file, chunks=(1, 256, 256, 3), compression="gzip"), "is damaged"),
    (lambda file: _huge(file, chunks=(5, 256, 256, 3)), "in another way"),
    (_elsewhere, "there is no images_256"),
    (_short, "picture 11 is not whole")], ids=lambda value: value if isinstance(value, str) else "file")
def test_a_spoilt_file_is_named(whole, tmp_path, spoil, answer):
    with h5py.File(whole, "r+") as file:
        spoil(file)
    with pytest.raises(FaceswapError, match=answer) as raised:
        face_set.read_faces(whole, 2)
    assert str(whole) in str(raised.value)


@pytest.mark.parametrize("length", [8, 100, 2000, 10 ** 6, -1])
def test_a_file_that_is_cut_off_is_damaged(whole, length):
    os.truncate(whole, length if length > 0 else whole.stat().st_size - 1)
    with pytest.raises(FaceswapError, match=f"{whole} is damaged"):
        face_set.read_faces(whole, 2)


def test_what_is_no_hdf5_file_is_told(tmp_path):
    (tmp_path / "x.h5").write_text("faces")
    assert not packed.is_packed(tmp_path / "x.h5") and not packed.is_packed(tmp_path / "none.h5")
    with pytest.raises(FaceswapError, match="x.h5 is no packed face set"):
        face_set.read_faces(tmp_path / "x.h5", 1)


def test_a_small_file_that_would_fill_the_memory_is_refused(whole, tmp_path):
    count = 50_000  # of faces of 200 MB
    fact = json.dumps({"coverage": "whole", "origin": {"source": "x", "frame": 0, "number": 0}}).encode() + b"\0"
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        shape = LARGEST, LARGEST, 3
        file.create_dataset(f"images_{LARGEST}", (count, *shape), np.uint8, chunks=(1, *shape), compression="gzip")
        file["places"] = np.column_stack([np.full(count, LARGEST), np.arange(count)]).astype(np.int32)
        file["names"] = np.frombuffer(b"".join(b"%d.png\0" % index for index in range(count)), np.uint8)
        file["texts"], file["facts"] = np.zeros(count, np.uint8), np.frombuffer(fact * count, np.uint8)
        file["numbers"] = np.zeros((count, packed.NUMBERS))
        file.attrs.update({"kind": packed.KIND, "format": packed.FORMAT, "count": count})
    with pytest.raises(FaceswapError, match=r"50000 faces of .*bomb.h5 take 10066\.3 GB of memory"):
        face_set.read_faces(tmp_path / "bomb.h5", 1)


def test_faces_of_a_mapped_file_are_not_copied(whole):
    images = [file.image for file in face_set.read_faces(whole, 1)]
    places = [image.__array_interface__["data"][0] for image in images]
    assert not any(image.flags.writeable for image in images) and set(np.diff(places)) == {256 * 256 * 3}
