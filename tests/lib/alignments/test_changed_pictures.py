"""Pictures that show something else than when they were searched, under the same names."""

import os
import shutil
import sqlite3

import numpy as np
import pytest
from PIL import Image

from lib.alignments.extraction.extract import extract_faces, search_changed
from lib.alignments.extraction.setup import ExtractionSetup
from lib.alignments.sources import check_source
from lib.alignments.store import AlignmentStore
from lib.errors import FaceswapError
from lib.facesets.face_file import read_face
from lib.facesets.folder import FaceFolder, list_faces
from lib.media.pictures.picture_source import PictureSource
from lib.plugin import ALIGNERS, DETECTORS

NAMES = ("a.bmp", "b.bmp")  # all of one size in bytes


@pytest.fixture
def folder(tmp_path, astronaut, hopper):
    """The astronaut, and Grace Hopper in a picture of the same size."""
    (tmp_path / "photos").mkdir()
    for name, image in zip(NAMES, (astronaut, np.ascontiguousarray(hopper[:512]))):
        Image.fromarray(image).save(tmp_path / "photos" / name)
    return tmp_path / "photos"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "photos.db"


def run(folder, path, sink=None):
    with AlignmentStore.open(path) as store:
        return extract_faces(PictureSource(folder), store, ExtractionSetup(lambda: DETECTORS.create("hog", upsample=0), lambda: ALIGNERS.create("dlib68"),
                       sink=sink, workers=1))


def centres(path) -> dict[str, list[int]]:
    with AlignmentStore.open(path, read_only=True) as store:
        return {name: [round(float(stored.face.landmarks.mean())) for stored in store.faces(index)]
                for index, name in store.names().items()}


def test_pictures_that_exchange_their_names_are_searched_again(folder, path):
    run(folder, path)
    before = centres(path)
    assert before["a.bmp"] != before["b.bmp"]
    times = {name: os.stat(folder / name).st_mtime_ns for name in NAMES}
    for old, new in (("a.bmp", "c"), ("b.bmp", "a.bmp"), ("c", "b.bmp")):
        (folder / old).rename(folder / new)
    for name in NAMES:
        os.utime(folder / name, ns=(times[name],) * 2)
    assert run(folder, path).searched == 2
    assert centres(path) == {"a.bmp": before["b.bmp"], "b.bmp": before["a.bmp"]}
    assert run(folder, path).searched == 0


@pytest.mark.parametrize("change", [
    lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), lambda image: image.resize((300, 300)),
    lambda image: image.crop((60, 0, 512, 400))], ids=["turned", "scaled", "cropped"])
def test_a_picture_that_was_edited_is_searched_again(folder, path, change):
    run(folder, path)
    before = centres(path)
    edited = change(Image.open(folder / "a.bmp"))
    edited.save(folder / "a.bmp")
    assert run(folder, path).searched == 1
    after = centres(path)
    assert after["a.bmp"] != before["a.bmp"] and after["b.bmp"] == before["b.bmp"]


def test_a_picture_turned_by_its_metadata_is_searched_again(tmp_path, path, astronaut):
    picture = tmp_path / "t.jpg"
    Image.fromarray(astronaut).save(picture, quality=95)
    run(picture, path)
    before = centres(path)
    exif = Image.Exif()
    exif[0x0112] = 2  # mirrored
    Image.open(picture).save(picture, exif=exif, quality="keep")
    assert run(picture, path).searched == 1 and centres(path) != before


def test_copied_and_touched_pictures_are_the_same(folder, path, tmp_path):
    run(folder, path)
    shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)
    assert run(tmp_path / "copy", path).searched == 0
    os.utime(folder / "a.bmp")
    assert run(folder, path).searched == 0


def test_faces_of_what_is_no_longer_there_leave_the_folder(folder, path, tmp_path, astronaut):
    Image.fromarray(np.hstack([astronaut, astronaut])).save(folder / "a.bmp")
    sink = FaceFolder(tmp_path / "faces")
    assert run(folder, path, sink).written == 3
    deleted = list_faces(sink.path)[-1]
    deleted.unlink()  # of b.bmp, which does not change: it stays deleted
    Image.fromarray(astronaut[:, ::-1]).save(folder / "a.bmp")
    assert run(folder, path, sink).written == 1
    (file,) = map(read_face, list_faces(sink.path))
    assert file.origin.name == "a.bmp" and centres(path)["a.bmp"] == [round(float(file.aligned.face.landmarks.mean()))]
    Image.fromarray(np.zeros_like(astronaut)).save(folder / "a.bmp")
    run(folder, path, sink)
    assert not list_faces(sink.path)


def test_who_only_reads_refuses_changed_pictures(folder, path, hopper):
    run(folder, path)
    Image.fromarray(hopper).save(folder / "a.bmp")
    for read_only in (True, False):
        with AlignmentStore.open(path, read_only=read_only) as store:
            with pytest.raises(FaceswapError, match=r"1 picture of .*a\.bmp, changed since it was searched .*Run faceswap.py extract"):
                check_source(PictureSource(folder), store)
    run(folder, path)
    with AlignmentStore.open(path, read_only=True) as store:
        check_source(PictureSource(folder), store)


def test_those_are_searched_again_with_what_the_store_was_begun_with(folder, path, hopper):
    run(folder, path)
    before = centres(path)
    Image.fromarray(hopper).save(folder / "a.bmp")
    with AlignmentStore.open(path) as store:
        search_changed(PictureSource(folder), store)
        assert store.settings["detector"]["options"]["upsample"] == 0
    assert centres(path)["a.bmp"] not in ([], before["a.bmp"]) and centres(path)["b.bmp"] == before["b.bmp"]
    assert run(folder, path).searched == 0


def test_a_store_that_knows_no_files_compares_looks(folder, path, hopper):
    run(folder, path)
    with AlignmentStore.open(path) as store:
        before = store.names()
    database = sqlite3.connect(path)
    database.execute("UPDATE frames SET stamp = NULL, content = NULL")
    database.commit()
    database.close()
    Image.fromarray(hopper).save(folder / "a.bmp")
    assert before and run(folder, path).searched == 1
    with AlignmentStore.open(path, read_only=True) as store:
        assert all(content for _, _, content, _ in store.files())


def test_another_video_of_the_same_length_in_bytes_is_refused(tmp_path):
    from lib.media.endpoints.source import open_source

    def plain(seed: int):
        pixels = np.random.RandomState(seed).randint(0, 255, (5, 64 * 64 * 3 // 2), np.uint8)
        (tmp_path / "v.y4m").write_bytes(b"YUV4MPEG2 W64 H64 F25:1 Ip C420jpeg\n" + b"".join(b"FRAME\n" + one.tobytes() for one in pixels))
        return open_source(tmp_path / "v.y4m", exact=False)

    def search(source) -> None:
        with AlignmentStore.open(tmp_path / "v.db") as store:
            extract_faces(source, store, ExtractionSetup(lambda: DETECTORS.create("hog", upsample=0), lambda: ALIGNERS.create("dlib68")))

    search(plain(0))
    search(plain(0))
    with pytest.raises(FaceswapError, match="not the same .* alignments rename --force"):
        search(plain(1))
