"""dlib's face recognition network as an ONNX network, which onnxruntime computes ten times as fast.

Unlike dlib's binding it releases the GIL, and it runs on a GPU where there is one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lib.dlib.reader import Reader
from lib.net.weights import package_file
from lib.onnx.graph import Graph

FILE = "models/dlib_face_recognition_resnet_model_v1.dat"  # in the package face_recognition_models
SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
SIDE = 150  # pixels a side of the crops that it was trained on
# Normalisation of red, green and blue
MEAN, SCALE = np.float32([122.782, 117.001, 104.298]), np.float32(1 / 256)
NUMBERS = 128  # of an embedding
STEM = 32, 7  # channels and kernel of the first convolution
# Blocks of two 3 x 3 convolutions around a shortcut: channels, blocks, and whether the first halves
# the side
STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))


class Convolution(NamedTuple):
    """A convolution without padding for a stride of 2; others keep the side."""

    weights: np.ndarray  # (filters, channels, kernel, kernel)
    bias: np.ndarray  # (filters,)
    stride: int


def network_file() -> Path:
    """Path of dlib's file. Raises FaceswapError where its package is not installed."""
    return package_file("face_recognition_models", FILE)


def read(data: bytes) -> tuple[list[Convolution], np.ndarray]:
    """The convolutions in dlib's file, first to last, and the matrix (256, NUMBERS) of the
    embedding.

    Raises ValueError for any other file.
    """
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise ValueError(f"its SHA-256 is not {SHA256}")
    reader = Reader(data)
    convolutions = [_convolution(reader, 3, STEM[0], STEM[1], stride=2)]
    channels = STEM[0]
    for filters, _, halves in blocks():
        convolutions.append(_convolution(reader, channels, filters, 3, stride=2 if halves else 1))
        convolutions.append(_convolution(reader, filters, filters, 3))
        channels = filters
    reader.skip_to("fc_2")
    reader.expect(NUMBERS, channels)
    return convolutions, reader.tensor().reshape(channels, NUMBERS)


def blocks() -> Iterator[tuple[int, bool, bool]]:
    """Of each block: its filters, whether it is the last of its stage, whether it halves the
    side.
    """
    for filters, count, halves in STAGES:
        for number in range(count):
            yield filters, number == count - 1, halves and number == 0


def to_onnx(data: bytes) -> bytes:
    """dlib's file as an ONNX network: (N, 3, SIDE, SIDE), less MEAN and times SCALE -> (N, 128).

    "Deep Residual Learning for Image Recognition", CVPR, 2016. Raises ValueError for another file.
    """
    convolutions, matrix = read(data)
    graph, remaining = Graph("chips", ("N", 3, SIDE, SIDE)), iter(convolutions)
    x = graph.add("Relu", [_add(graph, "chips", next(remaining))])
    x = graph.add("MaxPool", [x], kernel_shape=(3, 3), strides=(2, 2))
    channels, side = STEM[0], _halved(_halved(SIDE, STEM[1]), 3)
    for filters, _, halves in blocks():
        y = _add(graph, graph.add("Relu", [_add(graph, x, next(remaining))]), next(remaining))
        if halves:  # dlib pads the smaller one with zeros
            x = graph.add("AveragePool", [x], kernel_shape=(2, 2), strides=(2, 2))
            inner, outer = _halved(side, 3), _halved(side, 2)
            x = _with_zeros(graph, x, channels=filters - channels)
            y = _with_zeros(graph, y, pixels=outer - inner)
            side = outer
        x, channels = graph.add("Relu", [graph.add("Add", [x, y])]), filters
    pooled = graph.add("Flatten", [graph.add("GlobalAveragePool", [x])])
    return graph.model(graph.add("MatMul", [pooled, graph.constant(matrix)]))


def _convolution(reader: Reader, channels: int, filters: int, kernel: int, stride: int = 1
                 ) -> Convolution:
    """The next convolution of the file, with the gain and shift that follow it."""
    reader.skip_to("con_4")
    numbers = reader.tensor()
    weights = numbers[:-filters].reshape(filters, channels, kernel, kernel)
    bias = numbers[-filters:]
    reader.skip_to("affine_")
    gain, shift = np.split(reader.tensor(), 2)
    return Convolution(weights * gain[:, None, None, None], bias * gain + shift, stride)


def _add(graph: Graph, x: str, convolution: Convolution) -> str:
    weights, bias, stride = convolution
    kernel = weights.shape[-1]
    border = kernel // 2 if stride == 1 else 0
    return graph.add("Conv", [x, graph.constant(weights), graph.constant(bias)],
                     kernel_shape=(kernel, kernel), strides=(stride, stride), pads=[border] * 4)


def _with_zeros(graph: Graph, x: str, channels: int = 0, pixels: int = 0) -> str:
    """`x` (N, C, H, W) with more channels of zeros, or with zeros at the bottom and the right."""
    if not channels + pixels:
        return x
    pads = np.array([0, 0, 0, 0, 0, channels, pixels, pixels], np.int64)
    return graph.add("Pad", [x, graph.constant(pads)])


def _halved(side: int, kernel: int) -> int:
    return (side - kernel) // 2 + 1
