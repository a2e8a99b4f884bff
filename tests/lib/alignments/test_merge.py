"""Parts of one source, searched apart, become what one run would have found."""

from dataclasses import replace

import numpy as np
import pytest

from lib.alignments import tracking
from lib.alignments.extraction.extract import extract_faces
from lib.alignments.extraction.setup import ExtractionSetup
from lib.alignments.merge import join
from lib.alignments.store import AlignmentStore, StoredFace, new_store
from lib.errors import FaceswapError
from lib.facesets.folder import FaceFolder
from lib.files.writing import part_beside
from lib.media.endpoints.sample_clips import MovingCamera, astronaut
from lib.plugin import ALIGNERS, DETECTORS, MASKERS
from lib.types import Detection, Face, Frame

MISSED = (6, 7, 8)


class Covered(MovingCamera):
    """In frames on both sides of the seam the face is covered: the detector misses it."""

    def frames(self, start=0, stop=None):
        for frame in super().frames(start, stop):
            if frame.index in MISSED:
                frame.image[60:200, 60:200] = 128
            yield Frame(frame.index, frame.image, time=frame.time)


FILM = Covered(astronaut(), seconds=16 / 25, side=256)


def run(store, **options):
    return extract_faces(FILM, store, ExtractionSetup(lambda: DETECTORS.create("hog", upsample=0), lambda: ALIGNERS.create("dlib68"), **options))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "whole.db"
    with AlignmentStore.open(path) as store:
        run(store, sink=FaceFolder(path.parent / "faces"), maskers=[MASKERS.create("hull")])
    return path


def part(whole, path, frames, **settings):
    """What a run over some frames alone leaves: no tracks, nothing filled in."""
    with AlignmentStore.open(whole, read_only=True) as source, AlignmentStore.open(path) as store:
        looks, times = dict(source.looks()), {index: time for index, _, time, _ in source.frame_counts()}
        for index in frames:
            faces = [StoredFace(one.fitted, one.masks) for one in source.faces(index) if not one.filled]
            store.add(index, "", times[index], faces, looks[index])
            store.add_written(whole.parent / "faces", index, range(len(faces)))
        store.update_settings({key: value for key, value in source.settings.items() if key != "smooth"} | settings)
    return path


def test_joined_parts_are_as_one_run_made_them(whole, tmp_path):
    first = part(whole, tmp_path / "1.db", range(7), shard=[1, 2])
    second = part(whole, tmp_path / "2.db", range(7, 16), shard=[2, 2])
    with new_store(tmp_path / "all.db") as store:
        joined = join([second, first], store)
    assert (joined.differing, joined.missing, joined.unfinished) == ([], [], [])
    with AlignmentStore.open(whole) as one, AlignmentStore.open(tmp_path / "all.db") as store:
        assert "shard" not in store.settings and store.settings["complete"] == [1]
        summary = run(store, maskers=[MASKERS.create("hull")])
        assert summary.searched == 0 and summary.filled == len(MISSED) and summary.tracks == 1
        assert store.settings == one.settings
        filled = {(index, stored.number) for index, stored in one.all_faces() if stored.filled}  # which the parts knew nothing of
        assert store.written(whole.parent / "faces") == one.written(whole.parent / "faces") - filled
        assert list(store.frame_counts()) == list(one.frame_counts())
        for (_, mine), (_, its) in zip(store.looks(), one.looks(), strict=True):
            np.testing.assert_array_equal(mine, its)
        for index in range(16):
            (mine,), (its,) = store.faces(index), one.faces(index)
            np.testing.assert_array_equal(mine.face.landmarks, its.face.landmarks)
            np.testing.assert_array_equal(mine.fitted.landmarks, its.fitted.landmarks)
            assert (mine.track, mine.filled, mine.masks.keys()) == (its.track, its.filled, its.masks.keys())


def test_a_missing_part_is_named_and_its_frames_are_searched_later(whole, tmp_path):
    parts = [part(whole, tmp_path / "1.db", range(5), shard=[1, 3]),
             part(whole, tmp_path / "3.db", range(10, 16), shard=[3, 3], complete=[])]
    with new_store(tmp_path / "all.db") as store:
        joined = join(parts, store)
        assert joined.missing == ["2/3"] and joined.unfinished == [tmp_path / "3.db"] and store.settings["complete"] == []
    with AlignmentStore.open(tmp_path / "all.db") as store:
        assert run(store).searched == 5 and store.done() == set(range(16))


