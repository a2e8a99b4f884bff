"""What faces are compared by: where their landmarks lie, how far eyes and mouth are open, where the
eyes look, and what these look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lib.faces.brows import LEFT_BROW, RIGHT_BROW, find_brows
from lib.faces.gaze import gaze, visibility
from lib.faces.geometry import LEFT_EYE, MIRRORED, RIGHT_EYE
from lib.mesh.irises import see_eyes

# A patch of a part: pixels between its corners, size (width, height) of the patch, and of its
# middle that is compared
EYE_WIDTH, EYE_PATCH, EYE_CUT = 20, (28, 16), (slice(3, 13), slice(3, 25))
MOUTH_WIDTH, MOUTH_PATCH, MOUTH_CUT = 28, (36, 28), (slice(0, 28), slice(0, 36))
# Per cent of the frames in which a person blinks; share of the usual opening, where nobody does
SHUT, MOST_SHUT = 2.0, 0.45
SMOOTHED = 1.0  # sigma of its pixels: what is compared is not the grain


@dataclass(frozen=True)
class Features:
    """Of N faces, crops of one coverage."""

    shapes: np.ndarray  # (N, 68, 2) float32 landmarks in [0, 1] of the crop's side
    openings: np.ndarray  # (N, 2) float32 right and left eye, heights in shares of the side
    # (N, 5) float32 three gaps between the lips, width, height of the corners; shares of the side
    mouths: np.ndarray
    eyes: np.ndarray  # (N, 2, P) float32 patches of the eyes, each of mean 0 and length 1
    lips: np.ndarray  # (N, Q) float32 patch of the mouth, likewise
    # (N, 3) float32: gaze to the right and down, in widths of an eye, the mean of both eyes, and
    # from 0 to 1 how surely it can be told
    gazes: np.ndarray

    def __len__(self) -> int:
        return len(self.shapes)

    def at(self, places: Sequence[int] | np.ndarray) -> Features:
        return Features(self.shapes[places], self.openings[places], self.mouths[places],
                        self.eyes[places], self.lips[places], self.gazes[places])

    @classmethod
    def joined(cls, parts: Sequence[Features]) -> Features:
        """The features of several faces, one after another."""
        rows = zip(*((part.shapes, part.openings, part.mouths, part.eyes, part.lips, part.gazes)
                     for part in parts))
        return cls(*map(np.concatenate, rows))


def features_of(pictures: Sequence[np.ndarray], shapes: np.ndarray) -> Features:
    """Of `pictures`, crops (S, S, 3) uint8 RGB, with landmarks `shapes` (N, 68, 2) in [0, 1] of
    their side."""
    shapes = np.asarray(shapes, np.float32).reshape(-1, 68, 2)
    eyes, lips = [], []
    for picture, shape in zip(pictures, shapes, strict=True):
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        points = shape * len(picture) - 0.5
        eyes.append([_patch(grey, points[eye][0], points[eye][3], EYE_WIDTH, EYE_PATCH, EYE_CUT)
                     for eye in (RIGHT_EYE, LEFT_EYE)])
        lips.append(_patch(grey, points[48], points[54], MOUTH_WIDTH, MOUTH_PATCH, MOUTH_CUT))

    def apart(first: int, second: int) -> np.ndarray:
        return np.linalg.norm(shapes[:, first] - shapes[:, second], axis=1)

    openings = openings_of(shapes)
    corners = (shapes[:, 48, 1] + shapes[:, 54, 1]) / 2 - shapes[:, 51, 1]
    mouths = np.stack([apart(61, 67), apart(62, 66), apart(63, 65), apart(48, 54), corners], 1)
    return Features(shapes, openings, mouths, np.array(eyes, np.float32),
                    np.array(lips, np.float32), _gazes(pictures, shapes))


def _gazes(pictures: Sequence[np.ndarray], shapes: np.ndarray) -> np.ndarray:
    """(N, 3) as in `Features.gazes`. The mean of both eyes, since irises lie outwards in some
    people's eyes."""
    seen = see_eyes(pictures, [shape.astype(np.float64) * len(picture) - 0.5
                               for picture, shape in zip(pictures, shapes)])
    return np.array([[*gaze(eyes).mean(0), visibility(eyes).min()] for eyes in seen],
                    np.float32).reshape(-1, 3)


