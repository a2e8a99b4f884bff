"""Things in front of faces: sticks, microphones, spectacles, masks, cups, hair, cloth, anything."""

from __future__ import annotations

import cv2
import numpy as np

from lib.training.covers.hands import Bones, hand_at
from lib.training.covers.layer import (
    Layer,
    Scene,
    any_color,
    bent_line,
    clouds,
    colored_like,
    curve,
    polygon,
    shaded,
    skin_like,
    texture,
)

MOUTH, NOSE_TIP = slice(48, 60), 30


def joined(layers: list[Layer]) -> Layer:
    """Layers one over the other, the last in front."""
    colors, alpha = layers[0]
    for layer in layers[1:]:
        over = layer.alpha[..., None]
        colors = colors * (1 - over) + layer.colors * over
        alpha = 1 - (1 - alpha) * (1 - layer.alpha)
    return Layer(colors, alpha)


def rod(scene: Scene, random: np.random.Generator, start: np.ndarray, end: np.ndarray,
        radius: float, last: float, color: np.ndarray) -> Layer:
    """A round stick."""
    bones = Bones(scene.size)
    bones.add(start, end, radius, last)
    return Layer(shaded(bones.height, colored_like(color, scene.size, random), random,
                        random.choice([0.0, 0.3])), bones.alpha)


def _upwards(random: np.random.Generator, spread: float = 0.8) -> np.ndarray:
    """(2,) of length 1: the direction in which something is held from below, or from a side."""
    turn = random.normal(0, spread)
    return np.array([np.sin(turn), -np.cos(turn)])


def _about(scene: Scene, place: np.ndarray, spread: float, random: np.random.Generator
           ) -> np.ndarray:
    return place + random.normal(0, spread, 2) * scene.unit


def stick(scene: Scene, random: np.random.Generator) -> Layer:
    """A pen, a cigarette, a wire, a rod of any kind, sometimes with fingers that hold it."""
    unit, way = scene.unit, _upwards(random, 1.5)
    tip = _about(scene, scene.landmarks[MOUTH].mean(0), 0.35, random)
    end = tip - way * unit * random.uniform(0.5, 3)
    radius = unit * random.choice([0.012, 0.03, 0.05, 0.09])
    layers = [rod(scene, random, tip, end, radius, radius * random.uniform(0.7, 1.4),
                  any_color(random))]
    if random.random() < 0.4:  # another end
        layers.append(rod(scene, random, tip, tip + (end - tip) * random.uniform(0.05, 0.3), radius,
                          radius, any_color(random)))
    if random.random() < 0.4:
        layers.append(hand_at(scene, random, tip + (end - tip) * random.uniform(0.3, 0.8), "curled",
                              np.arctan2(way[0], -way[1]) + random.normal(0, 0.7)))
    return joined(layers)


def microphone(scene: Scene, random: np.random.Generator) -> Layer:
    """A ball of mesh or foam on a rod, in a fist or on a stand."""
    unit, size, way = scene.unit, scene.size, _upwards(random, 0.7)
    mouth = scene.landmarks[MOUTH].mean(0)
    head = _about(scene, mouth + (0, 0.25 * unit), 0.25, random)
    radius = unit * random.uniform(0.1, 0.3)
    color = any_color(random) if random.random() < 0.4 else np.float32(random.uniform(8, 110)
                                                                      * np.ones(3))
    ball = Bones(size)
    ball.add(head, head - way * radius * random.uniform(0, 1.2), radius, radius * 0.9)
    surface = colored_like(color, size, random)
    if random.random() < 0.7:  # mesh
        y, x = np.mgrid[:size, :size].astype(np.float32)
        pitch = random.uniform(1.5, 4)
        mesh = np.sin((x + y) * 2 / pitch) * np.sin((x - y) * 2 / pitch)
        surface = surface * (1 + random.uniform(0.1, 0.5) * mesh[..., None])
    bright = any_color(random) if random.random() < 0.5 else color
    foot = head - way * unit * 3
    thick = radius * random.uniform(0.35, 0.75)
    layers = [rod(scene, random, head - way * radius, foot, thick, thick * 0.8, bright),
              Layer(shaded(ball.height, surface.clip(0, 255), random, random.choice([0, 0.35])),
                    ball.alpha)]
    if random.random() < 0.3:  # a ring
        ring = head - way * radius
        aside = np.array([way[1], -way[0]]) * radius * 0.95
        layers.append(rod(scene, random, ring - aside, ring + aside, radius * 0.18, radius * 0.18,
                          any_color(random)))
    if random.random() < 0.6:
        layers.append(hand_at(scene, random, head - way * (radius + unit * random.uniform(0.2, 0.8)),
                              str(random.choice(["fist", "curled"])),
                              np.arctan2(way[0], -way[1]) + random.normal(0, 0.8)))
    return joined(layers)


