"""What others made is opened and parsed in one place, within bounds."""

import ast
import json
import math
import os
import re
import socket
from pathlib import Path

import pytest

from lib.files import reading
from lib.files.reading import NotRegular, Unreadable

ROOT = Path(__file__).resolve().parents[3]
LISTS = reading.MOST_PARTS + 1


@pytest.mark.parametrize(
    "text, words",
    [
        ("[" * 100_000, "deep"),
        ("[" * 900 + "]" * 900, "deep"),
        ("[" * 66 + "]" * 66, "deep"),
        ('{"a":' * 100_000, "deep"),
        ("1" * 5000, "64 bits"),
        ("[9223372036854775808]", "64 bits"),
        ("[-1e999]", "too large"),
        ("[NaN]", "NaN is no number"),
        ("[-Infinity]", "-Infinity is no number"),
        (b"\xff\xfe", "not text in UTF-8"),
        ("[1,", "Expecting value"),
        ("", "Expecting value"),
        ("[" + "[]," * LISTS + "1]", "lists and objects"),
    ],
    ids=lambda value: str(value[:12]),
)
def test_json_that_goes_beyond_the_limits(text, words):
    with pytest.raises(Unreadable, match=words) as told:
        reading.parse_json(text)
    assert "\n" not in str(told.value) and len(str(told.value)) < 300


def test_json_as_it_is_usually_written():
    value = {"a": [1, -2.5, True, None, "ä\u2028"], "b": {"c": [[]]}, "largest": (1 << 63) - 1, "least": -(1 << 63)}
    assert reading.parse_json(json.dumps(value)) == value
    assert reading.parse_json("\ufeff[]".encode()) == []
    assert reading.parse_json("[" * 64 + "]" * 64)
    assert math.isnan(reading.parse_json("NaN", finite=False))  # as Python writes it
    assert reading.as_json({"a": (1, Path("x"))}, str) == {"a": [1, "x"]}


@pytest.mark.parametrize(
    "text, words",
    [
        ("a" + ".a" * 100_000 + " = 1", "dots"),
        ("a . " * 200 + "b = 1", "dots"),
        ("[a" + ".a" * 200 + "]", "dots"),
        ("a = " + "[" * 100_000, "deep"),
        ("a = " + "{a = " * 1000, "deep"),
        ("a." * 70 + "a = 1", "deep"),
        ("a = 0x" + "f" * 100_000, "64 bits"),
        ("a = " + "1" * 5000, "digits"),
        ("a = '" + "x" * reading.MOST_TOML, "characters"),
        ("a = ", "Invalid value"),
    ],
    ids=lambda value: value[:12],
)
def test_toml_that_goes_beyond_the_limits(text, words):
    with pytest.raises(Unreadable, match=words) as told:
        reading.parse_toml(text)
    assert "\n" not in str(told.value) and len(str(told.value)) < 300


def test_toml_as_it_is_usually_written():
    text = '[extract]\nsize = 256\nx = [0.1, 0.2]\ninput = "../../../../a.b.c"\n[detector.hog]\nmin_score = 0.5\n'
    assert reading.parse_toml(text)["detector"] == {"hog": {"min_score": 0.5}}


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices with names")
def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    there = socket.socket(socket.AF_UNIX)
    there.bind(str(tmp_path / "socket"))
    for name in "pipe", "endless":
        with pytest.raises(NotRegular, match="no file, but a pipe, a device or a socket"):
            reading.read_bytes(tmp_path / name)
    for name in "pipe", "endless", "socket":
        with pytest.raises(NotRegular):
            reading.check_regular(tmp_path / name)
    there.close()
    reading.check_regular(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        reading.read_bytes(tmp_path)


def test_links_are_followed_where_they_were_named_alone(tmp_path):
    (tmp_path / "there.json").write_text("[1]")
    (tmp_path / "link.json").symlink_to("there.json")
    assert reading.read_json(tmp_path / "link.json") == [1]
    with pytest.raises(NotRegular, match="is a link"):
        reading.read_json(tmp_path / "link.json", named=False)


def test_no_more_is_read_than_the_limit(tmp_path):
    (tmp_path / "x").write_bytes(b"123456")
    assert reading.read_bytes(tmp_path / "x", 6) == b"123456"
    with pytest.raises(Unreadable, match="more than 5"):
        reading.read_bytes(tmp_path / "x", 5)


def test_nothing_else_parses_json_or_toml():
    parsers = re.compile(r"\bjson\.loads?\b|\btomllib\b|\btomli\b|\bJSONDecoder\b|from json import")
    files = [path for folder in ("lib", "plugins", "scripts") for path in (ROOT / folder).rglob("*.py")] + [
        ROOT / "faceswap.py"
    ]
    others = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        if path != Path(reading.__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if parsers.search(line)
    ]
    assert not others


def test_reading_imports_errors_alone():
    tree = ast.parse(Path(reading.__file__).read_text(encoding="utf-8"))
    assert {
        node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module.startswith("lib")
    } == {"lib.errors"}
