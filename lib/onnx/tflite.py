"""TensorFlow Lite networks as ONNX ones, so that one runtime runs them all: on every processor and
graphics card that onnxruntime knows.

Only the operators of small convolutional networks are known.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import tflite

from lib.errors import FaceswapError
from lib.files.reading import read_bytes
from lib.onnx.graph import Graph

MOST_BYTES = 64 << 20  # of a file
KINDS = {kind: name for name, kind in vars(tflite.BuiltinOperator).items() if type(kind) is int}
TYPES = {tflite.TensorType.FLOAT32: np.dtype("<f4"), tflite.TensorType.INT32: np.dtype("<i4")}
NCHW = (0, 3, 1, 2)


def as_onnx(file: Path) -> bytes:
    """The network in `file`, with channels first: its input float32 (N, C, H, W), its outputs as in
    the file, those of four sides with channels first.

    Raises FaceswapError where it is none, or has operators that are not known.
    """
    try:
        return _Conversion(tflite.Model.GetRootAsModel(read_bytes(file, MOST_BYTES), 0)).model()
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, struct.error) as error:
        raise FaceswapError(f"{file} is not a TensorFlow Lite network that can be read ({error}). "
                            "Install its package again.") from error


class _Conversion:
    """One network on its way from TensorFlow Lite to ONNX."""

    def __init__(self, network: Any):
        self._network = network
        self._lite = network.Subgraphs(0)
        source = int(self._lite.InputsAsNumpy()[0])
        height, width, channels = self._shape(source)[1:]
        self._graph = Graph("pictures", ("N", channels, height, width))
        self._names = {source: "pictures"}  # of what is computed, by tensor

    def model(self) -> bytes:
        """The file of the ONNX network."""
        for number in range(self._lite.OperatorsLength()):
            operator = self._lite.Operators(number)
            inputs = [int(tensor) for tensor in operator.InputsAsNumpy()]
            output = int(operator.OutputsAsNumpy()[0])
            code = self._network.OperatorCodes(operator.OpcodeIndex())
            kind = KINDS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            add = self._ADD.get(kind)
            if add is None:
                raise ValueError(f"its operator {kind} is not known")
            self._names[output] = add(self, operator, inputs, output)
        return self._graph.model(*(self._names[int(tensor)]
                                   for tensor in self._lite.OutputsAsNumpy()))

    # What is known of a tensor

    def _shape(self, tensor: int) -> list[int]:
        return [int(side) for side in self._lite.Tensors(tensor).ShapeAsNumpy()]

    def _constant(self, tensor: int) -> np.ndarray:
        entry = self._lite.Tensors(tensor)
        data = self._network.Buffers(entry.Buffer()).DataAsNumpy()
        return data.view(TYPES[entry.Type()]).reshape(self._shape(tensor))

    # The operators: each adds what computes `output`, and returns its name

    def _convolution(self, operator: Any, inputs: list[int], output: int) -> str:
        options = _options(operator, tflite.Conv2DOptions)
        weights = self._constant(inputs[1]).transpose(NCHW)
        return self._convolved(options, weights, 1, inputs)

    def _depthwise(self, operator: Any, inputs: list[int], output: int) -> str:
        options = _options(operator, tflite.DepthwiseConv2DOptions)
        weights = self._constant(inputs[1]).transpose(3, 0, 1, 2)
        return self._convolved(options, weights, len(weights), inputs)

    def _convolved(self, options: Any, weights: np.ndarray, group: int, inputs: list[int]) -> str:
        if options.DilationHFactor() != 1 or options.DilationWFactor() != 1:
            raise ValueError("a convolution of it has holes")
        names = [self._names[inputs[0]], self._graph.constant(weights),
                 self._graph.constant(self._constant(inputs[2]))]
        name = self._graph.add("Conv", names, group=group, **self._window(
            options, inputs[0], (weights.shape[2], weights.shape[3])))
        return self._activated(options, name)

    def _window(self, options: Any, source: int, kernel: tuple[int, int]) -> dict[str, list[int]]:
        """Attributes of an operator that looks at windows of `kernel` pixels, down and across."""
        strides = [options.StrideH(), options.StrideW()]
        pads = [0, 0]
        if options.Padding() == tflite.Padding.SAME:
            pads = [max((-(-side // stride) - 1) * stride + size - side, 0) for side, stride, size
                    in zip(self._shape(source)[1:3], strides, kernel)]
        before = [pad // 2 for pad in pads]
        return {"kernel_shape": list(kernel), "strides": strides,
                "pads": before + [pad - first for pad, first in zip(pads, before)]}

    def _activated(self, options: Any, name: str) -> str:
        kind = options.FusedActivationFunction()
        if kind == tflite.ActivationFunctionType.RELU:
            return self._graph.add("Relu", [name])
        if kind != tflite.ActivationFunctionType.NONE:
            raise ValueError(f"its activation {kind} is not known")
        return name

    def _prelu(self, operator: Any, inputs: list[int], output: int) -> str:
        """x where it is positive, else `slope` x: slope x + (1 - slope) max(x, 0), by convolutions
        of one pixel, which onnxruntime computes five times as fast as its own PRelu."""
        slope, source = self._constant(inputs[1]).reshape(-1, 1, 1, 1), self._names[inputs[0]]
        positive = self._graph.add("Relu", [source])
        parts = [self._graph.add("Conv", [name, self._graph.constant(weights)], group=len(slope),
                                 kernel_shape=[1, 1])
                 for name, weights in ((source, slope), (positive, 1 - slope))]
        return self._graph.add("Add", parts)

    def _sum(self, operator: Any, inputs: list[int], output: int) -> str:
        name = self._graph.add("Add", [self._names[tensor] for tensor in inputs])
        return self._activated(_options(operator, tflite.AddOptions), name)

    def _pool(self, operator: Any, inputs: list[int], output: int) -> str:
        options = _options(operator, tflite.Pool2DOptions)
        name = self._graph.add("MaxPool", [self._names[inputs[0]]], **self._window(
            options, inputs[0], (options.FilterHeight(), options.FilterWidth())))
        return self._activated(options, name)

    def _pad(self, operator: Any, inputs: list[int], output: int) -> str:
        widths = self._constant(inputs[1])[list(NCHW)].T.reshape(-1)
        return self._graph.add("Pad", [self._names[inputs[0]],
                                       self._graph.constant(widths.astype(np.int64))])

    def _reshape(self, operator: Any, inputs: list[int], output: int) -> str:
        name = self._graph.add("Transpose", [self._names[inputs[0]]], perm=[0, 2, 3, 1])
        sides = np.array([-1, *self._shape(output)[1:]], np.int64)
        return self._graph.add("Reshape", [name, self._graph.constant(sides)])

    _ADD = {"CONV_2D": _convolution, "DEPTHWISE_CONV_2D": _depthwise, "PRELU": _prelu, "ADD": _sum,
            "MAX_POOL_2D": _pool, "PAD": _pad, "RESHAPE": _reshape}


def _options(operator: Any, kind: type) -> Any:
    """The options of an operator, which are of `kind`."""
    options, table = kind(), operator.BuiltinOptions()
    options.Init(table.Bytes, table.Pos)
    return options
