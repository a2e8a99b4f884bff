"""Landmarks of a track without jitter."""

from __future__ import annotations

import numpy as np

from lib.faces.geometry import invert, similarity_transform, transform_points

# Frames over which the head's movement is smoothed, and order of the polynomial
HEAD_WINDOW, ORDER = 13, 2
# Likewise jaw, brows and nose; eyes; mouth
PART_WINDOWS = ((slice(0, 36), 21), (slice(36, 48), 7), (slice(48, 68), 5))
# Landmarks that say how the head moves: jaw, nose, corners of the eyes
HEAD_POINTS = [*range(17), *range(27, 36), 36, 39, 42, 45]
# Of the distance between the outer corners of the eyes: what is farther off was no jitter. A head
# that dances is to be followed, or the swapped face swims on it: with 0.011 the flicker of such a
# swap grows by 4 %, without a limit by 16 %.
MOST, MOST_HEAD = 0.03, 0.011


def smoothed(landmarks: np.ndarray) -> np.ndarray:
    """(N, 68, 2) of consecutive frames without jitter and without lag, no point farther than about
    MOST from where it was.

    The movement of the head is smoothed apart from that of the parts of the face, each over as many
    frames as it allows: a mouth moves faster than a jaw. A polynomial is fitted to the frames
    around each.
    "Smoothing and Differentiation of Data by Simplified Least Squares Procedures", Analytical
    Chemistry, 1964.
    """
    if len(landmarks) < 3:
        return landmarks
    points = landmarks.astype(np.float64)

    # Faces that stand alike, and the way back to their frames
    usual = points[len(points) // 2]
    for _ in range(2):
        matrices = similarity_transform(points[:, HEAD_POINTS], usual[HEAD_POINTS])
        upright = transform_points(points, matrices)
        usual = np.median(upright, axis=0)
    middle = usual.mean(0)
    back = np.stack([invert(matrix) for matrix in matrices])

    # The head
    width = np.linalg.norm(points[:, 36] - points[:, 45], axis=1)[:, None]
    turn = back[:, :, 0]  # (N, 2): scale and rotation
    turn = turn + _limited(_fitted(turn, HEAD_WINDOW) - turn,
                           2 * MOST_HEAD * np.linalg.norm(turn, axis=1)[:, None])
    place = transform_points(middle[None], back)[:, 0]
    place = place + _limited(_fitted(place, HEAD_WINDOW) - place, MOST_HEAD * width)

    # The parts of the face
    for part, window in PART_WINDOWS:
        upright[:, part] = _fitted(upright[:, part], window)
    x, y = np.moveaxis(upright - middle, -1, 0)
    cosine, sine = turn[:, :1], turn[:, 1:]
    steady = place[:, None] + np.stack([x * cosine - y * sine, x * sine + y * cosine], -1)
    return (points + _limited(steady - points, MOST * width[:, None])).astype(landmarks.dtype)


def _limited(vectors: np.ndarray, most: np.ndarray) -> np.ndarray:
    """`vectors` (..., 2), none longer than about `most` (..., 1): short ones stay as they are."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors * most / np.maximum(np.cbrt(length ** 3 + most ** 3), 1e-12)


def _fitted(values: np.ndarray, window: int) -> np.ndarray:
    """(N, ...): the middle of a polynomial fitted to the `window` frames around each; at the ends
    the window stays inside.
    """
    half = min(window // 2, (len(values) - 1) // 2)
    width, order = 2 * half + 1, min(ORDER, 2 * half)
    powers = np.vander(np.arange(-half, half + 1), order + 1, increasing=True).astype(np.float64)
    # Of a window's values, for the polynomial at each of its places
    weights = powers @ np.linalg.pinv(powers)
    middle = np.lib.stride_tricks.sliding_window_view(values, width, 0) @ weights[half]
    return np.concatenate([np.tensordot(weights[:half], values[:width], 1), middle,
                           np.tensordot(weights[half + 1:], values[-width:], 1)])
