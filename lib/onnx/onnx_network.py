"""ONNX networks; those that users bring along are each described by a TOML file beside it: docs/onnx.md tells what may stand in it."""

from __future__ import annotations

import hashlib
import math
import mmap
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from lib.errors import FaceswapError
from lib.files.reading import opened, read_bytes, read_toml
from lib.options import REQUIRED, cut, nearest
from lib.system import device
from lib.version import ROOT

PROVIDERS = ("CUDAExecutionProvider", "DmlExecutionProvider", "CoreMLExecutionProvider", "CPUExecutionProvider")  # the best first
LARGEST_SIZE = 4096
LONGEST_REASON = 400  # letters of what an error says of a value
MEMORY = 1_500_000_000  # bytes that the tensors of users' networks may take in all ...
OWN_WEIGHT = 500_000_000  # ... unless a network's file has more than these, and cannot be meant to fill the memory unseen
LOADING = 6.0  # seconds of a processor to load a network and half a gigabyte of its weights
RUNNING, LOOPING = 60.0, 6.0  # seconds of a processor to look at one picture; of networks with loops
LOOPS = b'"\x04Loop', b'"\x04Scan'  # field 4 of a NodeProto, its operator
LOOK, PATIENCE = 0.2, 2.0  # seconds between two looks at what a network does, and that it is given to end
ROOM = 300_000_000  # bytes that Python and onnxruntime themselves take
REFUSED = "refused: "
BATCH = 16  # pictures a call at most: a crowd must not need the memory of all its faces at once
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class Table:
    """A table of a TOML file. Its keys are taken one by one; `finish` refuses what was not taken."""

    def __init__(self, path: Path, name: str, values: dict[str, Any]):
        self.path = path
        self.name = name
        self._values = values
        self._taken: list[str] = []

    def take(self, key: str, convert: Callable[[Any], Any], needs: str, default: Any = REQUIRED) -> Any:
        """`convert` of the value of `key`. Raises FaceswapError, which says what it `needs`, where that raises TypeError or ValueError."""
        self._taken.append(key)
        if key not in self._values:
            if default is REQUIRED:
                raise FaceswapError(f"{self.path}: [{self.name}] lacks {key}, {needs}. See docs/onnx.md.")
            return default
        try:
            return convert(self._values[key])
        except (TypeError, ValueError):
            raise self.wrong(key, f"must be {needs}, not {cut(repr(self._values[key]))}") from None

    def choice(self, key: str, choices: Sequence[str], default: Any = REQUIRED) -> str:
        """The value of `key`, one of `choices`."""
        return self.take(key, lambda value: choices[choices.index(value)], f"one of {', '.join(choices)}", default)

    def wrong(self, key: str, why: str) -> FaceswapError:
        """The error of a key whose value does not fit."""
        shown = why if len(why) <= LONGEST_REASON else why[:LONGEST_REASON] + "..."
        return FaceswapError(f"{self.path}: {key} in [{self.name}] {shown}. See docs/onnx.md.")

    def finish(self) -> None:
        """Raises FaceswapError where the table has a key that nobody asked for."""
        for key in self._values:
            if key not in self._taken:
                raise FaceswapError(f"{self.path}: there is no {cut(repr(key))} in [{self.name}].{nearest(key, self._taken)} "
                                    f"There are: {', '.join(self._taken)}.")


