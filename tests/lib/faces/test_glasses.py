"""Who wears glasses."""

from __future__ import annotations

import numpy as np
import pytest

from lib.faces import glasses
from lib.facesets.face_file import read_face
from lib.facesets.folder import list_faces
from lib.media.endpoints.source import open_source
from lib.plugin import ALIGNERS, DETECTORS


def test_the_admiral_wears_glasses_and_the_astronaut_none(face_folders):
    scores = {identity: np.median([glasses.bridge(file.image, file.landmarks) for file in map(read_face, list_faces(folder))])
              for identity, folder in face_folders.items()}
    assert scores["a"] < glasses.WORN < scores["b"]


@pytest.mark.parametrize("name, worn", [("people/studio_man_glasses.mp4", True), ("people/studio_man.mp4", False),
                                        ("swap/a_ocasio_cortez.mp4", False), ("swap/b_hill.mp4", False)])
def test_people_in_footage(shared, name, worn):
    detector, aligner = DETECTORS.create("hog"), ALIGNERS.create("dlib68")
    scores = []
    for frame in open_source(shared(f"videos/{name}")).frames(0, 40):
        if frame.index % 8 == 0:
            boxes = [found.box for found in detector.detect([frame.image])[0][:1]]
            scores += [glasses.bridge(frame.image, aligner.align([frame.image], [box[None]])[0][0]) for box in boxes]
    assert (np.median(scores) > glasses.WORN) == worn
