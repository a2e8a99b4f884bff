"""A face drawn with the detail of B's own pictures: bent onto the landmarks, brought into its
light, mixed in band by band."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from lib.faces.bending import Bend, spread
from lib.faces.geometry import LEFT_EYE, MIRRORED, RIGHT_EYE
from lib.faces.masks import with_whole_brows
from lib.swapping.composite import DARK
from lib.swapping.exemplars.bank import Exemplars
from lib.swapping.exemplars.choice import Choice, Mix
from lib.swapping.exemplars.skin import (
    LEFT_BROW,
    OUTER_LIPS,
    RIGHT_BROW,
    disc,
    face_size,
    filled_hull,
)

# All lengths are shares of the face's size, the side of the mean face's unit square
BANDS = (1.5 / 160, 3 / 160, 6 / 160, 12 / 160)  # sigma: between two lies a band
# How far each reaches, its soft edge
PARTS = ((RIGHT_EYE, 8 / 160, 4 / 160), (LEFT_EYE, 8 / 160, 4 / 160),
         (OUTER_LIPS, 9 / 160, 6 / 160))
# Half of the width of the band that holds a brow, its soft edge
BROW, BROW_EDGE = 10 / 160, 4 / 160
# From a brow's middle to points that move with it; at most this share of the way to the eye
BROW_EDGES, BROW_ROOM = 6 / 160, 0.3
THICKER = 1.2  # times at most that a bend makes a brow thicker
AROUND = 3.0  # soft edges beyond which a part has no share
GAIN = 0.6, 1.6  # of the colours of a part, so that it suits the skin around it
LIGHT = 15 / 160  # sigma of the light that is taken from the drawing
# Shares of the second band: of a network that draws eyes, brows and mouth itself, and of one that
# does not
GROWN, YOUNG = 0.2, 0.6
TRUST = 0.25  # difference of low frequencies at which the exemplar counts for 1/e
PART_TRUST = 2.5  # times that of eyes and mouth, which were chosen for what the original shows
SOFTENED = 2  # bands that are made as soft as the original
EDGE = 2.5 / 160  # sigma of the edge between face and hair
# Inwards from the landmarks of the jaw: B's face may end so far before them; surely B's face
JAW = 0.0, 6 / 160
# So much more at the sides, where ears are, and where landmarks of turned heads lie beside the head
SIDE = 12 / 160


class Bent:
    """The pictures that a face gets, bent onto it."""

    def __init__(self, exemplars: Exemplars, choice: Choice, target: np.ndarray):
        """`target` (68, 2): landmarks in [0, 1] of the crop's side.

        Pictures are (S, S, 3) float32 RGB in [0, 1], masks (S, S) float32 in [0, 1].
        """
        side = self.side = exemplars.side
        self.points = (target * side - 0.5).astype(np.float32)
        self.size = face_size(self.points)
        self._exemplars, self._places = exemplars, {}

        # where each pixel comes from, in each of the pictures
        bend = Bend(add_brow_edges(target, target))
        # as `Bend.of` has it: where the same place of the opposite half of the face lies
        self.opposite = bend.of(add_brow_edges(target[MIRRORED], target))
        for index in {picture for mix in choice for picture, _ in mix}:
            shape = exemplars.features.shapes[index].astype(np.float64)
            self._places[index] = spread(bend.of(add_brow_edges(shape, target)), side) + grid(side)

        # skin of the whole face
        whole = slice(0, side), slice(0, side)
        self.image = self._mixed(choice.skin, whole)
        masks = sum(np.float32(share / 255) * self._remapped(index, 1, whole).astype(np.float32)
                    for index, share in choice.skin)
        # 1 = B's face; hair over it
        self.face, self.hair = cv2.split(cv2.GaussianBlur(masks, (0, 0), EDGE * self.size))
        # 0 along the edge of the face; 1 = surely B's face
        self.within = _within_jaw(self.points, side, self.size)

        # eyes, mouth and brows
        self.parts = np.zeros((side, side), np.float32)  # 1 = inside eyes, brows and mouth
        for mix, (part, reach, edge) in zip((choice.right_eye, choice.left_eye, choice.mouth),
                                            PARTS):
            self._set_in(mix, part, reach * self.size, edge * self.size, mix != choice.skin)
        self.brows = self._on_brows()  # 1 = on a brow
        self.parts = np.maximum(self.parts, self.brows)

    def _on_brows(self) -> np.ndarray:
        lines = np.zeros((self.side, self.side), np.uint8)
        for brow in (RIGHT_BROW, LEFT_BROW):
            width = max(1, round(2 * BROW * self.size))
            points = np.round(self.points[brow] * 16).astype(np.int32)
            cv2.polylines(lines, [points], False, 255, width, cv2.LINE_AA, 4)
        return cv2.GaussianBlur(lines, (0, 0), BROW_EDGE * self.size).astype(np.float32) / 255

    def _set_in(self, mix: Mix, part: slice, reach: float, edge: float, differs: bool) -> None:
        """Sets an eye or the mouth in, and notes where it is; `differs` from the pictures of the
        skin."""
        points = self.points[part]
        low, high = points.min(0) - reach - AROUND * edge, points.max(0) + reach + AROUND * edge
        left, top = np.floor(low).astype(int).clip(0, self.side)
        right, bottom = np.ceil(high).astype(int).clip(0, self.side)
        if right - left < 4 or bottom - top < 4:
            return
        area = slice(top, bottom), slice(left, right)
        mask = filled_hull(points - (left, top), bottom - top, right - left)
        inner = cv2.GaussianBlur(cv2.dilate(mask, disc(reach / 2)), (0, 0), edge)
        inner = inner.astype(np.float32) / 255
        self.parts[area] = np.maximum(self.parts[area], inner)
        if differs:
            outer = cv2.GaussianBlur(cv2.dilate(mask, disc(reach)), (0, 0), edge)[..., None]
            outer = outer.astype(np.float32) / 255
            skin, picture = self.image[area], self._mixed(mix, area)
            ring = ((outer > 0.05) & (outer < 0.7)).astype(np.float32)
            total = ring.sum() + 1e-6
            means = [(colors * ring).sum((0, 1)) / total + 0.02 for colors in (skin, picture)]
            gain = means[0] / means[1]
            skin += outer * (picture * np.clip(gain, *GAIN) - skin)

    def _mixed(self, mix: Mix, area: tuple[slice, slice]) -> np.ndarray:
        return sum(np.float32(share / 255) * self._remapped(index, 0, area) for index, share in mix)

    def _remapped(self, index: int, which: int, area: tuple[slice, slice]) -> np.ndarray:
        picture = self._exemplars.prepared(index)[which]
        interpolation = cv2.INTER_LINEAR if which else cv2.INTER_CUBIC
        return cv2.remap(picture, self._places[index][area], None, interpolation,
                         borderMode=cv2.BORDER_REPLICATE)


def add_brow_edges(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(88, 2): landmarks (68, 2) and points above and below the brows, for a bend onto `target`
    (68, 2) that moves a raised brow and makes it no more than THICKER times as thick."""
    rooms, sides = _rooms_below_brows(target)[0], []
    own_rooms, upwards = _rooms_below_brows(points)
    for brow, room, own in zip((RIGHT_BROW, LEFT_BROW), rooms, own_rooms):
        thicker = np.clip(room / own, 1 / THICKER, THICKER)
        reach = min(BROW_ROOM * room, BROW_EDGES * face_size(target)) / thicker
        sides += [points[brow] + reach * upwards, points[brow] - reach * upwards]
    return np.vstack([points, *sides])


