"""Who is there, what is alike, and what lies next to what."""

from __future__ import annotations

import numpy as np
import pytest

from lib.facesets.face_file import read_face
from lib.facesets.folder import list_faces
from lib.facesets.sorting import clusters as module
from lib.facesets.sorting.clusters import chain, cluster_people, clusters
from lib.plugin import RECOGNIZERS
from plugins.recognizers.dlib_resnet import DlibResnet


@pytest.fixture(scope="module")
def embeddings(face_folders) -> dict[str, np.ndarray]:
    """(4, 128) of each person."""
    recognizer = RECOGNIZERS.create("dlib_resnet")
    return {identity: recognizer.embed([read_face(path).aligned for path in list_faces(folder)[::3]])
            for identity, folder in face_folders.items()}


@pytest.mark.parametrize("often, seldom", ["ab", "ba"])
def test_people_are_told_apart_most_frequent_first(embeddings, often, seldom):
    mixed = np.concatenate([embeddings[seldom][:2], embeddings[often], embeddings[seldom][2:3]])
    assert [sorted(part.tolist()) for part in cluster_people(mixed, DlibResnet.same_distance)] == [[2, 3, 4, 5], [0, 1, 6]]
    assert [part.tolist() for part in cluster_people(mixed[:1], DlibResnet.same_distance)] == [[0]]


def test_the_least_typical_face_of_a_person_comes_last(embeddings):
    odd = 0.75 * embeddings["a"][0] + 0.25 * embeddings["b"][0]
    assert cluster_people(np.stack([odd, *embeddings["a"]]), DlibResnet.same_distance)[0][-1] == 0


def test_in_a_large_set_a_rare_person_is_found_too(embeddings):
    noise = np.random.default_rng(0)
    many = embeddings["a"][noise.integers(0, 4, 2 * module.SAMPLE)] + noise.normal(0, 0.01, (2 * module.SAMPLE, 128))
    sampled = set(np.linspace(0, len(many) - 1, module.SAMPLE).round().astype(int).tolist())
    rare = sorted(set(range(len(many))) - sampled)[:3]
    many[rare] = embeddings["b"][:3]
    assert [sorted(part.tolist()) for part in cluster_people(many, DlibResnet.same_distance)] == [sorted(set(range(len(many))) - set(rare)), rare]


def test_as_many_clusters_as_asked_for_but_none_empty():
    points = np.array([[0.0], [10], [0.1], [20], [0.2], [10.1]])
    assert [part.tolist() for part in clusters(points, 3)] == [[0, 2, 4], [1, 5], [3]]
    assert sorted(np.concatenate(clusters(points, 2)).tolist()) == [0, 1, 2, 3, 4, 5] and len(clusters(points, 2)) == 2
    assert len(clusters(points, 9)) == 6 and len(clusters(points[:1], 4)) == 1


def test_a_chain_goes_from_neighbour_to_neighbour():
    places = np.array([5.0, 1, 3, 9, 2, 4])
    assert places[chain(places[:, None])].tolist() == [9, 5, 4, 3, 2, 1]
    assert chain(np.zeros((1, 3))) == [0]
