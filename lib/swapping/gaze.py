"""Irises of the swapped face, moved so that it looks where the person filmed looks.

A decoder draws eyes that look where its person looked on the whole. So the gaze is measured in the
original and in what was drawn, and inside the lids the picture is moved by the difference. Both
eyes are moved by the same, the mean of both: how far two people's irises lie from the middle of
their eyes differs with the shape of the eyes, and outwards in the one as in the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from lib.alignments.masking import MaskedFace
from lib.faces.gaze import EYES, gaze, iris_contrast, iris_likeness, openness, ramp, visibility
from lib.faces.geometry import (
    INNER,
    MEAN_FACE,
    scale_of,
    similarity_transform,
    transform_points,
    upsampled,
)
from lib.faces.quality import LEAST_SURE
from lib.mesh.irises import see_eyes
from lib.types import AlignedFace, Eyes, Face, Gaze, Shape, SwappedFace

MOST = 0.25  # of the eye's width: an iris is moved no farther
LEAST = 0.004  # likewise: of less nothing is seen
# Width of an eye, of one that is seen from the front: of less its gaze cannot be told
TURNED = 0.55, 0.75
# Frames to either side that count in the gaze, sigma of how much they do, and how much a gaze may
# differ to be the same, in widths of the eye: it jumps within a frame or two
REACH, SPREAD, SAME = 3, 1.5, 0.03
# Of the eye's width: how far from the lids the picture moves whole; how far from the corners an
# iris stays, and what moves across less
EDGE, CORNER, FALL = 0.06, 0.03, 0.2
# Of the iris: how much wider than itself it is moved as it is; soft edge of what covers the white
# before it; and, of the eye's width, from which move on that is done
LIMBUS, COVER, COVERING = 1.12, (0.7, 1.2), 0.04
SMALLEST = 4  # pixels: width of an eye of which something can be moved
APART = 0.03  # of the eye's width: landmarks of a lid that are nearer draw no curve
UPPER, LOWER = [0, 1, 2, 3], [0, 5, 4, 3]  # landmarks of an eye, along its lids
WIDTH = 0.213  # of an eye of the mean face


def looking(faces: Sequence[SwappedFace]) -> list[SwappedFace]:
    """`faces` with where they look and where they are to look; 2 ms of one core a face, 4 where
    the alignments know no irises."""
    pictures = [cv2.convertScaleAbs(np.maximum(face.image, 0), alpha=255) for face in faces]
    drawn = see_eyes(pictures, [transform_points(face.aligned.face.landmarks, _onto_drawn(face))
                                for face in faces])
    originals = _eyes_of([face.aligned for face in faces])
    return [replace(face, gaze=Gaze(gaze(original), _known(face.aligned, original), eyes,
                                    _movable(picture, eyes)))
            for face, picture, eyes, original in zip(faces, pictures, drawn, originals)]


def steady(gaze: Gaze, around: Iterable[tuple[int, Gaze]]) -> Gaze:
    """`gaze` as those `around` it have it, each so many frames later, but for jumps. Where one of
    them cannot be told the eyes are moved less, so that nothing pops."""
    near = [(offset, other) for offset, other in around if abs(offset) <= REACH]
    weights = np.exp([-0.5 * (offset / SPREAD) ** 2 for offset, _ in near])[:, None]
    wanted = np.stack([other.wanted for _, other in near])
    known = np.stack([other.known for _, other in near])
    movable = np.stack([other.movable for _, other in near])
    alike = np.exp(-0.5 * (np.linalg.norm(wanted - gaze.wanted, axis=2) / SAME) ** 2)
    shares = weights * alike * np.maximum(known, 1e-6)
    total = weights.sum(0)
    return Gaze((shares[..., None] * wanted).sum(0) / shares.sum(0)[:, None],
                np.minimum(gaze.known, (weights * known).sum(0) / total), gaze.drawn,
                np.minimum(gaze.movable, (weights * movable).sum(0) / total))


def look(swapped: SwappedFace) -> np.ndarray:
    """(S, S, 3) float32: what is drawn of `swapped`, with its irises where they are to be."""
    if swapped.gaze is None:
        return swapped.image
    shift, strengths = _shift(swapped.gaze)
    return move_irises(swapped.image, swapped.gaze.drawn, strengths[:, None] * shift)


def move_irises(image: np.ndarray, eyes: Eyes, moves: np.ndarray) -> np.ndarray:
    """(S, S, 3) float32: `image` with each iris of `eyes` moved by `moves` (2, 2), in widths of the
    eye along it and across. Nothing outside of the lids changes."""
    if (np.abs(moves) < LEAST).all():
        return image
    moved = image.copy()
    for part, iris, move in zip(EYES, eyes.irises, moves):
        _move(moved, image, eyes.landmarks[part], iris, move)
    return moved


def _shift(gaze_of: Gaze) -> tuple[np.ndarray, np.ndarray]:
    """(2,) by how much both irises are to be moved, in widths of the eye, and (2,) how much of
    that each is."""
    weights = gaze_of.known * gaze_of.movable
    if weights.max() < 1e-3:
        return np.zeros(2), np.zeros(2)
    drawn = gaze(gaze_of.drawn)
    shift = np.average(gaze_of.wanted - drawn, axis=0, weights=weights)
    length = float(np.linalg.norm(shift))
    shift *= min(1.0, MOST / max(length, 1e-6))
    # neither leaves its eye
    points = gaze_of.drawn.landmarks
    widths = [np.linalg.norm(points[eye][3] - points[eye][0]) for eye in EYES]
    room = 0.5 - CORNER - LIMBUS * gaze_of.drawn.irises[:, 2] / np.maximum(widths, 1e-6)
    shift[0] = np.clip(shift[0], min((-room - drawn[:, 0]).max(), 0),
                       max((room - drawn[:, 0]).min(), 0))
    return shift, gaze_of.known.max() * gaze_of.movable


def _eyes_of(faces: Sequence[AlignedFace]) -> list[Eyes]:
    """The eyes of the originals in pixels of their crops: as the alignments have them, else as they
    are seen there."""
    unknown = [aligned for aligned in faces if aligned.face.shape is None]
    seen = iter(see_eyes([aligned.image for aligned in unknown],
                         [transform_points(aligned.face.landmarks, aligned.matrix)
                          for aligned in unknown]))
    return [next(seen) if aligned.face.shape is None
            else _stored(aligned.face, aligned.face.shape, aligned.matrix) for aligned in faces]


def _stored(face: Face, shape: Shape, matrix: np.ndarray) -> Eyes:
    """As the aligner saw them, through `matrix`: irises that were seen at once with the corners of
    their eyes shake as these do."""
    fitted = face.fitted if isinstance(face, MaskedFace) else None
    landmarks = face.landmarks if fitted is None else fitted
    return Eyes(transform_points(landmarks, matrix),
                np.column_stack([transform_points(shape.irises[:, :2], matrix),
                                 shape.irises[:, 2] * scale_of(matrix)]))


def _known(aligned: AlignedFace, eyes: Eyes) -> np.ndarray:
    """(2,) from 0 to 1: how surely the gaze of the original can be told."""
    face = aligned.face
    if face.shape is not None and face.shape.score < LEAST_SURE:
        return np.zeros(2)
    widths = [np.linalg.norm(np.subtract(*face.landmarks[part][[3, 0]])) for part in EYES]
    size = scale_of(similarity_transform(face.landmarks[INNER], MEAN_FACE))
    return (visibility(eyes) * iris_contrast(aligned.image, eyes)
            * ramp(np.array(widths) * size / WIDTH, *TURNED))


def _movable(picture: np.ndarray, eyes: Eyes) -> np.ndarray:
    """(2,) from 0 to 1: how far each iris of what was drawn may be moved. Where one of two open
    eyes has none, the other stays as well, or they would squint."""
    is_open = openness(eyes)
    are_found = iris_likeness(eyes) * iris_contrast(picture, eyes)
    return is_open * are_found * (1 - is_open * (1 - are_found)).min()


def _onto_drawn(face: SwappedFace) -> np.ndarray:
    """(2, 3) from the frame's pixels to those of the swapped picture."""
    aligned = face.aligned
    return upsampled(aligned.matrix, len(face.image) / len(aligned.image))