def headset(scene: Scene, random: np.random.Generator) -> Layer:
    """A thin boom along the cheek, with a little foam ball at its end."""
    side = random.choice([0, 16])
    ear, corner = scene.landmarks[side], scene.landmarks[48 if side == 0 else 54]
    end = _about(scene, corner, 0.12, random)
    color, width = any_color(random), scene.unit * random.uniform(0.02, 0.05)
    line = bent_line(ear, _about(scene, (ear + end) / 2 + (0, 0.2 * scene.unit), 0.1, random), end)
    boom = Layer(colored_like(color, scene.size, random), curve(line, width, scene.size))
    radius = scene.unit * random.uniform(0.03, 0.1)
    return joined([boom, rod(scene, random, end, end + radius, radius, radius, any_color(random))])


def spectacles(scene: Scene, random: np.random.Generator) -> Layer:
    """Rims, bridge and arms; lenses that are clear, or dark."""
    size, points, unit = scene.size, scene.landmarks, scene.unit
    width = unit * random.uniform(0.19, 0.28)
    height = width * random.uniform(0.55, 1.05)
    power = random.uniform(2, 5)  # of a circle up to nearly a rectangle
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    shape = np.stack([np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** (2 / power) * width,
                      np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** (2 / power) * height], -1)
    eyes = [points[36:42].mean(0), points[42:48].mean(0)]
    along = (eyes[1] - eyes[0]) / max(float(np.linalg.norm(eyes[1] - eyes[0])), 1e-6)
    turned = shape @ np.array([along, (-along[1], along[0])])
    drop = np.array([-along[1], along[0]]) * unit * random.uniform(-0.02, 0.1)
    lenses = [eye + drop + turned for eye in eyes]
    thick = unit * random.choice([0.01, 0.02, 0.03, 0.045])
    middle = [eye + drop + sign * along * width for eye, sign in zip(eyes, (1, -1))]
    outer = [eye + drop - sign * along * width for eye, sign in zip(eyes, (1, -1))]
    lift = np.array([along[1], -along[0]]) * unit * random.uniform(0, 0.08)
    lines = [bent_line(middle[0], (middle[0] + middle[1]) / 2 + lift, middle[1])]
    lines += [np.stack([place, points[ear] - (0, 0.1 * unit)])
              for place, ear in zip(outer, (0, 16))]
    rims = np.zeros((size, size), np.float32)
    for lens in lenses:
        rims = np.maximum(rims, curve(lens, thick, size, closed=True))
    for line in lines:
        rims = np.maximum(rims, curve(line, thick, size))
    color = any_color(random) if random.random() < 0.6 else np.float32([25, 22, 20])
    layers = []
    if random.random() < 0.4:  # dark or mirrored
        inside = np.maximum(polygon(lenses[0], size), polygon(lenses[1], size))
        tint = any_color(random) * random.uniform(0.1, 0.7)
        light = 1 + random.uniform(0, 0.8) * clouds(size, 3, random)
        layers.append(Layer((tint * light[..., None]).clip(0, 255).astype(np.float32),
                            inside * np.float32(random.uniform(0.75, 1.0))))
    elif random.random() < 0.5:  # what clear lenses reflect hides next to nothing
        inside = np.maximum(polygon(lenses[0], size), polygon(lenses[1], size))
        shine = inside * clouds(size, int(random.integers(2, 7)), random).clip(0)
        layers.append(Layer(np.full((size, size, 3), 255, np.float32),
                            shine * np.float32(random.uniform(0.05, 0.3))))
    shades = 1 + random.uniform(0, 0.6) * clouds(size, 8, random)
    layers.append(Layer((colored_like(color, size, random) * shades[..., None]).clip(0, 255), rims))
    return joined(layers)


