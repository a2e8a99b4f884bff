"""How a face is fitted to its frame, and what is drawn of it, steadied over the frames around:
colours that flicker show more than colours that are a little off."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import cv2
import numpy as np

from lib.faces.geometry import INNER
from lib.swapping.failure import Staged, guarded
from lib.swapping.gaze import steady
from lib.types import Fit, Gaze, SwappedFace

REACH = 4  # frames to either side that count
SPREAD = 2.0  # frames: sigma of how much they do
NEAR = 2  # frames to either side whose masks count
MASK_SPREAD = 1.0  # frames: sigma of how much they do
MASK_CHANGE = 0.3  # by which a mask differs where it really changes, such as at a hand in front
ALONG = 1  # frames to either side that count in what is drawn
FLOW_SIZE = 128  # pixels of the crops between which motion is looked for
# Sigma, of white: how far the original differs from itself, moved, where it is the same
FLOW_ERROR = 0.03

Window = deque[Staged[SwappedFace]]


def steadied(items: Iterable[Staged[SwappedFace]]) -> Iterator[Staged[SwappedFace]]:
    """`items` with the fit of each face as the mean over those of its track around it; REACH of
    them wait meanwhile.

    A face of no track keeps its own. What could not be measured of one, since too little of it is
    visible, is taken from those of its track.
    """
    window: Window = deque()
    waiting: Window = deque()  # those of the window's end that are still to be given
    for staged in items:
        window.append(staged)
        waiting.append(staged)
        if len(waiting) > REACH:
            yield _steady(window, waiting.popleft())
        if len(window) - len(waiting) > REACH:
            window.popleft()
    while waiting:
        yield _steady(window, waiting.popleft())


@guarded  # what a plugin measured may have a shape that cannot be averaged
def _steady(window: Window, staged: Staged[SwappedFace]) -> Staged[SwappedFace]:
    index = staged.frame.index
    faces = [face if _track(face) is None else
             replace(face, fit=_mean(window, index, _track(face)), gaze=_gaze(window, index, face),
                     near=_near(window, index, face))
             for face in staged.faces]
    return Staged(staged.frame, faces)


def _near(window: Window, index: int, face: SwappedFace) -> tuple[tuple[int, SwappedFace], ...]:
    """The same face in frames around this one, and how many frames later each is."""
    return tuple((offset, near) for offset, near in _around(window, index, _track(face), NEAR)
                 if offset and near.role == face.role)


def _gaze(window: Window, index: int, face: SwappedFace) -> Gaze | None:
    if face.gaze is None:
        return None
    return steady(face.gaze, [(offset, near.gaze) for offset, near
                              in _around(window, index, _track(face), REACH)
                              if near.gaze and near.role == face.role])


def _around(window: Window, index: int, track: int,
            reach: int) -> Iterator[tuple[int, SwappedFace]]:
    """The faces of a track at most `reach` frames before or after frame `index`, and how many
    frames later each is."""
    for staged in window:
        offset = staged.frame.index - index
        if abs(offset) <= reach:
            yield from ((offset, face) for face in staged.faces if _track(face) == track)


def _mean(window: Window, index: int, track: int) -> Fit:
    weighted = [(np.exp(-0.5 * (offset / SPREAD) ** 2), face.fit)
                for offset, face in _around(window, index, track, REACH)]
    own = next((face.fit for _, face in _around(window, index, track, 0) if face.fit), Fit())
    colors, joint, tint = (_weighted_mean(parts)
                           for parts in ([(weight, fit.colors) for weight, fit in weighted],
                                         [(weight, fit.joint) for weight, fit in weighted],
                                         [(weight, fit.tint) for weight, fit in weighted]))
    return Fit(colors, joint, own.light, _motion(window, index, track), tint)


def _weighted_mean(parts: list[tuple[float, np.ndarray | None]]) -> np.ndarray | None:
    """Of arrays of one shape; those that are None do not count."""
    known = [(weight, values) for weight, values in parts if values is not None]
    total = sum(weight for weight, _ in known)
    return sum(np.float32(weight / total) * values for weight, values in known) if known else None


def _motion(window: Window, index: int, track: int) -> np.ndarray | None:
    """(2,) pixels a frame: how the middle of the face moves from the frame before to the one after,
    where they exist."""
    places = {offset: face.aligned.face.landmarks[INNER].mean(0)
              for offset, face in _around(window, index, track, 1)}
    first, last = min(places), max(places)
    return (places[last] - places[first]) / (last - first) if last > first else None


def _track(face: SwappedFace) -> int | None:
    return face.aligned.face.track


def average_mask(face: SwappedFace) -> np.ndarray:
    """(S, S, 1) float32: the mask of `face` as the mean with those around it, except for pixels
    where it changes by more than a flicker."""
    total, weights = face.mask.copy(), np.ones_like(face.mask)
    for offset, near in face.near:
        alike = np.maximum(1 - np.abs(near.mask - face.mask) / MASK_CHANGE, 0)
        weight = np.float32(np.exp(-0.5 * (offset / MASK_SPREAD) ** 2)) * alike
        total += weight * near.mask
        weights += weight
    return total / weights


def average_front(face: SwappedFace) -> np.ndarray:
    """(S, S) float32: what is in front of `face`, as the mean with the frames around it."""
    total, weights = face.front.copy(), 1.0
    for offset, near in face.near:
        if near.front is not None and near.front.shape == face.front.shape:
            weight = float(np.exp(-0.5 * (offset / MASK_SPREAD) ** 2))
            total += np.float32(weight) * near.front
            weights += weight
    return total / np.float32(weights)


def reduce_flicker(face: SwappedFace, strength: float) -> np.ndarray:
    """(S, S, 3) float32: what is drawn of `face`, `strength` (0 to 1) of the way to the mean with
    what is drawn of it in the frames beside, each moved as the original moves. Where the original
    does not come back when it is moved, such as at a blink, the frames beside do not count."""
    side = len(face.image)
    small = min(side, FLOW_SIZE)
    before = _grey(face, small)
    finder = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    total, weights = face.image.copy(), np.ones_like(face.mask)
    for offset, near in face.near:
        if abs(offset) > ALONG:
            continue
        beside = _grey(near, small)
        flow = finder.calc(before, beside, None)
        error = cv2.absdiff(_moved(beside, flow), before).astype(np.float32) / 255
        weight = np.exp(-0.5 * (cv2.blur(error, (small // 16, small // 16)) / FLOW_ERROR) ** 2)
        weight = cv2.resize(weight, (side, side), interpolation=cv2.INTER_LINEAR)[..., None]
        flow = cv2.resize(flow, (side, side), interpolation=cv2.INTER_LINEAR) * np.float32(
            side / small)
        total += weight * _moved(near.image, flow)
        weights += weight
    return face.image + np.float32(strength) * (total / weights - face.image)


def _grey(face: SwappedFace, size: int) -> np.ndarray:
    return cv2.cvtColor(cv2.resize(face.aligned.image, (size, size), interpolation=cv2.INTER_AREA),
                        cv2.COLOR_RGB2GRAY)


def _moved(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """What `flow` (H, W, 2), pixels, finds in `image` of the same size."""
    rows, columns = np.indices(flow.shape[:2], np.float32)
    return cv2.remap(image, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR,
                     borderMode=cv2.BORDER_REPLICATE)
