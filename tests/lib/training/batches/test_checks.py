"""Poor sets of faces are complained of, with numbers; good ones are not."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from lib.facesets.face_file import FaceFile
from lib.facesets.face_set import read_faces
from lib.facesets.folder import FaceFolder
from lib.plugin import ALIGNERS, DETECTORS
from lib.training.batches.checks import complaints


def said_of(files: list[FaceFile], word: str) -> list[str]:
    return [said for said in complaints("faces/b", files) if word in said]


def with_image(file: FaceFile, image: np.ndarray) -> FaceFile:
    return replace(file, aligned=replace(file.aligned, image=image))


@pytest.fixture(scope="module")
def footage(shared, tmp_path_factory) -> list[FaceFile]:
    """Every fourth face of a talking head."""
    from lib.alignments.extraction.extract import extract_faces
    from lib.alignments.extraction.setup import ExtractionSetup
    from lib.alignments.store import AlignmentStore
    from lib.media.endpoints.source import open_source

    folder = tmp_path_factory.mktemp("footage")
    with AlignmentStore.open(folder / "b.db") as store:
        extract_faces(open_source(shared("videos/swap/b_hill.mp4")), store, ExtractionSetup(lambda: DETECTORS.create("hog"), lambda: ALIGNERS.create("dlib68"),
                every=4, sink=FaceFolder(folder / "b")))
    return read_faces(folder / "b", 2)


def test_good_footage_is_not_complained_of(footage):
    assert len(footage) >= 45 and complaints("b", footage) == []
    assert complaints("b", []) == []


def test_faces_that_are_alike(footage):
    few = [footage[index] for index in range(0, len(footage), 4)]
    random = np.random.default_rng(0)
    noisy = [with_image(file, np.clip(file.image + random.integers(-2, 3, file.image.shape), 0, 255).astype(np.uint8)) for file in few]
    (said,) = said_of(few + noisy, "look the same")
    assert said.startswith(f"50% of the {2 * len(few)} faces of faces/b look the same as others") and "extract -N" in said


def test_every_frame_doubled_in_a_long_film(footage):
    doubled = [file for file in footage for _ in range(2)] * 40
    assert said_of(doubled, "look the same")


def test_blurred_faces(footage):
    blurred = [with_image(file, cv2.GaussianBlur(file.image, (0, 0), 3)) for file in footage]
    (said,) = said_of(blurred, "are blurred")
    assert "(0.7" in said and "sort --by blur" in said and len(complaints("b", blurred)) == 1


def test_faces_that_were_small_in_the_frame(footage):
    small = [replace(file, aligned=replace(file.aligned, matrix=file.aligned.matrix * 8,
                                           face=replace(file.aligned.face, landmarks=file.aligned.face.landmarks / 8))) for file in footage]
    (said,) = said_of(small, "are small")
    assert "256 pixels were enlarged from 5" in said or "256 pixels were enlarged from 6" in said


def test_a_head_that_does_not_turn(face_folders):
    (said,) = said_of(read_faces(face_folders["b"], 1), "hardly turns")
    assert "degrees from side to side" in said
