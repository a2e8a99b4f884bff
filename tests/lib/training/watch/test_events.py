"""Event files: TensorFlow, which checks the checksums, reads what was written."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.training.watch.events import Events, crc32c

pytest.importorskip("tensorflow")
ROOT = Path(__file__).resolve().parents[4]


def read(path: Path) -> list:
    """The events of a file, without the moment of each."""
    import tensorflow as tf
    from tensorflow.core.util import event_pb2

    events = [event_pb2.Event.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(path))]
    assert all(event.wall_time > 1.7e9 for event in events)
    return events


@pytest.mark.parametrize("data, expected", [(b"", 0), (b"a", 0xC1D04330), (b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA),
                                            (bytes(range(32)), 0x46DD794E), (b"\xff" * 32, 0x62A8AB43)])
def test_checksum_is_that_of_the_standard(data, expected):  # RFC 3720, B.4
    assert crc32c(data) == expected


def test_checksum_of_any_length():
    random = np.random.default_rng(0)
    for length in range(400):
        data = random.bytes(length)
        state = 0xFFFFFFFF
        for byte in data:  # bit by bit, as it is defined
            state ^= byte
            for _ in range(8):
                state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
        assert crc32c(data) == state ^ 0xFFFFFFFF, length


def test_begins_with_the_version_and_where_the_run_goes_on(tmp_path):
    with Events(tmp_path / "events", 1200) as events:
        pass
    version, start = read(events.path)
    assert version.file_version == "brain.Event:2"
    assert (start.session_log.status, start.step) == (start.session_log.START, 1201)  # 1200 itself is kept


def test_scalars(tmp_path):
    with Events(tmp_path, 0) as events:
        events.scalars(10, {"loss/a": 0.25, "speed": 31.5, "Größe": 1e39})
    found = read(events.path)[-1]
    assert found.step == 10
    assert {value.tag: value.simple_value for value in found.summary.value} == {"loss/a": 0.25, "speed": 31.5, "Größe": np.inf}


def test_picture_is_told_exactly(tmp_path, astronaut):
    with Events(tmp_path, 0) as events:
        events.picture(70_000, "preview", astronaut)
    found = read(events.path)[-1]
    assert (found.step, found.summary.value[0].tag) == (70_000, "preview")
    image = found.summary.value[0].image
    assert (image.height, image.width, image.colorspace) == (*astronaut.shape[:2], 3)
    decoded = cv2.imdecode(np.frombuffer(image.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), astronaut)


def test_histogram_counts_every_number(tmp_path):
    values = np.random.default_rng(0).normal(2, 0.5, (40, 50)).astype(np.float32)
    values[0, 0] = np.nan
    with Events(tmp_path, 0) as events:
        events.histogram(5, "weights", values)
    found = read(events.path)[-1].summary.value[0].histo
    finite = values[np.isfinite(values)].astype(float)
    assert (found.num, found.min, found.max) == (1999, finite.min(), finite.max())
    assert found.sum == pytest.approx(finite.sum()) and found.sum_squares == pytest.approx((finite ** 2).sum())
    assert sum(found.bucket) == 1999 and len(found.bucket) == len(found.bucket_limit)
    assert list(found.bucket_limit) == sorted(found.bucket_limit) and found.bucket_limit[-1] == found.max
    below = sum(count for limit, count in zip(found.bucket_limit, found.bucket) if limit < 2)
    assert below == pytest.approx((finite < 2).sum(), abs=100)


def test_histogram_of_one_value_and_of_none(tmp_path):
    with Events(tmp_path, 0) as events:
        events.histogram(5, "zeros", np.zeros(8))
        events.histogram(5, "nothing", np.array([np.nan]))
    *_, found = read(events.path)
    assert (found.summary.value[0].tag, list(found.summary.value[0].histo.bucket)) == ("zeros", [8])


def test_files_of_later_runs_come_later_by_name(tmp_path):
    paths = []
    for _ in range(3):
        with Events(tmp_path, 0) as events:
            paths.append(events.path)
    assert sorted(tmp_path.iterdir()) == paths


def test_a_kill_loses_nothing(tmp_path):
    script = ("import os, signal, sys; from pathlib import Path; from lib.training.watch.events import Events\n"
              "events = Events(Path(sys.argv[1]), 0)\n"
              "for iteration in range(50): events.scalars(iteration, {'a': iteration})\n"
              "os.kill(os.getpid(), signal.SIGKILL)")
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [event.step for event in read(next(tmp_path.iterdir()))[2:]] == list(range(50))


def test_a_full_disk_harms_no_other_record(tmp_path):
    resource = pytest.importorskip("resource")
    with Events(tmp_path, 0) as events:
        events.scalars(1, {"a": 1.0})
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (events.path.stat().st_size + 500, before[1]))
        try:
            with pytest.raises(OSError):
                events.picture(2, "noise", np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        events.scalars(3, {"a": 3.0})
    assert [event.step for event in read(events.path)[2:]] == [1, 3]


def test_what_the_disk_refuses_is_told(tmp_path):
    (tmp_path / "events").write_text("a file")
    with pytest.raises(FaceswapError, match="is a file where a folder belongs"):
        Events(tmp_path / "events", 0)
