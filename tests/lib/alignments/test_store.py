import errno
import os
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from lib.alignments.store import AlignmentStore, StoredFace, default_store
from lib.errors import FaceswapError
from lib.faces.geometry import MEAN_FACE
from lib.types import Detection, Face, Shape


def face(seed: int = 0, masks: dict | None = None) -> StoredFace:
    random = np.random.default_rng(seed)
    box = random.uniform(0, 500, 4).astype(np.float32)
    landmarks = np.vstack([random.uniform(0, 1, (17, 2)), MEAN_FACE + random.normal(0, 0.02, (51, 2))]) * 200 + random.uniform(0, 300, 2)
    return StoredFace(Face(Detection(box, float(random.uniform())), landmarks.astype(np.float32)), masks or {})


def same(one: StoredFace, other: StoredFace) -> bool:
    return (np.array_equal(one.face.landmarks, other.face.landmarks) and np.array_equal(one.face.detection.box, other.face.detection.box)
            and one.face.detection.score == other.face.detection.score and one.masks.keys() == other.masks.keys()
            and all(np.abs(one.masks[name] - other.masks[name]).max() <= 0.5 / 255 + 1e-6 for name in one.masks))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "clip.mp4.alignments.db"


def test_gives_back_what_was_added(path):
    mask = np.random.default_rng(3).uniform(0, 1, (64, 64, 1)).astype(np.float32)
    faces = [face(1, {"hull": mask}), face(2)]
    with AlignmentStore.open(path) as store:
        store.add(0, "", 0.0, faces)
        store.add(1, "", 0.04, [])
        store.add(7, "", 0.28, [face(3)])
        assert same(store.faces(0)[0], faces[0])  # before it is committed, too
    with AlignmentStore.open(path, read_only=True) as store:
        assert store.done() == {0, 1, 7}
        assert [same(*pair) for pair in zip(store.faces(0), faces, strict=True)] == [True, True]
        assert store.faces(1) == [] and store.faces(2) == []
        assert [index for index, _ in store.all_faces()] == [0, 0, 7]
        assert store.counts() == (3, 2, 3)
        assert store.counts(7) == (3, 2, 2)


def test_a_frame_added_again_replaces_itself(path):
    with AlignmentStore.open(path) as store:
        store.add(0, "", None, [face(1), face(2)])
        store.commit()
        store.add(0, "", None, [face(3)])
        assert len(store.faces(0)) == 1 and same(store.faces(0)[0], face(3))


def test_settings_are_kept(path):
    with AlignmentStore.open(path) as store:
        store.update_settings({"detector": {"name": "hog", "options": {"search": 640}}, "min_face": 0})
        store.update_settings({"min_face": 20})
    with AlignmentStore.open(path, read_only=True) as store:
        assert store.settings == {"detector": {"name": "hog", "options": {"search": 640}}, "min_face": 20}


def test_a_killed_writer_loses_at_most_the_last_second(path):
    code = ("import sys, time, numpy as np\nfrom pathlib import Path\nfrom lib.faces.geometry import MEAN_FACE\nfrom lib.alignments.store import *\nfrom lib.types import Detection, Face\n"
            "face = StoredFace(Face(Detection(np.zeros(4, np.float32), 1.0), np.vstack([MEAN_FACE[:17], MEAN_FACE]).astype(np.float32) * 99))\n"
            "store = AlignmentStore.open(Path(sys.argv[1]))\n"
            "for index in range(10**9):\n    store.add(index, '', None, [face])\n    print(index, flush=True)\n    time.sleep(0.01)\n")
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    began = time.monotonic()
    line = writer.stdout.readline()
    while time.monotonic() - began < 3:
        line = writer.stdout.readline()
    writer.kill()
    last = int(([line] + writer.stdout.readlines())[-1])
    with AlignmentStore.open(path) as store:
        done = store.done()
        assert done == set(range(len(done)))
        assert len(done) >= 0.25 * last  # the commits are a second apart, and three went by
        assert all(len(store.faces(index)) == 1 for index in done)


def test_only_one_writes_while_others_read(path):
    with AlignmentStore.open(path) as store:
        store.add(0, "", None, [face()])
        store.commit()
        with pytest.raises(FaceswapError, match="Another run"):
            AlignmentStore.open(path)
        with AlignmentStore.open(path, read_only=True) as reader:
            assert reader.done() == {0}
    AlignmentStore.open(path).close()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_an_error_in_the_block_keeps_what_was_added(path):
    with pytest.raises(KeyboardInterrupt):
        with AlignmentStore.open(path) as store:
            store.add(0, "", None, [face()])
            raise KeyboardInterrupt
    with AlignmentStore.open(path, read_only=True) as store:
        assert store.done() == {0}


