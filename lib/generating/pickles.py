"""Pickle files as data: their content is read, and no code in them runs.

Every class and function that a file names becomes an inert `Stub` that keeps its arguments. Only
names of the libraries that networks are published with are accepted; a file that names anything
else is refused as a whole.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lib.errors import FaceswapError
from lib.files.reading import Unreadable, read_bytes

# packages whose names become stubs
KNOWN = ("torch", "torch_utils", "dnnlib", "training", "numpy", "legacy")
PLAIN = {("collections", "OrderedDict"): OrderedDict, ("builtins", "set"): set,
         ("__builtin__", "set"): set}
CODED = ("_codecs", "encode")  # of bytes, in old files
LARGEST = 1 << 30  # bytes of a file: the largest that was published has less than half
# published files have some ten thousand, and some dozen
MOST_OPERATIONS, MOST_CLASSES = 1_000_000, 1000
DEEPEST, MOST_ITEMS = 50, 10_000  # nested tuples, and items in all of them
PLAIN_ITEM = (0, 1)  # depth and items of anything but a tuple
# Operations that make tuples, and how many items they take; None: all since the mark
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "TUPLE": None}
RECALLED = ("GET", "BINGET", "LONG_BINGET")
SHOWN = 60  # characters of a name in a message
STORED = ("PUT", "BINPUT", "LONG_BINPUT")  # operations that name a place in memory
STORAGES = {"DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2",
            "LongStorage": "<i8", "IntStorage": "<i4",
            # of torch
            "ShortStorage": "<i2", "CharStorage": "<i1", "ByteStorage": "<u1", "BoolStorage": "|b1"}
DAMAGE = (pickle.UnpicklingError, ValueError, TypeError, KeyError, IndexError, EOFError,
          AttributeError, OverflowError, RecursionError, MemoryError)
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of a storage that torch saves in one piece


class Stub:
    """An object of a class that is not imported: its arguments and state."""

    called = ""  # "module.name" of the class or function

    def __new__(cls, *args: Any, **named: Any) -> Stub:
        self = super().__new__(cls)
        self.args, self.state, self.entries, self.items = args, None, {}, []
        return self

    def __init__(self, *args: Any, **named: Any):
        """Accepts any arguments."""

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.entries[key] = value

    def append(self, item: Any) -> None:
        self.items.append(item)


class Refused(ValueError):
    """A file does what no file of weights needs to do."""


def read(path: Path) -> Any:
    """The content of the pickle file `path`. Raises FaceswapError where it is another file, is
    damaged, or names anything but parts of networks."""
    try:
        data = read_bytes(path, LARGEST)
    except Unreadable as error:
        raise FaceswapError(f"{path} is larger than any file of weights: {error}. Name "
                            "another.") from None
    except OSError as error:
        raise FaceswapError(f"Cannot read {path}: {error.strerror}. Check the name.") from error
    try:
        return _Unpickler(io.BytesIO(data)).load()
    except Refused as error:
        raise FaceswapError(f"{path} is refused: {error}. Nothing of it was run. Do not use the "
                            "file, and find out where it comes from.") from error
    except DAMAGE as error:
        raise FaceswapError(f"{path} is no pickle file, or is damaged ({one_line(error)}). "
                            "Download it again.") from error


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO):
        start = file.tell()
        _check(file)
        # bytes, or items, that calls may copy in all: files of weights copy nothing twice
        self._budget = file.tell() - start
        file.seek(start)
        self._stubs: dict[tuple[str, str], type] = {}
        super().__init__(file, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in PLAIN:
            return partial(self._create, PLAIN[module, name])
        if (module, name) == CODED:
            return self._encode
        if module.partition(".")[0] not in KNOWN:
            raise Refused(f"it names {module[:SHOWN]}.{name[:SHOWN]}, which is no part of a "
                          "network")
        if (module, name) not in self._stubs:
            if len(self._stubs) == MOST_CLASSES:
                raise Refused(f"it names more than {MOST_CLASSES} classes")
            self._stubs[module, name] = type("Stub", (Stub,), {"called": f"{module}.{name}"})
        return self._stubs[module, name]

    def persistent_load(self, identifier: Any) -> Any:
        return identifier

    def _create(self, kind: type, *args: Any) -> Any:
        self._copy(sum(len(arg) for arg in args))
        return kind(*args)

    def _encode(self, text: str, coding: str) -> bytes:
        if coding not in ("latin1", "latin-1"):
            raise ValueError("bytes in another encoding")
        self._copy(len(text))
        return text.encode("latin1")

    def _copy(self, size: int) -> None:
        self._budget -= size
        if self._budget < 0:
            raise Refused("it copies its data many times")


def _check(file: io.BytesIO) -> None:
    """Raises ValueError where a length in the next pickle of `file` goes beyond its end, or an
    object is stored at a place that needs room for others that do not exist: both would take too
    much memory. Refuses too many operations, and deeply nested tuples, whose hashes take Python
    forever or overflow its stack."""
    # depth and items of each tuple; None: a mark
    stack: list[tuple[int, int] | None] = []
    memo: dict[int, tuple[int, int]] = {}
    for place, (operation, argument, _) in enumerate(pickletools.genops(file)):
        if place == MOST_OPERATIONS:
            raise Refused(f"it has more than {MOST_OPERATIONS} operations")
        name = operation.name
        if name in STORED:
            if argument > place:
                raise ValueError("it stores an object at an impossible place")
            memo[argument] = stack[-1] or PLAIN_ITEM
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1] or PLAIN_ITEM
        elif name in RECALLED:
            stack.append(memo.get(argument, PLAIN_ITEM))
        elif name == "DUP":
            stack.append(stack[-1])
        elif name == "POP":
            stack.pop()
        elif name.startswith("EXT"):
            raise Refused("it uses a registry of extensions")
        elif name in TUPLES:
            count = TUPLES[name]
            items = _since_mark(stack) if count is None else [stack.pop() for _ in range(count)]
            items = [item or PLAIN_ITEM for item in items]
            depth = 1 + max((item[0] for item in items), default=0)
            total = 1 + sum(item[1] for item in items)
            if depth > DEEPEST or total > max(MOST_ITEMS, 2 * len(items)):
                raise Refused("its tuples are nested too deeply")
            stack.append((depth, total))
        else:
            _apply(operation, stack)


def _apply(operation: pickletools.OpcodeInfo, stack: list) -> None:
    """Applies an operation that makes no tuple to the stack."""
    before = operation.stack_before
    if pickletools.markobject in before:
        _since_mark(stack)
        before = before[:before.index(pickletools.markobject)]
        if operation.name == "OBJ":
            before = []
    for _ in before:
        stack.pop()
    stack += [None if item is pickletools.markobject else PLAIN_ITEM
              for item in operation.stack_after]


def _since_mark(stack: list) -> list:
    """Pops all down to the last mark, and returns it without the mark."""
    items = []
    while (item := stack.pop()) is not None:
        items.append(item)
    return items


def one_line(error: Exception) -> str:
    """An error as a short line."""
    return " ".join((str(error) or type(error).__name__).split())[:200]


def is_called(value: Any, *names: str) -> bool:
    """Whether `value` is a stub of a class or function with one of these last names."""
    return isinstance(value, Stub) and value.called.rpartition(".")[2] in names


def array(value: Any) -> np.ndarray:
    """The numbers of a NumPy array, torch tensor or parameter that was read. Raises ValueError for
    anything else."""
    if is_called(value, "_rebuild_parameter"):
        value = value.args[0]
    if is_called(value, "_rebuild_tensor_v2", "_rebuild_tensor"):
        storage, offset, size, stride = value.args[:4]
        return _tensor(_storage(storage), offset, size, stride)
    if is_called(value, "_reconstruct") and isinstance(value.state, tuple):
        _, shape, kind, columns_first, data = value.state
        kind = _kind(kind)
        data = data.encode("latin1") if isinstance(data, str) else data
        _check_whole(shape)
        if not isinstance(data, bytes) or math.prod(shape) * kind.itemsize != len(data):
            raise ValueError("an array is not the size that it says")
        return np.frombuffer(data, kind).reshape(shape, order="F" if columns_first else "C")
    if is_called(value, "scalar"):
        return np.frombuffer(value.args[1], _kind(value.args[0])).reshape(())
    raise ValueError("it is no array")


def _kind(stub: Any) -> np.dtype:
    """A NumPy type of plain numbers."""
    if not is_called(stub, "dtype") or not isinstance(stub.args[0], str) \
            or stub.args[0].lstrip("<>|=")[:1] not in tuple("fiub"):
        raise ValueError("an array holds no numbers")
    kind = np.dtype(stub.args[0])
    has_order = isinstance(stub.state, tuple) and stub.state[1] in ("<", ">")
    return kind.newbyteorder(stub.state[1]) if has_order else kind


def _tensor(numbers: np.ndarray, offset: int, size: tuple, stride: tuple) -> np.ndarray:
    for part in (size, stride, (offset,)):
        _check_whole(part)
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if 0 not in size and last >= len(numbers) or math.prod(size) > len(numbers):
        raise ValueError("a tensor is larger than its numbers")
    steps = [step * numbers.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(numbers[offset:], size, steps, writeable=False).copy()


def _check_whole(numbers: Any) -> None:
    if not (isinstance(numbers, tuple)
            and all(type(number) is int and number >= 0 for number in numbers)):
        raise ValueError("a size is no whole number")


def _storage(stub: Any) -> np.ndarray:
    """The numbers of a torch storage inside the file: five pickles, then the length and the
    bytes.
    """
    if not is_called(stub, "_load_from_bytes") or not isinstance(stub.args[0], bytes):
        raise ValueError("a tensor's numbers are stored in an unknown way")
    data, file = stub.args[0], io.BytesIO(stub.args[0])
    # magic number, version, machine, the storage, the names of all storages
    magic, protocol, machine, storage, keys = [_Unpickler(file).load() for _ in range(5)]
    if magic != MAGIC or protocol != PROTOCOL or not machine.get("little_endian"):
        raise ValueError("a tensor was not saved by torch, or on another kind of machine")
    _, kind, key, _, count = storage[:5]
    name = kind.called.rpartition(".")[2] if isinstance(kind, type) else ""
    if keys != [key] or name not in STORAGES:
        raise ValueError("a tensor is of an unknown kind")
    start = file.tell() + 8
    if int.from_bytes(data[start - 8:start], "little") != count:
        raise ValueError("a tensor is not the size that it says")
    return np.frombuffer(data, STORAGES[name], count, start)
