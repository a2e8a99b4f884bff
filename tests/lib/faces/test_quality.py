"""Landmarks that make no sense are told from those of faces, however turned."""

from __future__ import annotations

import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.faces.geometry import MIRRORED
from lib.faces.quality import is_face
from lib.media.pictures import picture_file
from lib.plugin import ALIGNERS, DETECTORS
from lib.types import Face


@pytest.fixture(scope="module")
def face(astronaut) -> Face:
    found = DETECTORS.create("hog").detect([astronaut])[0][0]
    return Face(found, ALIGNERS.create("dlib68").align([astronaut], [found.box[None]])[0][0])


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    middle, angle = points.mean(0), np.radians(degrees)
    return (points - middle) @ np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))]) + middle


def test_a_face_is_one_however_it_lies(face):
    for degrees in (0, 45, 90, 180):
        assert is_face(Face(face.detection, turned(face.landmarks, degrees)))


@pytest.mark.parametrize("broken", [
    lambda points: points * 0 + points.mean(0), lambda points: points * np.nan, lambda points: points[MIRRORED],
    lambda points: points[np.random.default_rng(0).permutation(68)], lambda points: points * (1, 0.2), lambda points: points * (0.2, 1),
    lambda points: (points - points.mean(0)) * 0.3 + points.mean(0), lambda points: (points - points.mean(0)) * 2.5 + points.mean(0),
    lambda points: points + 0.6 * np.ptp(points, axis=0), lambda points: points[::-1]],
    ids=["a point", "no numbers", "mirrored", "shuffled", "flat", "narrow", "small", "large", "elsewhere", "backwards"])
def test_what_is_no_face(face, broken):
    assert not is_face(Face(face.detection, broken(face.landmarks).astype(np.float32)))


def test_no_true_face_is_turned_away(shared):
    folders = [shared(f"photos/{kind}") for kind in ("single", "hard", "group")]
    detector, aligner = DETECTORS.create("yunet"), ALIGNERS.create("dlib68", refeed=0)
    faces = 0
    for folder in folders:
        for path in sorted(folder.iterdir()):
            try:
                image = picture_file.read(path)
            except FaceswapError:
                continue
            for found in detector.detect([image])[0]:
                faces += 1
                assert is_face(Face(found, aligner.align([image], [found.box[None]])[0][0])), path.name
    assert faces > 90


def test_faces_left_out_are_counted_and_not_shown(tmp_path, astronaut):
    from lib.alignments.extraction.extract import extract_faces
    from lib.alignments.extraction.setup import ExtractionSetup
    from lib.alignments.store import AlignmentStore
    from lib.media.endpoints.source import open_source

    class Scattered(ALIGNERS.load("dlib68")):
        """An aligner whose points are in another order than they should be."""

        def align(self, images, boxes):
            return [fits[:, np.random.default_rng(0).permutation(68)] for fits in super().align(images, boxes)]

    picture_file.write(tmp_path / "one.png", astronaut)
    with AlignmentStore.open(tmp_path / "a.db") as store:
        summary = extract_faces(open_source(tmp_path / "one.png"), store, ExtractionSetup(lambda: DETECTORS.create("hog"), Scattered))
        assert summary.faces == 0 and summary.dropped == {"landmarks": 1} and store.faces(0) == []
    with AlignmentStore.open(tmp_path / "b.db") as store:
        summary = extract_faces(open_source(tmp_path / "one.png"), store, ExtractionSetup(lambda: DETECTORS.create("hog"), lambda: ALIGNERS.create("dlib68"),
                          min_face=400))
        assert summary.faces == 0 and summary.dropped == {"size": 1} and store.faces(0) == []
        assert list(store.all_faces(dropped=True)) == []
