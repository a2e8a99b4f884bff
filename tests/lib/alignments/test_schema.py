"""A store from elsewhere: what is not a store's is refused before the first query of its own."""

import os
import signal
import sqlite3
import threading

import numpy as np
import pytest

from lib.alignments.store import AlignmentStore, StoredFace
from lib.errors import FaceswapError
from lib.faces.geometry import MEAN_FACE
from lib.types import Detection, Face

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "


@pytest.fixture
def path(tmp_path):
    """A store with a face in each of three frames, masks and settings."""
    points = (np.vstack([MEAN_FACE[:17], MEAN_FACE]) * 100).astype(np.float32)
    face = StoredFace(
        Face(Detection(np.float32([0, 0, 100, 100]), 0.9), points, track=0), {"hull": np.ones((8, 8, 1), np.float32)}
    )
    with AlignmentStore.open(tmp_path / "x.db") as store:
        for index in range(3):
            store.add(index, "", index / 25, [face], np.zeros((18, 32, 3), np.uint8))
        store.update_settings(
            {"source": {"path": "/x.mp4", "video": {"bytes": 5, "size": [64, 64]}, "pictures": None}, "complete": [1]}
        )
    return tmp_path / "x.db"


def change(path, *statements):
    database = sqlite3.connect(path)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()


@pytest.mark.parametrize(
    "statements, words",
    [
        (["CREATE VIEW v AS SELECT 1"], "has a 'view' 'v'"),
        (
            [
                "DROP TABLE frames",
                "CREATE VIEW frames AS "
                + ENDLESS
                + "SELECT x AS frame, '' AS name, NULL AS time, NULL AS look, NULL AS stamp, "
                "NULL AS content FROM n",
            ],
            "'view' 'frames'",
        ),
        (
            [
                "DROP TABLE masks",
                "CREATE VIEW masks AS SELECT 0 AS frame, 0 AS number, '' AS name, 8 AS size, zeroblob(1000000000) AS pixels",
            ],
            "'view' 'masks'",
        ),
        (["CREATE TRIGGER t AFTER INSERT ON frames BEGIN DELETE FROM faces; END"], "'trigger' 't'"),
        (["CREATE TABLE mine(x)"], "'table' 'mine'"),
        (["CREATE INDEX mine ON frames(time)"], "'index' 'mine'"),
        (["CREATE VIRTUAL TABLE mine USING fts5(x)"], "which no store has"),
        (
            ["ALTER TABLE frames ADD COLUMN more GENERATED ALWAYS AS (zeroblob(1000000000)) VIRTUAL"],
            "table frames is of another kind",
        ),
        (["ALTER TABLE frames ADD COLUMN more TEXT"], "table frames has other columns"),
        (["ALTER TABLE frames DROP COLUMN stamp"], "table frames has other columns"),
        (
            [
                "DROP TABLE masks",
                "CREATE TABLE masks(frame INTEGER, number INTEGER, name TEXT, size INTEGER, pixels TEXT)",
            ],
            "table masks has other",
        ),
        (
            [
                "DROP TABLE masks",
                "CREATE TABLE masks(frame INTEGER, number INTEGER, name TEXT, size INTEGER CHECK(size > 1), pixels BLOB)",
            ],
            "masks is of another kind",
        ),
        (["DROP TABLE written"], "no table written"),
    ],
)
def test_tables_that_no_store_has(path, statements, words):
    change(path, *statements)
    for read_only in True, False:
        with pytest.raises(FaceswapError, match=words):
            AlignmentStore.open(path, read_only)


@pytest.mark.parametrize(
    "statement",
    [
        *(
            f"UPDATE faces SET {column} = {value}"
            for column, value in [
                ("frame", "'x' || frame"),
                ("frame", "-frame - 1"),
                ("frame", "1 << 60 + frame"),
                ("number", "x'00'"),
                ("number", "1.5"),
                ("box", "'text'"),
                ("box", "x'0000'"),
                ("score", "'high'"),
                ("score", "9e999"),
                ("landmarks", "17"),
                ("landmarks", "zeroblob(543)"),
                ("smooth", "'s'"),
                ("track", "'first'"),
                ("track", "9e18"),
                ("filled", "'yes'"),
                ("person", "x'01'"),
                ("embedding", "'e'"),
                ("embedding", "x'000000'"),
                ("dropped", "x'00'"),
                ("recognizer", "x'00'"),
            ]
        ),
        *(
            f"UPDATE frames SET {column} = {value}"
            for column, value in [
                ("frame", "-frame - 1"),
                ("name", "x'ff'"),
                ("name", "'a' || char(0)"),
                ("name", "CAST(x'ff' AS TEXT)"),
                ("time", "'noon'"),
                ("time", "-9e999"),
                ("look", "5"),
                ("stamp", "x'00'"),
            ]
        ),
        *(
            f"UPDATE masks SET {column} = {value}"
            for column, value in [
                ("number", "'n'"),
                ("name", "x'00'"),
                ("size", "'large'"),
                ("size", "-1"),
                ("pixels", "'p'"),
                ("pixels", "zeroblob(0)"),
                ("pixels", "zeroblob(70000000)"),
            ]
        ),
        "INSERT INTO written VALUES (x'00', 0, 0)",
        "INSERT INTO written VALUES ('f', 'x', 0)",
        *(
            f"INSERT OR REPLACE INTO settings VALUES ('{key}', '{value}')"
            for key, value in [
                ("source", "5"),
                ("source", '{"path": 5}'),
                ("source", '{"path": "x", "video": 5, "pictures": null}'),
                ("complete", "5"),
                ("complete", '["x"]'),
                ("detector", '{"name": 5}'),
                ("maskers", "[]"),
                ("losses", "[5]"),
                ("shard", "[1]"),
                ("wanted", "5"),
                ("followed", '"x"'),
                ("min_face", "1e999"),
                ("x", "[" * 5000),
                ("x", "NaN"),
                ("x", "1" * 5000),
            ]
        ),
    ],
)
def test_values_of_another_kind(path, statement):
    change(path, statement)
    with pytest.raises(FaceswapError, match="damaged"), AlignmentStore.open(path, read_only=True) as store:
        _ = store.settings
        store.names()
        list(store.all_faces())
        [store.faces(index) for index in store.done()]
        list(store.embeddings("dlib_resnet"))


def test_landmarks_that_are_no_face(path):
    line = np.stack([np.arange(68), np.zeros(68)], 1)
    for landmarks in (
        np.ones((68, 2)),
        np.full((68, 2), np.nan),
        np.random.default_rng(0).uniform(0, 99, (68, 2)),
        np.full((68, 2), 1e30),
        line,
        line[:, ::-1],
    ):
        database = sqlite3.connect(path)
        database.execute("UPDATE faces SET landmarks = ? WHERE frame = 1", (landmarks.astype("<f4").tobytes(),))
        database.commit()
        database.close()
        with AlignmentStore.open(path, read_only=True) as store:
            assert len(store.faces(0)) == 1
            with pytest.raises(FaceswapError, match="frame 2"):
                store.faces(1)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_ends_a_query(path):
    with AlignmentStore.open(path) as store:
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            store._rows(ENDLESS + "SELECT COUNT(*) FROM n")
        timer.join()


def test_a_check_that_takes_too_long_is_told(path, monkeypatch):
    monkeypatch.setattr("lib.alignments.database.schema.OFTEN", 1)
    monkeypatch.setattr("lib.alignments.database.schema.SECONDS", -1e9)
    with pytest.raises(FaceswapError, match="far too long"):
        AlignmentStore.open(path, read_only=True)
