"""Hands: rounded bones with joints and nails, in postures and from directions of every kind."""

from __future__ import annotations

import cv2
import numpy as np

from lib.training.covers.layer import (
    Layer,
    Scene,
    any_color,
    clouds,
    colored_like,
    shaded,
    skin_like,
    texture,
)

# Of a hand of length 1.5 whose wrist is at (0, 0) and whose middle finger points to (0, -1.5), in
# sides of the mean face's unit square: where fingers begin, how long and how thick they are
BASES = np.array([(-0.25, -0.74), (-0.09, -0.82), (0.08, -0.80), (0.23, -0.70)])
LENGTHS = np.array([0.60, 0.68, 0.63, 0.50])
RADII = np.array([0.082, 0.085, 0.080, 0.070])
JOINTS = (0.45, 0.30, 0.25)  # of a finger's length
THUMB_BASE, THUMB = np.array([-0.22, -0.22]), (0.32, 0.27)
POSTURES = ("open", "flat", "fist", "pointing", "curled")


class Bones:
    """Rounded rods (capsules) that overlap: a height above the face, and an outline."""

    def __init__(self, size: int):
        grid = np.arange(size, dtype=np.float32)
        self._x, self._y = grid[None], grid[:, None]
        self.height = np.zeros((size, size), np.float32)
        self.inside = np.full((size, size), -9.0, np.float32)  # pixels from the edge, inwards

    def add(self, start: np.ndarray, end: np.ndarray, radius: float, last: float,
            lift: float = 0.0) -> None:
        """A rod between two points, `radius` pixels thick at the first and `last` at the other,
        `lift` pixels nearer to the camera.
        """
        dx, dy = end - start
        across, down = self._x - np.float32(start[0]), self._y - np.float32(start[1])
        along = (across * dx + down * dy) / max(float(dx * dx + dy * dy), 1e-6)
        along = along.clip(0, 1).astype(np.float32)
        distance = np.sqrt((across - along * dx) ** 2 + (down - along * dy) ** 2)
        thick = radius + (last - radius) * along
        round_ = np.sqrt((thick ** 2 - distance ** 2).clip(0)) + np.where(distance < thick, lift, 0)
        np.maximum(self.height, round_.astype(np.float32), out=self.height)
        np.maximum(self.inside, (thick - distance).astype(np.float32), out=self.inside)

    @property
    def alpha(self) -> np.ndarray:
        """(S, S) float32 in [0, 1]."""
        return (self.inside + 0.5).clip(0, 1)


def hand(scene: Scene, random: np.random.Generator) -> Layer:
    """A hand with its forearm over a part of the face."""
    return hand_at(scene, random, _aim(scene, random), str(random.choice(POSTURES)))


def two_hands(scene: Scene, random: np.random.Generator) -> Layer:
    """One over the other, of one person."""
    first, second = hand(scene, random), hand(scene, random)
    over = second.alpha[..., None]
    return Layer(first.colors * (1 - over) + second.colors * over,
                 np.maximum(first.alpha, second.alpha))


def hand_at(scene: Scene, random: np.random.Generator, aim: np.ndarray, posture: str,
            direction: float | None = None) -> Layer:
    """A hand of which a fingertip, the palm or the wrist is at `aim` (2,) in pixels; `direction`
    in radians, 0 = fingers upwards.
    """
    size, scale = scene.size, scene.unit * random.uniform(0.75, 1.3)
    turn = direction
    if turn is None:
        turn = random.normal(0, 0.9) if random.random() < 0.75 else random.uniform(-np.pi, np.pi)
    cosine, sine = np.cos(turn), np.sin(turn)
    sides = np.array([random.choice([-1, 1]) * random.uniform(0.55, 1.0), 1.0])  # seen aslant
    fingers = _fingers(posture, random)
    holds = random.random()
    tip = fingers[random.integers(len(fingers))][-1][1]
    anchor = tip * 0.9 if holds < 0.5 else np.array([0, -0.5]) if holds < 0.85 else np.zeros(2)
    matrix = scale * np.array([[cosine, -sine], [sine, cosine]]) @ np.diag(sides)

    def placed(point: np.ndarray) -> np.ndarray:
        return matrix @ (point - anchor) + aim

    # The bones
    bones, marks = Bones(size), []
    width = abs(sides[0])
    for base in BASES:
        bones.add(placed(np.array([base[0] * 0.55, 0])), placed(base), 0.15 * scale * width,
                  0.115 * scale * width, 0.04 * scale)
    bones.add(placed(np.array([-0.06, -0.1])), placed(THUMB_BASE + (-0.04, -0.2)),
              0.16 * scale, 0.11 * scale, 0.03 * scale)
    for finger in fingers:
        for start, end, radius, last, lift in finger:
            bones.add(placed(start), placed(end), radius * scale, last * scale, lift * scale)
            marks.append((placed(start), radius * scale))
        marks.append((placed(finger[-1][1]), -finger[-1][3] * scale))
    elbow = placed(np.array([random.normal(0, 0.5), 2.5]))
    wrist = placed(np.array([0.0, 0.12]))
    bones.add(wrist, elbow, 0.21 * scale, 0.33 * scale)

    # Skin, and a sleeve
    color = skin_like(scene.skin, random) if random.random() < 0.93 else any_color(random)  # glove
    colors = shaded(bones.height, colored_like(color, size, random), random,
                    random.choice([0.0, 0.0, 0.15]))
    colors = _with_marks(colors, marks, random)
    if random.random() < 0.5:
        sleeve = Bones(size)
        begin = wrist + (elbow - wrist) * random.uniform(0.03, 0.4)
        sleeve.add(begin, elbow, 0.27 * scale, 0.45 * scale)
        over = sleeve.alpha[..., None]
        cloth = shaded(sleeve.height + 0.6 * clouds(size, 9, random), texture(scene, random),
                       random)
        return Layer(colors * (1 - over) + cloth * over, np.maximum(bones.alpha, sleeve.alpha))
    return Layer(colors, bones.alpha)