def _move(image: np.ndarray, source: np.ndarray, eye: np.ndarray, iris: np.ndarray,
          move: np.ndarray) -> None:
    """Draws `source` (S, S, 3) into `image` with the `iris` (3,) of the `eye` (6, 2) moved by
    `move` (2,), in widths of the eye along it and across."""
    first, last = eye[0], eye[3]
    middle, width = (first + last) / 2, float(np.linalg.norm(last - first))
    low = np.clip(np.floor(eye.min(0)).astype(int) - 1, 0, len(image))
    high = np.clip(np.ceil(eye.max(0)).astype(int) + 2, 0, len(image))
    if width < SMALLEST or (high - low).min() < 1:
        return
    # the eye's own frame, in its widths
    along = (last - first) / width
    axes = np.stack([along, along[::-1] * (-1, 1)])
    lids = (eye - middle) @ axes.T / width
    if min(np.diff(lids[lid, 0]).min() for lid in (UPPER, LOWER)) < APART:
        return
    pixels = np.stack(np.meshgrid(*map(np.arange, low, high)), -1)
    centre = (iris[:2] - middle) @ axes.T / width
    places, share = _whence((pixels - middle) @ axes.T / width, lids, centre,
                            float(LIMBUS * iris[2] / width), move)
    seen = cv2.remap(source, (places @ axes * width + middle).astype(np.float32), None,
                     cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    part = image[low[1]:high[1], low[0]:high[0]]
    part += share[..., None].astype(np.float32) * (seen - part)


def _whence(places: np.ndarray, lids: np.ndarray, centre: np.ndarray, radius: float,
            move: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where what is seen at `places` (H, W, 2) of an eye comes from, likewise, and (H, W) how much
    of it is seen. The iris around `centre` (2,) moves by `move` (2,).

    The white behind it is stretched, the one before it covered. What comes out from under a lid is
    what is seen at its edge. All in widths of the eye, from its middle, along it and across.
    """
    u, v = places[..., 0], places[..., 1]
    upper, lower = (np.polynomial.Polynomial.fit(*lids[lid].T, 3) for lid in (UPPER, LOWER))

    # along the eye
    side = 1 if move[0] >= 0 else -1
    edges = np.array([-0.5 * side, centre[0] - side * radius])  # of the white behind
    moved = edges + [0, move[0]]
    from_u = np.where(side * (u - moved[1]) < 0, np.interp(u, moved[::side], edges[::side]),
                      u - move[0])

    # across it, between the lids
    fall = ramp(0.5 - np.abs(u), 0, FALL)
    top, bottom = upper(from_u), lower(from_u)
    hidden = np.minimum(EDGE / 2, (bottom - top) / 2) * fall
    from_v = np.clip(v - move[1] * fall, top + hidden, np.maximum(bottom - hidden, top + hidden))

    # the white before the iris stays; so do the lids
    beside, above = u - centre[0] - move[0], v - centre[1] - move[1]
    ahead = np.clip(side * beside / radius, 0, 1) * min(abs(move[0]) / COVERING, 1)
    covered = 1 - ahead * ramp(np.hypot(beside, above) / radius, *COVER)
    depth = np.minimum(v - upper(u), lower(u) - v)
    return np.stack([from_u, from_v], -1), covered * ramp(depth, 0, EDGE)
