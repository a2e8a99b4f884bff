"""Two public-domain portraits that travel inside dependencies, filmed by a camera that moves:
footage without a download."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lib.media.base import FrameSource
from lib.types import Frame

RATE = Fraction(25)
# Distance of the outer eye corners when the camera rests, as a share of the frame's side
EYES_IN_FRAME = 0.28
# How far the nose moves in a full turn of about 15 degrees, in distances of the eye corners
TURN = 0.13


@dataclass(frozen=True)
class Portrait:
    """A picture of one person: (H, W, 3) uint8 RGB, with the middle of the face and the distance of
    the outer eye corners in pixels."""

    name: str
    image: np.ndarray
    centre: tuple[float, float]
    eyes: float


def astronaut() -> Portrait:
    """Eileen Collins, NASA, from scikit-image."""
    from skimage import data

    return Portrait("astronaut", np.ascontiguousarray(data.astronaut()), (224, 128), 60)


def admiral() -> Portrait:
    """Grace Hopper, US Navy, from matplotlib."""
    from matplotlib import cbook
    from PIL import Image

    file: Any = cbook.get_sample_data("grace_hopper.jpg")
    return Portrait("admiral", np.asarray(Image.open(file).convert("RGB")), (266, 240), 109)


class MovingCamera(FrameSource):
    """`portrait` seen by a camera that pans, zooms and tilts around it while the light changes.

    The face is a bulge before the picture's plane, so it turns a little as the camera moves. The
    same `phase` (radians) gives the same movement; `side` is the frame's width and height in
    pixels.
    """

    def __init__(self, portrait: Portrait, seconds: float = 5.0, side: int = 512,
                 phase: float = 0.0):
        self.portrait = portrait
        self.path = Path(portrait.name)
        self.size = (side, side)
        self.rate = RATE
        self.count = max(1, round(seconds * RATE))
        self._phase = phase
        axis = (np.arange(side, dtype=np.float32) + 0.5) / side - 0.5
        self._x, self._y = np.meshgrid(axis, axis)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        for index in range(start, self.count if stop is None else min(stop, self.count)):
            yield Frame(index, self._image(float(index / RATE)), time=float(index / RATE))

    def _image(self, seconds: float) -> np.ndarray:
        # -1 to 1; the periods in seconds have no common multiple in a clip
        def wave(period: float, shift: float) -> float:
            return math.sin(2 * math.pi * seconds / period + shift + self._phase)

        # where each pixel looks, in eye distances from the middle of the face
        zoom = 1 / EYES_IN_FRAME / (1 + 0.1 * wave(4.1, 0.3))
        tilt = math.radians(9) * wave(3.3, 1.1)
        x = zoom * (math.cos(tilt) * self._x - math.sin(tilt) * self._y) + 0.25 * wave(2.9, 2.0)
        y = zoom * (math.sin(tilt) * self._x + math.cos(tilt) * self._y) + 0.12 * wave(3.7, 0.0)
        bulge = TURN * np.exp(-0.5 * ((x / 0.75) ** 2 + (y / 0.95) ** 2))
        x, y = x + bulge * wave(2.3, 0.7), y + 0.7 * bulge * wave(3.1, 2.6)

        (left, top), eyes = self.portrait.centre, self.portrait.eyes
        image = cv2.remap(self.portrait.image, x * np.float32(eyes) + np.float32(left),
                          y * np.float32(eyes) + np.float32(top),
                          cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)

        side_light = 1 + 0.25 * wave(4.7, 0.9) * self._x + 0.2 * wave(3.9, 2.2) * self._y
        warmth = 0.05 * wave(5.3, 1.7)
        tint = np.array([1 + warmth, 1, 1 - warmth], np.float32) * (1 + 0.1 * wave(2.7, 0.2))
        return np.clip(image * (side_light[..., None].astype(np.float32) * tint), 0,
                       255).astype(np.uint8)
