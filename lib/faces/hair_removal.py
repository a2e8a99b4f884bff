"""Hair taken off training faces.

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
from lib.faces.geometry import LEFT_EYE, MIRRORED, RIGHT_EYE
from lib.faces.masks import BROWS, SHIFT, with_whole_brows
from lib.sampling import evenly

# Indices into the 68 landmarks
RIGHT_BROW, LEFT_BROW = slice(17, 22), slice(22, 27)
NOSE_AND_CHEEKS = [1, 3, 31, 35, 13, 15, 27]
CHEEKS = [1, 2, 3, 31, 36], [15, 14, 13, 35, 45]
NOSE_TIP = 33

CHEEKS_AND_NOSE = [1, 2, 3, 4, 31, 33, 35, 12, 13, 14, 15, 45, 42, 27, 39, 36]

SURELY_SKIN, LEAST_SKIN, ROUNDS = 2.0, 20, 3  # deviations; pixels; of the graph cut
# Deviations of the colours of nose and cheeks: hair is further away, the skin over a bare brow
# nearer
UNLIKE_SKIN, BARE = 3.0, 2.2
LEAST_DEVIATION = (10, 4, 4)  # of them, in 8-bit Lab

# In distances between the eyes
EYE_MARGIN, BROW_WIDTH, RIM, HAIR_MARGIN, AROUND, SKIN_BLUR, EDGE = 0.12, 0.16, 0.04, 0.14, 0.1, 0.2, 0.05
HIDDEN_MARGIN = 0.3  # of the distance between two landmarks of a brow
BROW_MARGIN = 0.06  # around a brow that is seen
# Around the face, where hair is learnt; above a brow, where hair over it is looked for
FAR, ABOVE_BROW = 0.75, 0.1
BROW_AND_EYE = 0.4  # around their landmarks, what belongs to them

# Of the distance between the eyes: above them, and to either side, where most foreheads are bare
FOREHEAD = 0.45, 0.3
# deviations: of a bare forehead; how unlike skin what is joined to hair has to be
LEAST_SPREAD, LIMITS = 0.3, (1.4, 3.0)

# Of skin that is farther away, in distances between the eyes, and how much it counts
FAR_BLUR, FAR_SHARE = 0.7, 0.02

# Pixels between the eyes at which hair is looked for: strands still show, and it takes a sixth of
# the time
APART = 21
SMOOTHED = 0.6  # sigma in such pixels: colours are compared without the grain
SPECK = np.ones((2, 2), np.uint8)  # of such pixels; what is thinner is no strand
# Levels of lightness: skin is darker than nose and cheeks by less, and has finer structure
DARKER, SMOOTH = 20, 4.0
ENOUGH = 200  # faces that tell what is usual

_centres = np.zeros((3, 68), np.float32)
for _row, _part in zip(_centres, (RIGHT_EYE, LEFT_EYE, BROWS)):
    _row[_part] = 1 / (_part.stop - _part.start)


@dataclass(frozen=True)
class _View:
    """The upper part of a face, down to the nose, averaged over blocks of `factor` x `factor` pixels."""

    image: np.ndarray  # (h, w, 3) uint8 RGB
    points: np.ndarray  # (68, 2) float32 landmarks, in its pixels
    factor: int
    eyes: np.ndarray  # (2,) the middle between them
    apart: float  # pixels between the eyes
    up: np.ndarray  # (2,) from the eyes to the brows


def chosen(count: int) -> list[int]:
    """Indices of up to ENOUGH of `count` faces, evenly chosen: those that `hidden_brow_points`
    asks.
    """
    return evenly(range(count), ENOUGH)


def hidden_brow_points(images: Sequence[np.ndarray], landmarks: Sequence[np.ndarray]) -> list[int]:
    """Indices of the brow landmarks over which hair hangs in most `images` of one person, while
    their counterparts are bare.

    `images` (S, S, 3) uint8 RGB, `landmarks` (68, 2) in their pixels. Of many faces some are asked,
    evenly chosen. Where the cheek is unlike skin, too, that side of the face is lit in another
    colour, and no landmark of it is hidden.
    """
    above, cheeks = [], []
    for index in chosen(len(images)):
        view = _view(images[index], landmarks[index])
        unlike = _unlike_skin(view, _eyes(view) | _brows(view))
        places = view.points[BROWS] + BROW_WIDTH * view.apart * _upwards(view)
        x, y = np.clip(places.round().astype(int), 0, (unlike.shape[1] - 1, unlike.shape[0] - 1)).T
        above.append(unlike[y, x])
        cheeks.append([_usual(unlike, _polygon(view, view.points[cheek])) for cheek in CHEEKS])
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


def painted_over(image: np.ndarray, landmarks: np.ndarray,
                 hidden: Collection[int] = ()) -> np.ndarray:
    """`image` (S, S, 3) uint8 RGB with skin where hair hangs over brow and temples; `landmarks`
    (68, 2) in its pixels.

    Hair is what has other colours than nose and cheeks and is joined to the rim of the face. Eyes
    and brows are the face's, and so is a beard: nothing is looked for below the middle of the nose.
    Hair and background beside the face stay, but for a narrow margin. Where no hair is found,
    `image` itself comes back. Around the brow landmarks `hidden`, the other brow's mirror image is
    drawn.
    """
    view = _view(image, landmarks)
    eyes, face, brows = _eyes(view), _face(view), find_brows(image, landmarks)
    features = eyes | _seen_brows(view, image, brows)
    unlike = _unlike_skin(view, features)
    bare = _bare(view, features)
    other = (unlike > UNLIKE_SKIN).view(np.uint8) & (1 - bare)
    upper = other & _above_the_cheeks(view)
    cut = _cut_out(view, features, unlike, face) & _above_the_cheeks(view) & (1 - bare)
    features = eyes | _seen_brows(view, image, brows, cut, hidden)

    over = _over_face(view, upper | cut, features, face)
    if not over.any() and not hidden:
        return image
    near = cv2.dilate(face, _disc(AROUND * view.apart))
    hair = _grown(view, over | (upper | cut) & (near - face) & (1 - features), unlike * (1 - bare),
                  near, features)
    hair = cv2.dilate(hair, _disc(HAIR_MARGIN * view.apart)) & near & (1 - features)
    hair |= _around_brow(view, hidden) & (1 - eyes)

    skin = (face & (1 - other) & (1 - hair) & (1 - features)).astype(np.float32)
    known = cv2.merge([view.image * skin[..., None], skin])
    fine, broad = (cv2.GaussianBlur(known, (0, 0), blur * view.apart)
                   for blur in (SKIN_BLUR, FAR_BLUR))
    filled = fine + FAR_SHARE * broad  # where no skin is near, that of farther away
    colors = cv2.convertScaleAbs(filled[..., :3] / (filled[..., 3:] + 1e-6))
    share = _blurred(hair, view) * np.minimum(1, 20 * broad[..., 3])

    height, width = view.factor * np.array(share.shape)
    part = image[:height, :width]
    colors, share = cv2.resize(colors, (width, height)), cv2.resize(share, (width, height))
    for brow, eye in ((RIGHT_BROW, RIGHT_EYE), (LEFT_BROW, LEFT_EYE)):
        if here := [index for index in hidden if brow.start <= index < brow.stop]:
            donor = _around_brow(view, MIRRORED[here]) & (1 - eyes) & (1 - hair)
            _draw_brow(colors, part, _blurred(donor, view), np.asarray(landmarks, np.float32), brow,
                       eye)
    painted = image.copy()
    painted[:height, :width] = cv2.blendLinear(part, colors, 1 - share, share)
    return painted


def over_face(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(S, S) float32 in [0, 1]: hair that hangs over the face from above, in `image` (S, S, 3)
    uint8 RGB; `landmarks` in its pixels.
    """
    view = _view(image, landmarks)
    eyes, face, brows = _eyes(view), _face(view), find_brows(image, landmarks)
    features = eyes | _seen_brows(view, image, brows)
    unlike = _unlike_skin(view, features)
    bare = _bare(view, features)
    cut = _cut_out(view, features, unlike, face) & _above_the_cheeks(view) & (1 - bare)
    features = eyes | _seen_brows(view, image, brows, cut)
    hair = _grown(view, _over_face(view, cut, features, face), unlike * (1 - bare), face, features)
    found = np.zeros(image.shape[:2], np.float32)
    height, width = view.factor * np.array(hair.shape)
    if hair.any():
        found[:height, :width] = cv2.resize(cv2.GaussianBlur(hair.astype(np.float32), (3, 3), 0),
                                            (width, height))
    return found


