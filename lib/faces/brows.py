"""Brows as the picture shows them: landmarks run below raised ones, through thin ones, beside heavy
ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lib.faces.geometry import LEFT_BROW, LEFT_EYE, RIGHT_BROW, RIGHT_EYE

LEAST_EYE_DISTANCE = 6  # pixels: no brow is seen in a smaller face

# In distances between the eyes
LOW, HIGH = -0.10, 0.42  # heights above the brow landmarks at which a brow is looked for
STEP = 0.015  # of the heights
BEYOND = 0.06  # a brow may be longer than its landmarks by this share at each end
COLUMNS = 40  # places along a brow
THICKEST = 0.26  # what is dark over more than this height is no brow but hair
LEAST_HALF, MOST_HALF = 0.03, 0.12  # of a brow's thickness
BLUR = 0.02  # sigma

# Height above the landmarks at which a brow lies, and sigma: what is far from there has to be
# darker
USUAL, SPREAD = 0.06, 0.16

EDGE = 0.35  # share of a brow's darkness at which it ends
# Levels by which a brow is darker than the skin above and below it; less is no brow that can be
# seen
FAINT = 6.0
STEEPEST = 1  # steps of height from one column to the next


@dataclass(frozen=True)
class Brow:
    """A brow's edges, from the picture's left to its right, in pixels."""

    lower: np.ndarray  # (COLUMNS, 2) float32
    upper: np.ndarray  # (COLUMNS, 2) float32
    darkness: float  # levels by which it is darker than the skin around it

    def centre(self, count: int) -> np.ndarray:
        """(count, 2) float32: places along its middle, between the ends of its landmarks."""
        places = np.linspace(BEYOND, 1 + BEYOND, count) / (1 + 2 * BEYOND) * (COLUMNS - 1)
        middle = (self.lower + self.upper) / 2
        line = [np.interp(places, np.arange(COLUMNS), middle[:, axis]) for axis in (0, 1)]
        return np.stack(line, 1).astype(np.float32)

    @property
    def middle(self) -> np.ndarray:
        """(2,) x, y in pixels."""
        return (self.lower.mean(0) + self.upper.mean(0)) / 2

    @property
    def outline(self) -> np.ndarray:
        """(2 COLUMNS, 2) float32, a closed line."""
        return np.concatenate([self.lower, self.upper[::-1]])


def find_brows(picture: np.ndarray, landmarks: np.ndarray) -> tuple[Brow | None, Brow | None]:
    """The right and the left brow of a face; None for one that cannot be seen.

    `picture` (H, W, 3) uint8 RGB; `landmarks` (68, 2) in its pixels.
    """
    points = np.asarray(landmarks, np.float32)
    across = points[LEFT_EYE].mean(0) - points[RIGHT_EYE].mean(0)
    eye_distance = float(np.linalg.norm(across))
    if eye_distance < LEAST_EYE_DISTANCE:
        return None, None
    upwards = np.array([across[1], -across[0]], np.float32) / eye_distance
    return (_find_brow(picture, points[RIGHT_BROW], upwards, eye_distance),
            _find_brow(picture, points[LEFT_BROW], upwards, eye_distance))


def _find_brow(picture: np.ndarray, points: np.ndarray, upwards: np.ndarray,
               eye_distance: float) -> Brow | None:
    """The path, along the line of its landmarks `points` (5, 2), that is darker than what lies
    below and above it.
    """
    # The strip of the picture along the landmarks, made straight
    places = np.linspace(-BEYOND, 1 + BEYOND, COLUMNS) * 4
    curves = [np.polyval(np.polyfit(np.arange(5), points[:, axis], 2), places) for axis in (0, 1)]
    line = np.stack(curves, 1).astype(np.float32)
    heights = np.arange(LOW, HIGH, STEP, dtype=np.float32) * eye_distance
    strip = line[None] + heights[:, None, None] * upwards  # (heights, COLUMNS, 2)
    low, high = strip.min((0, 1)) - 3, strip.max((0, 1)) + 4
    left, top = np.floor(low).astype(int).clip(0)
    part = picture[top:max(int(high[1]), top + 1), left:max(int(high[0]), left + 1)]
    if min(part.shape[:2]) < 4:
        return None
    gray = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)
    gray = cv2.GaussianBlur(gray, (0, 0), max(BLUR * eye_distance, 0.3))
    straight = cv2.remap(gray, (strip - (left, top)).astype(np.float32), None, cv2.INTER_LINEAR,
                         borderMode=cv2.BORDER_REPLICATE)

    # What is dark there, and most likely the brow
    kernel = np.ones((2 * round(THICKEST / STEP / 2) + 1, 1), np.uint8)
    dark = cv2.morphologyEx(straight, cv2.MORPH_BLACKHAT, kernel, borderType=cv2.BORDER_REPLICATE)
    dark = cv2.blur(dark, (5, 1)).astype(np.float32)
    likely = np.exp(-0.5 * np.square((heights / eye_distance - USUAL) / SPREAD))
    path = _darkest_path(dark * likely[:, None])
    along = dark[path, np.arange(COLUMNS)]
    darkness = float(np.median(along[COLUMNS // 5:-COLUMNS // 5]))
    if darkness < FAINT:
        return None

    # Its edges, in the picture
    rows = np.stack(_edges(dark, path, EDGE * max(darkness, 1.0)))  # (2, COLUMNS)
    edges = line + (heights[0] + rows[..., None] * STEP * eye_distance) * upwards
    return Brow(*edges.astype(np.float32), darkness)


def _darkest_path(dark: np.ndarray) -> np.ndarray:
    """(COLUMNS,): row in each column of `dark` (rows, COLUMNS), so that their sum is largest and
    neighbours at most STEEPEST apart.
    """
    total, back = dark[:, 0].copy(), np.zeros(dark.shape, np.int32)
    rows = np.arange(len(dark))
    for column in range(1, dark.shape[1]):
        best, previous = total.copy(), rows.copy()
        for step in (-STEEPEST, STEEPEST):
            moved = np.full_like(total, -np.inf)
            if step > 0:
                moved[step:] = total[:-step]
            else:
                moved[:step] = total[-step:]
            better = moved > best
            best[better], previous[better] = moved[better], (rows - step)[better]
        total, back[:, column] = best + dark[:, column], previous
    path = [int(total.argmax())]
    for column in range(dark.shape[1] - 1, 0, -1):
        path.append(int(back[path[-1], column]))
    return np.array(path[::-1])


def _edges(dark: np.ndarray, path: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """(COLUMNS,) each: rows at which a brow ends below and above its path."""
    below, above = (path + direction * _reach(dark, path, direction, least)
                    for direction in (-1, 1))
    return below, above


def _reach(dark: np.ndarray, path: np.ndarray, direction: int, least: float) -> np.ndarray:
    """(COLUMNS,) float: for how many rows from `path` on the brow is as dark as `least`."""
    reach = np.zeros(len(path))
    for column, row in enumerate(path):
        length = 0
        while length < MOST_HALF / STEP:
            following = row + direction * (length + 1)
            if not 0 <= following < len(dark) or dark[following, column] < least:
                break
            length += 1
        reach[column] = max(length, LEAST_HALF / STEP)
    return np.convolve(np.pad(reach, 3, mode="edge"), np.ones(7) / 7, "valid")
