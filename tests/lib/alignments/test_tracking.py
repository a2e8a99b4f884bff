"""After extraction faces have tracks, steady landmarks, and stand where the detector missed them."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest

from lib.alignments.database.formats import SCHEMA
from lib.alignments.extraction.extract import extract_faces
from lib.alignments.extraction.setup import ExtractionSetup
from lib.alignments.store import AlignmentStore
from lib.facesets.folder import FaceFolder, list_faces
from lib.media.endpoints.sample_clips import MovingCamera, astronaut
from lib.plugin import ALIGNERS, DETECTORS, MASKERS
from lib.types import Frame

MISSED = (6, 7, 8)


class Covered(MovingCamera):
    """In some frames the face is covered: the detector misses it."""

    def frames(self, start=0, stop=None):
        for frame in super().frames(start, stop):
            if frame.index in MISSED:
                frame.image[60:200, 60:200] = 128
            yield Frame(frame.index, frame.image, time=frame.time)


@pytest.fixture
def film() -> Covered:
    return Covered(astronaut(), seconds=16 / 25, side=256)


def run(film, path, **options):
    with AlignmentStore.open(path) as store:
        return extract_faces(film, store, ExtractionSetup(lambda: DETECTORS.create("hog", upsample=0), lambda: ALIGNERS.create("dlib68"), **options))


def test_a_face_missed_within_a_track_is_filled_in_and_marked(film, tmp_path):
    plain = MovingCamera(astronaut(), seconds=16 / 25, side=256)
    run(plain, tmp_path / "plain.db")
    summary = run(film, tmp_path / "covered.db", sink=FaceFolder(tmp_path / "faces"))
    assert summary.frames_with_face == 16 and summary.filled == 3 and summary.tracks == 1
    with AlignmentStore.open(tmp_path / "plain.db") as whole, AlignmentStore.open(tmp_path / "covered.db") as store:
        for index in range(16):
            (face,), (true,) = store.faces(index), whole.faces(index)
            assert face.filled == (index in MISSED) and face.track == 0
            eyes = np.linalg.norm(true.face.landmarks[36] - true.face.landmarks[45])
            assert np.linalg.norm(face.face.landmarks - true.face.landmarks, axis=1).mean() < 0.06 * eyes
    assert len(list_faces(tmp_path / "faces")) == 16


def test_landmarks_are_steady_and_the_raw_ones_are_kept(film, tmp_path):
    run(film, tmp_path / "a.db")
    with AlignmentStore.open(tmp_path / "a.db") as store:
        steady = [store.faces(index)[0] for index in range(16)]
        raw = list(store.raw_faces((index, 0) for index in range(16)))
        assert all((one.fitted.landmarks == face.landmarks).all() for one, face in zip(steady, raw))
        assert any((one.face.landmarks != one.raw).any() for one in steady)


def test_smoothing_can_be_left_out_and_taken_later(film, tmp_path):
    run(film, tmp_path / "a.db", smooth=False)
    with AlignmentStore.open(tmp_path / "a.db") as store:
        assert all(stored.raw is None and stored.track == 0 for _, stored in store.all_faces())
    again = run(film, tmp_path / "a.db", smooth=True)
    assert again.searched == 0
    with AlignmentStore.open(tmp_path / "a.db") as store:
        assert all(stored.raw is not None for _, stored in store.all_faces())
    assert run(film, tmp_path / "a.db").searched == 0
    with AlignmentStore.open(tmp_path / "a.db") as store:  # as it was begun
        assert all(stored.raw is not None for _, stored in store.all_faces())


def test_a_run_that_was_stopped_ends_as_one_that_was_not(film, tmp_path):
    run(film, tmp_path / "whole.db")

    class Interrupted(Covered):
        def frames(self, start=0, stop=None):
            for frame in super().frames(start, stop):
                if frame.index == 10:
                    raise KeyboardInterrupt
                yield frame

    with pytest.raises(KeyboardInterrupt):
        run(Interrupted(astronaut(), seconds=16 / 25, side=256), tmp_path / "two.db")
    run(film, tmp_path / "two.db")
    with AlignmentStore.open(tmp_path / "whole.db") as whole, AlignmentStore.open(tmp_path / "two.db") as store:
        for (index, one), (other_index, other) in zip(whole.all_faces(), store.all_faces(), strict=True):
            assert index == other_index and one.filled == other.filled and one.track == other.track
            np.testing.assert_array_equal(one.face.landmarks, other.face.landmarks)


def test_masks_made_later_change_no_landmarks(film, tmp_path):
    run(film, tmp_path / "a.db")
    with AlignmentStore.open(tmp_path / "a.db") as store:
        before = [stored.raw.copy() for _, stored in store.all_faces()]
    run(film, tmp_path / "a.db", maskers=[MASKERS.create("hull")])
    with AlignmentStore.open(tmp_path / "a.db") as store:
        after = [stored for index in range(16) for stored in store.faces(index)]
    assert all("hull" in stored.masks for stored in after)
    for one, stored in zip(before, after, strict=True):
        np.testing.assert_array_equal(stored.raw, one)


def test_a_store_of_the_first_format_is_read_and_gone_on_with(film, tmp_path):
    run(film, tmp_path / "new.db", smooth=False, maskers=[MASKERS.create("hull")])
    old = tmp_path / "old.db"
    schema = " ".join(SCHEMA.split()).replace(", look BLOB, stamp TEXT, content TEXT", "")
    for new in ("smooth BLOB, track INTEGER, filled INTEGER NOT NULL DEFAULT 0, ", "person INTEGER, embedding BLOB, dropped TEXT,",
                "recognizer TEXT, shape BLOB,"):
        assert new in schema
        schema = schema.replace(new, "")
    with sqlite3.connect(old) as database:
        database.executescript(schema)
        database.execute("ATTACH ? AS new", (str(tmp_path / "new.db"),))
        database.execute("INSERT INTO settings SELECT * FROM new.settings WHERE key <> 'maskers'")
        database.execute("INSERT INTO masks SELECT * FROM new.masks")
        database.execute("INSERT INTO frames SELECT frame, name, time FROM new.frames")
        database.execute("INSERT INTO faces SELECT frame, number, box, score, landmarks FROM new.faces")
        database.execute("PRAGMA application_id = 0x46535750")
        database.execute("PRAGMA user_version = 1")
    database.close()
    with AlignmentStore.open(old, read_only=True) as store:
        assert len(store.faces(0)) == 1 and store.faces(0)[0].track is None and not list(store.looks())
        assert store.settings["maskers"] == {"hull": MASKERS.create("hull").made_with()}  # so that they are not made again
    summary = run(film, old, smooth=True)
    assert summary.searched == 0 and summary.faces == 16