class Network:
    """A network that takes square pictures. Threads may share it, though a call computes on one thread alone.

    Raises FaceswapError, which names the file and the key, where the description, the network or both together make no sense.
    """

    def __init__(self, path: Path):
        """`path`: the TOML file."""
        self.path = path
        self._tables = _read(path)
        table = self.table("network")
        self.size = table.take("size", lambda value: _whole(value, 8, LARGEST_SIZE),
                               f"the side of the pictures it takes, a whole number from 8 to {LARGEST_SIZE}")
        self.layout = table.choice("layout", ("nchw", "nhwc"), "nchw")
        self.bgr = table.choice("color", ("rgb", "bgr"), "rgb") == "bgr"
        scale = table.take("scale", number, "a number that the values 0 to 255 are multiplied by", 1 / 255)
        mean = table.take("mean", partial(numbers, count=3), "three numbers, in the order of color", np.zeros(3))
        std = table.take("std", partial(numbers, count=3, one=positive), "three numbers over 0, in the order of color", np.ones(3))
        self._factor, self._shift = (scale / std).astype(np.float32), (mean / std).astype(np.float32)
        self.file = path.parent / table.take("file", _text, "the name of the network's file beside this one")
        output = table.take("output", _name_or_number, "the name or the number, from 0, of an output", 0)
        table.finish()

        if not _is_file(self.file):
            raise table.wrong("file", f"names {str(self.file)[:LONGEST_REASON]}, which is not there")
        _try_out(self.file, self.file.stat().st_mtime_ns)
        self._session = session(self.file, bounded=True)
        self._limit = LOOPING if has_loops(self.file) else RUNNING
        self._most = max(1, min(BATCH, MEMORY // 4 // self._bytes))
        # DirectML takes one call at a time
        self._turn = threading.Lock() if "DmlExecutionProvider" in self._session.get_providers() else nullcontext()
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise FaceswapError(f"{self.file} takes {len(inputs)} inputs; only networks that take pictures alone work.")
        given, = inputs
        self._input, self._type, self._batch = given.name, self._type_of(given), self._batch_of(given)
        self._output = _named(table, "output", output, [one.name for one in self._session.get_outputs()])

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
        """The network's answer to `images`, each (size, size, 3) uint8 RGB: (N, ...) as the network shapes it; float16 as float32."""
        pictures = np.stack(images)[..., ::-1] if self.bgr else np.stack(images)
        pictures = (pictures * self._factor - self._shift).astype(self._type)
        if self.layout == "nchw":
            pictures = pictures.transpose(0, 3, 1, 2)
        step = self._batch or self._most
        try:
            answers = np.concatenate([self._answer(pictures[start:start + step]) for start in range(0, len(pictures), step)])
        except _TooMuch as error:
            if self._batch or step == 1:
                raise FaceswapError(str(error)) from error
            self._most = max(1, min(step, len(pictures)) // 2)  # from now on
            return self(images)
        return answers.astype(np.float32) if answers.dtype == np.float16 else answers

    def digest(self) -> str:
        """SHA-256 of the description and the network: what comes out depends on them."""
        with opened(self.file) as file:
            inner = hashlib.file_digest(file, "sha256").hexdigest()
        return hashlib.sha256(read_bytes(self.path) + inner.encode()).hexdigest()

    def _answer(self, pictures: np.ndarray) -> np.ndarray:
        missing = max(0, (self._batch or 0) - len(pictures))
        padded = np.concatenate([pictures, np.repeat(pictures[-1:], missing, axis=0)]) if missing else pictures
        try:
            with self._turn:
                answer, = _run(self._session, [self._output], {self._input: np.ascontiguousarray(padded)}, self._limit * len(padded))
        except TimeoutError:
            raise FaceswapError(f"{self.file} takes more than {self._limit:g} seconds to look at a picture. Use another network.") from None
        except Exception as error:  # onnxruntime has a dozen exceptions without a common base
            if "memory" in str(error):
                raise _TooMuch(f"{self.file} takes more than {MEMORY / 1e9:.1f} GB of memory for {len(padded)} of its pictures. Use another "
                               "network.") from error
            raise FaceswapError(f"{self.file} fails on pictures of shape {padded.shape}: {_one_line(error)}. "
                                f"Check size and layout in {self.path}.") from error
        if answer.ndim < 2 or len(answer) != len(padded):
            raise FaceswapError(f"{self.file} answers {len(padded)} pictures with the shape {answer.shape}: the first number should "
                                f"be that of the pictures. Choose another output in {self.path}.")
        return answer[:len(pictures)]

    def _type_of(self, given: Any) -> type:
        if given.type not in TYPES:
            raise FaceswapError(f"{self.file} takes {given.type}; only networks that take {' or '.join(TYPES)} work.")
        return TYPES[given.type]

    def _batch_of(self, given: Any) -> int | None:
        """How many pictures a call takes; None where it takes any number."""
        expected = (3, self.size, self.size) if self.layout == "nchw" else (self.size, self.size, 3)
        fits = len(given.shape) == 4 and all(not isinstance(side, int) or side == wanted for side, wanted in zip(given.shape[1:], expected))
        if not fits:
            made, taken = (", ".join(map(str, shape)) for shape in (("N", *expected), given.shape))
            raise FaceswapError(f"{self.path}: size and layout in [network] make pictures of shape ({made}), but {self.file} takes "
                                f"({taken}). "
                                "Correct them.")
        if isinstance(given.shape[0], int) and given.shape[0] * self._bytes > MEMORY:
            raise FaceswapError(f"{self.file} takes {given.shape[0]} pictures at once, which do not fit into memory. Use another network.")
        return given.shape[0] if isinstance(given.shape[0], int) and given.shape[0] > 0 else None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except FileNotFoundError:
        raise FaceswapError(f"There is no file {path}, which should describe the network. See docs/onnx.md.") from None
    except OSError as error:
        raise FaceswapError(f"Cannot read {path}: {error.strerror}.") from error
    except ValueError as error:
        binary = ". It is a network itself? Name the TOML file that describes it" if path.suffix == ".onnx" else ""
        raise FaceswapError(f"{path} is not valid TOML: {error}{binary}. See docs/onnx.md.") from error


def has_loops(file: Path) -> bool:
    """Whether the network in `file` may compute a part of itself any number of times."""
    with opened(file) as network, mmap.mmap(network.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return any(data.find(mark) >= 0 for mark in LOOPS)


class _TooMuch(FaceswapError):
    """There was no memory for so many pictures at once."""


def _run(session: Any, outputs: Sequence[str], given: dict[str, np.ndarray], limit: float) -> list[np.ndarray]:
    """`session.run` where Ctrl-C reaches it. Raises TimeoutError after `limit` seconds of a processor, and what onnxruntime raises."""
    import onnxruntime

    options, ended, came = onnxruntime.RunOptions(), threading.Event(), []
    options.log_severity_level = 4

    def work() -> None:
        try:
            came.append(session.run(outputs, given, options))
        except BaseException as error:
            came.append(error)
        ended.set()

    worker = threading.Thread(target=work, name="network", daemon=True)
    worker.start()
    try:
        while not ended.wait(LOOK):
            if _processor_time(worker) > limit:
                raise TimeoutError
    except BaseException:
        options.terminate = True  # before the network's next operation
        worker.join(PATIENCE)
        raise
    if isinstance(came[0], BaseException):
        raise came[0]
    return came[0]


def _processor_time(worker: threading.Thread) -> float:
    """Seconds that a thread has computed; 0 where the system does not tell, or it has ended."""
    try:
        return time.clock_gettime(time.pthread_getcpuclockid(worker.ident))
    except (AttributeError, OSError, OverflowError):
        return 0.0


@cache
def _try_out(file: Path, changed: int) -> None:
    """Loads a network in a process of its own first, with limits of time and memory: constants are computed then, beyond all limits.

    Raises FaceswapError where it cannot be loaded. `changed` tells one file under a name from another.
    """
    _package()
    size = file.stat().st_size
    most, seconds = MEMORY + ROOM + 3 * size, math.ceil(LOADING * (1 + 2 * size / 1e9))
    with subprocess.Popen([sys.executable, "-m", "lib.onnx.onnx_network", os.path.abspath(file), str(seconds)], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, errors="replace", env=os.environ | {"PYTHONPATH": str(ROOT)}) as child:
        try:
            device.end_beyond(child, most)
        except BaseException:
            child.kill()
            raise
        said = child.stdout.read()
    if child.returncode and said.startswith(REFUSED):
        raise FaceswapError(said.removeprefix(REFUSED).strip())
    if child.returncode:
        raise FaceswapError(f"{file} takes too much time or memory before it looks at a picture. Use another network.")


def _package() -> Any:
    """onnxruntime. Raises FaceswapError where it is not installed."""
    try:
        import onnxruntime
    except ImportError:
        raise FaceswapError(f"ONNX networks need the package onnxruntime. Run: {Path(sys.executable).name} -m pip install onnxruntime "
                            "(with an NVIDIA GPU onnxruntime-gpu, on Windows also onnxruntime-directml).") from None
    return onnxruntime


def _limit(seconds: int) -> None:
    """Lets this process end before it has computed for longer."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


@cache
def _bound_memory() -> None:
    """One allocator for all users' networks, which gives no more than MEMORY."""
    import onnxruntime

    place = onnxruntime.OrtMemoryInfo("Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT)
    onnxruntime.create_and_register_allocator(place, onnxruntime.OrtArenaCfg(MEMORY, -1, -1, -1))


def session(file: Path, network: bytes | None = None, bounded: bool = False) -> Any:
    """An `onnxruntime.InferenceSession` of the network in `file`, on the best device there is; a call computes on one thread.

    Where `file` is of another kind, `network` is what was made of it. `bounded`: its tensors may take no more than MEMORY.

    Raises FaceswapError where the package is missing or the file is no network.
    """
    onnxruntime = _package()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1  # frames and faces already keep all cores busy
    settings.log_severity_level = 4  # errors are raised
    providers = [name for name in PROVIDERS if name in onnxruntime.get_available_providers()]
    settings.enable_mem_pattern = "DmlExecutionProvider" not in providers  # DirectML cannot do with it
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1") and "CUDAExecutionProvider" in providers:
        providers.remove("CUDAExecutionProvider")
    if bounded and file.stat().st_size <= OWN_WEIGHT:
        _bound_memory()
        settings.add_session_config_entry("session.use_env_allocators", "1")
    try:
        return onnxruntime.InferenceSession(network or str(file), settings, providers=providers)
    except Exception as error:  # onnxruntime has a dozen exceptions without a common base
        raise FaceswapError(f"{file} is not a network that onnxruntime can load: {_one_line(error)}. Replace it.") from error


def _named(table: Table, key: str, wanted: str | int, names: Sequence[str]) -> str:
    """The one of `names` that `wanted` means, by name or number."""
    if isinstance(wanted, int) and wanted < len(names):
        return names[wanted]
    if wanted not in names:
        offered = ", ".join(f"{number} ({name})" for number, name in enumerate(names))
        raise table.wrong(key, f"is {wanted!r}, but the network has: {offered}")
    return wanted


def _whole(value: Any, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError
    return value


def number(value: Any) -> float:
    """A finite number of a TOML file."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError
    return float(value)


def positive(value: Any) -> float:
    """A number over 0."""
    if number(value) <= 0:
        raise ValueError
    return float(value)


def numbers(value: Any, count: int, one: Callable[[Any], float] = number) -> np.ndarray:
    """(count,) float64, each checked by `one`."""
    if not isinstance(value, list) or len(value) != count:
        raise TypeError
    return np.array([one(item) for item in value])


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def _name_or_number(value: Any) -> str | int:
    return _whole(value, 0, 1000) if isinstance(value, int) else _text(value)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    named = Path(sys.argv[1])
    _limit(int(sys.argv[2]))
    try:
        session(named)
    except FaceswapError as error:
        print(f"{REFUSED}{error}", flush=True)
    except MemoryError:
        sys.exit(1)
    else:
        os._exit(0)  # at once, whatever threads there are
    sys.exit(1)
