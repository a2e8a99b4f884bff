from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lib.faces.geometry import invert, transform_points, warp
from lib.onnx.description import Table, number, numbers, positive
from lib.onnx.onnx_network import Network
from lib.options import option
from lib.plugin import ALIGNERS, Aligner

KINDS = ("xy", "heatmaps", "heatmaps-offsets")
# What makes shares of the crop's side of a coordinate; "pixels" are the network's own
UNITS = {"share": (1.0, 0.0), "centred": (0.5, 0.5)}
# OpenSeeFace keeps a point's place within a cell as the logistic function of 16 times its share
# of the crop
SHARPNESS = 16


@ALIGNERS.register
@dataclass
class Onnx(Aligner):
    """A landmark network of your own (ONNX), described by a TOML file (docs/onnx.md)."""

    network: Path = option(help="The TOML file that describes the network (docs/onnx.md).")

    def __post_init__(self):
        # absolute, since the alignments file keeps it and may be used from another folder
        self.network = Path(os.path.abspath(self.network))
        self._network = Network(self.network)
        table = self._network.table("landmarks")
        self._crop = table.take("crop", positive, "how many sides of the face's box the network "
                                "sees, a number over 0")
        self._shift = table.take("shift", partial(numbers, count=2), "two numbers, right and down "
                                 "in sides of the box", np.zeros(2))
        self._kind = table.choice("kind", KINDS)
        self._unit = table.choice("unit", (*UNITS, "pixels"), "share") if self._kind == "xy" else ""
        points = table.take("points", _weights, "68 entries, each the number of a point of the "
                            "network or [[number, share], ...]", None)
        table.finish()
        self._points = self._fitting(points, table)

    def align(self, images: Sequence[np.ndarray], boxes: Sequence[np.ndarray]) -> list[np.ndarray]:
        matrices = [[self._matrix(box) for box in np.asarray(of_image, np.float64)]
                    for of_image in boxes]
        pictures = [warp(image, matrix, self._network.size)
                    for image, of_image in zip(images, matrices) for matrix in of_image]
        fits = iter(())
        if pictures:
            fits = iter(np.einsum("kp,npc->nkc", self._points, self._read(self._network(pictures))))
        landmarks = []
        for of_image in matrices:
            in_frame = [transform_points(next(fits), invert(matrix)) for matrix in of_image]
            landmarks.append(np.array(in_frame, np.float32).reshape(-1, 68, 2))
        return landmarks

    def _matrix(self, box: np.ndarray) -> np.ndarray:
        """(2, 3) from frame pixels to those of the square around `box` that the network sees."""
        side = max(1.0, *(box[2:] - box[:2]))
        scale = self._network.size / (side * self._crop)
        centre = (box[:2] + box[2:]) / 2 + self._shift * side
        return np.hstack([scale * np.eye(2),
                          ((self._network.size - 1) / 2 - scale * centre)[:, None]])

    def _read(self, answer: np.ndarray) -> np.ndarray:
        """(N, P, 2) x, y in pixels of the network's picture: all points that it gives."""
        if self._kind == "xy":
            return self._coordinates(answer)
        maps = answer if self._network.layout == "nchw" else answer.transpose(0, 3, 1, 2)
        find_peaks = _peaks if self._kind == "heatmaps" else _peaks_with_offsets
        return find_peaks(maps, self._network.size)

    def _coordinates(self, answer: np.ndarray) -> np.ndarray:
        """Of (N, 2 P) or (N, P, 2): x, y by turns."""
        points = answer.reshape(len(answer), -1, 2).astype(np.float64)
        if self._unit == "pixels":
            return points
        factor, shift = UNITS[self._unit]
        return (points * factor + shift) * self._network.size - 0.5

    def _fitting(self, points: list[dict[int, float]] | None, table: Table) -> np.ndarray:
        """(68, P): how much each of the network's points counts for each landmark.

        Raises FaceswapError where the network's answer to a black picture is not what the file
        says.
        """
        answer = self._network([np.zeros((self._network.size, self._network.size, 3), np.uint8)])
        shape = f"its output has the shape ({', '.join(map(str, ('N', *answer.shape[1:])))})"
        if self._kind == "xy":
            is_flat = answer.ndim == 2 and answer.shape[1] % 2 == 0
            fits = is_flat or answer.ndim == 3 and answer.shape[2] == 2
        else:
            channels = answer.shape[1 if self._network.layout == "nchw" else -1]
            fits = answer.ndim == 4 and (self._kind == "heatmaps" or channels % 3 == 0)
        if not fits:
            raise table.wrong("kind", f"is {self._kind!r}, but {shape}")
        count = self._read(answer).shape[1]
        if points is None and count != 68:
            raise table.wrong("points", f"is missing: the network gives {count} points, not 68")
        weights = np.eye(68) if points is None else np.zeros((68, count))
        for landmark, shares in enumerate(points or ()):
            for point, share in shares.items():
                if point >= count:
                    raise table.wrong("points", f"names point {point}, but the network gives "
                                      f"{count}, counted from 0")
                weights[landmark, point] = share
        return weights


def _peaks(maps: np.ndarray, size: int) -> np.ndarray:
    """(N, P, 2): peaks of the heat maps (N, P, h, w), in pixels of a picture with side `size`.

    Within a cell, where a parabola through the peak's neighbours is highest.
    """
    height, width = maps.shape[2:]
    place = maps.reshape(*maps.shape[:2], -1).argmax(2)
    padded = np.pad(maps.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    row, column = place // width, place % width
    n, p = np.indices(place.shape)
    peak = padded[n, p, row + 1, column + 1]

    def within(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        bend = 2 * peak - before - after
        return np.where(bend > 1e-9, (after - before) / np.maximum(2 * bend, 1e-9), 0)

    x = column + within(padded[n, p, row + 1, column], padded[n, p, row + 1, column + 2])
    y = row + within(padded[n, p, row, column + 1], padded[n, p, row + 2, column + 1])
    return np.stack([(x + 0.5) * size / width, (y + 0.5) * size / height], axis=2) - 0.5


def _peaks_with_offsets(maps: np.ndarray, size: int) -> np.ndarray:
    """(N, P, 2): peaks of (N, 3 P, h, w): heat maps, then how far down and how far right in the
    cell each point lies.

    The cells' middles are spread from the first to the last pixel. Offsets are kept as OpenSeeFace
    does, see SHARPNESS.
    """
    number, count, height, width = len(maps), maps.shape[1] // 3, *maps.shape[2:]
    heat, *offsets = maps.reshape(number, 3, count, height * width).transpose(1, 0, 2, 3)
    place = heat.argmax(2)
    at_peaks = [np.take_along_axis(offset, place[..., None], 2)[..., 0] for offset in offsets]
    shares = np.clip(at_peaks, 1e-6, 1 - 1e-6).astype(np.float64)
    down, right = np.log(shares / (1 - shares)) / SHARPNESS
    x, y = place % width / (width - 1) + right, place // width / (height - 1) + down
    return np.stack([x, y], axis=2) * (size - 1)


def _weights(value: Any) -> list[dict[int, float]]:
    """The entries of `points`: how much each of the network's points counts."""
    if not isinstance(value, list) or len(value) != 68:
        raise TypeError
    entries: list[dict[int, float]] = []
    for entry in value:
        pairs = [(entry, 1.0)] if isinstance(entry, int) else entry
        entries.append({point: number(share) for point, share in pairs})
    points = [point for entry in entries for point in entry]
    if not all(entries) or any(type(point) is not int or point < 0 for point in points):
        raise ValueError
    return entries
