"""Detail that noise cannot fake: fine structure of eyes and mouth, and how much these look like
those in real pictures of B.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from lib.faces.brows import find_brows
from lib.faces.geometry import LEFT_EYE, RIGHT_EYE, transform_points, warp

MOUTH = slice(48, 68)
OUTER_CORNERS = (36, 45)
EYE_SPAN = 96  # pixels between the outer corners of the eyes, at which detail is measured
FINE, COARSE = 0.7, 1.5  # sigma, pixels: the band that counts as detail
MEDIAN = 3  # pixels: removes noise, which is finer than any detail
MARGIN = 0.08  # around eyes and mouth, of EYE_SPAN

# Parts of the face: two corners among the 68 landmarks, pixels between these, and how far the
# part reaches around their middle
PARTS = {"right eye": (36, 39, 40, (26, 16)), "left eye": (42, 45, 40, (26, 16)),
         "mouth": (48, 54, 48, (30, 20))}
BAND = (0.8, 2.5)  # sigma, pixels: the band of a part that is compared
SHIFT = 3  # pixels by which two parts may be shifted against each other
PICTURES = 100  # of B at most
# Pictures before and after one of B that are not compared with it: they may show the same moment
NEIGHBOURS = 5
FLAT = 1e-3  # 8-bit levels: parts with a smaller deviation show nothing


def detail(pictures: np.ndarray, matrix: np.ndarray, landmarks: np.ndarray) -> float | None:
    """Fine structure around eyes and mouth of the second picture, as a share of the first's.

    `pictures` are two frames (H, W, 3) uint8 RGB, `landmarks` (68, 2) those of the first in frame
    pixels, `matrix` (2, 3) carries frame pixels to an upright crop. None where the first has none.
    """
    corners = transform_points(landmarks[list(OUTER_CORNERS)], matrix)
    scale = EYE_SPAN / max(float(np.linalg.norm(corners[1] - corners[0])), 1e-6)
    features = transform_points(landmarks[36:], matrix) * scale
    low, high = features.min(0) - 0.3 * EYE_SPAN, features.max(0) + 0.3 * EYE_SPAN
    size = int(np.ceil((high - low).max()))
    to_patch = scale * matrix
    to_patch[:, 2] -= low
    points = transform_points(landmarks, to_patch)
    inside = np.zeros((size, size), np.uint8)
    for part in (RIGHT_EYE, LEFT_EYE, MOUTH):
        cv2.fillConvexPoly(inside, cv2.convexHull(np.rint(points[part]).astype(np.int32)), 1)
    reach = round(MARGIN * EYE_SPAN)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    inside = cv2.dilate(inside, disc) > 0
    smooth = (cv2.medianBlur(_grey(warp(picture, to_patch, size)), MEDIAN) for picture in pictures)
    first, second = (_band(picture, FINE, COARSE)[inside].std() for picture in smooth)
    return float(second / first) if first > FLAT else None


def part_patches(picture: np.ndarray, landmarks: np.ndarray) -> dict[str, np.ndarray]:
    """Parts by their names in PARTS: (H, W) float32, a band of their brightness, upright, in one
    size.

    `picture` (H, W, 3) uint8 RGB; `landmarks` (68, 2) in its pixels. Parts whose corners coincide
    are left out.
    """
    patches = {}
    for name, (first, last, span, reach) in PARTS.items():
        along = landmarks[last] - landmarks[first]
        width = float(np.linalg.norm(along))
        if width < 2:
            continue
        cosine, sine = along / width * (span / width)
        rotation = np.array([[cosine, sine], [-sine, cosine]])
        side = 2 * (max(reach) + SHIFT)
        middle = rotation @ ((landmarks[first] + landmarks[last]) / 2)
        matrix = np.hstack([rotation, (side / 2 - 0.5 - middle)[:, None]])
        rows, columns = (slice(side // 2 - half - SHIFT, side // 2 + half + SHIFT)
                         for half in reach[::-1])
        band = _band(_grey(warp(picture, matrix, side)), *BAND)
        patches[name] = np.ascontiguousarray(band[rows, columns])
    return patches


@dataclass(frozen=True)
class PartsOfB:
    """Eyes and mouths in real pictures of B, and how much they look like each other."""

    patches: dict[str, list[np.ndarray]]  # by the names in PARTS
    # "eyes" and "mouth": median over B's pictures of the best correlation with another of them
    reached: dict[str, float]

    @classmethod
    def of(cls, faces: Iterable[tuple[np.ndarray, np.ndarray]]) -> PartsOfB | None:
        """None of too few `faces`: pictures (H, W, 3) uint8 RGB and landmarks (68, 2) in their
        pixels, in the order of time."""
        patches: dict[str, list[np.ndarray]] = {name: [] for name in PARTS}
        for picture, landmarks in faces:
            face_patches = part_patches(picture, landmarks)
            if len(face_patches) == len(PARTS):
                for name, patch in face_patches.items():
                    patches[name].append(patch)
        count = len(patches["mouth"])
        if count < 2 * NEIGHBOURS + 2:
            return None
        best = {name: _best_among(rows) for name, rows in patches.items()}
        eyes = np.median(np.add(best["right eye"], best["left eye"]) / 2)
        return cls(patches, {"eyes": float(eyes), "mouth": float(np.median(best["mouth"]))})

    def likeness(self, picture: np.ndarray, landmarks: np.ndarray) -> dict[str, float]:
        """How much "eyes" and "mouth" of a swapped face look like B's; 1 is as much as B's own
        pictures look like each other.

        `picture` (H, W, 3) uint8 RGB; `landmarks` (68, 2) in its pixels.
        """
        patches = part_patches(picture, landmarks)
        best = {name: _best(patch, self.patches[name]) for name, patch in patches.items()}
        shares = {}
        if "right eye" in best and "left eye" in best:
            shares["eyes"] = (best["right eye"] + best["left eye"]) / 2 / self.reached["eyes"]
        if "mouth" in best:
            shares["mouth"] = best["mouth"] / self.reached["mouth"]
        return shares


def _best_among(patches: list[np.ndarray]) -> list[float]:
    """Of each patch the largest correlation with another one, but its neighbours in time."""
    return [_best(patch, patches[:max(0, number - NEIGHBOURS)] + patches[number + NEIGHBOURS + 1:])
            for number, patch in enumerate(patches)]


def _best(patch: np.ndarray, candidates: list[np.ndarray]) -> float:
    """The largest normalised correlation of the middle of `patch` with any of `candidates`, shifted
    by
    up to SHIFT pixels."""
    middle = np.ascontiguousarray(patch[SHIFT:-SHIFT, SHIFT:-SHIFT])
    if middle.std() < FLAT:
        return 0.0
    return max(float(cv2.matchTemplate(candidate, middle, cv2.TM_CCOEFF_NORMED).max())
               for candidate in candidates)


def _grey(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def _band(grey: np.ndarray, fine: float, coarse: float) -> np.ndarray:
    """(H, W) float32: structure of `grey` (H, W) uint8 between two widths, sigma in pixels."""
    first, second = (cv2.GaussianBlur(grey.astype(np.float32), (0, 0), sigma)
                     for sigma in (fine, coarse))
    return first - second


def brow_heights(picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(2,): height of the right and the left brow above their eyes, in distances between the eyes;
    NaN of a brow that does not show.

    `picture` (H, W, 3) uint8 RGB; `landmarks` (68, 2) in its pixels. Brows are found in the
    picture.
    """
    eyes = np.stack([landmarks[RIGHT_EYE].mean(0), landmarks[LEFT_EYE].mean(0)])
    eye_to_eye = eyes[1] - eyes[0]
    distance = max(float(np.linalg.norm(eye_to_eye)), 1e-6)
    up = np.array([eye_to_eye[1], -eye_to_eye[0]]) / distance
    return np.array([np.nan if brow is None else float((brow.middle - eye) @ up) / distance
                     for brow, eye in zip(find_brows(picture, landmarks), eyes)])
