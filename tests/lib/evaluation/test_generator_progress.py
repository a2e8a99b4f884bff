"""How far faces that are drawn of nothing are from those they are learnt from."""

from __future__ import annotations

import numpy as np
import pytest

from lib.evaluation.generator_progress import GeneratedFaces, at_generated_size, mean_aligned
from lib.evaluation.held_out import score
from lib.facesets.face_file import read_face
from lib.facesets.folder import list_faces
from lib.plugin import RECOGNIZERS


@pytest.fixture(scope="module")
def recognizer():
    return RECOGNIZERS.create("dlib_resnet")


@pytest.fixture(scope="module")
def files(face_folders):
    return {identity: [read_face(path) for path in list_faces(folder)] for identity, folder in face_folders.items()}


def repeated(files) -> callable:
    pictures = [at_generated_size(file.aligned, 64, file.coverage).image / np.float32(255) for file in files]
    return lambda count: np.stack([pictures[number % len(pictures)] for number in range(count)])


def test_the_training_faces_themselves_are_nearest(files, recognizer):
    known = GeneratedFaces([file.aligned for file in files["a"]], 64, files["a"][0].coverage, recognizer)
    own, other = (known.measure(repeated(files[identity])) for identity in "ab")
    noise = known.measure(lambda count: np.random.default_rng(0).random((count, 64, 64, 3), np.float32))
    assert own["frechet"] < 0.3 * other["frechet"] and own["frechet"] < 0.3 * noise["frechet"]
    assert own["variety"] == pytest.approx(1, abs=0.2)
    assert score(own) < score(noise), "the best save is the one of the least distance"


def test_one_face_again_and_again_has_no_variety(files, recognizer):
    known = GeneratedFaces([file.aligned for file in files["a"]], 64, files["a"][0].coverage, recognizer)
    assert known.measure(repeated(files["a"][:1]))["variety"] < 0.01


def test_a_drawn_face_is_seen_as_its_own_landmarks_would_have_it(files, recognizer):
    file = files["a"][0]
    one, other, small = recognizer.embed([file.aligned, mean_aligned(file.image, file.coverage), at_generated_size(file.aligned, 64, file.coverage)])
    assert small @ other / np.linalg.norm(small) / np.linalg.norm(other) > 0.8
    assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.9
