"""Detail that noise cannot fake: how much fine structure eyes and mouth have, and how much they look like those in real pictures of B."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from lib.faces.brows import find_brows
from lib.faces.geometry import LEFT_EYE, RIGHT_EYE, transform_points, warp

MOUTH = slice(48, 68)
OUTER_CORNERS = (36, 45)
APART = 96  # pixels between the outer corners of the eyes, at which detail is measured
FINE, COARSE = 0.7, 1.5  # sigma, pixels: the band that counts as detail
MEDIAN = 3  # pixels: takes out noise, which is finer than any detail
MARGIN = 0.08  # around eyes and mouth, of APART

# A part of the face: its landmarks, its two corners among the 68, pixels between these, and how far it reaches around their middle
PARTS = {"right eye": (36, 39, 40, (26, 16)), "left eye": (42, 45, 40, (26, 16)), "mouth": (48, 54, 48, (30, 20))}
BAND = (0.8, 2.5)  # sigma, pixels, of what is compared of a part
SHIFT = 3  # pixels by which the two may be moved against each other
PICTURES = 100  # of B at most
NEIGHBOURS = 5  # pictures before and after one of B that are not compared with it: they may show the same moment
FLAT = 1e-3  # least deviation of a part that is compared, of 255 levels


def detail(pictures: np.ndarray, matrix: np.ndarray, landmarks: np.ndarray) -> float | None:
    """Fine structure of the second of `pictures` around eyes and mouth, as a share of that of the first; 1 = as much.

    `pictures` are two frames (H, W, 3) uint8 RGB, `landmarks` (68, 2) those of the first in frame pixels, `matrix` (2, 3) carries
    frame pixels to an upright crop. None where the first shows none.
    """
    corners = transform_points(landmarks[list(OUTER_CORNERS)], matrix)
    scale = APART / max(float(np.linalg.norm(corners[1] - corners[0])), 1e-6)
    around = transform_points(landmarks[36:], matrix) * scale
    low, high = around.min(0) - 0.3 * APART, around.max(0) + 0.3 * APART
    size = int(np.ceil((high - low).max()))
    into = scale * matrix
    into[:, 2] -= low
    points = transform_points(landmarks, into)
    inside = np.zeros((size, size), np.uint8)
    for part in (RIGHT_EYE, LEFT_EYE, MOUTH):
        cv2.fillConvexPoly(inside, cv2.convexHull(np.rint(points[part]).astype(np.int32)), 1)
    reach = round(MARGIN * APART)
    inside = cv2.dilate(inside, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))) > 0
    first, second = (_band(cv2.medianBlur(_grey(warp(picture, into, size)), MEDIAN), FINE, COARSE)[inside].std() for picture in pictures)
    return float(second / first) if first > FLAT else None


def part_patches(picture: np.ndarray, landmarks: np.ndarray) -> dict[str, np.ndarray]:
    """By the names in PARTS, (H, W) float32: each part turned and scaled by its corners, a band of its brightness.

    `picture` (H, W, 3) uint8 RGB; `landmarks` (68, 2) in its pixels. Parts whose corners coincide are left out.
    """
    patches = {}
    for name, (first, last, apart, reach) in PARTS.items():
        along = landmarks[last] - landmarks[first]
        width = float(np.linalg.norm(along))
        if width < 2:
            continue
        cosine, sine = along / width * (apart / width)
        turn = np.array([[cosine, sine], [-sine, cosine]])
        side = 2 * (max(reach) + SHIFT)
        middle = turn @ ((landmarks[first] + landmarks[last]) / 2)
        matrix = np.hstack([turn, (side / 2 - 0.5 - middle)[:, None]])
        rows, columns = (slice(side // 2 - half - SHIFT, side // 2 + half + SHIFT) for half in reach[::-1])
        patches[name] = np.ascontiguousarray(_band(_grey(warp(picture, matrix, side)), *BAND)[rows, columns])
    return patches


@dataclass(frozen=True)
class PartsOfB:
    """Eyes and mouth in real pictures of B, and how much they look like each other."""

    patches: dict[str, list[np.ndarray]]  # by the names in PARTS
    reached: dict[str, float]  # "eyes" and "mouth": median over B's pictures of the best correlation with another of them

    @classmethod
    def of(cls, faces: Iterable[tuple[np.ndarray, np.ndarray]]) -> PartsOfB | None:
        """`faces` are pictures (H, W, 3) uint8 RGB and landmarks (68, 2) in their pixels, in the order of time. None of too few."""
        patches: dict[str, list[np.ndarray]] = {name: [] for name in PARTS}
        for picture, landmarks in faces:
            of_face = part_patches(picture, landmarks)
            if len(of_face) == len(PARTS):
                for name, patch in of_face.items():
                    patches[name].append(patch)
        count = len(patches["mouth"])
        if count < 2 * NEIGHBOURS + 2:
            return None
        best = {name: [_best(patch, rows[:max(0, number - NEIGHBOURS)] + rows[number + NEIGHBOURS + 1:])
                       for number, patch in enumerate(rows)] for name, rows in patches.items()}
        eyes = np.median(np.add(best["right eye"], best["left eye"]) / 2)
        return cls(patches, {"eyes": float(eyes), "mouth": float(np.median(best["mouth"]))})

    def likeness(self, picture: np.ndarray, landmarks: np.ndarray) -> dict[str, float]:
        """How much "eyes" and "mouth" of a swapped face look like those of B, as a share of what B's own pictures reach among each other.

        `picture` (H, W, 3) uint8 RGB; `landmarks` (68, 2) in its pixels.
        """
        patches = part_patches(picture, landmarks)
        best = {name: _best(patch, self.patches[name]) for name, patch in patches.items()}
        found = {}
        if "right eye" in best and "left eye" in best:
            found["eyes"] = (best["right eye"] + best["left eye"]) / 2 / self.reached["eyes"]
        if "mouth" in best:
            found["mouth"] = best["mouth"] / self.reached["mouth"]
        return found


def _best(patch: np.ndarray, others: list[np.ndarray]) -> float:
    """The largest normalised correlation of the middle of `patch` with any of `others`, moved by up to SHIFT pixels."""
    middle = np.ascontiguousarray(patch[SHIFT:-SHIFT, SHIFT:-SHIFT])
    if middle.std() < FLAT:
        return 0.0
    return max(float(cv2.matchTemplate(other, middle, cv2.TM_CCOEFF_NORMED).max()) for other in others)


def _grey(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def _band(grey: np.ndarray, fine: float, coarse: float) -> np.ndarray:
    """(H, W) float32: structure of `grey` (H, W) uint8 between two widths, sigma in pixels."""
    first, second = (cv2.GaussianBlur(grey.astype(np.float32), (0, 0), sigma) for sigma in (fine, coarse))
    return first - second


def brow_heights(picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(2,): how high the right and the left brow stand above their eyes, in distances between the eyes; NaN where none is seen.

    `picture` (H, W, 3) uint8 RGB; `landmarks` (68, 2) in its pixels. The brows are found in the picture.
    """
    eyes = np.stack([landmarks[RIGHT_EYE].mean(0), landmarks[LEFT_EYE].mean(0)])
    across = eyes[1] - eyes[0]
    apart = max(float(np.linalg.norm(across)), 1e-6)
    up = np.array([across[1], -across[0]]) / apart
    return np.array([np.nan if brow is None else float((brow.middle - eye) @ up) / apart
                     for brow, eye in zip(find_brows(picture, landmarks), eyes)])