def mask(scene: Scene, random: np.random.Generator) -> Layer:
    """A mask of cloth or paper over mouth and nose, or under the nose, with straps."""
    points, size, unit = scene.landmarks, scene.size, scene.unit
    top = points[27] + (points[30] - points[27]) * random.uniform(0.1, 1.15)
    left, right = random.integers(1, 4, 2)
    jaw = points[left:17 - right].copy()
    jaw[2:-2] += (jaw[2:-2] - points[NOSE_TIP]) * random.uniform(0, 0.12)
    cheeks = [points[16 - right] + (top - points[16 - right]) * 0.45 - (0, 0.1 * unit),
              points[left] + (top - points[left]) * 0.45 - (0, 0.1 * unit)]
    outline = np.vstack([jaw, cheeks[0], top, cheeks[1]])
    alpha = polygon(outline, size)
    inside = cv2.distanceTransform((alpha > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    height = np.sqrt(inside.clip(0, 25)) * 3
    nose = np.linspace(0, 1, 20)[:, None] * (points[8] - top) + top
    height += 4 * cv2.GaussianBlur(curve(nose, 0.15 * unit, size), (0, 0), 4)
    for share in np.linspace(0.2, 0.8, random.integers(0, 4)):  # pleats
        line = bent_line(jaw[0], top + (points[8] - top) * share, jaw[-1])
        height -= random.uniform(0.5, 2) * curve(line, 1.5, size)
    height += random.uniform(0, 1.5) * clouds(size, 10, random)
    straps = np.zeros((size, size), np.float32)
    for place, ear, out in ((jaw[0], points[0], -0.12), (jaw[-1], points[16], 0.12)):
        line = np.stack([place, ear + (out * unit, random.uniform(-0.25, 0.1) * unit)])
        straps = np.maximum(straps, curve(line, unit * random.uniform(0.01, 0.04), size))
    cloth = texture(scene, random)
    if random.random() < 0.5:  # medical ones
        cloth = colored_like(np.float32([150, 190, 205]) * np.exp(random.normal(0, 0.2, 3)), size,
                             random)
    return joined([Layer(colored_like(any_color(random), size, random), straps),
                   Layer(shaded(height.astype(np.float32), cloth, random), alpha)])


def cup(scene: Scene, random: np.random.Generator) -> Layer:
    """A cup, bottle, telephone or book before the mouth, or anywhere, often in a hand."""
    unit, size = scene.unit, scene.size
    place = _about(scene, scene.landmarks[MOUTH].mean(0) + (0, 0.25 * unit), 0.4, random)
    width, height = unit * random.uniform(0.2, 0.7), unit * random.uniform(0.3, 1.0)
    taper = random.uniform(0.7, 1.1)
    corners = np.array([(-width, -height), (width, -height), (taper * width, height),
                        (-taper * width, height)])
    turn = random.normal(0, 0.5)
    turned = corners @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    alpha = polygon(place + turned, size)
    across = (np.arange(size)[None] - place[0]) * np.cos(turn) + (
        np.arange(size)[:, None] - place[1]) * np.sin(turn)
    is_round = random.random() < 0.5
    height_map = np.sqrt((width ** 2 - across ** 2).clip(0)) if is_round else np.zeros((size, size))
    body = Layer(shaded(height_map.astype(np.float32), texture(scene, random), random,
                        random.choice([0.0, 0.3])), alpha)
    if random.random() < 0.5:
        grip = place + turned[2 if random.random() < 0.5 else 3] * random.uniform(0.3, 0.9)
        return joined([body, hand_at(scene, random, grip, "curled")])
    return body


def blob(scene: Scene, random: np.random.Generator) -> Layer:
    """Something round or angular of any texture, or several of a kind: fruit, leaves, flowers."""
    size, unit = scene.size, scene.unit
    alpha, height = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
    count = int(random.choice([1, 1, 2, 6]))
    corners = int(random.integers(3, 16))
    place = _about(scene, scene.landmarks[NOSE_TIP], 0.5, random)
    for _ in range(count):
        turn = np.sort(random.uniform(0, 2 * np.pi, corners))
        radius = unit * random.uniform(0.12, 0.6) / np.sqrt(count) * random.uniform(0.6, 1.3,
                                                                                    corners)
        points = np.stack([np.cos(turn), np.sin(turn)], -1) * radius[:, None]
        points = points * np.exp(random.normal(0, 0.3, 2))
        part = polygon(_about(scene, place, 0.3 if count > 1 else 0, random) + points, size)
        alpha = np.maximum(alpha, part)
        height = np.maximum(height, cv2.distanceTransform((part > 0.5).astype(np.uint8),
                                                          cv2.DIST_L2, 3))
    if random.random() < 0.5:  # rounded
        alpha = ((cv2.GaussianBlur(alpha, (0, 0), 2.5) - 0.5) * 4 + 0.5).clip(0, 1)
    if random.random() < 0.5:
        height = np.sqrt(height.clip(0, 20)) * 3
    else:
        height = np.zeros_like(height)
    return Layer(shaded(height, texture(scene, random), random, random.choice([0, 0.2])), alpha)


def edge(scene: Scene, random: np.random.Generator) -> Layer:
    """Something large that reaches in from a side: a scarf, a hat, a shoulder, a wall, a book."""
    size, unit = scene.size, scene.unit
    turn = random.choice([0, np.pi, np.pi / 2, -np.pi / 2]) + random.normal(0, 0.4)
    way = np.array([np.sin(turn), -np.cos(turn)])  # to where it is
    aside = np.array([way[1], -way[0]])
    hull = scene.landmarks @ way
    border = hull.max() - random.uniform(0.05, 0.6) * np.ptp(hull)
    along = np.linspace(-2, 2, 30)
    waves = sum(random.normal(0, 0.1 / number) * np.sin(along * number + random.uniform(0, 6))
                for number in (1, 2, 4, 8)) * random.choice([0.0, 1.0])
    line = [way * (border + unit * wave) + aside * (place * unit + scene.landmarks[30] @ aside)
            for place, wave in zip(along, np.broadcast_to(waves, 30))]
    far = [line[-1] + way * 4 * unit, line[0] + way * 4 * unit]
    alpha = polygon(np.stack(line + far), size)
    inside = cv2.distanceTransform((alpha > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    height = np.sqrt(inside.clip(0, 30)) * random.choice([0, 3]) + random.uniform(0, 2) * clouds(
        size, 8, random)
    return Layer(shaded(height.astype(np.float32), texture(scene, random), random), alpha)


def finger(scene: Scene, random: np.random.Generator) -> Layer:
    """One or a few fingers that come in from a side, without the hand."""
    way = _upwards(random, 2.0)
    aside, layers = np.array([way[1], -way[0]]), []
    tip = _about(scene, scene.landmarks[random.choice([8, 30, 33, 36, 45, 57])], 0.2, random)
    radius, color = scene.unit * random.uniform(0.06, 0.12), skin_like(scene.skin, random)
    for number in range(random.integers(1, 5)):
        shift = aside * radius * 2.05 * number + way * random.normal(0, 1.2) * radius
        start, end = tip + shift, tip + shift - way * scene.unit * 3
        layers.append(rod(scene, random, start, end, radius, radius * 1.25, color))
    return joined(layers)