def test_faces_follow_their_pictures_when_the_folder_changes(path, tmp_path):
    with AlignmentStore.open(path) as store:
        for index, name in enumerate(["a.jpg", "c.jpg", "d.jpg"]):
            store.add(index, name, None, [face(index, {"hull": np.ones((8, 8, 1), np.float32)})])
            store.add_written(tmp_path / "faces", index, [0])
        store.renumber(["a.jpg", "b.jpg", "d.jpg", "c.jpg"])
        assert store.names() == {0: "a.jpg", 2: "d.jpg", 3: "c.jpg"}
        assert store.written(tmp_path / "faces") == {(0, 0), (2, 0), (3, 0)}
        assert same(store.faces(3)[0], face(1, {"hull": np.ones((8, 8, 1), np.float32)}))
        store.renumber(["c.jpg"])
        assert store.names() == {0: "c.jpg"} and store.counts() == (1, 1, 1)


def test_masks_made_with_other_options_are_forgotten(path):
    mask = np.ones((8, 8, 1), np.float32)
    with AlignmentStore.open(path) as store:
        store.begin_masks({"hull": {"feather": 0.0}, "other": {}})
        store.add(0, "", None, [face(0, {"hull": mask, "other": mask})])
        store.begin_masks({"hull": {"feather": 0.0}})
        assert set(store.faces(0)[0].masks) == {"hull", "other"}
        store.begin_masks({"hull": {"feather": 0.1}})
        assert set(store.faces(0)[0].masks) == {"other"} and store.without_mask("hull") == {0}
        assert store.settings["maskers"] == {"hull": {"feather": 0.1}, "other": {}}


