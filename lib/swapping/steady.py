"""How a face is fitted to its frame, and what is drawn of it, steadied over the frames around: colours that flicker show more than colours
that are a little off."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import cv2
import numpy as np

from lib.faces.geometry import INNER
from lib.swapping.failure import failure_of
from lib.types import Fit, Frame, SwappedFace

REACH = 4  # frames to either side that count
SPREAD = 2.0  # frames: sigma of how much they do
NEAR = 2  # frames to either side whose masks count
MASK_SPREAD = 1.0  # frames: sigma of how much they do
MASK_CHANGE = 0.3  # by which a mask differs where it really changes, such as at a hand in front
ALONG = 1  # frames to either side that count in what is drawn
FLOW_SIZE = 128  # pixels of the crops between which motion is looked for
FLOW_ERROR = 0.03  # sigma, of white: how far the original differs from itself, moved, where it is the same

Item = tuple[Frame, list[SwappedFace], str]
Window = deque[tuple[int, list[SwappedFace]]]  # indices of frames and their faces


def steadied(items: Iterable[Item]) -> Iterator[Item]:
    """`items` with the fit of each face as the mean over those of its track around it; REACH of them wait meanwhile.

    A face of no track keeps its own. What could not be measured of one, since too little of it is seen, is taken from those of its track.
    """
    window: Window = deque()
    waiting: deque[Item] = deque()  # those of the window's end that are still to be given
    for item in items:
        window.append((item[0].index, item[1]))
        waiting.append(item)
        if len(waiting) > REACH:
            yield _steady(window, *waiting.popleft())
        if len(window) - len(waiting) > REACH:
            window.popleft()
    while waiting:
        yield _steady(window, *waiting.popleft())


def _steady(window: Window, frame: Frame, faces: list[SwappedFace], failure: str) -> Item:
    try:
        return frame, [face if _track(face) is None else
                       replace(face, fit=_mean(window, frame.index, _track(face)), near=_near(window, frame.index, face))
                       for face in faces], failure
    except Exception as error:  # what a plugin measured cannot be averaged
        return frame, [], failure_of(error)


def _near(window: Window, index: int, face: SwappedFace) -> tuple[tuple[int, SwappedFace], ...]:
    return tuple((there - index, other) for there, faces in window if 0 < abs(there - index) <= NEAR
                 for other in faces if _track(other) == _track(face) and other.role == face.role)


def _mean(window: Window, index: int, track: int) -> Fit:
    near = [(np.exp(-0.5 * ((there - index) / SPREAD) ** 2), face.fit) for there, faces in window
            if abs(there - index) <= REACH for face in faces if _track(face) == track]
    means = {}
    for part in ("colors", "joint", "tint"):
        weighed = [(weight, getattr(fit, part)) for weight, fit in near if getattr(fit, part) is not None]
        total = sum(weight for weight, _ in weighed)
        means[part] = sum(np.float32(weight / total) * values for weight, values in weighed) if weighed else None
    own = next((face.fit for there, faces in window if there == index for face in faces if _track(face) == track and face.fit), Fit())
    return Fit(**means, light=own.light, motion=_motion(window, index, track))


def _motion(window: Window, index: int, track: int) -> np.ndarray | None:
    """How the middle of the face moves a frame, from the frame before to the one after, as far as it is there."""
    places = {there: face.aligned.face.landmarks[INNER].mean(0) for there, faces in window
              if abs(there - index) <= 1 for face in faces if _track(face) == track}
    first, last = min(places), max(places)
    return (places[last] - places[first]) / (last - first) if last > first else None


def _track(face: SwappedFace) -> int | None:
    return face.aligned.face.track


def evened_mask(face: SwappedFace) -> np.ndarray:
    """(S, S, 1): the mask of `face` as the mean with those around it, but for pixels where it changes by more than a flicker."""
    total, weights = face.mask.copy(), np.ones_like(face.mask)
    for later, other in face.near:
        weight = np.float32(np.exp(-0.5 * (later / MASK_SPREAD) ** 2)) * np.maximum(1 - np.abs(other.mask - face.mask) / MASK_CHANGE, 0)
        total += weight * other.mask
        weights += weight
    return total / weights


def evened_front(face: SwappedFace) -> np.ndarray:
    """(S, S): what is in front of `face`, as the mean with the frames around it."""
    total, weights = face.front.copy(), 1.0
    for later, other in face.near:
        if other.front is not None and other.front.shape == face.front.shape:
            weight = float(np.exp(-0.5 * (later / MASK_SPREAD) ** 2))
            total += np.float32(weight) * other.front
            weights += weight
    return total / np.float32(weights)


def filtered(face: SwappedFace, strength: float) -> np.ndarray:
    """(S, S, 3): what is drawn of `face`, `strength` of the way to the mean with what is drawn of it in the frames beside, each moved as
    the original moves. Where the original does not come back when it is moved, such as at a blink, the frames beside do not count."""
    size = min(len(face.image), FLOW_SIZE)
    own = _grey(face, size)
    finder = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    total, weights = face.image.copy(), np.ones_like(face.mask)
    for later, other in face.near:
        if abs(later) > ALONG:
            continue
        theirs = _grey(other, size)
        flow = finder.calc(own, theirs, None)
        error = cv2.blur(cv2.absdiff(_moved(theirs, flow), own).astype(np.float32) / 255, (size // 16, size // 16))
        weight = np.exp(-0.5 * (error / FLOW_ERROR) ** 2)
        weight = cv2.resize(weight, face.image.shape[1::-1], interpolation=cv2.INTER_LINEAR)[..., None]
        flow = cv2.resize(flow, face.image.shape[1::-1], interpolation=cv2.INTER_LINEAR) * np.float32(len(face.image) / size)
        total += weight * _moved(other.image, flow)
        weights += weight
    return face.image + np.float32(strength) * (total / weights - face.image)


def _grey(face: SwappedFace, size: int) -> np.ndarray:
    return cv2.cvtColor(cv2.resize(face.aligned.image, (size, size), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)


def _moved(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """What `flow` (H, W, 2), pixels, finds in `image` of the same size."""
    rows, columns = np.indices(flow.shape[:2], np.float32)
    return cv2.remap(image, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