def test_parts_of_different_divisions_are_not_taken_for_the_whole(whole, tmp_path):
    parts = [part(whole, tmp_path / "1.db", range(8), shard=[1, 2]), part(whole, tmp_path / "2.db", range(5, 10), shard=[2, 3])]
    with new_store(tmp_path / "all.db") as store:
        assert join(parts, store).missing == ["2/2", "1/3", "3/3"] and store.settings["complete"] == []


def test_what_a_killed_run_left_is_not_joined_in(whole, tmp_path):
    part(whole, part_beside(tmp_path / "all.db"), range(12, 16))
    with new_store(tmp_path / "all.db") as store:
        join([part(whole, tmp_path / "1.db", range(7))], store)
        assert store.done() == set(range(7))


def test_where_two_parts_differ_the_first_wins(whole, tmp_path):
    first, second = part(whole, tmp_path / "1.db", range(9)), part(whole, tmp_path / "2.db", range(4, 16))
    with AlignmentStore.open(second) as store:
        for index in (5, 12):  # 12 is in the second part alone
            face, = store.faces(index)
            moved = Face(Detection(face.face.detection.box, 0.5), face.face.landmarks + 1)
            store.add(index, "", 0.0, [replace(face, face=moved)])
        store.add(4, "", 0.0, [])
        store.add(6, "", 0.0, [face])
    with new_store(tmp_path / "all.db") as store:
        assert join([first, second], store).differing == [4, 5, 6]
    with AlignmentStore.open(tmp_path / "all.db") as store, AlignmentStore.open(first) as one, AlignmentStore.open(second) as other:
        for index in range(16):
            for mine, its in zip(store.faces(index), (one if index < 9 else other).faces(index), strict=True):
                np.testing.assert_array_equal(mine.face.landmarks, its.face.landmarks)


@pytest.mark.parametrize("settings, words", [
    ({"detector": {"name": "yunet", "options": {"min_score": 0.8}}}, "detector is hog .* in .*1.db, but yunet min_score=0.8 in .*2.db"),
    ({"aligner": {"name": "dlib68", "options": {"refeed": 9}}}, "aligner is .* but dlib68 refeed=9"),
    ({"min_face": 40}, "min-face is 0 in .* but 40"),
    ({"source": {"path": "x", "video": {"bytes": 5, "size": [256, 256]}, "pictures": None}}, "is of a video of .* of a video of 5 bytes"),
])
def test_parts_that_do_not_belong_together_are_named(whole, tmp_path, settings, words):
    parts = [part(whole, tmp_path / "1.db", range(7)), part(whole, tmp_path / "2.db", range(7, 16), **settings)]
    with pytest.raises(FaceswapError, match=words), new_store(tmp_path / "all.db") as store:
        join(parts, store)
    assert not list(tmp_path.glob("all*"))


def test_pictures_that_stand_elsewhere_are_named(tmp_path):
    source = {"path": "x", "video": None, "pictures": 2}
    for name, pictures in (("1.db", ["a.jpg"]), ("2.db", ["b.jpg", "a.jpg"])):
        with AlignmentStore.open(tmp_path / name) as store:
            for index, picture in enumerate(pictures):
                store.add(index, picture, None, [])
            store.update_settings({"source": source, "complete": [1]})
    with pytest.raises(FaceswapError, match="picture b.jpg stands elsewhere"), new_store(tmp_path / "all.db") as store:
        join([tmp_path / "1.db", tmp_path / "2.db"], store)


def test_faces_left_out_stay_so_and_embeddings_are_kept_but_people_are_not(whole, tmp_path):
    parts = [part(whole, tmp_path / "1.db", range(9)), part(whole, tmp_path / "2.db", range(9, 16))]
    for path, frame in zip(parts, (2, 11)):
        with AlignmentStore.open(path) as store:
            store.drop("removed", [(frame, 0)])
            store.add_embedding(frame, 0, np.float32([frame, 1]), "dlib_resnet")
            store.set_people([(frame, 0, 1)])  # whoever is the first in this part
    with new_store(tmp_path / "all.db") as store:
        join(parts, store)
        assert [(frame, embedding[0]) for frame, _, embedding in store.embeddings("dlib_resnet")] == [(2, 2), (11, 11)]
        assert store.people() == {}
        assert store.dropped_counts() == {"removed": 2} and store.faces(11) == []


def test_tracks_without_a_source_fill_nothing_in(whole, tmp_path):
    path = part(whole, tmp_path / "1.db", range(16))
    with AlignmentStore.open(path) as store:
        tracking.steady(store, smooth=True)
        assert store.track_counts() == (1, 0) and store.counts()[0] == 16 - len(MISSED)
        assert all(stored.raw is not None for _, stored in store.all_faces())
