import numpy as np
import pytest

from lib.alignments import inventory
from lib.alignments.store import AlignmentStore, StoredFace
from lib.faces.geometry import MEAN_FACE
from lib.types import Detection, Face


def face(track: int | None = None, person: int | None = None, **more) -> StoredFace:
    landmarks = (np.vstack([np.random.default_rng(1).uniform(0, 1, (17, 2)), MEAN_FACE]) * 50 + 10).astype(np.float32)
    return StoredFace(Face(Detection(np.float32([10, 10, 60, 60]), 0.9), landmarks, track=track, person=person), {"hull": np.ones((8, 8, 1), np.float32)}, **more)


@pytest.fixture
def found(tmp_path):
    """Of 12 frames, counted from 0: 0 to 4 with a face, 5 to 8 without, 9 with two, 10 with one that was removed, 11 with one of somebody else."""
    faces = [*[[face(track=0, person=1)]] * 4, [face(track=0, filled=True)], *[[]] * 4, [face(track=1, person=1), face(track=2, person=2)],
             [face(dropped="removed", track=3, person=2)], [face(dropped="person")]]
    with AlignmentStore.open(tmp_path / "x.db") as store:
        for index, there in enumerate(faces):
            store.add(index, "", index + 60.5, there)
        store.update_settings({"source": {"path": "/films/x.mp4", "video": None, "pictures": None}, "detector": {"name": "hog", "options": {"search": 640}}, "complete": [1],
                      "smooth": True})
        return inventory.facts(store)


def test_facts(found):
    assert (found["frames"], found["frames_with_face"], found["faces"], found["filled"], found["tracks"]) == (12, 6, 7, 1, 3)
    assert found["people"] == {1: 5, 2: 1} and found["left_out"] == {"removed": 1, "person": 1} and found["masks"] == {"hull": 9}
    assert [(gap["first"], gap["last"], gap["frames"], gap["first_time"], gap["last_time"]) for gap in found["gaps"]] == [
        (6, 9, 4, 65.5, 68.5), (11, 12, 2, 70.5, 71.5)]
    assert found["frames_without_face"] == [6, 7, 8, 9, 11, 12] and found["frames_with_several_faces"] == [10]


def test_the_table_says_so_in_words(found):
    said = inventory.table(found)
    for words in ("/films/x.mp4", "hog search=640", "hull (9 faces)", "every frame", "12: 6 with a face, 6 without, 1 with several",
                  "7, 1 of them filled in", "person 1 5 faces, person 2 1 face", "1 removed by hand", "1 of somebody else",
                  "2 without a face\n", "frame 6 to 9 (4 frames, 1:05.50 to 1:08.50)"):
        assert words in said, words


def test_of_many_gaps_the_table_shows_the_longest(tmp_path):
    with AlignmentStore.open(tmp_path / "x.db") as store:
        index = 0
        for length in range(1, 16):
            for place in range(length + 1):
                store.add(index, f"{index}.jpg", None, [] if place else [face()])
                index += 1
        found = inventory.facts(store)
    said = inventory.table(found)
    assert len(found["gaps"]) == 15 and "15 without a face, the longest 10:" in said
    assert "(15 pictures)" in said and "(6 pictures)" in said and "(5 pictures)" not in said


def test_a_store_that_was_never_begun(tmp_path):
    with AlignmentStore.open(tmp_path / "x.db") as store:
        said = inventory.table(inventory.facts(store))
    assert "not started yet" in said and "none yet" in said and "not to the end yet" in said
