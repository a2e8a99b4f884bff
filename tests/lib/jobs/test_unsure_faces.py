"""Faces whose landmarks the aligner is not sure of are left alone, and swapped where that is asked for."""

import numpy as np
import pytest

from lib.alignments.extraction.extract import extract_faces
from lib.alignments.extraction.setup import ExtractionSetup
from lib.alignments.store import AlignmentStore
from lib.jobs.convert.people import everybody
from lib.jobs.convert.steadying import SteadyFaces
from lib.media.endpoints.sample_clips import MovingCamera, astronaut
from lib.plugin import ALIGNERS, DETECTORS
from lib.types import Shape


class Doubtful(ALIGNERS.load("mesh")):
    """Says of every face that it is not sure."""

    def fit(self, images, boxes):
        return [[face._replace(shape=Shape(0.4, *list(vars(face.shape).values())[1:])) for face in row]
                for row in super().fit(images, boxes)]


@pytest.mark.parametrize("asked", [False, True])
def test_an_unsure_face_is_swapped_only_where_that_is_asked_for(tmp_path, asked):
    film = MovingCamera(astronaut(), seconds=1 / 25, side=256)
    with AlignmentStore.open(tmp_path / "a.db") as store:
        summary = extract_faces(film, store, ExtractionSetup(lambda: DETECTORS.create("hog", upsample=0), _registered))
        assert summary.faces == 0 and summary.dropped == {"unsure": 1}
        face, = everybody(SteadyFaces(store), 0, asked)
    assert face.left_out == (not asked) and np.isfinite(face.landmarks).all()


def _registered():
    """One that goes by the name of the real one."""
    aligner = ALIGNERS.create("mesh")
    aligner.__class__ = Doubtful
    return aligner