def _rooms_below_brows(points: np.ndarray) -> tuple[list[float], np.ndarray]:
    """How far each brow is above its eye, the right one first, of landmarks (68, 2), and (2,) which
    way is up, of length 1."""
    upwards = points[27] - points[30]
    upwards = upwards / (np.linalg.norm(upwards) + 1e-9)
    pairs = (RIGHT_BROW, RIGHT_EYE), (LEFT_BROW, LEFT_EYE)
    return [max(float((points[brow].mean(0) - points[eye].mean(0)) @ upwards), 1e-3)
            for brow, eye in pairs], upwards


def add_detail(drawn: np.ndarray, bent: Bent, shares: Sequence[float],
               original: np.ndarray) -> np.ndarray:
    """`drawn` (S, S, 3) float32 RGB in [0, 1] with the bands of `bent` in the given `shares`, as
    far as the two agree, and no finer than `original`, the picture (S, S, 3) uint8 RGB that it goes
    into."""
    size = bent.size
    lit = relight(bent.image, drawn, skin_weights(bent), LIGHT * size)
    lit = soften_like(lit, original, bent)
    # Where B's face may end, skin has no detail: neither its edge nor a young network's pattern
    smooth = blur(drawn, BANDS[1] * size)
    lit = smooth + np.maximum(bent.within, bent.parts)[..., None] * (lit - smooth)
    difference = lit - drawn
    levels = [difference]
    for band in BANDS:
        levels.append(blur(difference, band * size))
    trusted = measure_trust(levels[3], bent)
    young = np.float32(np.clip((shares[1] - GROWN) / (YOUNG - GROWN), 0, 1))
    parts = young * bent.parts[..., None]
    added = sum(np.float32(share) * (levels[number] - levels[number + 1])
                for number, share in enumerate(shares))
    added += parts * (difference - added)
    return np.clip(drawn + trusted[..., None] * added, 0, 1)


