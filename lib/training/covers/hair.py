"""Hair over a face: single strands, fringes, and locks along the cheeks."""

from __future__ import annotations

import cv2
import numpy as np

from lib.training.covers.layer import Layer, Scene, any_color, bent_line, curve, fixed

BROWS = slice(17, 27)


def strands(scene: Scene, random: np.random.Generator) -> Layer:
    """A few hairs, or a bundle, that hang over the face from above or from a side."""
    size, unit = scene.size, scene.unit
    side = random.choice([-1, 1])
    root = np.array([size / 2 + side * random.uniform(0, 0.6) * unit, -0.1 * size])
    end = scene.landmarks[30] + (side * random.uniform(0, 0.6) * unit, 0)
    end = end + random.normal(0, 0.3, 2) * unit
    middle = (root + end) / 2 + (side * random.uniform(0, 0.7) * unit, 0)
    count, spread = int(random.integers(3, 40)), unit * random.uniform(0.03, 0.22)
    hairs = []
    for _ in range(count):
        shift = random.normal(0, spread, (3, 2)) * ((1.0,), (1.0,), (random.uniform(0.3, 1.3),))
        hairs.append(bent_line(root + shift[0], middle + shift[1], end + shift[2]))
    return _drawn(scene, hairs, (0.4, 1.8), count > 20, random)


def fringe(scene: Scene, random: np.random.Generator) -> Layer:
    """Hair that is cut, or combed, over the forehead down to the brows or the eyes."""
    unit, brows = scene.unit, scene.landmarks[BROWS]
    up = brows.mean(0) - scene.landmarks[33]
    up = up / max(float(np.linalg.norm(up)), 1e-6)
    along = np.array([-up[1], up[0]])
    middle, half = brows.mean(0), np.ptp(brows @ along) / 2 + 0.15 * unit
    from_, to = np.sort(random.uniform(-1.1, 1.1, 2)) if random.random() < 0.5 else (-1.1, 1.1)
    parting, sweep = random.uniform(-0.6, 0.6), random.normal(0, 0.25)
    parts = random.random() < 0.4  # to both sides of a parting
    length, ragged = random.uniform(0.35, 0.8), random.uniform(0.02, 0.12)
    wave, hairs = random.uniform(0, 2 * np.pi, 2), []
    for place in np.linspace(from_, to, int(random.integers(14, 40))):
        root = middle + along * place * half * 0.9 + up * unit * random.uniform(0.6, 0.8)
        aside = np.sign(place - parting) * random.uniform(0.1, 0.4) if parts else sweep
        down = length + ragged * (np.sin(7 * place + wave[0]) + random.normal())
        down += (0.25 * min(abs(place - parting), 0.7) if parts else 0.0)
        end = root - up * unit * down + along * unit * (aside + random.normal(0, 0.03))
        bend = (root + end) / 2 + along * unit * 0.1 * np.sin(wave[1])
        hairs.append(bent_line(root, bend, end, 10))
    thick = unit * random.uniform(0.02, 0.07)
    layer = _drawn(scene, hairs, (thick, 2 * thick), True, random)
    return _with_own_hair(scene, layer, -up * unit * random.uniform(0.35, 0.75), random)


def locks(scene: Scene, random: np.random.Generator) -> Layer:
    """Long hair over temples and cheeks, on one side or both."""
    unit, points, hairs = scene.unit, scene.landmarks, []
    nose = points[30]
    for sign in (-1, 1) if random.random() < 0.4 else (random.choice([-1, 1]),):
        outer = points[[0, 3, 6]] if sign < 0 else points[[16, 13, 10]]
        inwards = random.uniform(0.0, 0.35)
        top = points[17 if sign < 0 else 26] + (points[27] - points[33]) * random.uniform(0.5, 1.2)
        for _ in range(int(random.integers(8, 26))):
            share = inwards * random.uniform(-0.8, 1.0)
            places = outer + (nose - outer) * share
            bend = 2 * places[1] - (top + places[2]) / 2
            end = places[2] + (0, unit * random.uniform(-0.3, 0.8))
            hairs.append(bent_line(top + random.normal(0, 0.12, 2) * unit, bend, end))
    thick = unit * random.uniform(0.015, 0.06)
    layer = _drawn(scene, hairs, (thick, 2 * thick), random.random() < 0.7, random)
    inwards = np.array([-sign, 0]) * unit * random.uniform(0.55, 0.95)
    return _with_own_hair(scene, layer, inwards, random)