def test_damage_is_told_with_what_to_do(path, tmp_path):
    with AlignmentStore.open(path) as store:
        for index in range(200):
            store.add(index, "", None, [face(index)])
    whole = path.read_bytes()
    damages = {"cut": whole[:len(whole) // 2], "beginning": b"\0" * 200 + whole[200:], "text": b"hello, world\n" * 100,
               "middle": whole[:8192] + b"\xff" * 8192 + whole[16384:]}
    for name, data in damages.items():
        damaged = tmp_path / f"{name}.db"
        damaged.write_bytes(data)
        for read_only in (True, False):
            with pytest.raises(FaceswapError, match=f"{name}.db.*(extract again|-p)"):
                with AlignmentStore.open(damaged, read_only) as store:
                    list(store.all_faces())


def test_values_that_make_no_sense_are_told_too(path):
    for change in ("UPDATE faces SET landmarks = x'00'", "UPDATE masks SET size = 1000000", "UPDATE masks SET pixels = x'0102'",
                   "UPDATE faces SET landmarks = zeroblob(540) || x'0000c07f'"):
        path.unlink(missing_ok=True)
        with AlignmentStore.open(path) as store:
            store.add(0, "", None, [face(0, {"hull": np.ones((8, 8, 1), np.float32)})])
        database = sqlite3.connect(path)
        database.execute(change)
        database.commit()
        database.close()
        with pytest.raises(FaceswapError, match="damaged"), AlignmentStore.open(path, read_only=True) as store:
            store.faces(0)


def test_another_program_s_database_is_left_alone(path):
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE mine(x)")
    database.commit()
    database.close()
    with pytest.raises(FaceswapError, match="not an alignments file"):
        AlignmentStore.open(path)


def older(database, **columns) -> None:
    """Takes away the columns that an earlier format lacks, by table."""
    for table, names in columns.items():
        for name in names:
            database.execute(f"ALTER TABLE {table} DROP COLUMN {name}")


def test_a_file_of_format_1_is_renewed(path):
    AlignmentStore.open(path).close()
    database = sqlite3.connect(path)
    older(database, frames=("look", "stamp", "content"),
          faces=("smooth", "track", "filled", "person", "embedding", "dropped", "recognizer", "shape"))
    database.execute("INSERT INTO settings VALUES ('min_size', '40')")
    database.execute("DROP TABLE written")
    database.execute("CREATE TABLE written(folder TEXT NOT NULL, frame INTEGER NOT NULL, PRIMARY KEY(folder, frame))")
    database.execute("PRAGMA user_version = 1")
    database.commit()
    database.close()
    with AlignmentStore.open(path) as store:
        assert store.settings == {"min_face": 40}
        store.add(0, "", None, [face(1)])
        assert same(store.faces(0)[0], face(1))


def test_a_file_of_format_2_knows_again_which_faces_were_written(path, tmp_path):
    with AlignmentStore.open(path) as store:
        for index, reasons in enumerate([(None, "person"), (), ("removed",)]):
            store.add(index, "", None, [replace(face(seed), dropped=reason) for seed, reason in enumerate(reasons)])
    database = sqlite3.connect(path)
    database.execute("DROP TABLE written")
    database.execute("CREATE TABLE written(folder TEXT NOT NULL, frame INTEGER NOT NULL, PRIMARY KEY(folder, frame))")
    database.executemany("INSERT INTO written VALUES ('faces', ?)", [(index,) for index in range(3)])
    older(database, frames=("stamp", "content"), faces=("recognizer", "shape"))
    database.execute("PRAGMA user_version = 2")
    database.commit()
    database.close()
    with AlignmentStore.open(path, read_only=True) as store:
        assert store.written(tmp_path / "faces") == {(0, 0), (2, 0)}
    with AlignmentStore.open(path) as store:
        store.drop("person", [])
        assert store.unwritten(tmp_path / "faces") == {0} and store.unwritten(tmp_path / "others") == {0}


@pytest.mark.parametrize("recorded, numbers, kept", [(None, 128, True), ("dlib_resnet", 128, True), ("dlib_resnet", 512, False),
                                                     ("mine", 128, False)])
def test_embeddings_of_format_3_are_kept_where_it_is_sure_who_made_them(path, recorded, numbers, kept):
    with AlignmentStore.open(path) as store:
        store.add(0, "", None, [face(1)])
        store.add_embedding(0, 0, np.ones(numbers), "mine")
        store.update_settings({"recognizer": recorded} if recorded else {})
    database = sqlite3.connect(path)
    older(database, frames=("stamp", "content"), faces=("recognizer", "shape"))
    database.execute("PRAGMA user_version = 3")
    database.commit()
    database.close()
    with AlignmentStore.open(path) as store:
        assert len(list(store.embeddings("dlib_resnet"))) == kept and not list(store.embeddings("mine"))


def test_a_file_of_format_4_has_no_shapes_until_faces_are_found_anew(path):
    with AlignmentStore.open(path) as store:
        store.add(0, "", None, [face(1)])
    database = sqlite3.connect(path)
    older(database, faces=("shape",))
    database.execute("PRAGMA user_version = 4")
    database.commit()
    database.close()
    with AlignmentStore.open(path, read_only=True) as store:
        assert same(store.faces(0)[0], face(1)) and store.faces(0)[0].face.shape is None
    with AlignmentStore.open(path) as store:
        store.add(1, "", None, [with_shape(face(2))])
        assert store.faces(0)[0].face.shape is None and store.faces(1)[0].face.shape.score == 0.75


def with_shape(stored):
    depth, irises = np.linspace(-9, 9, 68), np.arange(6).reshape(2, 3)
    shape = Shape(0.75, *(np.float32(values) for values in ([30, -10, 5], depth, irises)))
    return replace(stored, face=replace(stored.face, shape=shape))


def test_shapes_are_kept_and_come_along_when_stores_are_joined(path, tmp_path):
    stored = with_shape(face(1))
    with AlignmentStore.open(path) as store:
        store.add(0, "", None, [stored, face(2)])
    with AlignmentStore.open(tmp_path / "all.db") as joined, AlignmentStore.open(path, read_only=True) as part:
        joined.take(part)
        first, second = joined.faces(0)
    assert second.face.shape is None
    for one, other in zip(vars(first.face.shape).values(), vars(stored.face.shape).values(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("value", [b"", np.full(78, np.nan, "<f4").tobytes()])
def test_a_shape_that_is_none_is_refused(path, value):
    with AlignmentStore.open(path) as store:
        store.add(0, "", None, [face(1)])
    database = sqlite3.connect(path)
    database.execute("UPDATE faces SET shape = ?", (value,))
    database.commit()
    database.close()
    with pytest.raises(FaceswapError, match="shape|damaged"):
        with AlignmentStore.open(path) as store:
            store.faces(0)


def test_a_later_format_is_refused(path):
    AlignmentStore.open(path).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 6")
    database.close()
    with pytest.raises(FaceswapError, match="format 6"):
        AlignmentStore.open(path)


def test_missing_or_in_the_wrong_place(tmp_path):
    with pytest.raises(FaceswapError, match="Run extract first"):
        AlignmentStore.open(tmp_path / "none.db", read_only=True)
    with pytest.raises(FaceswapError, match="is a folder"):
        AlignmentStore.open(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(FaceswapError, match="-p"):
        AlignmentStore.open(tmp_path / "file" / "x.db")


def test_default_place_is_beside_the_source(tmp_path, monkeypatch):
    assert default_store(tmp_path / "clip.mp4") == tmp_path / "clip.mp4.alignments.db"
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path / "photos")
    for name in (".", "../photos/", str(tmp_path / "photos") + os.sep):
        assert default_store(name) == tmp_path / "photos.alignments.db"


def test_a_long_name_has_a_store_that_fits_the_disk(tmp_path):
    source = tmp_path / ("x" * 240 + ".mp4")
    store = default_store(source)
    assert store != default_store(tmp_path / ("x" * 241 + ".mp4")) and store.parent == tmp_path and store.name.endswith(".alignments.db")
    with AlignmentStore.open(store) as opened:
        opened.add(0, "", 0.0, [])
    assert default_store(tmp_path / "a.mp4").name == "a.mp4.alignments.db"
    short = tmp_path / ("x" * 229 + ".mp4")
    assert default_store(short).name == short.name + ".alignments.db"


def test_a_disk_without_file_locks_is_told_at_once_and_read_all_the_same(path, monkeypatch):
    with AlignmentStore.open(path) as store:
        store.add(0, "", None, [face(1)])

    def refuse(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("lib.system.lock.fcntl.lockf", refuse)
    with pytest.raises(FaceswapError, match="has no file locks.* -p"):
        AlignmentStore.open(path)
    with AlignmentStore.open(path, read_only=True) as store:
        assert same(store.faces(0)[0], face(1))
    assert list(path.parent.iterdir()) == [path]