def refine_brows(picture: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """(68, 2) float32: `shape`, landmarks in [0, 1] of the side of `picture`, a crop (S, S, 3)
    uint8 RGB, with those of the brows where these are seen."""
    side = len(picture)
    refined = np.asarray(shape, np.float32).copy()
    for brow, part in zip(find_brows(picture, refined * side - 0.5), (RIGHT_BROW, LEFT_BROW)):
        if brow is not None:
            refined[part] = (brow.centre(5) + 0.5) / side
    return refined


def openings_of(shapes: np.ndarray) -> np.ndarray:
    """(N, 2) float32: how high the right and the left eye stand open, in shares of the side, of
    landmarks (N, 68, 2)."""
    heights = np.linalg.norm(shapes[:, [37, 38, 43, 44]] - shapes[:, [41, 40, 47, 46]], axis=-1)
    return heights.reshape(-1, 2, 2).mean(-1)


@dataclass(frozen=True)
class Person:
    """What is usual of a person, in landmarks."""

    build: np.ndarray  # (68, 2) float32 in [0, 1] of the crop's side: their mean, symmetric
    # (2, 2) float32 how high the right and the left eye stand when shut, and when open, as
    # landmarks have it
    lids: np.ndarray

    @classmethod
    def of(cls, shapes: np.ndarray) -> Person:
        """Out of landmarks (N, 68, 2)."""
        openings = openings_of(np.asarray(shapes, np.float32))
        usual = np.median(openings, 0)
        shut = np.minimum(np.percentile(openings, SHUT, 0), MOST_SHUT * usual)
        return cls(build_of(shapes), np.float32([shut, usual]))


def openness(openings: np.ndarray, person: Person) -> np.ndarray:
    """(N, 2) in [0, 1]: 0 = shut, 1 = as far open as usual; what lies near shut counts more, as it
    is seen more."""
    shut, usual = person.lids
    return np.sqrt(np.clip((openings - shut) / np.maximum(usual - shut, 1e-6), 0, 1))


def transfer_lids(openings: np.ndarray, person: Person, model: Person) -> np.ndarray:
    """`openings` of `person` as `model` would have them: shut where shut, open where open. Never
    below 0."""
    (shut, usual), (model_shut, model_usual) = person.lids, model.lids
    return np.maximum(model_shut + (openings - shut) * (model_usual - model_shut)
                      / np.maximum(usual - shut, 1e-6), 0)


def set_lids(shape: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """(68, 2): landmarks `shape` with eyes open as high as `heights` (2,), in shares of the
    side."""
    changed = np.array(shape, np.float64)
    for eye, height, target in zip((RIGHT_EYE, LEFT_EYE), openings_of(changed[None])[0], heights):
        corner, along = changed[eye][0], changed[eye][3] - changed[eye][0]
        along = along / max(float(np.linalg.norm(along)), 1e-9)
        across = np.array([-along[1], along[0]])
        away = (changed[eye] - corner) @ across
        changed[eye] += np.outer(away * (target / max(height, 1e-6) - 1), across)
    return changed


def build_of(shapes: np.ndarray) -> np.ndarray:
    """(68, 2) float32: what is a person's own in `shapes` (N, 68, 2): their mean, symmetric."""
    mean = np.asarray(shapes, np.float32).mean(0)
    return (mean + mean[MIRRORED] * np.float32((-1, 1)) + np.float32((1, 0))) / 2


def _patch(grey: np.ndarray, first: np.ndarray, last: np.ndarray, apart: int, size: tuple[int, int],
           cut: tuple[slice, slice]) -> np.ndarray:
    """(P,) float32: what lies around two corners (2,), `apart` pixels from each other, of mean 0
    and length 1."""
    along = last - first
    cosine, sine = along * (apart / max(float(along @ along), 1e-6))
    turn = np.array([[cosine, sine], [-sine, cosine]])
    middle = turn @ ((first + last) / 2)
    matrix = np.hstack([turn, (np.array(size) / 2 - 0.5 - middle)[:, None]])
    patch = cv2.warpAffine(grey, matrix, size, flags=cv2.INTER_LINEAR,
                           borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    patch = cv2.GaussianBlur(patch, (0, 0), SMOOTHED)[cut].ravel()
    patch -= patch.mean()
    return patch / (np.linalg.norm(patch) + 1e-6)
