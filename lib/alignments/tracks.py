"""Faces through time: cuts, tracks, landmarks without jitter, and faces that were missed for moments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from lib.faces.geometry import invert, similarity_transform, transform_points

LOOK = (32, 18)  # pixels: what is kept of a frame, to find cuts by
FINE = 180  # pixels, shorter side: about what is looked at for that
CUT = 20.0  # 8-bit levels: two frames whose looks differ by less, on average, may be of one shot
SAME_DRAWING = 0.8  # correlation of what two looks draw, whatever their light, from which on they are of one shot
AROUND = 6  # frames to either side that a cut is held against
OVERLAP = 0.25  # intersection over union from which on two boxes may be of one track
LONGEST_GAP = 12  # frames that a face may be missing within its track
HEAD_WINDOW, ORDER = 13, 2  # frames over which the head's movement is smoothed, and order of the polynomial
PART_WINDOWS = ((slice(0, 36), 21), (slice(36, 48), 7), (slice(48, 68), 5))  # likewise jaw, brows and nose; eyes; mouth
STEADY = [*range(17), *range(27, 36), 36, 39, 42, 45]  # landmarks that say how the head moves: jaw, nose, corners of the eyes
# Of the distance between the outer corners of the eyes: what is farther off was no jitter. A head that dances is to be followed, or the
# swapped face swims on it: with 0.011 the flicker of such a swap grows by 4 %, without a limit by 16 %.
MOST, MOST_HEAD = 0.03, 0.011


def look(image: np.ndarray) -> np.ndarray:
    """(18, 32, 3) uint8 of a frame (H, W, 3) uint8."""
    step = max(1, min(image.shape[:2]) // FINE)  # some of the pixels tell as much
    return cv2.resize(np.ascontiguousarray(image[::step, ::step]), LOOK, interpolation=cv2.INTER_AREA)


def cuts(looks: Iterable[tuple[int, np.ndarray]]) -> set[int]:
    """Frames that begin a new shot; `looks` are frames and their looks, in order, of which a few are held at a time.

    None of the frames before looks like any of those after: a flash has its like on both sides, and changes the light alone.
    """
    found: set[int] = set()
    shown: list[tuple[int, np.ndarray, np.ndarray]] = []
    place = 1  # in `shown`, to be decided next
    for frame, picture in looks:
        shown.append((frame, picture.astype(np.int16), drawing(picture)))
        while len(shown) - place >= AROUND:
            found |= _cut(shown, place)
            place += 1
        if place > AROUND:
            shown.pop(0)
            place -= 1
    for last in range(place, len(shown)):
        found |= _cut(shown, last)
    return found


def _cut(shown: Sequence[tuple[int, np.ndarray, np.ndarray]], place: int) -> set[int]:
    """The frame at `place`, if it begins a shot."""

    def alike(one: tuple, other: tuple) -> bool:
        return np.abs(one[1] - other[1]).mean() < CUT or float(one[2] @ other[2]) > SAME_DRAWING

    before, after = shown[max(0, place - AROUND):place], shown[place:place + AROUND]
    if alike(before[-1], after[0]) or any(alike(one, other) for one in before for other in after):
        return set()
    return {after[0][0]}


def drawing(picture: np.ndarray) -> np.ndarray:
    """What is drawn in a small picture (H, W, 3), whatever its light: (H * W,) gray levels against those around, of unit length."""
    gray = picture.astype(np.float32).mean(-1)
    apart = gray - cv2.GaussianBlur(gray, (0, 0), 3)
    apart /= np.sqrt(cv2.GaussianBlur(apart * apart, (0, 0), 3)) + 3
    return (apart / max(float(np.linalg.norm(apart)), 1e-6)).ravel()


@dataclass
class Track:
    """One face from frame to frame within one shot: for each frame the number of the face there."""

    faces: dict[int, int] = field(default_factory=dict)

    @property
    def frames(self) -> list[int]:
        return sorted(self.faces)


def link(boxes: Iterable[tuple[int, list[int], np.ndarray]], cut: set[int]) -> list[Track]:
    """Tracks of all faces; `boxes` are frames, in order, with the numbers of the faces there and their boxes (K, 4).

    A track ends at a cut, or where its face is gone for more than LONGEST_GAP frames.
    """
    tracks: list[Track] = []
    going: list[tuple[Track, int, np.ndarray, np.ndarray]] = []  # track, last frame, last box, motion a frame
    shots = sorted(cut, reverse=True)
    for frame, numbers, there in boxes:
        while shots and shots[-1] <= frame:
            shots.pop()
            going = []
        going = [one for one in going if frame - one[1] <= LONGEST_GAP + 1]
        # boxes jump a little from frame to frame: where the face was counts as much as where it seemed to go
        pairs = sorted(((max(_overlap(box + motion * (frame - last), one), _overlap(box, one)), row, place)
                        for row, (_, last, box, motion) in enumerate(going) for place, one in enumerate(there)), reverse=True)
        rows, taken = set(), set()
        for overlap, row, place in pairs:
            if overlap < OVERLAP:
                break
            if row in rows or place in taken:
                continue
            rows.add(row)
            taken.add(place)
            track, last, box, _ = going[row]
            track.faces[frame] = numbers[place]
            going[row] = track, frame, there[place], (there[place] - box) / (frame - last)
        for place, one in enumerate(there):
            if place not in taken:
                tracks.append(Track({frame: numbers[place]}))
                going.append((tracks[-1], frame, one, np.zeros(4)))
    return tracks


def split(track: Track, others: set[tuple[int, int]]) -> list[Track]:
    """The track in parts, each of which after the first begins with one of the faces (frame, number) in `others`."""
    parts = [Track()]
    for frame in track.frames:
        if (frame, track.faces[frame]) in others and parts[-1].faces:
            parts.append(Track())
        parts[-1].faces[frame] = track.faces[frame]
    return parts


def gaps(track: Track) -> list[tuple[int, int]]:
    """(last frame before, first frame after) of each stretch in which the track's face was missed."""
    frames = track.frames
    return [(one, other) for one, other in zip(frames, frames[1:]) if other - one > 1]


