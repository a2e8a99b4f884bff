"""Faces of one person bent to the pose and expression of another's.

A decoder has to draw what its person was never filmed doing: the other's turned head, the other's open mouth. So some training
faces of each identity are warped until their landmarks stand like those of a face of the other identity.
"""

from __future__ import annotations

import cv2
import numpy as np

GRID = 16  # the bend is solved at 16 x 16 points and interpolated
CANDIDATES = 6  # the face to be bent is one of so many that stand nearest
STIFFNESS = 1e-3  # landmarks are noisy: the bend need not meet each exactly

_angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
ANCHORS = 0.5 + 0.75 * np.stack([np.cos(_angles), np.sin(_angles)], axis=1)  # a ring around the crop that stays where it is
_centres = (np.arange(GRID) + 0.5) / GRID
GRID_POINTS = np.stack(np.meshgrid(_centres, _centres), axis=-1).reshape(-1, 2)

WEIGHTS = np.ones(68, np.float32)
WEIGHTS[:17], WEIGHTS[36:48], WEIGHTS[48:60], WEIGHTS[60:] = 0.3, 4.0, 2.0, 6.0


def nearest(shapes: np.ndarray, wanted: np.ndarray, random: np.random.Generator) -> int:
    """Index of one of the few `shapes` (N, 68, 2) that are most like `wanted` (68, 2)."""
    distances = (((shapes - wanted) ** 2).sum(-1) * WEIGHTS).sum(-1)
    count = min(CANDIDATES, len(shapes))
    return int(np.argpartition(distances, count - 1)[random.integers(count)])


def bend(wanted: np.ndarray, present: np.ndarray, size: int) -> np.ndarray:
    """Where each pixel of a crop has to look, relative to itself, so that landmarks at `present` appear at `wanted`.

    Both (68, 2) in [0, 1] of the crop's side. Returns (size, size, 2) float32 x, y in pixels.
    "Principal Warps: Thin-Plate Splines and the Decomposition of Deformations", TPAMI, 1989.
    """
    points = np.vstack([wanted, ANCHORS])
    shifts = np.vstack([present - wanted, np.zeros_like(ANCHORS)])
    count = len(points)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _kernel(points, points) + STIFFNESS * np.eye(count)
    system[:count, count] = system[count, :count] = 1
    system[:count, count + 1:] = points
    system[count + 1:, :count] = points.T
    solved = np.linalg.solve(system, np.vstack([shifts, np.zeros((3, 2))]))
    coarse = _kernel(GRID_POINTS, points) @ solved[:count] + solved[count] + GRID_POINTS @ solved[count + 1:]
    field = (coarse * size).reshape(GRID, GRID, 2).astype(np.float32)
    return cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC)


def _kernel(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    squares = ((one[:, None] - other[None]) ** 2).sum(-1)
    return squares * np.log(squares + 1e-9)
