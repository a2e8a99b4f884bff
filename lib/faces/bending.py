"""Thin-plate splines: pictures of a face bent until its landmarks lie at given places.

"Principal Warps: Thin-Plate Splines and the Decomposition of Deformations", TPAMI, 1989.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.linalg import lu_factor, lu_solve

from lib.faces.geometry import LEFT_EYE, RIGHT_EYE

GRID = 24  # the bend is solved at 24 x 24 points and interpolated
STIFFNESS = 1e-3  # landmarks are noisy: the bend need not meet each exactly
JAW = slice(0, 17)
# How far landmarks may move on average, in distances between the eyes, where the other person's
# face is the input. Less is less like B, more moves the landmarks away from A's.
MOST_MOVED = 0.025

# A ring around the crop that stays where it is
_angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
ANCHORS = 0.5 + 0.75 * np.stack([np.cos(_angles), np.sin(_angles)], axis=1)
_centres = (np.arange(GRID) + 0.5) / GRID
GRID_POINTS = np.stack(np.meshgrid(_centres, _centres), axis=-1).reshape(-1, 2)


class Bend:
    """Bends faces until their landmarks lie at `target` (K, 2), in [0, 1] of the crop's side.

    Solved once for any number of faces.
    """

    def __init__(self, target: np.ndarray):
        self._points = points = np.vstack([target, ANCHORS])
        count = len(points)
        system = np.zeros((count + 3, count + 3))
        system[:count, :count] = _kernel(points, points) + STIFFNESS * np.eye(count)
        system[:count, count] = system[count, :count] = 1
        system[:count, count + 1:] = points
        system[count + 1:, :count] = points.T
        self._system = lu_factor(system, overwrite_a=True, check_finite=False)
        self._kernel = _kernel(GRID_POINTS.astype(np.float32), points.astype(np.float32))

    def of(self, present: np.ndarray) -> np.ndarray:
        """Where places of the crop have to look, relative to themselves, so that landmarks move to
        the target.

        `present` (K, 2) are the landmarks as they are, in [0, 1] of the crop's side. Returns
        (GRID, GRID, 2) float32 x, y, in the same unit, for `spread`.
        """
        count = len(self._points)
        shifts = np.zeros((count + 3, 2))
        shifts[:len(present)] = present - self._points[:len(present)]
        solved = lu_solve(self._system, shifts, check_finite=False)
        bent = self._kernel @ solved[:count].astype(np.float32)
        coarse = bent + solved[count] + GRID_POINTS @ solved[count + 1:]
        return coarse.reshape(GRID, GRID, 2).astype(np.float32)


def bend(target: np.ndarray, present: np.ndarray) -> np.ndarray:
    """The bend of one face: `Bend(target).of(present)`."""
    return Bend(target).of(present)


def spread(coarse: np.ndarray, size: int) -> np.ndarray:
    """(size, size, 2) float32 x, y in pixels: where each pixel of a crop looks, of the `coarse`
    grid of `Bend.of`.
    """
    return cv2.resize(coarse * np.float32(size), (size, size), interpolation=cv2.INTER_CUBIC)


def _kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    squares = (first[:, :1] - second[:, 0]) ** 2 + (first[:, 1:] - second[:, 1]) ** 2
    return squares * np.log(squares + 1e-9)


def crossed_share(own: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(68, 1) float32: how much of its `own` build a face keeps that stands like one of `target`.

    Both are mean landmarks (68, 2). The jaw is the target's alone, since a swapped face has to end
    where the target's ends.
    """
    inner = np.arange(len(own))[:, None] >= JAW.stop
    moved = (np.linalg.norm(own - target, axis=1, keepdims=True) * inner).mean()
    eyes = np.linalg.norm(target[RIGHT_EYE].mean(0) - target[LEFT_EYE].mean(0))
    return (inner * min(1.0, MOST_MOVED * eyes / max(moved, 1e-9))).astype(np.float32)
