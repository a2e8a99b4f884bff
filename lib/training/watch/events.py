"""A run's log as TensorBoard reads it, without the package tensorboard: event files in the model's
folder `events/`.

A file is a sequence of records, each a length, its checksum, an Event message and its checksum, all
little-endian. "TFRecord", tensorflow.org; event.proto and summary.proto of TensorFlow: numbers are
field numbers of their messages.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np

from lib.files.writing import create, make_inner_folder
from lib.onnx.protobuf import field, single

VERSION = b"brain.Event:2"
START = 1  # SessionLog.SessionStatus
COLORS = 3  # Summary.Image.colorspace: RGB
BINS = 60
# of CRC-32C, lowest bit first. "Optimization of Cyclic Redundancy-Check Codes", 1993
POLYNOMIAL = 0x82F63B78
TABLE = np.arange(256, dtype=np.uint32)  # what a byte does to a state of 0
for _ in range(8):
    TABLE = np.where(TABLE & 1, TABLE >> 1 ^ np.uint32(POLYNOMIAL), TABLE >> 1)
# (4, 256) states
EACH_BYTE = np.arange(256, dtype=np.uint32) << np.arange(0, 32, 8, dtype=np.uint32)[:, None]


class Events:
    """A new event file in `folder`. What is written is at once in the file: a kill costs no more
    than the record being written.

    Everything raises OSError where the disk refuses; such a record is taken back whole, so that
    later ones can be read.
    """

    def __init__(self, folder: Path, iteration: int):
        """The run resumes from `iteration`: later entries of earlier files no longer count.
        """
        make_inner_folder(folder)
        numbers = [int(match[1]) for path in folder.iterdir()
                   if (match := re.match(r"events\.out\.tfevents\.(\d+)\.", path.name))]
        # TensorBoard reads them by name, whatever the clock did
        seconds = max(int(time.time()), max(numbers, default=0) + 1)
        host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())
        self.path = folder / f"events.out.tfevents.{seconds:010d}.{host}"
        self._file = create(self.path, buffering=0)
        try:
            self._write(field(3, VERSION))
            # purges this step and all after it
            self._write(field(2, iteration + 1) + field(7, field(1, START)))
        except BaseException:
            self.close()
            raise

    def scalars(self, iteration: int, values: Mapping[str, float]) -> None:
        """Numbers by name; a slash in a name groups them."""
        self._write(field(2, iteration) + field(5,
                                                b"".join(field(1,
                                                               field(1, name.encode())
                                                               + single(2, value))
                                                         for name, value in values.items())))

    def picture(self, iteration: int, name: str, picture: np.ndarray) -> None:
        """`picture` is (H, W, 3) uint8 RGB."""
        height, width = picture.shape[:2]
        coded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()
        self._summary(iteration, name, field(4,
                                             field(1, height) + field(2, width) + field(3, COLORS)
                                             + field(4, coded)))

    def histogram(self, iteration: int, name: str, values: np.ndarray) -> None:
        """How `values`, of any shape, are spread; those that are no number are left out."""
        values = np.asarray(values, np.float64).ravel()
        values = values[np.isfinite(values)]
        if not len(values):
            return
        low, high = float(values.min()), float(values.max())
        counts, edges = np.histogram(values, BINS if high > low else 1)
        numbers = low, high, float(len(values)), float(values.sum()), float(values @ values)
        spread = b"".join(field(number, value) for number, value in enumerate(numbers, 1))
        spread += field(6, edges[1:].astype("<f8").tobytes())
        spread += field(7, counts.astype("<f8").tobytes())
        self._summary(iteration, name, field(5, spread))

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _summary(self, iteration: int, name: str, value: bytes) -> None:
        self._write(field(2, iteration) + field(5, field(1, field(1, name.encode()) + value)))

    def _write(self, event: bytes) -> None:
        event = field(1, time.time()) + event
        length = struct.pack("<Q", len(event))
        rest = memoryview(length + _masked(length) + event + _masked(event))
        whole = self._file.tell()
        try:
            while rest:
                rest = rest[self._file.write(rest):]
        except OSError:
            with contextlib.suppress(OSError):
                self._file.seek(whole)
                self._file.truncate()
            raise


def crc32c(data: bytes) -> int:
    """CRC-32C. Long data is cut into rows that go forward side by side, from a state of 0; a
    checksum is linear, so they add up.
    """
    width = int(len(data) ** 0.5) or 1
    height = len(data) // width
    first = len(data) - width * height
    state = 0xFFFFFFFF
    for byte in data[:first]:
        state = int(TABLE[(state ^ byte) & 255]) ^ state >> 8
    rows = _through(np.zeros(height, np.uint32),
                    np.frombuffer(data, np.uint8, offset=first).reshape(height, width).T)
    # each byte of a state, a row further
    low, second, third, high = _through(EACH_BYTE, np.zeros(width, np.uint8)).tolist()
    for row in rows.tolist():
        state = low[state & 255] ^ second[state >> 8 & 255] ^ third[state >> 16
                                                                    & 255] ^ high[state >> 24] ^ row
    return state ^ 0xFFFFFFFF


def _through(states: np.ndarray, columns: Iterable[np.ndarray]) -> np.ndarray:
    for column in columns:
        states = TABLE[(states ^ column) & 255] ^ states >> 8
    return states


def _masked(data: bytes) -> bytes:
    """The checksum, rotated and shifted: so that of a record within a record it is no checksum of
    the outer.
    """
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
