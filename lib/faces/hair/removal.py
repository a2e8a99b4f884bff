"""Hair taken off training faces, and hair that stays in front of swapped ones.

A strand that hangs over the temple of one person would be drawn, as a dark patch, on the temple of
the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lib.faces.brows import Brow, find_brows
from lib.faces.geometry import LEFT_BROW, LEFT_EYE, MIRRORED, RIGHT_BROW, RIGHT_EYE
from lib.faces.hair.colours import (
    BARE,
    SKIN_BLUR,
    UNLIKE_SKIN,
    bare_skin,
    cut_out,
    grown,
    joined_to_rim,
    skin_distance,
)
from lib.faces.hair.view import BROW_WIDTH, View, at_places, disc, eye_distance_of
from lib.faces.masks import BROWS

CHEEKS = [1, 2, 3, 31, 36], [15, 14, 13, 35, 45]  # landmarks
SAMPLED = 200  # faces that tell what is usual

# In distances between the eyes
HAIR_MARGIN = 0.14  # around hair that is painted over
AROUND = 0.1  # of the face, within which hair is painted over
BROW_AND_EYE = 0.4  # around their landmarks, what belongs to them
FAR_BLUR, FAR_SHARE = 0.7, 0.02  # of skin that is farther away, and how much it counts


def sampled(count: int) -> np.ndarray:
    """Indices of up to SAMPLED of `count` faces, evenly chosen: those that
    `find_hidden_brow_points` looks at.
    """
    return np.unique(np.linspace(0, count - 1, SAMPLED).round().astype(int))


def find_hidden_brow_points(images: Sequence[np.ndarray],
                            landmarks: Sequence[np.ndarray]) -> list[int]:
    """Indices of the brow landmarks over which hair hangs in most `images` of one person, while
    their counterparts are bare.

    `images` (S, S, 3) uint8 RGB, `landmarks` (68, 2) in their pixels. Of many faces some are looked
    at, evenly chosen. Where the cheek is unlike skin, too, that side of the face is lit in another
    colour, and no landmark of it is hidden.
    """
    above, cheeks = [], []
    for index in sampled(len(images)):
        view = View.of(images[index], landmarks[index])
        distance = skin_distance(view, view.eyes_mask() | view.brows_mask())
        above.append(at_places(distance, view.points[BROWS]
                               + BROW_WIDTH * view.eye_distance * view.upwards))
        cheeks.append([_median(distance, view.hull_mask(view.points[cheek])) for cheek in CHEEKS])
    usual = np.zeros(68)
    usual[BROWS] = np.median(above, axis=0)
    for brow, cheek in zip((RIGHT_BROW, LEFT_BROW), np.median(cheeks, axis=0)):
        if cheek > BARE:
            usual[brow] = 0
    hidden = (usual > UNLIKE_SKIN) & (usual[MIRRORED] < BARE)
    # Hair hangs in from the side. Where the outer end of a brow is bare, so is the rest;
    # where it is hidden on both sides, there is no end to be mirrored.
    right = list(itertools.takewhile(hidden.__getitem__, range(RIGHT_BROW.start, RIGHT_BROW.stop)))
    left = list(itertools.takewhile(hidden.__getitem__,
                                    range(LEFT_BROW.stop - 1, LEFT_BROW.start - 1, -1)))
    return right + left[::-1]


@dataclass(frozen=True)
class _Search:
    """What is known of a face before its hair is looked for. Masks as in `view`."""

    view: View
    height: int  # of the picture
    eyes: np.ndarray
    face: np.ndarray
    brows: tuple[Brow | None, Brow | None]
    distance: np.ndarray  # (h, w) float32 from the colours of skin
    bare: np.ndarray  # skin in another light
    cut: np.ndarray  # not skin, by the graph cut, above the cheeks

    @classmethod
    def of(cls, image: np.ndarray, landmarks: np.ndarray) -> _Search:
        view, brows = View.of(image, landmarks), find_brows(image, landmarks)
        eyes, face = view.eyes_mask(), view.face_mask()
        features = eyes | view.seen_brows_mask(brows, len(image))
        distance, bare = skin_distance(view, features), bare_skin(view, features)
        cut = cut_out(view, features, distance, face) & view.above_cheeks_mask() & (1 - bare)
        return cls(view, len(image), eyes, face, brows, distance, bare, cut)

    def features(self, hidden: Collection[int] = ()) -> np.ndarray:
        """Eyes and brows, as far as no hair hangs over them."""
        return self.eyes | self.view.seen_brows_mask(self.brows, self.height, self.cut, hidden)


def paint_over_hair(image: np.ndarray, landmarks: np.ndarray,
                    hidden: Collection[int] = ()) -> np.ndarray:
    """`image` (S, S, 3) uint8 RGB with skin where hair hangs over brow and temples; `landmarks`
    (68, 2) in its pixels.

    Hair is what has other colours than nose and cheeks and is joined to the rim of the face. Eyes
    and brows are the face's, and so is a beard: nothing is looked for below the middle of the nose.
    Hair and background beside the face stay, but for a narrow margin. Where no hair is found,
    `image` itself comes back. Around the brow landmarks `hidden`, the other brow's mirror image is
    drawn.
    """
    # Where hair is
    search = _Search.of(image, landmarks)
    view, face, eyes = search.view, search.face, search.eyes
    different = (search.distance > UNLIKE_SKIN).view(np.uint8) & (1 - search.bare)
    unlike = different & view.above_cheeks_mask() | search.cut
    features = search.features(hidden)
    on_face = joined_to_rim(view, unlike, features, face)
    if not on_face.any() and not hidden:
        return image
    around = cv2.dilate(face, disc(AROUND * view.eye_distance))
    hair = on_face | unlike & (around - face) & (1 - features)
    hair = grown(view, hair, search.distance * (1 - search.bare), around, features)
    hair = cv2.dilate(hair, disc(HAIR_MARGIN * view.eye_distance)) & around & (1 - features)
    hair |= view.around_brow_mask(hidden) & (1 - eyes)

    # The skin in its place
    skin = (face & (1 - different) & (1 - hair) & (1 - features)).astype(np.float32)
    colors, far = _skin_colors(view, skin)
    share = view.blurred(hair) * np.minimum(1, 20 * far)

    # Both as large as the picture
    height, width = view.size
    part = image[:height, :width]
    colors, share = cv2.resize(colors, (width, height)), cv2.resize(share, (width, height))
    for brow, eye in ((RIGHT_BROW, RIGHT_EYE), (LEFT_BROW, LEFT_EYE)):
        if points := [index for index in hidden if brow.start <= index < brow.stop]:
            donor = view.around_brow_mask(MIRRORED[points]) & (1 - eyes) & (1 - hair)
            _draw_brow(colors, part, view.blurred(donor), np.asarray(landmarks, np.float32), brow,
                       eye)
    painted = image.copy()
    painted[:height, :width] = cv2.blendLinear(part, colors, 1 - share, share)
    return painted


def hair_over_face(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(S, S) float32 in [0, 1]: hair that hangs over the face from above, in `image` (S, S, 3)
    uint8 RGB; `landmarks` in its pixels.
    """
    search = _Search.of(image, landmarks)
    view, features = search.view, search.features()
    hair = joined_to_rim(view, search.cut, features, search.face)
    hair = grown(view, hair, search.distance * (1 - search.bare), search.face, features)
    mask = np.zeros(image.shape[:2], np.float32)
    height, width = view.size
    if hair.any():
        mask[:height, :width] = cv2.resize(cv2.GaussianBlur(hair.astype(np.float32), (3, 3), 0),
                                           (width, height))
    return mask


