"""Brows, found in the picture: landmarks run below raised ones, through thin ones and beside heavy
ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lib.faces.geometry import LEFT_EYE, RIGHT_EYE

RIGHT_BROW, LEFT_BROW = slice(17, 22), slice(22, 27)

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
# Levels by which a brow is darker than the skin above and below it; less is no brow that could be
# seen
FAINT = 6.0
STEEPEST = 1  # steps of height from one column to the next


@dataclass(frozen=True)
class Brow:
    """Its lower and upper edge from the nose side of the picture's left to its right, (COLUMNS, 2) float32 each, in pixels."""

    lower: np.ndarray
    upper: np.ndarray
    darkness: float  # levels by which it is darker than the skin around it

    def centre(self, count: int) -> np.ndarray:
        """(count, 2) float32: places along its middle, from one end of its landmarks to the other."""
        places = np.linspace(BEYOND, 1 + BEYOND, count) / (1 + 2 * BEYOND) * (COLUMNS - 1)
        middle = (self.lower + self.upper) / 2
        return np.stack([np.interp(places, np.arange(COLUMNS), middle[:, axis]) for axis in (0, 1)],
                        1).astype(np.float32)

    @property
    def middle(self) -> np.ndarray:
        """(2,)."""
        return (self.lower.mean(0) + self.upper.mean(0)) / 2

    @property
    def outline(self) -> np.ndarray:
        """(2 COLUMNS, 2) float32, a closed line."""
        return np.concatenate([self.lower, self.upper[::-1]])


def find_brows(picture: np.ndarray, landmarks: np.ndarray) -> tuple[Brow | None, Brow | None]:
    """The right and the left brow of a face; None of one that is not to be seen.

    `picture` (H, W, 3) uint8 RGB; `landmarks` (68, 2) in its pixels.
    """
    points = np.asarray(landmarks, np.float32)
    across = points[LEFT_EYE].mean(0) - points[RIGHT_EYE].mean(0)
    apart = float(np.linalg.norm(across))
    if apart < 6:
        return None, None
    upwards = np.array([across[1], -across[0]], np.float32) / apart
    return _brow(picture, points[RIGHT_BROW], upwards, apart), _brow(picture, points[LEFT_BROW], upwards, apart)


def brow_mask(picture: np.ndarray, landmarks: np.ndarray, margin: float = 0.0) -> np.ndarray:
    """(H, W) uint8: 255 on both brows and `margin` around them, in distances between the eyes."""
    mask = np.zeros(picture.shape[:2], np.uint8)
    for brow in find_brows(picture, landmarks):
        if brow is not None:
            cv2.fillPoly(mask, [np.rint(brow.outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    apart = float(np.linalg.norm(landmarks[LEFT_EYE].mean(0) - landmarks[RIGHT_EYE].mean(0)))
    radius = round(margin * apart)
    return cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)) if radius else mask


def _brow(picture: np.ndarray, points: np.ndarray, upwards: np.ndarray,
          apart: float) -> Brow | None:
    """Along the line of its landmarks `points` (5, 2), the path of places that are darker than what
    lies below and above them.
    """
    places = np.linspace(-BEYOND, 1 + BEYOND, COLUMNS) * 4
    line = np.stack([np.polyval(np.polyfit(np.arange(5), points[:, axis], 2), places)
                     for axis in (0, 1)], 1).astype(np.float32)
    heights = np.arange(LOW, HIGH, STEP, dtype=np.float32) * apart
    strip = line[None] + heights[:, None, None] * upwards  # (heights, COLUMNS, 2)
    low, high = strip.min((0, 1)) - 3, strip.max((0, 1)) + 4
    left, top = np.floor(low).astype(int).clip(0)
    part = picture[top:max(int(high[1]), top + 1), left:max(int(high[0]), left + 1)]
    if min(part.shape[:2]) < 4:
        return None
    grey = cv2.GaussianBlur(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), (0, 0), max(BLUR * apart, 0.3))
    places = (strip - (left, top)).astype(np.float32)
    seen = cv2.remap(grey, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    kernel = np.ones((2 * round(THICKEST / STEP / 2) + 1, 1), np.uint8)
    dark = cv2.blur(cv2.morphologyEx(seen, cv2.MORPH_BLACKHAT, kernel,
                                     borderType=cv2.BORDER_REPLICATE), (5, 1)).astype(np.float32)
    likely = np.exp(-0.5 * np.square((heights / apart - USUAL) / SPREAD))
    path = _darkest_path(dark * likely[:, None])
    along = dark[path, np.arange(COLUMNS)]
    middle = along[COLUMNS // 5:-COLUMNS // 5]
    darkness = float(np.median(middle))
    if darkness < FAINT:
        return None
    lower, upper = _edges(dark, path, EDGE * max(darkness, 1.0))
    edges = [(line + (heights[0] + rows[:, None] * STEP * apart) * upwards).astype(np.float32)
             for rows in (lower, upper)]
    return Brow(*edges, darkness)


def _darkest_path(dark: np.ndarray) -> np.ndarray:
    """(COLUMNS,): row in each column of `dark` (rows, COLUMNS), so that their sum is largest and
    neighbours at most STEEPEST apart.
    """
    total, back = dark[:, 0].copy(), np.zeros(dark.shape, np.int32)
    rows = np.arange(len(dark))
    for column in range(1, dark.shape[1]):
        best, came = total.copy(), rows.copy()
        for step in (-STEEPEST, STEEPEST):
            moved = np.full_like(total, -np.inf)
            if step > 0:
                moved[step:] = total[:-step]
            else:
                moved[:step] = total[-step:]
            better = moved > best
            best[better], came[better] = moved[better], (rows - step)[better]
        total, back[:, column] = best + dark[:, column], came
    path = [int(total.argmax())]
    for column in range(dark.shape[1] - 1, 0, -1):
        path.append(int(back[path[-1], column]))
    return np.array(path[::-1])


def _edges(dark: np.ndarray, path: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """(COLUMNS,) each: rows at which a brow ends below and above its path."""
    shortest, longest = LEAST_HALF / STEP, MOST_HALF / STEP
    ends = []
    for direction in (-1, 1):
        reach = np.zeros(len(path))
        for column, row in enumerate(path):
            length = 0
            while length < longest and 0 <= row + direction * (length + 1) < len(dark) and \
                    dark[row + direction * (length + 1), column] >= least:
                length += 1
            reach[column] = max(length, shortest)
        reach = np.convolve(np.pad(reach, 3, mode="edge"), np.ones(7) / 7, "valid")
        ends.append(path + direction * reach)
    return ends[0], ends[1]
