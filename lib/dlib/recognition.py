"""dlib's face recognition network, read from its file and written as an ONNX network, which onnxruntime computes ten times as fast.

Other threads go on meanwhile, which dlib's binding does not let them, and it runs on a GPU where there is one.
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
SIDE = 150  # of the chips that it was trained on, pixels
MEAN, SCALE = np.float32([122.782, 117.001, 104.298]), np.float32(1 / 256)  # of red, green, blue, by which chips are made numbers
NUMBERS = 128  # of an embedding
STEM = 32, 7  # channels and kernel of the first convolution
# Blocks of two convolutions of 3 x 3 pixels around a shortcut: channels, blocks, and whether the first halves the side
STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))


class Convolution(NamedTuple):
    """One with a stride of 2 has no border; the others keep the side."""

    weights: np.ndarray  # (filters, channels, kernel, kernel)
    bias: np.ndarray  # (filters,)
    stride: int


def network_file() -> Path:
    """Raises FaceswapError where its package is not installed."""
    return package_file("face_recognition_models", FILE)


def read(data: bytes) -> tuple[list[Convolution], np.ndarray]:
    """dlib's file -> its convolutions from the first to the last, and the matrix (256, NUMBERS) that makes the embedding.

    Raises ValueError where the file is another.
    """
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise ValueError(f"its SHA-256 is not {SHA256}")
    reader = Reader(data)
    convolutions = [_convolution(reader, 3, STEM[0], STEM[1], stride=2)]
    channels = STEM[0]
    for wide, _, halves in blocks():
        convolutions.append(_convolution(reader, channels, wide, 3, stride=2 if halves else 1))
        convolutions.append(_convolution(reader, wide, wide, 3))
        channels = wide
    reader.skip_to("fc_2")
    reader.expect(NUMBERS, channels)
    return convolutions, reader.tensor().reshape(channels, NUMBERS)


def blocks() -> Iterator[tuple[int, bool, bool]]:
    """Of each block of two convolutions: its filters, whether it is the last of its stage, and whether it halves the side."""
    for wide, count, halves in STAGES:
        for number in range(count):
            yield wide, number == count - 1, halves and number == 0


def to_onnx(data: bytes) -> bytes:
    """An ONNX network from chips (N, 3, SIDE, SIDE), less MEAN and times SCALE, to embeddings (N, 128), of dlib's file.

    "Deep Residual Learning for Image Recognition", CVPR, 2016. Raises ValueError where the file is another.
    """
    convolutions, matrix = read(data)
    graph, left = Graph("chips", ("N", 3, SIDE, SIDE)), iter(convolutions)
    x = graph.add("Relu", [_add(graph, "chips", next(left))])
    x, channels, side = graph.add("MaxPool", [x], kernel_shape=(3, 3), strides=(2, 2)), STEM[0], _halved(_halved(SIDE, STEM[1]), 3)
    for wide, _, halves in blocks():
        y = _add(graph, graph.add("Relu", [_add(graph, x, next(left))]), next(left))
        if halves:  # dlib adds what differs in size as if the smaller went on in zeros
            x = graph.add("AveragePool", [x], kernel_shape=(2, 2), strides=(2, 2))
            inner, outer = _halved(side, 3), _halved(side, 2)
            x = _with_zeros(graph, x, channels=wide - channels)
            y = _with_zeros(graph, y, pixels=outer - inner)
            side = outer
        x, channels = graph.add("Relu", [graph.add("Add", [x, y])]), wide
    pooled = graph.add("Flatten", [graph.add("GlobalAveragePool", [x])])
    return graph.model(graph.add("MatMul", [pooled, graph.constant(matrix)]))


def _convolution(reader: Reader, given: int, made: int, kernel: int, stride: int = 1) -> Convolution:
    """The next convolution of the file, with the gain and shift that follow it."""
    reader.skip_to("con_4")
    numbers = reader.tensor()
    weights, bias = numbers[:-made].reshape(made, given, kernel, kernel), numbers[-made:]
    reader.skip_to("affine_")
    gain, shift = np.split(reader.tensor(), 2)
    return Convolution(weights * gain[:, None, None, None], bias * gain + shift, stride)


def _add(graph: Graph, x: str, convolution: Convolution) -> str:
    weights, bias, stride = convolution
    kernel = weights.shape[-1]
    border = kernel // 2 if stride == 1 else 0
    return graph.add("Conv", [x, graph.constant(weights), graph.constant(bias)], kernel_shape=(kernel, kernel), strides=(stride, stride),
                     pads=[border] * 4)


def _with_zeros(graph: Graph, x: str, channels: int = 0, pixels: int = 0) -> str:
    """`x` (N, C, H, W) with more channels, or with zeros below and at the right."""
    if not channels + pixels:
        return x
    return graph.add("Pad", [x, graph.constant(np.array([0, 0, 0, 0, 0, channels, pixels, pixels], np.int64))])


def _halved(side: int, kernel: int) -> int:
    return (side - kernel) // 2 + 1
