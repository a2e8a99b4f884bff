"""Augmentation of all that a discriminator sees, the stronger, the more it learns the training
pictures by heart.

"Training Generative Adversarial Networks with Limited Data", NeurIPS, 2020: its flips, quarter
turns, shifts, scales, turns and colours ("bgc"), here with linear interpolation. What is augmented
seldom enough does not leak into what is made. Pictures are (N, S, S, 3) in [-1, 1].
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

# What is drawn for a picture: whether each change is made, and what it is: even numbers in [0, 1],
# then normal ones
SWITCHES = ("flip", "quarter", "shift", "scale", "turn", "stretch", "turn again", "slide",
            "brightness", "contrast", "negative", "hue", "saturation")
UNIFORM = ("mirrored", "quarters", "right", "down", "angle", "other angle", "inverted", "tint")
NORMAL = ("larger", "longer", "x", "y", "brighter", "harder", "richer")
SHIFT, SLIDE = 0.125, 0.125  # of the side: most of a shift by whole pixels; deviation of a slide
# deviations; of scale, contrast and saturation those of the binary logarithm
SCALE, BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.2, 0.5, 1.0
# makes colours gray, that is, projects them onto the axis about which hues turn; and
GRAY = np.full((3, 3), 1 / 3, np.float32)
# the cross product with that axis
CROSS = np.float32([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) * np.float32(math.sqrt(1 / 3))
EVERY = 4  # batches over which signs are averaged before the strength moves, as published


def chance(count: int, random: np.random.Generator) -> np.ndarray:
    """(count, K) float32: what `augmented` draws for so many pictures."""
    even = random.random((count, len(SWITCHES) + len(UNIFORM)), np.float32)
    return np.concatenate([even, random.standard_normal((count, len(NORMAL)), np.float32)], 1)


def augmented(pictures: Any, draws: Any, strength: Any) -> Any:
    """The same pictures, each changed in every way with a probability of `strength`, in [0, 1].
    Differentiable.
    """
    drawn = dict(zip((*SWITCHES, *UNIFORM, *NORMAL),
                     ops.unstack(draws, len(SWITCHES) + len(UNIFORM) + len(NORMAL), 1)))
    # two of them, one of which is made with the probability `strength`
    turns = 1 - ops.sqrt(1 - strength)
    switched = {name: drawn[name] < (turns if name.startswith("turn") else strength)
                for name in SWITCHES}
    return _colored(_moved(pictures, drawn, switched), drawn, switched)


def adapt(strength: keras.Variable, sign: keras.Variable, now: Any, target: float, batch: int,
          images: int) -> None:
    """Moves the strength by a batch, in which the mean sign of D(real) was `now`: from 0 to 1 in so
    many `images` at most.

    `sign` is the running mean by which it is decided.
    """
    sign.assign(sign + (now - sign) / EVERY)
    strength.assign(ops.clip(strength + ops.sign(sign - target) * (batch / images), 0.0, 1.0))


def _moved(pictures, drawn, switched):
    """Turned, scaled and shifted about the middle; beyond the border there is its mirror image."""
    side = pictures.shape[1]
    whole = [ops.round((2 * drawn[name] - 1) * SHIFT * side) / side for name in ("right", "down")]
    flipped = ops.where(ops.logical_and(switched["flip"], drawn["mirrored"] < 0.5), -1.0, 1.0)
    quarter = ops.where(switched["quarter"], ops.floor(4 * drawn["quarters"]), 0.0) * (math.pi / 2)
    scale = 2 ** ops.where(switched["scale"], SCALE * drawn["larger"], 0.0)
    stretch = 2 ** ops.where(switched["stretch"], SCALE * drawn["longer"], 0.0)
    angles = [ops.where(switched[name], (2 * drawn[angle] - 1) * math.pi, 0.0)
              for name, angle in (("turn", "angle"), ("turn again", "other angle"))]
    shifts = [ops.where(switched["shift"], by, 0.0) for by in whole]
    slides = [ops.where(switched["slide"], SLIDE * drawn[name], 0.0) for name in "xy"]
    # (N, 2, 2) from places in the new picture to those in the old
    matrix = _product(_turned(quarter), _scaled(flipped, ops.ones_like(flipped)),
                      _turned(angles[0]), _scaled(1 / (scale * stretch), stretch / scale),
                      _turned(angles[1]))
    grid = (ops.arange(side, dtype="float32") + 0.5) / side - 0.5
    x, y = grid[None, None, :] - slides[0][:, None, None], grid[None, :, None] - slides[1][:, None,
                                                                                           None]
    # A shift comes before the others, and so last on the way back; flips and quarter turns before
    # it would only change its sign and axis
    places = [(matrix[:, row, 0, None, None] * x + matrix[:, row, 1, None, None] * y
               - shifts[row][:, None, None] + 0.5) * side - 0.5 for row in (0, 1)]
    changed = ops.logical_or(*(ops.logical_or(*pair)
                               for pair in ((ops.logical_or(switched["flip"], switched["quarter"]),
                                             ops.logical_or(switched["shift"], switched["slide"])),
                                            (ops.logical_or(switched["scale"], switched["stretch"]),
                                             ops.logical_or(switched["turn"],
                                                            switched["turn again"])))))
    return ops.where(changed[:, None, None, None], _sampled(pictures, *places), pictures)


def _sampled(pictures, x, y):
    """What lies at places (N, S, S) in pixels, linear between them."""
    count, side, _, channels = pictures.shape
    flat = ops.reshape(pictures, (count * side * side, channels))
    last = side - 1
    x, y = (last - ops.abs(ops.mod(place, 2 * last) - last) for place in (x, y))
    left, top = ops.clip(ops.floor(x), 0, last - 1), ops.clip(ops.floor(y), 0, last - 1)
    across, down = (x - left)[..., None], (y - top)[..., None]
    start = ops.cast(top, "int32") * side + ops.cast(left,
                                                     "int32") + (ops.arange(count, dtype="int32")
                                                                 * (side * side))[:, None, None]
    upper, lower = ((1 - across) * ops.take(flat, start + row, 0) + across
                    * ops.take(flat, start + row + 1, 0) for row in (0, side))
    return (1 - down) * upper + down * lower


def _colored(pictures, drawn, switched):
    eye, gray, cross = map(ops.convert_to_tensor, (np.eye(3, dtype=np.float32), GRAY, CROSS))
    contrast = 2 ** ops.where(switched["contrast"], CONTRAST * drawn["harder"], 0.0)
    brightness = ops.where(switched["brightness"], BRIGHTNESS * drawn["brighter"], 0.0)
    negative = ops.where(ops.logical_and(switched["negative"], drawn["inverted"] < 0.5), 2.0, 0.0)
    angle = ops.where(switched["hue"], (2 * drawn["tint"] - 1) * math.pi, 0.0)
    saturation = 2 ** ops.where(switched["saturation"], SATURATION * drawn["richer"], 0.0)
    contrast, brightness, negative, angle, saturation = (
        number[:, None, None] for number in (contrast, brightness, negative, angle, saturation))
    hue = ops.cos(angle) * eye + ops.sin(angle) * cross + (1 - ops.cos(angle)) * gray
    matrix = ops.matmul(eye + (saturation - 1) * (eye - gray),
                        ops.matmul(hue, contrast * (eye - negative * gray)))
    # brightness first, and contrast after it
    shift = ops.matmul(matrix, brightness * ops.ones((3, 1)))
    flat = ops.reshape(pictures, (pictures.shape[0], -1, 3))
    changed = ops.matmul(flat, ops.transpose(matrix, (0, 2, 1))) + ops.transpose(shift, (0, 2, 1))
    return ops.reshape(changed, pictures.shape)


def _turned(angle):
    cosine, sine = ops.cos(angle), ops.sin(angle)
    return ops.stack([ops.stack([cosine, -sine], -1), ops.stack([sine, cosine], -1)], -2)


def _scaled(x, y):
    none = ops.zeros_like(x)
    return ops.stack([ops.stack([x, none], -1), ops.stack([none, y], -1)], -2)


def _product(first, *others):
    for matrix in others:
        first = ops.matmul(first, matrix)
    return first
