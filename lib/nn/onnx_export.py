"""Small Keras networks as ONNX files, which run without Keras."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from lib.nn.blocks import DepthToSpace
from lib.onnx.graph import Graph

INPUT = "face"


def onnx_of(network: keras.Model) -> bytes:
    """The ONNX file of a network of convolutions, sums, concatenations and enlargements: from
    (N, C, H, W) float32 to (N, C, H, W).

    Raises TypeError for layers of other kinds.
    """
    _, height, width, channels = network.input_shape
    graph = Graph(INPUT, ("count", channels, height, width))
    names = {id(network.inputs[0]): INPUT}
    for layer in network.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        sources = layer.input if isinstance(layer.input, list) else [layer.input]
        names[id(layer.output)] = _added(graph, layer, [names[id(source)] for source in sources])
    return graph.model(names[id(network.outputs[0])])


def _added(graph: Graph, layer: keras.Layer, inputs: Sequence[str]) -> str:
    """Adds what `layer` computes from `inputs`, and returns its name."""
    if isinstance(layer, layers.Conv2D):
        return _convolution(graph, layer, inputs[0])
    if isinstance(layer, layers.ReLU):
        return graph.add("Relu", inputs)
    if isinstance(layer, layers.Add):
        return graph.add("Add", inputs)
    if isinstance(layer, layers.Concatenate):
        return graph.add("Concat", inputs, axis=1)
    if isinstance(layer, layers.UpSampling2D) and layer.interpolation == "nearest":
        scales = graph.constant(np.float32([1, 1, *layer.size]))
        return graph.add("Resize", [*inputs, "", scales])
    if isinstance(layer, DepthToSpace):
        return graph.add("DepthToSpace", inputs, blocksize=layer.block)
    raise TypeError(f"no ONNX for the layer {layer.name}, {type(layer).__name__}")


def _convolution(graph: Graph, layer: layers.Conv2D, source: str) -> str:
    kernel, bias = (np.asarray(keras.ops.convert_to_numpy(variable), np.float32)
                    for variable in (layer.kernel, layer.bias))
    before, after = zip(*(_padding(side, length, stride) for side, length, stride in zip(
        layer.input.shape[1:3], layer.kernel_size, layer.strides)))
    convolved = graph.add("Conv", [source, graph.constant(kernel.transpose(3, 2, 0, 1)),
                                   graph.constant(bias)],
                          strides=layer.strides, pads=(*before, *after))
    activation: Any = layer.activation
    if activation is keras.activations.linear:
        return convolved
    if activation is keras.activations.relu:
        return graph.add("Relu", [convolved])
    raise TypeError(f"no ONNX for the activation of the layer {layer.name}")


def _padding(side: int, length: int, stride: int) -> tuple[int, int]:
    """Pixels before and after, where Keras pads to the "same" size."""
    total = max((-(-side // stride) - 1) * stride + length - side, 0)
    return total // 2, total - total // 2
