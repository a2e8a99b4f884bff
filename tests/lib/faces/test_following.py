"""Faces that are followed from frame to frame, with the detector looking now and then."""

import sqlite3

import numpy as np
import pytest

from lib.alignments.extraction.extract import extract_faces
from lib.alignments.extraction.setup import ExtractionSetup
from lib.alignments.store import AlignmentStore
from lib.faces.following import follow_faces
from lib.media.endpoints.sample_clips import MovingCamera, astronaut
from lib.plugin import ALIGNERS, DETECTORS
from lib.system.profile import Stages


@pytest.fixture(scope="module")
def frames():
    return [frame.image for frame in MovingCamera(astronaut(), seconds=9 / 25, side=256).frames()]


@pytest.fixture
def detector():
    detector = DETECTORS.create("hog", upsample=0)
    detector.searched, detect = [], detector.detect

    def counted(images):
        detector.searched.append(len(images))
        return detect(images)

    detector.detect = counted
    return detector


def follow(frames, detector):
    return follow_faces(frames, detector, ALIGNERS.create("mesh"), 0, (), Stages())


def test_the_detector_looks_at_the_first_and_the_last_and_the_faces_are_those_it_would_see(frames, detector):
    rows = follow(frames, detector)
    assert detector.searched == [2] and [len(row) for row in rows] == [1] * len(frames)
    for frame, (face,) in zip(frames, rows):
        box = DETECTORS.create("hog", upsample=0).detect([frame])[0][0].box
        (seen,), = ALIGNERS.create("mesh").fit([frame], [box[None]])
        eyes = np.linalg.norm(seen.landmarks[36] - seen.landmarks[45])
        assert np.linalg.norm(face.landmarks - seen.landmarks, axis=1).mean() < 0.03 * eyes
        assert np.abs(face.detection.box - box).max() < 0.2 * (box[2] - box[0]) and face.shape.score > 0.9


@pytest.mark.parametrize("change", ["nobody at the end", "nobody in the middle", "somebody more at the end"])
def test_where_a_face_is_lost_or_new_all_frames_are_searched(frames, detector, change):
    frames = [frame.copy() for frame in frames]
    if change == "somebody more at the end":
        frames = [np.hstack([frame, np.full_like(frame, 128)]) for frame in frames]
        for frame in frames[5:]:
            frame[:, 256:] = frame[:, :256]
    else:
        for frame in frames[4:] if "end" in change else frames[4:6]:
            frame[:] = 128
    counts = [len(row) for row in follow(frames, detector)]
    assert detector.searched == [2, len(frames) - 2]
    assert counts == {"nobody at the end": [1] * 4 + [0] * 5, "nobody in the middle": [1] * 4 + [0] * 2 + [1] * 3,
                      "somebody more at the end": [1] * 5 + [2] * 4}[change]


def test_a_run_that_was_broken_off_finds_what_one_without_a_break_finds(tmp_path):
    film = MovingCamera(astronaut(), seconds=20 / 25, side=256)

    def rows(path):
        with sqlite3.connect(path) as database:
            return database.execute("SELECT frame, number, box, score, landmarks, shape FROM faces ORDER BY frame").fetchall()

    def run(path):
        with AlignmentStore.open(path) as store:
            extract_faces(film, store, ExtractionSetup(lambda: DETECTORS.create("hog", upsample=0),
                                                       lambda: ALIGNERS.create("mesh"), workers=1))

    run(tmp_path / "whole.db")
    run(tmp_path / "broken.db")
    with AlignmentStore.open(tmp_path / "broken.db") as store:
        store.forget(range(11, 20))
        store.update(complete=(), followed=None)
    run(tmp_path / "broken.db")
    assert rows(tmp_path / "broken.db") == rows(tmp_path / "whole.db") and len(rows(tmp_path / "whole.db")) == 20