def soften_like(picture: np.ndarray, original: np.ndarray, bent: Bent) -> np.ndarray:
    """`picture` (S, S, 3) float32 RGB in [0, 1] with its fine bands lowered to those of `original`
    (S, S, 3) uint8 RGB, never raised."""
    inside = filled_hull(bent.points[17:], bent.side) > 127
    greys = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY),
             cv2.cvtColor(original, cv2.COLOR_RGB2GRAY) * np.float32(1 / 255)]
    levels = [[grey, *(blur(grey, band * bent.size) for band in BANDS[:SOFTENED])]
              for grey in greys]
    softer, fine = picture, picture
    for number in range(SOFTENED):
        own, limit = (float((level[number] - level[number + 1])[inside].std()) for level in levels)
        coarse = blur(picture, BANDS[number] * bent.size)
        gain = min(1.0, limit / max(own, 1e-6))
        if gain < 1:
            softer = softer + np.float32(gain - 1) * (fine - coarse)
        fine = coarse
    return softer


def missing_shares(drawn: np.ndarray, bent: Bent) -> np.ndarray:
    """(4,): the share of each band of `bent` that `drawn` does not reproduce."""
    size = bent.size
    lit = relight(bent.image, drawn, skin_weights(bent), LIGHT * size)
    inside = filled_hull(bent.points[17:], bent.side) > 127
    first, second = [drawn], [lit]
    for band in BANDS:
        first.append(blur(drawn, band * size))
        second.append(blur(lit, band * size))
    shares = []
    for number in range(len(BANDS)):
        drawn_band, band = ((levels[number] - levels[number + 1])[inside]
                            for levels in (first, second))
        shares.append(1 - np.clip((drawn_band * band).sum() / max((band * band).sum(), 1e-6), 0, 1))
    return np.array(shares)


def measure_trust(low: np.ndarray, bent: Bent) -> np.ndarray:
    """(S, S) float32 in [0, 1]: how far the exemplar is believed, by `low` (S, S, 3), the distance
    of its low frequencies from the drawing's."""
    difference = cv2.GaussianBlur(np.abs(low).mean(-1), (0, 0), BANDS[1] * bent.size)
    trusted = np.exp(-np.square(difference / TRUST)) * bent.face
    looser = np.exp(-np.square(difference / (TRUST * PART_TRUST))) * bent.face
    return trusted + bent.parts * np.maximum(looser - trusted, 0)


def relight(picture: np.ndarray, target: np.ndarray, weights: np.ndarray,
            sigma: float) -> np.ndarray:
    """`picture` (S, S, 3) float32 RGB with the low frequencies of brightness and colour that
    `target` has, measured where `weights` (S, S) are set."""
    factor = max(1, int(sigma / 3))
    small = len(picture) // factor
    first, second, weight = (cv2.resize(part, (small, small), interpolation=cv2.INTER_AREA)
                             for part in (picture, target, weights))
    ratio = np.clip(np.log(np.maximum(second, 0) + DARK) - np.log(np.maximum(first, 0) + DARK),
                    -1.5, 1.5) * weight[..., None]
    smooth = cv2.GaussianBlur(cv2.merge([ratio, weight]), (0, 0), sigma / factor)
    gain = np.exp(smooth[..., :3] / (smooth[..., 3:] + 1e-2))
    gain = cv2.resize(gain, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return (np.maximum(picture, 0) + DARK) * gain - DARK


def skin_weights(bent: Bent) -> np.ndarray:
    """(S, S) float32: 1 on skin of the bent picture, away from eyes and brows, what lies between
    them, mouth and hair."""
    wide = np.ones((9, 9), np.uint8)
    mask = cv2.erode(filled_hull(with_whole_brows(bent.points), bent.side), wide)
    right, left = (np.vstack([bent.points[brow], bent.points[eye]])
                   for brow, eye in ((RIGHT_BROW, RIGHT_EYE), (LEFT_BROW, LEFT_EYE)))
    for part in (right, left, bent.points[OUTER_LIPS]):
        mask[cv2.dilate(filled_hull(part, bent.side), wide) > 0] = 0
    return (mask * np.float32(1 / 255)) * (np.minimum(bent.face, bent.within) > 0.8)


def blur(picture: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian blur; a wide one on fewer pixels."""
    factor = 1 if sigma < 3 else 2 if sigma < 6 else 4 if sigma < 12 else 8
    if factor == 1:
        return cv2.GaussianBlur(picture, (0, 0), sigma)
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / factor), (width, height),
                      interpolation=cv2.INTER_LINEAR)


def grid(side: int) -> np.ndarray:
    """(side, side, 2) float32: x and y of every pixel."""
    rows, columns = np.indices((side, side), np.float32)
    return np.dstack([columns, rows])


def _within_jaw(points: np.ndarray, side: int, size: float) -> np.ndarray:
    """(S, S) float32 in [0, 1]: 0 along the jaw and the sides of the face, where landmarks (68, 2)
    often lie beside the head."""
    line, jaw = np.full((side, side), 255, np.uint8), np.round(points[:17]).astype(np.int32)
    cv2.polylines(line, [jaw], False, 0)
    cv2.polylines(line, [jaw[:5], jaw[12:]], False, 0, max(1, round(2 * SIDE * size)))
    near, far = (share * size for share in JAW)
    return np.clip((cv2.distanceTransform(line, cv2.DIST_L2, 3) - near) / (far - near), 0, 1)
