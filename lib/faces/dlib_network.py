"""dlib's face recognition network, read from its file and written as an ONNX network, which onnxruntime computes ten times as fast.

Other threads go on meanwhile, which dlib's binding does not let them, and it runs on a GPU where there is one.
"""

from __future__ import annotations

import numpy as np

from lib.faces.dlib_format import Reader
from lib.onnx_graph import Graph

SIDE = 150  # of the chips that it was trained on, pixels
MEAN, SCALE = np.float32([122.782, 117.001, 104.298]), np.float32(1 / 256)  # of red, green, blue, by which chips are made numbers
NUMBERS = 128  # of an embedding
STEM = 32, 7  # channels and kernel of the first convolution
# Blocks of two convolutions of 3 x 3 pixels around a shortcut: channels, blocks, and whether the first halves the side
STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))


def to_onnx(data: bytes) -> bytes:
    """An ONNX network from chips (N, 3, SIDE, SIDE), less MEAN and times SCALE, to embeddings (N, 128), of dlib's file.

    "Deep Residual Learning for Image Recognition", CVPR, 2016. Raises IndexError or ValueError where the file is another.
    """
    reader, graph = Reader(data), Graph("chips", ("N", 3, SIDE, SIDE))
    channels, kernel = STEM
    x = graph.add("Relu", [_convolution(reader, graph, "chips", 3, channels, kernel, stride=2)])
    x, side = graph.add("MaxPool", [x], kernel_shape=(3, 3), strides=(2, 2)), _halved(_halved(SIDE, kernel), 3)
    for wide, blocks, halves in STAGES:
        for number in range(blocks):
            stride = 2 if halves and number == 0 else 1
            y = graph.add("Relu", [_convolution(reader, graph, x, channels, wide, 3, stride)])
            y = _convolution(reader, graph, y, wide, wide, 3)
            if stride == 2:  # dlib adds what differs in size as if the smaller went on in zeros
                x = graph.add("AveragePool", [x], kernel_shape=(2, 2), strides=(2, 2))
                inner, outer = _halved(side, 3), _halved(side, 2)
                x = _with_zeros(graph, x, channels=wide - channels)
                y = _with_zeros(graph, y, pixels=outer - inner)
                side = outer
            x, channels = graph.add("Relu", [graph.add("Add", [x, y])]), wide
    reader.skip_to("fc_2")
    reader.expect(NUMBERS, channels)
    matrix = reader.tensor().reshape(channels, NUMBERS)
    pooled = graph.add("Flatten", [graph.add("GlobalAveragePool", [x])])
    return graph.model(graph.add("MatMul", [pooled, graph.constant(matrix)]))


def _convolution(reader: Reader, graph: Graph, x: str, given: int, made: int, kernel: int, stride: int = 1) -> str:
    """The next convolution of the file, with the gain and shift that follow it; one with a stride has no border."""
    reader.skip_to("con_4")
    numbers = reader.tensor()
    weights, bias = numbers[:-made].reshape(made, given, kernel, kernel), numbers[-made:]
    reader.skip_to("affine_")
    gain, shift = np.split(reader.tensor(), 2)
    border = kernel // 2 if stride == 1 else 0
    return graph.add("Conv", [x, graph.constant(weights * gain[:, None, None, None]), graph.constant(bias * gain + shift)],
                     kernel_shape=(kernel, kernel), strides=(stride, stride), pads=[border] * 4)


def _with_zeros(graph: Graph, x: str, channels: int = 0, pixels: int = 0) -> str:
    """`x` (N, C, H, W) with more channels, or with zeros below and at the right."""
    if not channels + pixels:
        return x
    return graph.add("Pad", [x, graph.constant(np.array([0, 0, 0, 0, 0, channels, pixels, pixels], np.int64))])


def _halved(side: int, kernel: int) -> int:
    return (side - kernel) // 2 + 1
