"""People are told apart, and those who are not wanted are left out."""

from __future__ import annotations

import csv
import itertools
import json

import numpy as np
import pytest

from lib.alignments.identity import cluster, embeddings_of
from lib.errors import FaceswapError
from lib.faces.likeness import PeopleFilter, likeness
from lib.plugin import ALIGNERS, DETECTORS, RECOGNIZERS

SAME = 0.6


def around(direction: int, seed: int, spread: float = 0.1) -> np.ndarray:
    """(16,) near the unit vector along an axis."""
    return np.eye(16)[direction] + np.random.default_rng(seed).normal(0, spread, 16)


def test_those_who_are_alike_have_one_label():
    owners = [0, 1, 0, 2, 1, 0, 2, 2]
    labels = cluster([around(owner, seed) for seed, owner in enumerate(owners)], [{place} for place in range(8)], [True] * 8, SAME)
    assert [[labels[one] == labels[other] for other in range(8)] for one in range(8)] == \
        [[owners[one] == owners[other] for other in range(8)] for one in range(8)]


def test_nobody_is_twice_in_a_frame():
    twins = [around(0, seed, 0.05) for seed in range(4)]
    labels = cluster(twins, [{1, 2}, {2, 3}, {5}, {1}], [True] * 4, SAME)
    assert labels[0] != labels[1] and labels[0] != labels[3]
    assert labels[2] in (labels[0], labels[1])


def test_a_blurred_face_is_given_to_whom_it_is_like_and_begins_nobody():
    vectors = [around(0, 0), around(0, 1), around(1, 2), around(2, 3)]
    labels = cluster(vectors, [{place} for place in range(4)], [True, False, False, False], SAME)
    assert labels[1] == labels[0] is not None and labels[2] is labels[3] is None


def test_groups_that_grew_alike_are_joined():
    """Two pictures that are less alike than `same` are of one person if others stand between them."""
    between = [np.eye(16)[0] + share * np.eye(16)[1] for share in (0.0, 1.6, 0.5, 0.9)]
    assert likeness(between[0][None], between[1][None], Fake()) < SAME
    assert len(set(cluster(between, [{place} for place in range(4)], [True] * 4, SAME))) == 1


class Fake:
    average = np.zeros(16)
    same = SAME


@pytest.mark.parametrize(("wanted", "kept"), [
    (PeopleFilter(keep=around(0, 9)[None]), [True, False]), (PeopleFilter(drop=around(0, 9)[None]), [False, True]), (PeopleFilter(people=(2,)), [False, True]),
    (PeopleFilter(keep=np.stack([around(0, 8), around(1, 9)])), [True, True]), (PeopleFilter(keep=around(0, 9)[None], people=(2,)), [False, False]),
    (PeopleFilter(keep=around(0, 9)[None], threshold=0.999), [False, False]), (PeopleFilter(drop=around(0, 9)[None], threshold=0.999), [True, True]),
    (PeopleFilter(keep=np.eye(16)[:1], drop=(np.eye(16)[0] + 0.6 * np.eye(16)[1])[None]), [True, False])])
def test_who_is_kept(wanted, kept):
    assert [wanted.keeps(around(person, 20 + person), person + 1, Fake()) for person in range(2)] == kept
    again = PeopleFilter.from_json(json.loads(json.dumps(wanted.to_json())))
    assert again.to_json() == wanted.to_json() and bool(again) == bool(wanted) is True


def test_a_picture_without_a_face_says_nothing_of_anybody(tmp_path):
    from lib.media.pictures import picture_file

    picture_file.write(tmp_path / "wall.png", np.full((200, 200, 3), 99, np.uint8))
    with pytest.raises(FaceswapError, match="wall.png"):
        embeddings_of([tmp_path / "wall.png"], DETECTORS.create("hog"), ALIGNERS.create("dlib68"), RECOGNIZERS.create("dlib_resnet"))


def test_known_people(shared):
    """With two photos of each person all others of that person are known, and nobody else is taken for them."""
    folder, recognizer = shared("identities"), RECOGNIZERS.create("dlib_resnet")
    people = json.loads((folder / "identities.json").read_text())["people"]
    detector, aligner = DETECTORS.create("yunet"), ALIGNERS.create("dlib68")
    files = [file for person in people.values() for file in person["files"]]
    known = dict(zip(files, embeddings_of([folder / file for file in files], detector, aligner, recognizer)))
    owner = {file: name for name, person in people.items() for file in person["files"]}

    accepted, rejected, tried = 0, 0, 0
    for name, person in people.items():
        for photos in itertools.combinations(person["files"], 2):
            wanted = PeopleFilter(keep=np.stack([known[photo] for photo in photos]))
            kept = {file: wanted.keeps(known[file], None, recognizer) for file in files if file not in photos}
            accepted += sum(kept[file] for file in kept if owner[file] != name)
            rejected += sum(not kept[file] for file in kept if owner[file] == name)
            tried += sum(owner[file] == name for file in kept)
    assert accepted == 0 and rejected <= 0.03 * tried and tried > 1000

    pairs = list(csv.DictReader((folder / "pairs.csv").read_text().splitlines()))
    said = [likeness(known[pair["file_x"]][None], known[pair["file_y"]][None], recognizer)[0, 0] >= recognizer.same for pair in pairs]
    assert np.mean([one == (pair["same_person"] == "yes") for one, pair in zip(said, pairs)]) >= 0.99

    labels = cluster([known[file] - recognizer.average for file in files], [{place} for place in range(len(files))], [True] * len(files),
                     recognizer.same)
    assert len(set(zip(labels, map(owner.get, files)))) == len(people) == len(set(labels))