def between(before: np.ndarray, after: np.ndarray, share: float) -> np.ndarray:
    """Boxes or landmarks `share` of the way from one to the other."""
    return before + (after - before) * share


def smoothed(landmarks: np.ndarray) -> np.ndarray:
    """(N, 68, 2) of consecutive frames without jitter and without lag, no point farther than about MOST from where it was.

    The movement of the head is smoothed apart from that of the parts of the face, each over as many frames as it allows: a mouth
    moves faster than a jaw. A polynomial is fitted to the frames around each.
    "Smoothing and Differentiation of Data by Simplified Least Squares Procedures", Analytical Chemistry, 1964.
    """
    if len(landmarks) < 3:
        return landmarks
    points = landmarks.astype(np.float64)
    usual = points[len(points) // 2]
    for _ in range(2):
        matrices = similarity_transform(points[:, STEADY], usual[STEADY])
        upright = transform_points(points, matrices)
        usual = np.median(upright, axis=0)
    middle = usual.mean(0)
    back = np.stack([invert(matrix) for matrix in matrices])
    width = np.linalg.norm(points[:, 36] - points[:, 45], axis=1)[:, None]
    turn = back[:, :, 0]  # (N, 2): scale and rotation
    turn = turn + _limited(_fitted(turn, HEAD_WINDOW) - turn, 2 * MOST_HEAD * np.linalg.norm(turn, axis=1)[:, None])
    place = transform_points(middle[None], back)[:, 0]
    place = place + _limited(_fitted(place, HEAD_WINDOW) - place, MOST_HEAD * width)
    for part, window in PART_WINDOWS:
        upright[:, part] = _fitted(upright[:, part], window)
    apart = upright - middle
    steady = place[:, None] + np.stack([apart[..., 0] * turn[:, :1] - apart[..., 1] * turn[:, 1:],
                                        apart[..., 0] * turn[:, 1:] + apart[..., 1] * turn[:, :1]], -1)
    return (points + _limited(steady - points, MOST * width[:, None])).astype(landmarks.dtype)


def _limited(vectors: np.ndarray, most: np.ndarray) -> np.ndarray:
    """`vectors` (..., 2), none longer than about `most` (..., 1): short ones stay as they are."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors * most / np.maximum(np.cbrt(length ** 3 + most ** 3), 1e-12)


def _fitted(values: np.ndarray, window: int) -> np.ndarray:
    """(N, ...): the middle of a polynomial fitted to the `window` frames around each; at the ends the window stays inside."""
    half = min(window // 2, (len(values) - 1) // 2)
    width, order = 2 * half + 1, min(ORDER, 2 * half)
    powers = np.vander(np.arange(-half, half + 1), order + 1, increasing=True).astype(np.float64)
    weights = powers @ np.linalg.pinv(powers)  # of a window's values, for the polynomial at each of its places
    middle = np.lib.stride_tricks.sliding_window_view(values, width, 0) @ weights[half]
    return np.concatenate([np.tensordot(weights[:half], values[:width], 1), middle, np.tensordot(weights[half + 1:], values[-width:], 1)])


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    width, height = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return float(both / (np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - both))
