"""Writes small ONNX networks: the few messages of the format that onnxruntime needs, without the package onnx.

"Open Neural Network Exchange", onnx.proto; numbers are protocol buffers' field numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

IR_VERSION, OPERATORS = 8, 17
FLOAT, INT64 = 1, 7  # TensorProto.DataType
ONE_INT, SEVERAL_INTS = 2, 7  # AttributeProto.AttributeType


class Graph:
    """Add operators in the order in which they are computed; `model` gives the file."""

    def __init__(self, given: str, shape: Sequence[int | str]):
        """`given` is the name of the input, float32 of the given `shape`, in which a side may have a name in place of a number."""
        self._input = _value(given, shape)
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []

    def add(self, operator: str, inputs: Sequence[str], **attributes: int | Sequence[int]) -> str:
        """Adds an operator of ONNX; returns the name of its output."""
        name = f"{operator}_{len(self._nodes)}"
        node = b"".join(_field(1, given.encode()) for given in inputs) + _field(2, name.encode()) + _field(4, operator.encode())
        for key, value in attributes.items():
            if isinstance(value, int):
                attribute = _field(3, value) + _field(20, ONE_INT)
            else:
                attribute = b"".join(_field(8, one) for one in value) + _field(20, SEVERAL_INTS)
            node += _field(5, _field(1, key.encode()) + attribute)
        self._nodes.append(node)
        return name

    def constant(self, values: np.ndarray) -> str:
        """Adds float32 or int64 numbers; returns their name."""
        name = f"constant_{len(self._constants)}"
        kind = INT64 if values.dtype == np.int64 else FLOAT
        data = np.ascontiguousarray(values, "<i8" if kind == INT64 else "<f4").tobytes()
        self._constants.append(b"".join(_field(1, side) for side in values.shape) + _field(2, kind) + _field(8, name.encode())
                               + _field(9, data))
        return name

    def model(self, output: str) -> bytes:
        """The network from the input to `output`, float32."""
        graph = b"".join([*(_field(1, node) for node in self._nodes), _field(2, b"graph"), *(_field(5, one) for one in self._constants),
                          _field(11, self._input), _field(12, _value(output, None))])
        return _field(1, IR_VERSION) + _field(7, graph) + _field(8, _field(2, OPERATORS))


def _value(name: str, shape: Sequence[int | str] | None) -> bytes:
    """A ValueInfoProto; of an unknown shape if that is None."""
    tensor = _field(1, FLOAT)
    if shape is not None:
        sides = (_field(1, side) if isinstance(side, int) else _field(2, side.encode()) for side in shape)
        tensor += _field(2, b"".join(_field(1, side) for side in sides))
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return bytes(_varint(number << 3)) + bytes(_varint(value))
    return bytes(_varint(number << 3 | 2)) + bytes(_varint(len(value))) + value


def _varint(value: int) -> Iterator[int]:
    """Seven bits a byte, lowest first; all but the last have the eighth set. `value` is not negative."""
    while value > 127:
        yield value & 127 | 128
        value >>= 7
    yield value
