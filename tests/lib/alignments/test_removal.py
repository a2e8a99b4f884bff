"""What a user deletes from a face folder is left out, whatever the other pictures are called by now."""

import shutil
from dataclasses import replace

import pytest

from lib.alignments.extraction.extract import extract_faces
from lib.alignments.extraction.setup import ExtractionSetup
from lib.alignments.removal import bring_back, remove_deleted
from lib.alignments.store import AlignmentStore
from lib.errors import FaceswapError
from lib.facesets.folder import FaceFolder, list_faces
from lib.media.endpoints.sample_clips import MovingCamera, admiral, astronaut
from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file
from lib.plugin import ALIGNERS, DETECTORS


def run(source, store, folder, **options):
    return extract_faces(source, store, ExtractionSetup(lambda: DETECTORS.create("hog", upsample=0), lambda: ALIGNERS.create("dlib68"), sink=FaceFolder(folder),
                   **options))


@pytest.fixture
def store(tmp_path):
    """Eight frames with a face each, written into the folder "faces"."""
    with AlignmentStore.open(tmp_path / "x.db") as store:
        run(MovingCamera(astronaut(), seconds=8 / 25, side=256), store, tmp_path / "faces")
        yield store


def left_out(store):
    return [index for index, stored in store.all_faces(dropped=True) if stored.dropped == "removed"]


def test_faces_whose_picture_is_gone_are_left_out_and_come_back_with_it(store, tmp_path):
    files = list_faces(tmp_path / "faces")
    files[0].rename(tmp_path / "faces" / "somebody.png")
    (tmp_path / "faces" / "sorted" / "by blur").mkdir(parents=True)
    files[1].rename(tmp_path / "faces" / "sorted" / "by blur" / "0001.PNG")
    kept = files[5].read_bytes()
    for path in files[4:6]:
        path.unlink()
    done = remove_deleted(store, tmp_path / "faces")
    assert (done.present, done.removed, done.returned, done.altogether) == (6, 2, 0, 2)
    assert left_out(store) == [4, 5] and store.faces(4) == [] and len(store.faces(0)) == 1
    files[5].write_bytes(kept)
    done = remove_deleted(store, tmp_path / "faces")
    assert (done.present, done.removed, done.returned, done.altogether) == (7, 0, 1, 1) and left_out(store) == [4]
    assert bring_back(store) == 1 and len(store.faces(4)) == 1


def test_a_second_folder_does_not_bring_back_what_is_gone_from_the_first(store, tmp_path):
    run(MovingCamera(astronaut(), seconds=8 / 25, side=256), store, tmp_path / "more", every=2)
    for index in (4, 3):
        list_faces(tmp_path / "faces")[index].unlink()
    remove_deleted(store, tmp_path / "faces")
    list_faces(tmp_path / "more")[3].unlink()  # of frame 6; that of frame 4 is there
    remove_deleted(store, tmp_path / "more")
    assert left_out(store) == [3, 6]
    assert bring_back(store, tmp_path / "elsewhere") == 0 and bring_back(store, tmp_path / "more") == 1 and left_out(store) == [3]


def test_an_empty_folder_is_refused_unless_all_may_go(store, tmp_path):
    for path in list_faces(tmp_path / "faces"):
        path.unlink()
    with pytest.raises(FaceswapError, match="is empty: every face would be left out.*--all"):
        remove_deleted(store, tmp_path / "faces")
    assert left_out(store) == []
    assert remove_deleted(store, tmp_path / "faces", everything=True).removed == 8


def test_nothing_deleted_or_another_folder_is_said(store, tmp_path):
    with pytest.raises(FaceswapError, match="Nothing was deleted in .*faces: all 8 faces are there"):
        remove_deleted(store, tmp_path / "faces")
    with pytest.raises(FaceswapError, match="There is no folder .*nowhere"):
        remove_deleted(store, tmp_path / "nowhere")
    with AlignmentStore.open(tmp_path / "b.db") as other:
        run(MovingCamera(admiral(), seconds=8 / 25, side=256), other, tmp_path / "others")
    with pytest.raises(FaceswapError, match="None of the 8 faces in .*others is of .*x.db. Folders that extract wrote for it: .*faces"):
        remove_deleted(store, tmp_path / "others")
    for path in list_faces(tmp_path / "faces"):
        path.unlink()
    for path in list_faces(tmp_path / "others"):
        path.rename(tmp_path / "faces" / path.name)
    with pytest.raises(FaceswapError, match="None of the 8 faces in .*faces is of"):
        remove_deleted(store, tmp_path / "faces")
    assert left_out(store) == []


def test_a_sorted_copy_and_a_folder_that_was_moved_do_as_well(store, tmp_path):
    shutil.copytree(tmp_path / "faces", tmp_path / "copy")
    for rank, path in enumerate(list_faces(tmp_path / "copy")):
        path.rename(path.with_name(f"{rank}_{path.name}"))
    for path in list_faces(tmp_path / "copy")[:2]:
        path.unlink()
    assert remove_deleted(store, tmp_path / "copy").removed == 2 and left_out(store) == [0, 1]
    (tmp_path / "faces").rename(tmp_path / "elsewhere")
    assert remove_deleted(store, tmp_path / "elsewhere").returned == 2 and left_out(store) == []


def test_faces_that_were_never_in_the_folder_stay(store, tmp_path):
    store.add_face(2, replace(store.faces(2)[0]))
    list_faces(tmp_path / "faces")[5].unlink()
    assert remove_deleted(store, tmp_path / "faces").removed == 1 and left_out(store) == [5]


def test_faces_of_another_source_in_the_folder_are_told_apart(store, tmp_path):
    with AlignmentStore.open(tmp_path / "b.db") as other:
        run(MovingCamera(admiral(), seconds=8 / 25, side=256), other, tmp_path / "faces")
    next(path for path in list_faces(tmp_path / "faces") if path.name.startswith("astronaut_000003")).unlink()
    remove_deleted(store, tmp_path / "faces")
    assert left_out(store) == [3]


def test_a_picture_that_lost_its_metadata_leaves_nothing_out(store, tmp_path, astronaut):
    path = list_faces(tmp_path / "faces")[3]
    picture_file.write(path, picture_file.read(path))
    with pytest.raises(FaceswapError, match=f"{path.name} does not say where its face is"):
        remove_deleted(store, tmp_path / "faces")
    assert left_out(store) == []


def test_pictures_that_moved_to_another_place_are_known_by_name(tmp_path, astronaut, hopper):
    (tmp_path / "photos").mkdir()
    picture_file.write(tmp_path / "photos" / "m.png", astronaut)
    picture_file.write(tmp_path / "photos" / "z.png", hopper)
    with AlignmentStore.open(tmp_path / "x.db") as store:
        run(open_source(tmp_path / "photos"), store, tmp_path / "faces")
        picture_file.write(tmp_path / "photos" / "a.png", hopper[:, ::-1])
        run(open_source(tmp_path / "photos"), store, tmp_path / "faces")
        next(path for path in list_faces(tmp_path / "faces") if path.name.startswith("m_")).unlink()
        remove_deleted(store, tmp_path / "faces")
        assert [store.names()[index] for index in left_out(store)] == ["m.png"]
