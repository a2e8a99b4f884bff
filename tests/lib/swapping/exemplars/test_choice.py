"""Which pictures of B a face gets."""

from __future__ import annotations

import numpy as np
import pytest

from lib.facesets.face_file import read_face
from lib.facesets.folder import list_faces
from lib.swapping.exemplars import bank as banks
from lib.swapping.exemplars.choice import choose, measure_costs
from lib.swapping.exemplars.features import Person, openings_of, set_lids, transfer_lids


@pytest.fixture(scope="module")
def ready(face_folders):
    return banks.Exemplars(banks.make([read_face(path) for path in list_faces(face_folders["b"])], False), "full", 256)


def chosen(ready, faces, lengths):
    return choose(measure_costs(faces, ready.person, ready.features, ready.person, ready.extra), ready.moments, lengths)


def test_a_picture_of_the_bank_is_its_own_exemplar(ready):
    found = chosen(ready, ready.features, [1] * len(ready))
    assert [choice.skin[0][0] for choice in found] == list(range(len(ready)))
    assert all(sum(share for _, share in mix) == pytest.approx(1) for choice in found for mix in choice)


def test_in_a_film_pictures_change_less_often_than_frame_by_frame(ready):
    random = np.random.default_rng(0)
    faces = ready.features.at(random.integers(len(ready), size=60))
    alone, film = (chosen(ready, faces, lengths) for lengths in ([1] * 60, [60]))

    def changes(found):
        first = [choice.skin[0][0] for choice in found]
        return sum(here != there for here, there in zip(first, first[1:]))

    assert changes(film) < 0.5 * changes(alone)


def test_no_picture_is_carried_over_a_cut(ready):
    faces = ready.features.at([0] * 5 + [9] * 5)
    found = chosen(ready, faces, [5, 5])
    assert {choice.skin[0][0] for choice in found[:5]} == {0} and {choice.skin[0][0] for choice in found[5:]} == {9}
    assert all(len(choice.skin) == 1 for choice in found), "nor faded into the next shot"


def test_pictures_fade_into_each_other_within_a_shot(ready):
    faces = ready.features.at([0] * 30 + [9] * 30)
    found = chosen(ready, faces, [60])
    shares = [dict(choice.skin).get(9, 0.0) for choice in found]
    assert shares[0] == 0 and shares[-1] == 1 and (np.diff(shares) > -1e-6).all() and any(0 < share < 1 for share in shares)


def test_eyes_shut_in_one_person_are_shut_in_the_other():
    lids = [np.float32([[0.020, 0.020], [0.050, 0.050]]), np.float32([[0.012, 0.014], [0.040, 0.042]])]
    one, other = (Person(np.zeros((68, 2), np.float32), lid) for lid in lids)
    assert np.allclose(transfer_lids(np.array([0.020, 0.020]), one, other), [0.012, 0.014])
    assert np.allclose(transfer_lids(np.array([0.050, 0.050]), one, other), [0.040, 0.042])


def test_lids_are_moved_and_corners_stay(ready):
    shape = ready.features.shapes[0]
    moved = set_lids(shape, openings_of(shape[None])[0] / 2)
    assert np.allclose(openings_of(moved[None])[0], openings_of(shape[None])[0] / 2, rtol=0.05)
    assert np.allclose(moved[[36, 42]], shape[[36, 42]]) and np.allclose(moved[:36], shape[:36])