def _aim(scene: Scene, random: np.random.Generator) -> np.ndarray:
    """(2,) pixels: a place on the face, rather low than high."""
    points = scene.landmarks
    if random.random() < 0.3:
        return points[random.integers(0, 17)]  # along the jaw
    middle = points[33] if random.random() < 0.7 else points[27]
    return middle + random.normal(0, 0.35, 2) * scene.unit


def _fingers(posture: str, random: np.random.Generator) -> list[list[tuple]]:
    """For each finger, thumb last, its rods: start, end, radii, lift."""
    spread = random.uniform(0, 0.02) if posture == "flat" else random.uniform(0.03, 0.22)
    fingers = []
    pointing = random.choice(4, random.integers(1, 3), replace=False)
    lean = random.normal(0, 0.12)
    for number in range(4):
        folds = {"open": random.uniform(0, 0.2), "flat": 0.05, "fist": 1.0,
                 "pointing": 0.1 if number in pointing else 1.0,
                 "curled": random.uniform(0.2, 0.9)}[posture]
        angle = (number - 1.5) * spread + lean + random.normal(0, 0.03)
        fingers.append(_finger(BASES[number], angle, LENGTHS[number], RADII[number], folds, random))
    turn = random.uniform(-1.2, -0.2) if posture in ("open", "curled") else random.uniform(-0.4, 0.5)
    point, rods, radius = THUMB_BASE + (-0.08, -0.12), [], 0.1
    for length in THUMB:
        end = point + length * np.array([np.sin(turn), -np.cos(turn)])
        rods.append((point, end, radius, radius * 0.88, 0.1))
        point, radius, turn = end, radius * 0.88, turn + random.uniform(0, 0.5)
    fingers.append(rods)
    return fingers


def _finger(base: np.ndarray, angle: float, length: float, radius: float, folds: float,
            random: np.random.Generator) -> list[tuple]:
    """Rods of a finger; `folds` is how far it is bent towards the palm, from 0 to 1."""
    point, rods, lift = base, [], 0.05
    for number, share in enumerate(JOINTS):
        seen = 1 - folds * (0.55, 0.95, 1.35)[number]  # a bent finger points at the camera, and back
        end = point + seen * share * length * np.array([np.sin(angle), -np.cos(angle)])
        lift += 0.09 * folds
        rods.append((point, end, radius, radius * 0.92, lift))
        point, radius, angle = end, radius * 0.92, angle + random.normal(0, 0.05)
    return rods


def _with_marks(colors: np.ndarray, marks: list[tuple], random: np.random.Generator) -> np.ndarray:
    """The skin with creases at joints, redder knuckles and, on the back of a hand, nails."""
    size = len(colors)
    crease, red = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
    nails = np.zeros((size, size), np.float32)
    for place, radius in marks:
        if not (-8 < place[0] < size + 8 and -8 < place[1] < size + 8):
            continue
        centre = tuple(np.rint(place).astype(int).tolist())
        if radius < 0:
            cv2.circle(nails, centre, max(1, round(-0.5 * radius)), 1.0, -1, cv2.LINE_AA)
        else:
            cv2.circle(red, centre, max(1, round(radius)), 1.0, -1, cv2.LINE_AA)
            cv2.circle(crease, centre, max(1, round(0.5 * radius)), 1.0, 1, cv2.LINE_AA)
    red = cv2.GaussianBlur(red, (0, 0), 2.5) * random.uniform(0, 0.12)
    colors = colors * (1 - crease[..., None] * random.uniform(0, 0.2))
    colors = colors * (1 + red[..., None] * np.float32([0.6, -0.8, -0.6]))
    if random.random() < 0.5:
        nail = np.float32([1.08, 1.02, 1.04]) if random.random() < 0.8 else any_color(random) / 128
        colors = colors * (1 + nails[..., None] * (nail - 1))
    return colors.clip(0, 255)