def _with_own_hair(scene: Scene, layer: Layer, shift: np.ndarray, random: np.random.Generator
                   ) -> Layer:
    """The layer, half of the time made of what the picture shows by `shift` (2,) pixels further
    out: most often that is the person's own hair.
    """
    if random.random() < 0.4:
        return layer
    size = scene.size
    matrix = np.float32([[1, 0, shift[0]], [0, 1, shift[1]]])
    own = cv2.warpAffine(scene.image, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE)
    gain = random.uniform(0.8, 1.2)
    shine = layer.colors.mean(-1, keepdims=True)
    shine = 1 + random.uniform(0, 0.5) * (shine / max(float(shine.mean()), 1.0) - 1)
    return Layer((own * gain * shine).clip(0, 255).astype(np.float32), layer.alpha)


def _color(scene: Scene, random: np.random.Generator) -> np.ndarray:
    """(3,) float32: what lies above the forehead, or any hair's."""
    if random.random() < 0.5:
        brows, nose = scene.landmarks[BROWS].mean(0), scene.landmarks[33]
        x, y = np.rint(brows + (brows - nose) * random.uniform(1.0, 1.5)).astype(int).clip(
            1, scene.size - 2)
        return scene.image[y - 1:y + 2, x - 1:x + 2].reshape(-1, 3).mean(0).astype(np.float32)
    return any_color(random) * random.uniform(0.15, 0.8) * np.float32([1.1, 0.95, 0.8])


def _drawn(scene: Scene, hairs: list[np.ndarray], widths: tuple[float, float], is_lock: bool,
           random: np.random.Generator) -> Layer:
    """`hairs`, each (K, 2) pixels, as lines of such widths, thinner towards their ends; of a lock
    the gaps between them are filled.
    """
    size = scene.size
    alpha, light = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
    for hair in hairs:
        width = random.uniform(*widths)
        strand = curve(hair, width, size)
        if width > 1.5:  # its end runs out to a point
            canvas = np.zeros((size, size), np.uint8)
            direction = hair[-1] - hair[-2]
            aside = np.array([-direction[1], direction[0]])
            aside = aside / max(float(np.linalg.norm(aside)), 1e-6) * width / 2
            tip = hair[-1] + direction * random.uniform(0.5, 2)
            cv2.fillConvexPoly(canvas, fixed(np.stack([hair[-1] - aside, tip, hair[-1] + aside])),
                               255, cv2.LINE_AA, 4)
            strand = np.maximum(strand, canvas / np.float32(255))
        np.maximum(light, strand * random.random(), out=light)
        np.maximum(alpha, strand, out=alpha)
    if is_lock:
        alpha = np.maximum(alpha, cv2.morphologyEx(alpha, cv2.MORPH_CLOSE, np.ones((3, 3))))
    # Streaks along the hairs
    way = hairs[0][-1] - hairs[0][0]
    streaks = random.uniform(-1, 1, (5, size // 2)).astype(np.float32)
    streaks = cv2.resize(streaks, (2 * size, 2 * size), interpolation=cv2.INTER_LINEAR)
    turn = np.degrees(np.arctan2(way[0], way[1]))
    matrix = cv2.getRotationMatrix2D((size, size), turn, 1.0)
    matrix[:, 2] -= size / 2
    streaks = cv2.warpAffine(streaks, matrix, (size, size))
    shine = 0.75 + random.uniform(0.2, 0.8) * light + random.uniform(0.05, 0.35) * streaks
    colors = _color(scene, random) * shine.clip(0.1)[..., None]
    return Layer(colors.clip(0, 255).astype(np.float32), alpha)
