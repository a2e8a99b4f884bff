"""The bank of real pictures in a model's folder."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.facesets.face_file import read_face
from lib.facesets.folder import list_faces
from lib.swapping.exemplars import bank as banks


@pytest.fixture(scope="module")
def files(face_folders):
    return [read_face(path) for path in list_faces(face_folders["b"])]


@pytest.fixture(scope="module")
def made(files):
    return banks.make(files, bare=True)


def test_a_bank_comes_back_as_it_was_written_in_the_same_bytes(made, tmp_path):
    for name in "first", "second":
        banks.write(tmp_path / name, made, "sources")
    read = banks.read(tmp_path / "first")
    assert read.jpegs == made.jpegs and (read.moments == made.moments).all() and read.bare and read.coverage == "whole"
    assert np.allclose(read.landmarks, made.landmarks) and banks.sources_in(tmp_path / "first") == "sources"
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_pictures_are_those_of_the_faces(made, files):
    assert len(made) == len(files)
    assert np.abs(made.picture(3).astype(float) - files[3].image).mean() < 2


def test_of_many_faces_varied_ones_are_kept(files, monkeypatch):
    monkeypatch.setattr(banks, "MOST", 4)
    alike = [replace(files[0], origin=replace(files[0].origin, frame=frame)) for frame in range(20)]
    chosen = banks.make([*alike, *files[4:]], bare=False)
    assert len(chosen) == len(set(chosen.jpegs)) == 4, "no two are the same picture"


def test_pictures_of_two_sources_are_far_from_each_other_in_time(files):
    other = [replace(file, origin=replace(file.origin, source="other.mp4")) for file in files]
    moments = banks.make([*files, *other], bare=False).moments
    assert np.diff(np.sort(moments)).max() > 1000


def damaged(path, change):
    with h5py.File(path, "r+") as file:
        change(file)


def replaced(name, value):
    def change(file):
        del file[name]
        file[name] = value
    return change


@pytest.mark.parametrize("change, words", [
    (lambda file: file.attrs.__setitem__("kind", "else"), "no bank"), (lambda file: file.attrs.__setitem__("coverage", "all"), "no bank"),
    (replaced("ends", np.int64([5, 3])), "do not fit"), (replaced("jpegs", np.zeros(5, np.uint8)), "one after another"),
    (replaced("landmarks", np.full((12, 68, 2), np.nan, np.float32)), "places of a crop"),
    (lambda file: file.pop("moments"), "Cannot read"),
    (replaced("jpegs", np.zeros((10, 10), np.uint8)), "do not fit")])
def test_a_damaged_bank_is_refused_in_a_line(made, tmp_path, change, words):
    banks.write(tmp_path / "bank.h5", made, "")
    damaged(tmp_path / "bank.h5", change)
    with pytest.raises(FaceswapError, match=words) as error:
        banks.read(tmp_path / "bank.h5")
    assert "bank.h5" in str(error.value) and "\n" not in str(error.value)


def test_a_picture_that_is_none_or_huge_is_refused_before_it_is_decoded(made, tmp_path):
    jpegs = [*made.jpegs[:-1], b"\xff\xd8 no picture"]
    banks.write(tmp_path / "bank.h5", replace(made, jpegs=jpegs), "")
    with pytest.raises(FaceswapError, match="no JPEG"):
        banks.read(tmp_path / "bank.h5")


def test_what_is_no_file_of_hdf5_is_refused(tmp_path):
    (tmp_path / "bank.h5").write_text("hello")
    with pytest.raises(FaceswapError, match="bank.h5"):
        banks.read(tmp_path / "bank.h5")


def test_a_bank_is_ready_for_any_crop(made):
    for coverage, side in (("full", 256), ("half", 256), ("whole", 384)):
        ready = banks.Exemplars(made, coverage, side)
        picture, masks = ready.prepared(0)
        assert picture.shape == (side, side, 3) and masks.shape == (side, side, 2)
        assert len(ready.features) == len(made) and ready.extra.shape == (len(made),)
        points = ready.features.shapes[0] * side - 0.5
        assert masks[..., 0][int(points[30, 1]), int(points[30, 0])] == 255, "the nose is face"


def test_few_prepared_pictures_stay_in_memory(made, monkeypatch):
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setattr(banks, "KEPT", 3)
    ready = banks.Exemplars(made, "full", 256)
    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(lambda index: ready.prepared(index % len(made))[0], range(40)))
    assert len(ready._ready) <= 3 and (pictures[0] == pictures[len(made)]).all()


def test_a_set_is_known_by_what_its_pictures_show(files):
    """Faces of one place of one size: sharpened by another program, or of another picture under the name of the first."""
    before = banks.sources_of(files, False)
    assert banks.sources_of(list(files), False) == before != banks.sources_of(files, True)
    darker = replace(files[0], aligned=replace(files[0].aligned, image=files[0].image // 2))
    moved = replace(files[0], aligned=replace(files[0].aligned, matrix=files[0].aligned.matrix * [[1, 1, 0], [1, 1, 1]]))
    for changed in darker, moved:
        assert banks.sources_of([changed, *files[1:]], False) != before
