"""ONNX networks that users bring along, each described by a TOML file beside it: see
docs/onnx.md."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lib.errors import FaceswapError
from lib.files.reading import opened, read_bytes
from lib.onnx import runtime
from lib.onnx.description import (
    LONGEST_REASON,
    Table,
    choose_output,
    name_or_number,
    number,
    numbers,
    positive,
    read_description,
    text,
    whole_number,
)
from lib.onnx.runtime import BATCH, MEMORY

LARGEST_SIZE = 4096
RUNNING, LOOPING = 60.0, 6.0  # seconds of a processor for one picture; of networks with loops
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class Network:
    """A network that takes square pictures. Threads may share it; a call computes on one thread.

    Raises FaceswapError, which names the file and the key, where the description, the network or
    both together make no sense.
    """

    def __init__(self, path: Path):
        """`path`: the TOML file."""
        self.path = path
        self._tables = read_description(path)

        # Description
        table = self.table("network")
        self.size = table.take("size", lambda value: whole_number(value, 8, LARGEST_SIZE),
                               "the side of the pictures it takes, a whole number from 8 to "
                               f"{LARGEST_SIZE}")
        self.layout = table.choice("layout", ("nchw", "nhwc"), "nchw")
        self.bgr = table.choice("color", ("rgb", "bgr"), "rgb") == "bgr"
        scale = table.take("scale", number, "a number that the values 0 to 255 are multiplied by",
                           1 / 255)
        mean = table.take("mean", partial(numbers, count=3), "three numbers, in the order of color",
                          np.zeros(3))
        std = table.take("std", partial(numbers, count=3, check=positive),
                         "three numbers over 0, in the order of color", np.ones(3))
        self._factor = (scale / std).astype(np.float32)
        self._shift = (mean / std).astype(np.float32)
        self.file = path.parent / table.take("file", text,
                                             "the name of the network's file beside this one")
        output = table.take("output", name_or_number,
                            "the name or the number, from 0, of an output", 0)
        table.finish()

        # Network
        if not _is_file(self.file):
            name = str(self.file)[:LONGEST_REASON]
            raise table.wrong("file", f"names {name}, which does not exist")
        runtime.try_out(self.file, self.file.stat().st_mtime_ns)
        self._session = runtime.session(self.file, bounded=True)
        self._limit = LOOPING if runtime.has_loops(self.file) else RUNNING
        self._most = max(1, min(BATCH, MEMORY // 4 // self._bytes))
        # DirectML takes one call at a time
        is_directml = "DmlExecutionProvider" in self._session.get_providers()
        self._turn = threading.Lock() if is_directml else nullcontext()
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise FaceswapError(f"{self.file} takes {len(inputs)} inputs; only networks that take "
                                "pictures alone work.")
        self._input, self._type = inputs[0].name, self._type_of(inputs[0])
        self._batch = self._batch_of(inputs[0].shape)
        names = [item.name for item in self._session.get_outputs()]
        self._output = choose_output(table, "output", output, names)

    @property
    def _bytes(self) -> int:
        """Of one picture as the network takes it."""
        return 12 * self.size * self.size

    def table(self, name: str) -> Table:
        """A table of the description. Raises FaceswapError where it is missing."""
        if not isinstance(self._tables.get(name), dict):
            raise FaceswapError(f"{self.path} has no table [{name}]. See docs/onnx.md.")
        return Table(self.path, name, self._tables[name])

    def __call__(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """The network's answer to `images`, each (size, size, 3) uint8 RGB: (N, ...) as the network
        shapes it; float16 as float32."""
        pictures = np.stack(images)[..., ::-1] if self.bgr else np.stack(images)
        pictures = (pictures * self._factor - self._shift).astype(self._type)
        if self.layout == "nchw":
            pictures = pictures.transpose(0, 3, 1, 2)
        step = self._batch or self._most
        try:
            answers = np.concatenate([self._answer(pictures[start:start + step])
                                      for start in range(0, len(pictures), step)])
        except _OutOfMemory as error:
            if self._batch or step == 1:
                raise FaceswapError(str(error)) from error
            self._most = max(1, min(step, len(pictures)) // 2)  # from now on
            return self(images)
        return answers.astype(np.float32) if answers.dtype == np.float16 else answers

    def digest(self) -> str:
        """SHA-256 of the description and the network: what comes out depends on them."""
        with opened(self.file) as file:
            network = hashlib.file_digest(file, "sha256").hexdigest()
        return hashlib.sha256(read_bytes(self.path) + network.encode()).hexdigest()

    def _answer(self, pictures: np.ndarray) -> np.ndarray:
        """Of one call; where the network takes a certain number, the last picture is repeated."""
        missing = max(0, (self._batch or 0) - len(pictures))
        padded = np.concatenate([pictures, np.repeat(pictures[-1:], missing, axis=0)])
        count = len(padded)
        try:
            with self._turn:
                answer, = runtime.run(self._session, [self._output],
                                      {self._input: np.ascontiguousarray(padded)},
                                      self._limit * count)
        except TimeoutError:
            raise FaceswapError(f"{self.file} takes more than {self._limit:g} seconds to look at a "
                                "picture. Use another network.") from None
        except Exception as error:  # onnxruntime has a dozen exceptions without a common base
            if "memory" in str(error):
                raise _OutOfMemory(f"{self.file} takes more than {MEMORY / 1e9:.1f} GB of memory "
                                   f"for {count} of its pictures. Use another network.") from error
            raise FaceswapError(f"{self.file} fails on pictures of shape {padded.shape}: "
                                f"{runtime.one_line(error)}. Check size and layout in "
                                f"{self.path}.") from error
        if answer.ndim < 2 or len(answer) != count:
            raise FaceswapError(f"{self.file} answers {count} pictures with the shape "
                                f"{answer.shape}: the first number should be that of the pictures. "
                                f"Choose another output in {self.path}.")
        return answer[:len(pictures)]

    def _type_of(self, item: Any) -> type:
        if item.type not in TYPES:
            raise FaceswapError(f"{self.file} takes {item.type}; only networks that take "
                                f"{' or '.join(TYPES)} work.")
        return TYPES[item.type]

    def _batch_of(self, shape: Sequence[int | str | None]) -> int | None:
        """How many pictures a call takes; None where it takes any number."""
        side = self.size
        expected = (3, side, side) if self.layout == "nchw" else (side, side, 3)
        fits = len(shape) == 4 and all(not isinstance(side, int) or side == expected_side
                                       for side, expected_side in zip(shape[1:], expected))
        if not fits:
            described, accepted = (", ".join(map(str, sides))
                                   for sides in (("N", *expected), shape))
            raise FaceswapError(f"{self.path}: size and layout in [network] make pictures of shape "
                                f"({described}), but {self.file} takes ({accepted}). Correct them.")
        batch = shape[0] if isinstance(shape[0], int) else 0
        if batch * self._bytes > MEMORY:
            raise FaceswapError(f"{self.file} takes {batch} pictures at once, which do not fit "
                                "into memory. Use another network.")
        return batch if batch > 0 else None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False


class _OutOfMemory(FaceswapError):
    """There was no memory for so many pictures at once."""
