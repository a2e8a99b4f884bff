"""Sets covers over faces: light, shadow, blur and noise of a picture that was taken as a whole."""

from __future__ import annotations

import cv2
import numpy as np

from lib.training.covers import hair, hands, things
from lib.training.covers.layer import Layer, Scene, clouds

# What covers faces, and how often
MAKERS = ((hands.hand, 5), (hands.two_hands, 1), (things.finger, 2), (things.microphone, 4),
          (things.stick, 1.5), (things.headset, 0.5), (things.spectacles, 3), (things.mask, 2),
          (things.cup, 1.5), (hair.strands, 0.7), (hair.fringe, 2), (hair.locks, 1.5),
          (things.blob, 2), (things.edge, 1.5))
SHARES = np.array([share for _, share in MAKERS]) / sum(share for _, share in MAKERS)
LEAST = 0.01  # of the face's area, that a cover has to hide to be worth its time
TRIES = 3
DIM = 0.12  # share of the pictures that were taken in the dark


def cover(scene: Scene, face: np.ndarray, cutouts: object | None,
          random: np.random.Generator) -> Layer:
    """Any cover, which hides some of `face` (S, S), 1 = face. `cutouts(scene, random)` gives those
    of the user, which are half of all then.
    """
    for _ in range(TRIES):
        if cutouts is not None and random.random() < 0.5:
            layer = cutouts(scene, random)
        else:
            layer = MAKERS[random.choice(len(MAKERS), p=SHARES)][0](scene, random)
        if (layer.alpha * face).sum() >= LEAST * face.sum():
            break
    return layer


def set_over(image: np.ndarray, layer: Layer, random: np.random.Generator
             ) -> tuple[np.ndarray, np.ndarray]:
    """`image` (S, S, 3) float32 with the cover in its light, its shadow and its blur; and how much
    of each pixel is covered, (S, S) float32 in [0, 1].
    """
    size = len(image)
    colors, alpha = layer.colors, layer.alpha
    if random.random() < 0.5:  # the face's own light
        light = cv2.GaussianBlur(image.mean(-1), (0, 0), size / 8)
        colors = colors * (light / max(float(light.mean()), 1.0))[..., None]
    colors = colors * np.float32(np.exp(random.normal(0, 0.12)))

    # Out of focus, and moving
    if random.random() < 0.6:
        sigma = random.uniform(0.3, 1.0) if random.random() < 0.75 else random.uniform(1.0, 2.5)
        colors, alpha = _blurred(colors, alpha, lambda part: cv2.GaussianBlur(part, (0, 0), sigma))
    if random.random() < 0.25:
        kernel = _streak(random.uniform(2, 9), random.uniform(0, np.pi))
        colors, alpha = _blurred(colors, alpha, lambda part: cv2.filter2D(part, -1, kernel))

    # Its shadow on the face
    if random.random() < 0.6:
        image = _shadowed(image, layer.alpha, random)
    over = alpha[..., None]
    return image * (1 - over) + colors.clip(0, 255) * over, alpha


def lit(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """`image` (S, S, 3) float32 with a shadow or a light upon it, which is no cover."""
    size = len(image)
    if random.random() < 0.5:
        share = clouds(size, int(random.integers(1, 6)), random)
        share = (0.5 + share * random.uniform(0.5, 6)).clip(0, 1)
        share = cv2.GaussianBlur(share, (0, 0), random.uniform(0.5, 8))
    else:  # of something with a straight edge
        turn, place = random.uniform(0, 2 * np.pi), random.uniform(-0.3, 0.3)
        y, x = (np.mgrid[:size, :size] / size - 0.5).astype(np.float32)
        share = (0.5 + (np.cos(turn) * x + np.sin(turn) * y - place) * random.uniform(2, 40)
                 ).clip(0, 1)
    tint = np.float32(random.uniform(0.35, 1.5) * np.exp(random.normal(0, 0.05, 3)))
    return (image * (1 + share[..., None] * (tint - 1))).clip(0, 255)


def only_shadow(image: np.ndarray, layer: Layer, random: np.random.Generator) -> np.ndarray:
    """`image` (S, S, 3) float32 with the shadow of a cover that is not seen itself."""
    return _shadowed(image, layer.alpha, random, 0.75)


def photographed(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """`image` (S, S, 3) float32 as another camera takes it: uint8 of other colours, blurred,
    enlarged, noisy or compressed.
    """
    size = len(image)
    gain = np.exp(random.normal(0, 0.2) + random.normal(0, 0.06, 3))
    if random.random() < DIM:
        gain = gain * random.uniform(0.1, 0.5)
    image = (image * gain + random.normal(0, 8)).clip(0, 255)
    if random.random() < 0.5:
        image = 255 * (image / 255) ** np.exp(random.normal(0, 0.25))
    if random.random() < 0.12:
        image = np.repeat(image.mean(-1, keepdims=True), 3, -1)
    if random.random() < 0.35:
        smaller = int(size * random.uniform(0.25, 0.9))
        image = cv2.resize(cv2.resize(image, (smaller, smaller), interpolation=cv2.INTER_AREA),
                           (size, size), interpolation=cv2.INTER_CUBIC)
    if random.random() < 0.15:
        image = cv2.filter2D(image, -1, _streak(random.uniform(2, 7), random.uniform(0, np.pi)))
    if random.random() < 0.4:
        image = image + random.normal(0, random.uniform(1, 8), image.shape).astype(np.float32)
    image = np.rint(image).clip(0, 255).astype(np.uint8)
    if random.random() < 0.4:
        quality = int(random.integers(25, 95))
        image = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1],
                             cv2.IMREAD_COLOR)
    return image


def _blurred(colors: np.ndarray, alpha: np.ndarray, blur) -> tuple[np.ndarray, np.ndarray]:
    """Colours and alpha through `blur`, as one thing before the face."""
    softer = blur(alpha)
    return blur(colors * alpha[..., None]) / np.maximum(softer, 1e-3)[..., None], softer.clip(0, 1)


def _streak(length: float, angle: float) -> np.ndarray:
    """A kernel that smears by `length` pixels."""
    side = 2 * int(np.ceil(length / 2)) + 1
    kernel, middle = np.zeros((side, side), np.float32), side // 2
    half = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    start, end = ((np.array([middle, middle]) + sign * half) * 16 for sign in (-1, 1))
    cv2.line(kernel, tuple(np.rint(start).astype(int).tolist()),
             tuple(np.rint(end).astype(int).tolist()), 1.0, 1, cv2.LINE_AA, 4)
    return kernel / max(float(kernel.sum()), 1e-6) if kernel.sum() > 0 else np.ones((1, 1), np.float32)


def _shadowed(image: np.ndarray, alpha: np.ndarray, random: np.random.Generator,
              darkest: float = 0.6) -> np.ndarray:
    size = len(image)
    shift = random.normal(0, 0.035, 2) * size
    moved = cv2.warpAffine(alpha, np.float32([[1, 0, shift[0]], [0, 1, shift[1]]]), (size, size))
    soft = cv2.GaussianBlur(moved, (0, 0), random.uniform(0.8, 0.05 * size))
    dark = np.float32(random.uniform(0.05, darkest) * np.array([0.92, 1, 1.04]))
    return image * (1 - soft[..., None] * dark)
