"""A picture of something that covers a face, and what its makers share: shading, textures, curves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

SHIFT = 4  # OpenCV draws at 1/16 of a pixel


class Layer(NamedTuple):
    """A cover, as large as the crop that it is set over."""

    colors: np.ndarray  # (S, S, 3) float32 RGB, 0 to 255
    alpha: np.ndarray  # (S, S) float32, 1 = nothing of the face is seen


@dataclass(frozen=True)
class Scene:
    """A face that is to be covered."""

    image: np.ndarray  # (S, S, 3) uint8 RGB
    landmarks: np.ndarray  # (68, 2) in its pixels
    unit: float  # side of the mean face's unit square, pixels: about 12 cm
    skin: np.ndarray  # (3,) float32, the mean colour of cheeks and nose
    stranger: np.ndarray  # (S, S, 3) uint8 RGB: another picture, a texture

    @property
    def size(self) -> int:
        """Pixels a side."""
        return len(self.image)


def blank(size: int) -> np.ndarray:
    """(size, size) uint8 that OpenCV draws on."""
    return np.zeros((size, size), np.uint8)


def fixed(points: np.ndarray) -> np.ndarray:
    """(K, 2) pixels as OpenCV takes them with SHIFT."""
    return np.rint(np.asarray(points) * (1 << SHIFT)).astype(np.int32)


def polygon(points: np.ndarray, size: int) -> np.ndarray:
    """(size, size) float32 in [0, 1]: the inside of (K, 2) pixels."""
    mask = blank(size)
    cv2.fillPoly(mask, [fixed(points)], 255, cv2.LINE_AA, SHIFT)
    return mask / np.float32(255)


def curve(points: np.ndarray, width: float, size: int, closed: bool = False) -> np.ndarray:
    """(size, size) float32 in [0, 1]: a line through (K, 2) pixels, `width` pixels wide. One
    thinner than a pixel is as much fainter.
    """
    mask = blank(size)
    cv2.polylines(mask, [fixed(points)], closed, 255, max(1, round(width)), cv2.LINE_AA, SHIFT)
    return mask * np.float32(min(1.0, width) / 255)


def bent_line(start: np.ndarray, middle: np.ndarray, end: np.ndarray, count: int = 16
              ) -> np.ndarray:
    """(count, 2): a quadratic Bezier curve."""
    t = np.linspace(0, 1, count)[:, None]
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t ** 2 * end


def clouds(size: int, detail: int, random: np.random.Generator) -> np.ndarray:
    """(size, size) float32 noise of about -1 to 1, `detail` spots across."""
    coarse = random.uniform(-1, 1, (detail + 2, detail + 2)).astype(np.float32)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)


def any_color(random: np.random.Generator) -> np.ndarray:
    """(3,) float32: dark, grey and pale ones rather than gaudy ones."""
    level = random.uniform(5, 250)
    return (level + random.normal(0, random.choice([4, 20, 70]), 3)).clip(0, 255).astype(np.float32)


def skin_like(skin: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(3,) float32: the colour of a hand of the face's owner in the same light, or of someone else.
    """
    gain = np.exp(random.normal(0, 0.16)) * np.exp(random.normal(0, 0.05, 3))
    if random.random() < 0.25:  # someone else, from dark to pale
        tones = np.float32([[92, 62, 48], [141, 98, 76], [184, 138, 112], [222, 180, 156]])
        tone = tones[random.integers(len(tones))]
        skin = tone * skin.mean() / max(float(skin.mean()), 1.0) * random.uniform(0.6, 1.15)
    return (skin * gain).clip(0, 255).astype(np.float32)


def shaded(height: np.ndarray, color: np.ndarray, random: np.random.Generator,
           gloss: float = 0.0) -> np.ndarray:
    """(S, S, 3) float32: a surface of `color`, (3,) or (S, S, 3), of a `height` (S, S) in pixels
    towards the camera, in the light of a lamp anywhere in front of it.
    """
    height = cv2.GaussianBlur(height, (0, 0), 0.8)
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=0.125).clip(-3, 3)
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=0.125).clip(-3, 3)
    length = np.sqrt(slope_x ** 2 + slope_y ** 2 + 1)
    turn, tilt = random.uniform(0, 2 * np.pi), random.uniform(0.1, 1.1)
    light = np.array([np.cos(turn) * np.sin(tilt), np.sin(turn) * np.sin(tilt), np.cos(tilt)])
    facing = (light[2] - light[0] * slope_x - light[1] * slope_y) / length
    ambient = random.uniform(0.35, 0.8)
    bright = ambient + (1 - ambient) * facing.clip(0) / max(light[2], 0.4)
    colors = np.asarray(color, np.float32) * bright[..., None].astype(np.float32)
    if gloss:
        colors += (gloss * 255 * facing.clip(0) ** 20)[..., None]
    return colors.clip(0, 255)


def texture(scene: Scene, random: np.random.Generator) -> np.ndarray:
    """(S, S, 3) float32: cloth, print, a plain colour, skin, or a piece of another picture."""
    size, kind = scene.size, random.random()
    if kind < 0.3:  # another picture, or this one, from anywhere
        picture = scene.stranger if random.random() < 0.7 else scene.image
        scale, turn = random.uniform(0.7, 3.0), random.uniform(0, 360)
        matrix = cv2.getRotationMatrix2D((size / 2, size / 2), turn, scale)
        matrix[:, 2] += random.uniform(-0.4, 0.4, 2) * size * scale
        return cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR,
                              borderMode=cv2.BORDER_REFLECT).astype(np.float32)
    first = skin_like(scene.skin, random) if kind < 0.4 else any_color(random)
    second = any_color(random)
    if kind < 0.6:
        share = random.uniform(0, 0.15) * clouds(size, 4, random)  # plain
    elif kind < 0.8:
        share = 0.5 + 0.5 * clouds(size, int(random.integers(3, 20)), random)  # spots
    else:  # stripes or checks
        angle, length = random.uniform(0, np.pi), random.uniform(3, 16)
        y, x = np.mgrid[:size, :size].astype(np.float32)
        along = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / length)
        if random.random() < 0.5:
            along *= np.sin((y * np.cos(angle) - x * np.sin(angle)) * 2 * np.pi / length)
        share = (0.5 + random.uniform(1, 4) * along).clip(0, 1)
    mixed = first + share[..., None].astype(np.float32) * (second - first)
    light = 1 + random.uniform(0, 0.35) * clouds(size, 2, random)
    return (mixed * light[..., None]).clip(0, 255).astype(np.float32)


def colored_like(color: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """(S, S, 3) float32 of about one colour."""
    spots = 1 + 0.07 * clouds(size, 3, random) + 0.04 * clouds(size, 14, random)
    return np.asarray(color, np.float32) * spots[..., None].astype(np.float32)