def _over_face(view: _View, upper: np.ndarray, features: np.ndarray,
               face: np.ndarray) -> np.ndarray:
    """(h, w) uint8, 1 = within `face`, unlike skin as `upper` has it, and joined to the rim of the
    face, but none of its `features`.
    """
    inside = cv2.morphologyEx(upper & face & (1 - features), cv2.MORPH_OPEN, SPECK)
    count, parts = cv2.connectedComponents(inside)
    joined = np.zeros(count, np.uint8)
    joined[parts[((face - cv2.erode(face, _disc(RIM * view.apart))) & inside) > 0]] = 1
    joined[0] = 0
    return joined[parts]


def _cut_out(view: _View, features: np.ndarray, unlike: np.ndarray, face: np.ndarray) -> np.ndarray:
    """(h, w) uint8, 1 = hair or whatever else is not skin; `features` count as skin.

    Skin is learnt from nose and cheeks, hair from what lies around the face: "GrabCut: Interactive
    Foreground Extraction using Iterated Graph Cuts", ACM Transactions on Graphics, 2004.
    """
    cheeks = _polygon(view, view.points[CHEEKS_AND_NOSE])
    skin = (cheeks > features) & (unlike < SURELY_SKIN)
    if skin.sum() < LEAST_SKIN or face.all():
        return np.zeros(face.shape, np.uint8)
    # Eyes and brows have colours of their own, which are not to be learnt: they are filled
    # with the skin around them.
    weight = skin.astype(np.float32)
    *colors, near = cv2.split(cv2.GaussianBlur(cv2.merge([view.image * weight[..., None], weight]),
                                               (0, 0), SKIN_BLUR * view.apart))
    around = np.dstack([color / (near + 1e-3) for color in colors])
    filled = np.where((cv2.dilate(features, _disc(1)) > 0)[..., None], around,
                      view.image).astype(np.uint8)
    known = np.where(face > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    known[cv2.dilate(face, _disc(FAR * view.apart)) == 0] = cv2.GC_BGD
    known[(face > features) & (unlike > UNLIKE_SKIN)] = cv2.GC_PR_BGD
    known[skin | (features & face > 0)] = cv2.GC_FGD
    if not ((known & 1) == 0).any():
        return np.zeros(face.shape, np.uint8)
    cv2.setRNGSeed(0)  # the same picture gives the same answer
    cv2.grabCut(cv2.cvtColor(filled, cv2.COLOR_RGB2LAB), known, None, np.zeros((1, 65)),
                np.zeros((1, 65)), ROUNDS, cv2.GC_INIT_WITH_MASK)
    return 1 - (known & 1)


def _grown(view: _View, hair: np.ndarray, unlike: np.ndarray, face: np.ndarray,
           features: np.ndarray) -> np.ndarray:
    """(h, w) uint8: `hair` and what is joined to it above the eyes and less like skin than the bare
    forehead is; strands of a light lock are but a little unlike skin."""
    if not hair.any():
        return hair
    up = _upwards(view)
    y, x = np.indices(face.shape, np.float32)
    height = ((x - view.eyes[0]) * up[0] + (y - view.eyes[1]) * up[1]) / view.apart
    aside = np.abs((x - view.eyes[0]) * up[1] - (y - view.eyes[1]) * up[0]) / view.apart
    bare = (face > hair) & (features == 0) & (height > FOREHEAD[0]) & (aside < FOREHEAD[1])
    if bare.sum() < LEAST_SKIN:
        return hair
    usual = float(np.median(unlike[bare]))
    spread = max(1.48 * float(np.median(np.abs(unlike[bare] - usual))), LEAST_SPREAD)
    limit = float(np.clip(usual + 3 * spread, *LIMITS))
    likely = ((unlike > limit) & (height > 0.1)).view(np.uint8) & face & (1 - features) | hair
    count, parts = cv2.connectedComponents(likely)
    joined = np.zeros(count, np.uint8)
    joined[parts[hair > 0]] = 1
    joined[0] = 0
    return joined[parts]


def _view(image: np.ndarray, landmarks: np.ndarray) -> _View:
    """The face `image` with some `APART` pixels between the eyes. What is left over to the right is
    cut off.
    """
    points = np.asarray(landmarks, np.float32)
    right, left, brows = _centres @ points
    factor = max(1, round(float(np.hypot(*(right - left))) / APART))
    points, right, left, brows = ((one + 0.5) / factor - 0.5
                                  for one in (points, right, left, brows))
    width = image.shape[0] // factor
    height = int(np.clip(points[NOSE_AND_CHEEKS, 1].max() + 2, 1, width))
    small = cv2.resize(image[:height * factor, :width * factor], (width, height),
                       interpolation=cv2.INTER_AREA)
    eyes = (right + left) / 2
    return _View(small, points, factor, eyes, float(np.hypot(*(right - left))), brows - eyes)


def _upwards(view: _View) -> np.ndarray:
    """(2,): from the eyes to the brows, of length 1."""
    return view.up / max(float(np.hypot(*view.up)), 1e-6)


def _around_brow(view: _View, which: Collection[int]) -> np.ndarray:
    """(h, w) uint8, 1 = on the brow at those landmarks, or a brow's height above it."""
    places = view.points[list(which)] + 0.75 * BROW_WIDTH * view.apart * _upwards(view)
    return _drawn(view, [places], 2.5 * BROW_WIDTH * view.apart)


def _brows(view: _View) -> np.ndarray:
    """(h, w) uint8, 1 = on a brow."""
    return _drawn(view, [view.points[brow] + 0.1 * view.up for brow in (RIGHT_BROW, LEFT_BROW)],
                  BROW_WIDTH * view.apart)


def _seen_brows(view: _View, image: np.ndarray, brows: Sequence[Brow | None],
                hair: np.ndarray | None = None, hidden: Collection[int] = ()) -> np.ndarray:
    """(h, w) uint8, 1 = on a brow as it is seen, one of `brows`, or where the landmarks have it if
    none is. The outer end of a brow, where `hair` (h, w) hangs over it, is left out, and so is what
    is beyond landmarks that are `hidden`."""
    factor, mask = view.factor, np.zeros(image.shape[:2], np.uint8)
    missing = []
    for brow, line in zip(brows, (RIGHT_BROW, LEFT_BROW)):
        if brow is None:
            missing.append(view.points[line] + 0.1 * view.up)
        else:
            covered = [index - line.start for index in hidden if line.start <= index < line.stop]
            outline = brow.outline if hair is None else _without_hair(view, brow, hair, covered)
            cv2.fillPoly(mask, [_fine(outline)], 1, cv2.LINE_8, SHIFT)
    mask = cv2.dilate(mask, _disc(BROW_MARGIN * view.apart * factor))
    seen = np.ascontiguousarray(mask[factor // 2::factor, factor // 2::factor][:view.image.shape[0], :view.image.shape[1]])
    return seen | _drawn(view, missing, BROW_WIDTH * view.apart) if missing else seen


def _without_hair(view: _View, brow: Brow, hair: np.ndarray,
                  hidden: Sequence[int] = ()) -> np.ndarray:
    """(K, 2) the outline of `brow`, in pixels of the picture, without its outer third where that
    lies under `hair` (h, w), and without what is beyond those of its five landmarks that are
    `hidden`."""
    places = (brow.upper + 0.5) / view.factor - 0.5 + ABOVE_BROW * view.apart * _upwards(view)
    x, y = np.clip(places.round().astype(int), 0, (hair.shape[1] - 1, hair.shape[0] - 1)).T
    under = hair[y, x] > 0
    count = len(under)
    outer = np.arange(count) < count // 3
    if brow.middle[0] * 2 > (view.points[RIGHT_EYE].mean(0)
                             + view.points[LEFT_EYE].mean(0))[0] * view.factor:
        outer = outer[::-1]
    kept = ~(under & outer)
    if hidden:
        places = np.linspace(0, 4, count)
        kept &= places < min(hidden) - HIDDEN_MARGIN if outer[-1] else places > max(hidden) + HIDDEN_MARGIN
    if kept.sum() < 2:
        return brow.outline
    return np.concatenate([brow.lower[kept], brow.upper[kept][::-1]])


def _eyes(view: _View) -> np.ndarray:
    """(h, w) uint8, 1 = at an eye."""
    lids = [cv2.convexHull(view.points[eye])[:, 0] for eye in (RIGHT_EYE, LEFT_EYE)]
    return _drawn(view, lids, 2 * EYE_MARGIN * view.apart, filled=True)


def _drawn(view: _View, lines: Sequence[np.ndarray], width: float,
           filled: bool = False) -> np.ndarray:
    """(h, w) uint8, 1 = on one of `lines`, each (K, 2), or within it. Drawn `factor` times as
    large, since widths are whole pixels.
    """
    factor = view.factor
    canvas = np.zeros((view.image.shape[0] * factor, view.image.shape[1] * factor), np.uint8)
    drawn = [_fine((line + 0.5) * factor - 0.5) for line in lines]
    for line in drawn * filled:
        cv2.fillConvexPoly(canvas, line, 1, shift=SHIFT)
    cv2.polylines(canvas, drawn, filled, 1, max(1, round(width * factor)), shift=SHIFT)
    return np.ascontiguousarray(canvas[factor // 2::factor, factor // 2::factor])


def _face(view: _View) -> np.ndarray:
    """(h, w) uint8, 1 = within the hull of the landmarks, brows included."""
    return _polygon(view, with_whole_brows(view.points))


def _polygon(view: _View, points: np.ndarray) -> np.ndarray:
    """(h, w) uint8, 1 = within the convex hull of `points`."""
    mask = np.zeros(view.image.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(_fine(points)), 255, cv2.LINE_AA, SHIFT)
    return mask >> 7


def _fine(points: np.ndarray) -> np.ndarray:
    """`points` as OpenCV draws them at 1/16 of a pixel."""
    return np.rint(points * (1 << SHIFT)).astype(np.int32)


def _draw_brow(colors: np.ndarray, image: np.ndarray, donor: np.ndarray, points: np.ndarray,
               brow: slice, eye: slice) -> None:
    """Darkens `colors` (H, W, 3) uint8, in place, at `brow` as `image` (H, W, 3) is darker than
    them at the other brow.

    The other brow is where `donor`, (h, w) float32 in [0, 1] over the same area, says so; `points`
    are the landmarks in pixels of `image`.
    """
    size = image.shape[1::-1]
    here, there = np.vstack([points[brow], points[eye]]), points[np.concatenate([MIRRORED[brow], MIRRORED[eye]])]
    margin = BROW_AND_EYE * float(np.hypot(*np.diff(_centres[:2] @ points, axis=0)[0]))
    (left, top, right, bottom), (from_left, from_top, from_right, from_bottom) = (
        np.clip((part.min(0) - margin, part.max(0) + margin), 0, size).astype(int).ravel()
        for part in (here, there))
    if right <= left or bottom <= top or from_right <= from_left or from_bottom <= from_top:
        return  # off the crop
    area = slice(from_top, from_bottom), slice(from_left, from_right)
    brightness, usual = (cv2.transform(np.float32(picture[area]), np.ones((1, 3), np.float32))
                         for picture in (image, colors))
    darkness = np.minimum(brightness / (usual + 1) - 1, 0) * cv2.resize(donor, size)[area]
    matrix = np.linalg.lstsq(np.column_stack([here, np.ones(len(here))]), there, rcond=None)[0].T
    matrix[:, 2] += matrix[:, :2] @ (left, top) - (from_left, from_top)
    mirrored = cv2.warpAffine(darkness, matrix, (right - left, bottom - top),
                              flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    target = colors[top:bottom, left:right]
    target[...] = np.rint(target * (1 + mirrored[..., None]))


def _unlike_skin(view: _View, features: np.ndarray) -> np.ndarray:
    """(h, w) float32: how far a place's colour is from those of nose and cheeks, in their
    deviations.
    """
    skin = _polygon(view, view.points[NOSE_AND_CHEEKS]) > features
    if not skin.any():
        return np.zeros(skin.shape, np.float32)
    lab = cv2.cvtColor(cv2.GaussianBlur(view.image, (3, 3), SMOOTHED),
                       cv2.COLOR_RGB2LAB).astype(np.float32)
    usual = np.median(lab[skin], 0)
    deviation = np.maximum(1.48 * np.median(np.abs(lab[skin] - usual), 0),
                           LEAST_DEVIATION).astype(np.float32)
    apart = (lab - usual) / deviation
    return np.sqrt(np.einsum("yxc,yxc->yx", apart, apart))


def _bare(view: _View, features: np.ndarray) -> np.ndarray:
    """(h, w) uint8, 1 = about as light as nose and cheeks, or lighter, and smooth: skin in another
    light, such as a bald forehead. Hair is darker, or shows its strands."""
    lightness = cv2.cvtColor(view.image, cv2.COLOR_RGB2LAB)[..., 0].astype(np.float32)
    strands = cv2.blur(np.abs(lightness - cv2.GaussianBlur(lightness, (0, 0), 1)), (3, 3))
    skin = _polygon(view, view.points[CHEEKS_AND_NOSE]) > features
    if not skin.any():
        return np.zeros(features.shape, np.uint8)
    darker = np.median(lightness[skin]) - lightness
    return ((darker < DARKER) & (strands < SMOOTH)).view(np.uint8)


def _usual(unlike: np.ndarray, mask: np.ndarray) -> float:
    return float(np.median(unlike[mask > 0])) if mask.any() else 0.0


def _above_the_cheeks(view: _View) -> np.ndarray:
    """(h, w) bool: above a line across the face, a third of the way from the eyes to the tip of the
    nose.
    """
    down = view.points[NOSE_TIP] - view.eyes
    y, x = ((np.arange(length, dtype=np.float32) - middle) * along
            for length, middle, along in zip(view.image.shape, view.eyes[::-1], down[::-1]))
    return np.add.outer(y, x) < 0.35 * (down @ down)


def _blurred(mask: np.ndarray, view: _View) -> np.ndarray:
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), EDGE * view.apart)


def _disc(radius: float) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * max(1, round(radius)) + 1,) * 2)
