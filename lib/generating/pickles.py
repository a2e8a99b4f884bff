"""Pickle files as data: what is in them is read, and nothing in them runs.

Every class and function that a file names becomes an inert `Stub` that keeps what it was given. Only names of the libraries that
networks are published with are taken for such; a file that names anything else is refused as a whole.
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

KNOWN = ("torch", "torch_utils", "dnnlib", "training", "numpy", "legacy")  # packages whose names become stubs
PLAIN = {("collections", "OrderedDict"): OrderedDict, ("builtins", "set"): set, ("__builtin__", "set"): set}
CODED = ("_codecs", "encode")  # of bytes, in old files
LARGEST = 1 << 30  # bytes of a file: the largest that was published has less than half
MOST_OPERATIONS, MOST_CLASSES = 1_000_000, 1000  # published files have some ten thousand, and some dozen
DEEPEST, HEAVIEST = 50, 10_000  # tuples within each other, and items in all of them
PLAIN_ITEM = (0, 1)  # how deep what is no tuple is, and how many items it is
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "TUPLE": None}  # operations, and how many items they take
RECALLED = ("GET", "BINGET", "LONG_BINGET")
SHOWN = 60  # letters of a name that a message shows
MEMO = ("PUT", "BINPUT", "LONG_BINPUT")  # operations that name a place in memory
STORAGES = {"DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4",
            "ShortStorage": "<i2", "CharStorage": "<i1", "ByteStorage": "<u1", "BoolStorage": "|b1"}  # of torch
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of what torch saves in one piece


class Stub:
    """What an object of a class that is not imported was made of."""

    called = ""  # "module.name" of the class or function

    def __new__(cls, *args: Any, **named: Any) -> Stub:
        self = super().__new__(cls)
        self.args, self.state, self.entries, self.items = args, None, {}, []
        return self

    def __init__(self, *args: Any, **named: Any):
        """Takes whatever a file gives."""

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.entries[key] = value

    def append(self, item: Any) -> None:
        self.items.append(item)


class Refused(ValueError):
    """A file asks for what no file of weights needs."""


def read(path: Path) -> Any:
    """What is in the pickle file `path`. Raises FaceswapError where it is none, is damaged, or names what is not of a network."""
    try:
        data = read_bytes(path, LARGEST)
    except Unreadable as error:
        raise FaceswapError(f"{path} is larger than any file of weights: {error}. Name another.") from None
    except OSError as error:
        raise FaceswapError(f"Cannot read {path}: {error.strerror}. Check the name.") from error
    try:
        return _Unpickler(io.BytesIO(data)).load()
    except Refused as error:
        raise FaceswapError(f"{path} is refused: {error}. Nothing of it was run. Do not use it, and ask where it comes from.") from error
    except (pickle.UnpicklingError, ValueError, TypeError, KeyError, IndexError, EOFError, AttributeError, OverflowError, RecursionError,
            MemoryError) as error:
        raise FaceswapError(f"{path} is no pickle file, or is damaged ({one_line(error)}). Fetch it again.") from error


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO):
        begins = file.tell()
        _check(file)
        self._left = file.tell() - begins  # bytes, or items, that calls may copy in all: no file of weights does so twice
        file.seek(begins)
        self._stubs: dict[tuple[str, str], type] = {}
        super().__init__(file, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in PLAIN:
            return partial(self._made, PLAIN[module, name])
        if (module, name) == CODED:
            return self._encoded
        if module.partition(".")[0] not in KNOWN:
            raise Refused(f"it names {module[:SHOWN]}.{name[:SHOWN]}, which no network is made of")
        if (module, name) not in self._stubs:
            if len(self._stubs) == MOST_CLASSES:
                raise Refused(f"it names more than {MOST_CLASSES} classes")
            self._stubs[module, name] = type("Stub", (Stub,), {"called": f"{module}.{name}"})
        return self._stubs[module, name]

    def persistent_load(self, what: Any) -> Any:
        return what

    def _made(self, kind: type, *args: Any) -> Any:
        self._copy(sum(len(arg) for arg in args))
        return kind(*args)

    def _encoded(self, text: str, coding: str) -> bytes:
        if coding not in ("latin1", "latin-1"):
            raise ValueError("bytes coded in another way")
        self._copy(len(text))
        return text.encode("latin1")

    def _copy(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise Refused("it copies the same again and again")


def _check(file: io.BytesIO) -> None:
    """Raises ValueError where a length in the next pickle of `file` goes beyond its end, or an object is to be kept at a place so far off
    that there must be room made for others that are not there: both would take memory out of all proportion. Refuses too many operations,
    and tuples within tuples beyond measure, whose hashes Python computes without an end or beyond its stack."""
    stack: list[tuple[int, int] | None] = []  # of each tuple how deep it is and how many items there are in it; None: a mark
    memo: dict[int, tuple[int, int]] = {}
    for place, (operation, argument, _) in enumerate(pickletools.genops(file)):
        if place == MOST_OPERATIONS:
            raise Refused(f"it has more than {MOST_OPERATIONS} operations")
        name = operation.name
        if name in MEMO:
            if argument > place:
                raise ValueError("it keeps an object at a place that cannot be")
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
            deep, heavy = 1 + max((item[0] for item in items), default=0), 1 + sum(item[1] for item in items)
            if deep > DEEPEST or heavy > max(HEAVIEST, 2 * len(items)):
                raise Refused("it has tuples within tuples beyond measure")
            stack.append((deep, heavy))
        else:
            _apply(operation, stack)


def _apply(operation: pickletools.OpcodeInfo, stack: list) -> None:
    """What any other operation does to the stack; what it makes is no tuple."""
    before = operation.stack_before
    if pickletools.markobject in before:
        _since_mark(stack)
        before = before[:before.index(pickletools.markobject)]
        if operation.name == "OBJ":
            before = []
    for _ in before:
        stack.pop()
    stack += [None if made is pickletools.markobject else PLAIN_ITEM for made in operation.stack_after]


def _since_mark(stack: list) -> list:
    """Takes all down to the last mark off the stack, and returns it without the mark."""
    items = []
    while (item := stack.pop()) is not None:
        items.append(item)
    return items


def one_line(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:200]


def is_called(value: Any, *names: str) -> bool:
    """Whether `value` is a stub of a class or function with one of these last names."""
    return isinstance(value, Stub) and value.called.rpartition(".")[2] in names


def array(value: Any) -> np.ndarray:
    """The numbers of a NumPy array or a torch tensor or parameter that was read. Raises ValueError where it is none, or makes no sense."""
    if is_called(value, "_rebuild_parameter"):
        value = value.args[0]
    if is_called(value, "_rebuild_tensor_v2", "_rebuild_tensor"):
        storage, offset, size, stride = value.args[:4]
        return _tensor(_storage(storage), offset, size, stride)
    if is_called(value, "_reconstruct") and isinstance(value.state, tuple):
        _, shape, kind, columns_first, data = value.state
        kind = _kind(kind)
        data = data.encode("latin1") if isinstance(data, str) else data
        _whole(shape)
        if not isinstance(data, bytes) or math.prod(shape) * kind.itemsize != len(data):
            raise ValueError("an array has not the size that it says")
        return np.frombuffer(data, kind).reshape(shape, order="F" if columns_first else "C")
    if is_called(value, "scalar"):
        return np.frombuffer(value.args[1], _kind(value.args[0])).reshape(())
    raise ValueError("it is no array")


def _kind(stub: Any) -> np.dtype:
    """A NumPy type of plain numbers."""
    if not is_called(stub, "dtype") or not isinstance(stub.args[0], str) or stub.args[0].lstrip("<>|=")[:1] not in tuple("fiub"):
        raise ValueError("an array holds no numbers")
    kind = np.dtype(stub.args[0])
    return kind.newbyteorder(stub.state[1]) if isinstance(stub.state, tuple) and stub.state[1] in ("<", ">") else kind


def _tensor(numbers: np.ndarray, offset: int, size: tuple, stride: tuple) -> np.ndarray:
    for each in (size, stride, (offset,)):
        _whole(each)
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if 0 not in size and last >= len(numbers) or math.prod(size) > len(numbers):
        raise ValueError("a tensor is larger than its numbers")
    steps = [step * numbers.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(numbers[offset:], size, steps, writeable=False).copy()


def _whole(numbers: Any) -> None:
    if not isinstance(numbers, tuple) or not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("a size is no whole number")


def _storage(stub: Any) -> np.ndarray:
    """The numbers of a torch storage that was saved in one piece inside the file: four pickles, then each storage's length and bytes."""
    if not is_called(stub, "_load_from_bytes") or not isinstance(stub.args[0], bytes):
        raise ValueError("a tensor's numbers are kept in a way that is not known here")
    data, file = stub.args[0], io.BytesIO(stub.args[0])
    told = []
    for _ in range(5):  # magic number, version, machine, the storage, the names of all storages
        told.append(_Unpickler(file).load())
    magic, protocol, machine, storage, keys = told
    if magic != MAGIC or protocol != PROTOCOL or not machine.get("little_endian"):
        raise ValueError("a tensor was not saved by torch, or on another kind of machine")
    _, kind, key, _, count = storage[:5]
    if keys != [key] or not isinstance(kind, type) or (name := kind.called.rpartition(".")[2]) not in STORAGES:
        raise ValueError("a tensor is of a kind that is not known here")
    start = file.tell() + 8
    if int.from_bytes(data[start - 8:start], "little") != count:
        raise ValueError("a tensor has not the size that it says")
    return np.frombuffer(data, STORAGES[name], count, start)
