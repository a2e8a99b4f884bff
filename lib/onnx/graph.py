"""Writes small ONNX networks: the few messages of the format that onnxruntime needs, without the
package onnx.

"Open Neural Network Exchange", onnx.proto; numbers are field numbers of its messages.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lib.onnx.protobuf import field

IR_VERSION, OPERATORS = 8, 17
FLOAT, INT64 = 1, 7  # TensorProto.DataType
ONE_INT, SEVERAL_INTS = 2, 7  # AttributeProto.AttributeType


class Graph:
    """Add operators in the order in which they are computed; `model` gives the file."""

    def __init__(self, name: str, shape: Sequence[int | str]):
        """`name`: that of the input, float32 of that `shape`; a side of any length has a name."""
        self._input = _value(name, shape)
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []

    def add(self, operator: str, inputs: Sequence[str], **attributes: int | Sequence[int]) -> str:
        """Adds an operator of ONNX; returns the name of its output."""
        name = f"{operator}_{len(self._nodes)}"
        node = b"".join(field(1, source.encode()) for source in inputs)
        node += field(2, name.encode()) + field(4, operator.encode())
        for key, value in attributes.items():
            if isinstance(value, int):
                attribute = field(3, value) + field(20, ONE_INT)
            else:
                attribute = b"".join(field(8, item) for item in value) + field(20, SEVERAL_INTS)
            node += field(5, field(1, key.encode()) + attribute)
        self._nodes.append(node)
        return name

    def constant(self, values: np.ndarray) -> str:
        """Adds float32 or int64 numbers; returns their name."""
        name = f"constant_{len(self._constants)}"
        kind = INT64 if values.dtype == np.int64 else FLOAT
        data = np.ascontiguousarray(values, "<i8" if kind == INT64 else "<f4").tobytes()
        self._constants.append(b"".join(field(1, side) for side in values.shape) + field(2, kind)
                               + field(8, name.encode())
                               + field(9, data))
        return name

    def model(self, *outputs: str) -> bytes:
        """The network from the input to `outputs`, float32."""
        graph = b"".join([*(field(1, node) for node in self._nodes), field(2, b"graph"),
                          *(field(5, constant) for constant in self._constants),
                          field(11, self._input),
                          *(field(12, _value(output, None)) for output in outputs)])
        return field(1, IR_VERSION) + field(7, graph) + field(8, field(2, OPERATORS))


def _value(name: str, shape: Sequence[int | str] | None) -> bytes:
    """A ValueInfoProto; of an unknown shape if that is None."""
    tensor = field(1, FLOAT)
    if shape is not None:
        sides = (field(1, side) if isinstance(side, int) else field(2, side.encode())
                 for side in shape)
        tensor += field(2, b"".join(field(1, side) for side in sides))
    return field(1, name.encode()) + field(2, field(1, tensor))
