"""What an alignments store may hold: stores are exchanged, so tables, types and values are checked
before the first other query.

SQLite's own types bind nobody: a view may never end, a text may stand where a number is expected.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from lib.files.reading import DEEPEST, parse_json

MOST_BYTES = 64 << 20  # of a value, and of a row
MOST_TABLES, LATEST = 20, 5  # the format whose columns are the last below
OFTEN = 100_000  # SQLite's steps between two moments at which Ctrl-C is heard
# That checking a store may take, and bytes a second that it reads at least
SECONDS, SPEED = 20.0, 10e6
FRAME = "typeof({0}) = 'integer' AND {0} BETWEEN 0 AND 1099511627776"
NUMBER = "typeof({0}) = 'integer' AND {0} BETWEEN 0 AND 1048576"
COUNT = "typeof({0}) = 'integer' AND {0} BETWEEN 0 AND 1000000000"
REAL = "typeof({0}) = 'real' AND abs({0}) < 1e12"
TEXT = "typeof({0}) = 'text' AND length({0}) <= 4096 AND instr(CAST({0} AS BLOB), x'00') = 0"
BLOB = "typeof({0}) = 'blob' AND length({0}) "
OR_NULL = "({0} IS NULL OR "
# Name, type, what is good, and the format that has it first.
TABLES: dict[str, tuple[tuple[str, str, str, int], ...]] = {
    "settings": (("key", "TEXT", TEXT, 1), ("value", "TEXT", "typeof({0}) = 'text'", 1)),
    "frames": (("frame", "INTEGER", FRAME, 1), ("name", "TEXT", TEXT, 1),
               ("time", "REAL", OR_NULL + REAL + ")", 1),
               ("look", "BLOB", OR_NULL + BLOB + "<= 1000000)", 2),
               ("stamp", "TEXT", OR_NULL + TEXT + ")", 4),
               ("content", "TEXT", OR_NULL + TEXT + ")", 4)),
    "faces": (("frame", "INTEGER", FRAME, 1), ("number", "INTEGER", NUMBER, 1),
              ("box", "BLOB", BLOB + "= 16", 1), ("score", "REAL", REAL, 1),
              ("landmarks", "BLOB", BLOB + "IN (0, 544)", 1),
              ("smooth", "BLOB", OR_NULL + BLOB + "= 544)", 2),
              ("track", "INTEGER", OR_NULL + COUNT + ")", 2), ("filled", "INTEGER", NUMBER, 2),
              ("person", "INTEGER", OR_NULL + COUNT + ")", 2),
              ("embedding", "BLOB", OR_NULL + BLOB + "BETWEEN 4 AND 65536 AND length({0}) % 4 = 0)",
               2), ("dropped", "TEXT", OR_NULL + TEXT + ")", 2),
              ("recognizer", "TEXT", OR_NULL + TEXT + ")", 4),
              ("shape", "BLOB", OR_NULL + BLOB + "= 312)", 5)),
    "masks": (("frame", "INTEGER", FRAME, 1), ("number", "INTEGER", NUMBER, 1),
              ("name", "TEXT", TEXT, 1), ("size", "INTEGER", COUNT, 1),
              ("pixels", "BLOB", BLOB + "> 0", 1)),
    "written": (("folder", "TEXT", TEXT, 1), ("frame", "INTEGER", FRAME, 1),
                ("number", "INTEGER", NUMBER, 3))}
# None of these stands in the description of a table of ours.
FOREIGN = re.compile(r"\b(check|generated|always|as|virtual|using|references|foreign|collate|strict"
                     r"|trigger|view|select)\b"
                     r"|default\s*\(", re.I)


class Unfit(ValueError):
    """The database is not what a store is."""


class Watch:
    """Lets Ctrl-C, and a limit of time, end a query, which then fails with SQLITE_INTERRUPT."""

    def __init__(self, database: sqlite3.Connection):
        self.deadline: float | None = None
        self.late = False  # it was the limit
        # being called at all lets Python see signals; SQLite swallows what they raise
        database.set_progress_handler(self._is_late, OFTEN)

    def _is_late(self) -> bool:
        self.late = self.deadline is not None and time.monotonic() > self.deadline
        return self.late


def connect(uri: str, **options: Any) -> sqlite3.Connection:
    """A connection that trusts nothing in the schema, and takes no value beyond MOST_BYTES."""
    database = sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None, **options)
    try:
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
        database.execute("PRAGMA trusted_schema = OFF")
        database.execute("PRAGMA cell_size_check = ON")
    except BaseException:
        database.close()
        raise
    return database


def check_schema(database: sqlite3.Connection, version: int) -> None:
    """Raises Unfit where `database` has anything but the tables and columns of the format
    `version`; sqlite3.Error where it is damaged.
    """
    entries = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT "
                               f"{MOST_TABLES + 1}").fetchall()
    if len(entries) > MOST_TABLES:
        raise Unfit("it has too many tables")
    tables = {}
    for kind, name, table, sql in entries:
        own = kind == "index" and sql is None and table in TABLES
        if not own and (kind != "table" or name not in TABLES or name != table):
            raise Unfit(f"it has a {_shown(kind)} {_shown(name)}, which no store has")
        if kind == "table":
            if not isinstance(sql, str) or FOREIGN.search(sql):
                raise Unfit(f"its table {name} is of another kind")
            tables[name] = sql
    for table, columns in TABLES.items():
        if table not in tables:
            raise Unfit(f"it has no table {table}")
        rows = database.execute(f"PRAGMA table_xinfo({table})")
        present = {(name, kind, hidden) for _, name, kind, _, _, _, hidden in rows}
        known, needed = ({(column, kind, 0) for column, kind, _, since in columns if since <= last}
                         for last in (LATEST, version))
        if not needed <= present <= known:
            raise Unfit(f"its table {table} has other columns")


def check_values(database: sqlite3.Connection) -> None:
    """Raises Unfit where a value of a store, whose schema was checked, is of another type or out of
    bounds.
    """
    for table, columns in TABLES.items():
        present = {name for _, name, *_ in database.execute(f"PRAGMA table_xinfo({table})")}
        conditions = {column: condition.format(column) for column, _, condition, _ in columns
                      if column in present}
        if database.execute(f"SELECT 1 FROM {table} WHERE NOT "
                            f"({' AND '.join(conditions.values())}) LIMIT 1").fetchone():
            for column, condition in conditions.items():
                if database.execute(
                    f"SELECT 1 FROM {table} WHERE NOT ({condition}) LIMIT 1").fetchone():
                    raise Unfit(f"a value of {column} in its table {table} is of another kind, or "
                                "out of bounds")


def read_settings(rows: list[tuple[str, str]]) -> dict[str, Any]:
    """The settings, each a JSON value. Raises ValueError where one is not what the programs of this
    toolkit write.
    """
    settings = {key: parse_json(value) for key, value in rows}
    for key, value in settings.items():
        check = _SETTINGS.get(key)
        if check and not check(value):
            raise ValueError(f"its setting {key} cannot be {_shown(value)}")
    return settings


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= DEEPEST else shown[:DEEPEST] + "..."


def _whole(value: Any) -> bool:
    return type(value) is int and 0 <= value <= 1 << 53


def _wholes(value: Any) -> bool:
    return isinstance(value, list) and all(map(_whole, value))


def _plugin(value: Any) -> bool:
    return (isinstance(value, dict) and isinstance(value.get("name"), str)
            and isinstance(value.get("options"), dict))


def _source(value: Any) -> bool:
    if not isinstance(value, dict) or not {"video", "pictures"} <= value.keys():
        return False
    if not isinstance(value.get("path"), str) or "\0" in value["path"]:
        return False
    video, pictures = value["video"], value["pictures"]
    return (pictures is None or _whole(pictures)) and (
        video is None or isinstance(video, dict) and _wholes(video.get("size", []))
        and (video.get("bytes") is None or _whole(video["bytes"])))


def _embeddings(value: Any) -> bool:
    return value is None or isinstance(value, list) and all(
        isinstance(row, list) and len(row) == len(value[0])
        and all(type(item) in (int, float) for item in row) for row in value)


def _wanted(value: Any) -> bool:
    if not isinstance(value, dict) or not {"keep", "drop", "people", "threshold"} <= value.keys():
        return False
    if value["threshold"] is not None and type(value["threshold"]) not in (int, float):
        return False
    return _embeddings(value["keep"]) and _embeddings(value["drop"]) \
        and (value["people"] is None or _wholes(value["people"]))


_SETTINGS = {
    "source": _source, "detector": _plugin, "aligner": _plugin,
    "smooth": lambda value: isinstance(value, bool | None),
    "maskers": lambda value: isinstance(value, dict)
    and all(isinstance(options, dict) for options in value.values()), "complete": _wholes,
    "painted": lambda value: isinstance(value, dict) and all(
        isinstance(prints, list) and all(isinstance(item, str) for item in prints)
        for prints in value.values()),
    "losses": lambda value: isinstance(value, list)
    and all(isinstance(loss, str) for loss in value),
    "followed": lambda value: value is None or _whole(value),
    "recognized": lambda value: value is None or _whole(value),
    "recognizer": lambda value: value is None or isinstance(value, str), "min_face": _whole,
    "rotate": _wholes, "shard": lambda value: value is None or _wholes(value) and len(value) == 2
    and 1 <= value[0] <= value[1], "imported": lambda value: isinstance(value, dict)
    and isinstance(value.get("file"), str), "wanted": _wanted,
    "chosen": lambda value: value is None or isinstance(value, Mapping)
    and all(map(_wanted, value.values()))}
