"""How a face is fitted to its frame, steadied over the frames around: colours that flicker show more than colours that are a little off."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from lib.faces.geometry import INNER
from lib.types import Fit, Frame, SwappedFace

REACH = 4  # frames to either side that count
SPREAD = 2.0  # frames: sigma of how much they do

Item = tuple[Frame, list[SwappedFace], str]


def steadied(items: Iterable[Item]) -> Iterator[Item]:
    """`items` with the fit of each face as the mean over those of its track around it; REACH of them wait meanwhile.

    A face of no track keeps its own. What could not be measured of one, since too little of it is seen, is taken from those of its track.
    """
    window: deque[Item] = deque()
    place = 0  # in the window, of the next one to be given
    for item in items:
        window.append(item)
        if len(window) - place > REACH:
            yield _steady(window, place)
            place += 1
        if place > REACH:
            window.popleft()
            place -= 1
    for place in range(place, len(window)):
        yield _steady(window, place)


def _steady(window: deque[Item], place: int) -> Item:
    frame, faces, failure = window[place]
    return frame, [face if _track(face) is None else replace(face, fit=_mean(window, frame.index, _track(face))) for face in faces], failure


def _mean(window: deque[Item], index: int, track: int) -> Fit:
    near = [(np.exp(-0.5 * ((frame.index - index) / SPREAD) ** 2), face.fit) for frame, faces, _ in window
            if abs(frame.index - index) <= REACH for face in faces if _track(face) == track]
    means = {}
    for part in ("colors", "joint"):
        weighed = [(weight, getattr(fit, part)) for weight, fit in near if getattr(fit, part) is not None]
        total = sum(weight for weight, _ in weighed)
        means[part] = sum(np.float32(weight / total) * values for weight, values in weighed) if weighed else None
    return Fit(**means, motion=_motion(window, index, track))


def _motion(window: deque[Item], index: int, track: int) -> np.ndarray | None:
    """How the middle of the face moves a frame, from the frame before to the one after, as far as it is there."""
    places = {frame.index: face.aligned.face.landmarks[INNER].mean(0) for frame, faces, _ in window
              if abs(frame.index - index) <= 1 for face in faces if _track(face) == track}
    first, last = min(places), max(places)
    return (places[last] - places[first]) / (last - first) if last > first else None


def _track(face: SwappedFace) -> int | None:
    return getattr(face.aligned.face, "track", None)