def _skin_colors(view: View, skin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(h, w, 3) uint8 RGB of the `skin` (h, w) around each place, where none is near that of
    farther away; how much is far (h, w).
    """
    known = cv2.merge([view.image * skin[..., None], skin])
    near, far = (cv2.GaussianBlur(known, (0, 0), blur * view.eye_distance)
                 for blur in (SKIN_BLUR, FAR_BLUR))
    filled = near + FAR_SHARE * far
    return cv2.convertScaleAbs(filled[..., :3] / (filled[..., 3:] + 1e-6)), far[..., 3]


def _draw_brow(colors: np.ndarray, image: np.ndarray, donor: np.ndarray, points: np.ndarray,
               brow: slice, eye: slice) -> None:
    """Darkens `colors` (H, W, 3) uint8, in place, at `brow` as `image` (H, W, 3) is darker than
    them at the other brow.

    The other brow is where `donor`, (h, w) float32 in [0, 1] over the same area, says so; `points`
    are the landmarks in pixels of `image`.
    """
    # The areas of both brows
    size = image.shape[1::-1]
    target = np.vstack([points[brow], points[eye]])
    source = points[np.concatenate([MIRRORED[brow], MIRRORED[eye]])]
    margin = BROW_AND_EYE * eye_distance_of(points)
    (left, top, right, bottom), (from_left, from_top, from_right, from_bottom) = (
        np.clip((part.min(0) - margin, part.max(0) + margin), 0, size).astype(int).ravel()
        for part in (target, source))
    if right <= left or bottom <= top or from_right <= from_left or from_bottom <= from_top:
        return  # off the crop

    # How much darker the other one is
    area = slice(from_top, from_bottom), slice(from_left, from_right)
    sums = np.ones((1, 3), np.float32)
    brightness, usual = (cv2.transform(np.float32(picture[area]), sums)
                         for picture in (image, colors))
    darkness = np.minimum(brightness / (usual + 1) - 1, 0) * cv2.resize(donor, size)[area]

    # Its mirror image
    matrix = np.linalg.lstsq(np.column_stack([target, np.ones(len(target))]), source,
                             rcond=None)[0].T
    matrix[:, 2] += matrix[:, :2] @ (left, top) - (from_left, from_top)
    mirrored = cv2.warpAffine(darkness, matrix, (right - left, bottom - top),
                              flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    painted = colors[top:bottom, left:right]
    painted[...] = np.rint(painted * (1 + mirrored[..., None]))


def _median(values: np.ndarray, mask: np.ndarray) -> float:
    return float(np.median(values[mask > 0])) if mask.any() else 0.0
