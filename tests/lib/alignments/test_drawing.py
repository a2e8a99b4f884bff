from dataclasses import replace

import numpy as np
import pytest

from lib.alignments.drawing import FILLED, FOUND, LEFT_OUT, draw
from lib.alignments.store import StoredFace
from lib.faces.geometry import crop
from lib.plugin import ALIGNERS, DETECTORS, MASKERS
from lib.types import Face


@pytest.fixture(scope="module")
def stored(astronaut) -> StoredFace:
    detection = DETECTORS.create("hog").detect([astronaut])[0][0]
    face = Face(detection, ALIGNERS.create("dlib68").align([astronaut], [detection.box[None]])[0][0])
    return StoredFace(replace(face, track=3, person=1), {"hull": MASKERS.create("hull").mask(crop(astronaut, face, 128))})


def pixels(image: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """(K, 2) x, y of what is of about this colour: lines are drawn without jags."""
    return np.argwhere((np.abs(image.astype(int) - color) < 70).all(-1))[:, ::-1]


def changed(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(K, 2) x, y of pixels that differ."""
    return np.argwhere((one != other).any(-1))[:, ::-1]


def test_the_face_is_drawn_where_it_is_and_nothing_elsewhere(astronaut, stored):
    before = astronaut.copy()
    drawn = draw(astronaut, [stored])
    assert (astronaut == before).all()
    found = pixels(drawn, FOUND)
    for point in stored.face.landmarks:
        assert np.abs(found - point).max(1).min() <= 3
    places, box = changed(drawn, before), stored.face.detection.box
    assert (places >= np.minimum(box[:2], stored.face.landmarks.min(0)) - 4).all() and (places[:, 1] <= box[3] + 30).all()
    assert (draw(astronaut, []) == before).all()


def test_a_colour_for_each_state(astronaut, stored):
    for one, color in ((stored, FOUND), (replace(stored, filled=True), FILLED), (replace(stored, dropped="removed"), LEFT_OUT)):
        places = changed(draw(astronaut, [one]), astronaut)
        shown = np.median(draw(astronaut, [one])[tuple(places.T[::-1])], axis=0)
        nearest = min((FOUND, FILLED, LEFT_OUT), key=lambda other: np.abs(shown - other).sum())
        assert nearest == color


def test_masks_are_outlined_if_asked_for(astronaut, stored):
    plain, drawn = (draw(astronaut, [stored], masks).astype(int) for masks in (False, True))
    pinker = (drawn - plain) @ (1, -2, 1)
    outline = np.argwhere(pinker > 100)[:, ::-1]
    jaw = stored.face.landmarks[:17]
    assert max(np.linalg.norm(outline - point, axis=1).min() for point in jaw) < 4


def test_the_words_tell_track_and_person(astronaut, stored):
    others = [replace(stored, face=replace(stored.face, **change)) for change in ({"track": 4}, {"person": 2}, {"person": None})]
    pictures = [draw(astronaut, [one]) for one in (stored, *others)]
    assert len({picture.tobytes() for picture in pictures}) == 4


def test_a_face_beyond_the_edges_of_a_small_frame(astronaut, stored):
    for moved in (-400, 400):
        face = Face(replace(stored.face.detection, box=stored.face.detection.box + moved), stored.face.landmarks + moved)
        assert draw(astronaut[:40, :30], [replace(stored, face=face)], masks=True).shape == (40, 30, 3)
