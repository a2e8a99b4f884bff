import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from lib.errors import FaceswapError
from lib.files import fingerprint as fingerprints
from lib.files.fingerprint import fingerprint
from lib.provenance.run_record import Record, content_id, locked_output, named_files
from lib.types import Shard


def test_files_are_known_by_content_and_name_not_by_time_or_place(tmp_path):
    for folder in ("one", "two", "three"):
        (tmp_path / folder).mkdir()
    for folder, texts in (("one", "xy"), ("two", "xy"), ("three", "yx")):
        for name, text in zip("ab", texts):
            (tmp_path / folder / name).write_text(text)
    os.utime(tmp_path / "two" / "a", (1, 1))
    (tmp_path / "two" / ".hidden").write_text("what a file manager leaves there")
    assert content_id(tmp_path / "one") == content_id(tmp_path / "two") != content_id(tmp_path / "three")


@pytest.mark.parametrize("size", [100, fingerprints.WHOLE, 3 * fingerprints.WHOLE + 17])
def test_a_change_anywhere_and_another_length_are_noticed(tmp_path, size):
    path, data = tmp_path / "x", bytearray(size)
    path.write_bytes(data)
    seen = {fingerprint(path)}
    wide = max(1, size // (fingerprints.BLOCKS - 1))  # what is sure to be noticed
    for start in range(0, size - wide + 1, max(1, size // 10)):
        changed = bytearray(data)
        changed[start:start + wide] = b"\1" * wide
        path.write_bytes(changed)
        seen.add(fingerprint(path))
    path.write_bytes(data + b"\0")
    assert len(seen | {fingerprint(path)}) == 2 + len(range(0, size - wide + 1, max(1, size // 10)))


@dataclass
class Options:
    photo: Path
    photos: list
    settings: dict
    output: Path


def test_files_that_options_name_are_known_by_content(tmp_path):
    def now() -> dict:
        return named_files(Options(tmp_path / "a", [tmp_path / "b", "words"], {"masker": {"file": tmp_path / "c"}}, tmp_path / "o"), ("output",))

    for name in "abco":
        (tmp_path / name).write_text("x")
    before = now()
    assert list(before) == [str(tmp_path / name) for name in "abc"]
    for name in "abc":
        (tmp_path / name).write_text("y")
        assert now() != before
        (tmp_path / name).write_text("x")


def test_the_whole_tries_what_shards_could_not_do(tmp_path):
    for number, failed in (1, [3]), (2, []):
        with Record(tmp_path / "out", "convert", {}, {}, Shard(number, 2)) as record:
            record.note(key="same", failed=failed)
    whole = Record(tmp_path / "out", "convert", {}, {})
    assert whole.failed_before("same") == [3] and whole.failed_before("other") == []
    with whole:
        whole.note(key="same", failed=[])
    assert whole.failed_before("same") == []


@pytest.mark.parametrize("first, second, refused", [
    (None, None, True), (None, Shard(1, 2), True), (Shard(1, 2), None, True), (Shard(1, 2), Shard(1, 2), True),
    (Shard(1, 2), Shard(2, 2), False)], ids=str)
def test_one_run_writes_an_output_at_a_time(tmp_path, first, second, refused):
    output = tmp_path / "new" / "out [1].mp4"
    with locked_output(output, first):
        if refused:
            with pytest.raises(FaceswapError, match=r"Another run writes .*out \[1\].mp4"), locked_output(output, second):
                pass
        else:
            with locked_output(output, second):
                pass
    with locked_output(output, second):
        pass
    assert not list(output.parent.iterdir())


def test_what_was_noted_is_kept_once(tmp_path):
    with Record(tmp_path / "out", "convert", {}, {}) as record:
        record.save()
        assert not (tmp_path / "out.run.json").exists(), "nothing was noted"
        record.note(failed=[1])
        record.save()
        assert json.loads((tmp_path / "out.run.json").read_text())["failed"] == [1]
