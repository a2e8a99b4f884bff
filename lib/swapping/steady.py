"""Colours steadied in time: one face's, over the frames around. Colours that flicker show more than colours that are a little off."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from lib.types import Frame, SwappedFace

REACH = 4  # frames to either side that count
SPREAD = 2.0  # frames: sigma of how much they do

Item = tuple[Frame, list[SwappedFace], str]


def steadied(items: Iterable[Item]) -> Iterator[Item]:
    """`items` with the colours of each face as the mean over those of its track around it; REACH of them wait meanwhile.

    A face of no track keeps its own. One without colours, since too little of its skin is seen, gets those of its track.
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
    return frame, [replace(face, colors=_mean(window, frame.index, face)) for face in faces], failure


def _mean(window: deque[Item], index: int, face: SwappedFace) -> np.ndarray | None:
    track = _track(face)
    if track is None:
        return face.colors
    total, weights = 0.0, 0.0
    for frame, others, _ in window:
        weight = np.exp(-0.5 * ((frame.index - index) / SPREAD) ** 2)
        for other in others:
            if _track(other) == track and other.colors is not None and abs(frame.index - index) <= REACH:
                total, weights = total + weight * other.colors, weights + weight
    return np.asarray(total / weights, np.float32) if weights else None


def _track(face: SwappedFace) -> int | None:
    return getattr(face.aligned.face, "track", None)
