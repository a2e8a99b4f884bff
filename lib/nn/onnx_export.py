"""Small Keras networks as ONNX files, which run without Keras."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from lib.nn.blocks import DepthToSpace
from lib.onnx.graph import Graph

INPUT = "face"


def onnx_of(network: keras.Model) -> bytes:
    """The ONNX file of a network of convolutions, their norms, sums, concatenations and
    enlargements: from (N, C, H, W) float32 to (N, C, H, W).

    Raises TypeError for layers of other kinds.
    """
    _, height, width, channels = network.input_shape
    graph = Graph(INPUT, ("count", channels, height, width))
    names = {id(network.inputs[0]): INPUT}
    norms = {id(layer.input): layer for layer in network.layers
             if isinstance(layer, layers.BatchNormalization)}
    for layer in network.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        sources = layer.input if isinstance(layer.input, list) else [layer.input]
        inputs = [names[id(source)] for source in sources]
        if isinstance(layer, layers.Conv2D):
            names[id(layer.output)] = _convolution(graph, layer, norms.get(id(layer.output)),
                                                   inputs[0])
        elif isinstance(layer, layers.BatchNormalization):
            names[id(layer.output)] = inputs[0]  # the convolution before does its work
        else:
            names[id(layer.output)] = _added(graph, layer, inputs)
    return graph.model(names[id(network.outputs[0])])


def _added(graph: Graph, layer: keras.Layer, inputs: Sequence[str]) -> str:
    """Adds what `layer` computes from `inputs`, and returns its name."""
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


def _convolution(graph: Graph, layer: layers.Conv2D, norm: layers.BatchNormalization | None,
                 source: str) -> str:
    """Adds a convolution, with the norm that follows it."""
    if layer.activation is not keras.activations.linear:
        raise TypeError(f"no ONNX for the activation of the layer {layer.name}")
    kernel = _array(layer.kernel)
    bias = _array(layer.bias) if layer.use_bias else np.zeros(kernel.shape[-1], np.float32)
    if norm is not None:
        gain = _array(norm.gamma) / np.sqrt(_array(norm.moving_variance) + norm.epsilon)
        kernel = kernel * gain
        bias = (bias - _array(norm.moving_mean)) * gain + _array(norm.beta)
    before, after = zip(*(_padding(side, length, stride) for side, length, stride in zip(
        layer.input.shape[1:3], layer.kernel_size, layer.strides)))
    return graph.add("Conv", [source, graph.constant(kernel.transpose(3, 2, 0, 1)),
                              graph.constant(bias)],
                     strides=layer.strides, pads=(*before, *after))


def _array(variable: keras.Variable) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable), np.float32)


def _padding(side: int, length: int, stride: int) -> tuple[int, int]:
    """Pixels before and after, where Keras pads to the "same" size."""
    total = max((-(-side // stride) - 1) * stride + length - side, 0)
    return total // 2, total - total // 2
