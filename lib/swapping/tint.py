"""Footage of one tint: black and white, sepia, toned or with next to no colour.

Colour plugins fit means, spreads or distributions, and leave a new face more different colours than
such footage has: pink lips in a grey picture. So the chroma of the original is measured as a
function of brightness. Where the chroma hardly differs from that curve, or where there is little
chroma at all, the new face gets the same curve, and differs from it by as little as the original
does.
"""

from __future__ import annotations

import cv2
import numpy as np

WEIGHTS = np.float32([0.299, 0.587, 0.114])  # of red, green and blue in brightness
LEVELS = 65  # of brightness, at which the curve is known
DARK = 0.05  # is added to brightness before chroma is divided by it
# Sigma, of the full range, of the levels that count; the second where no level is near
FINE, BROAD = 0.015, 0.2
BROAD_SHARE = 0.02
SIDE = 64  # pixels that pictures are averaged down to, to be measured: noise is no colour
# Of fitting the curve; what lies off it, such as a caption in front of the face, counts less each
# time
ROUNDS = 4
# Quantile from which on a difference from the curve counts no more: overexposed skin has none of
# the tint
USUAL = 0.6
NEARLY_ALL = 0.97  # the same, where also lips and eyes are to count
# Chroma as a share of brightness. Of 1161 ordinary faces all have 0.0122 or more around the curve,
# and 99% have 0.085 or more in all. Around the curve: up to the first it is one tint; from the
# second on there are several
ONE_TINT = 0.0065, 0.0115
# On the whole: up to the first there is next to no colour; from the second on it is ordinary
PALE = 0.05, 0.09
_apart = np.square(np.subtract.outer(np.linspace(0, 1, LEVELS), np.linspace(0, 1, LEVELS)))
KERNEL = np.exp(-_apart / (2 * FINE ** 2)) + BROAD_SHARE * np.exp(-_apart / (2 * BROAD ** 2))
LEAST_APART = 1e-3  # of chroma: less is rounding
LEAST = 20  # such pixels of face below which nothing is known


def measure(face: np.ndarray, original: np.ndarray, inside: np.ndarray) -> np.ndarray | None:
    """How the chroma of `face` has to change to get the tint of `original`, for `apply`:
    (LEVELS, 4) float32.

    For each level of brightness: what is added to red, green and blue, and the share of its chroma
    that the face loses; all zero where the original has ordinary colours. None where too little of
    the face is seen. `face` and `original` (S, S, 3) float32 RGB in [0, 1]; `inside` (S, S) float32
    in [0, 1], 1 = the face.
    """
    side = min(SIDE, len(face))
    face, original, inside = (cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
                              for picture in (face, original, inside))
    inside = inside > 0.5
    if inside.sum() < LEAST:
        return None
    target, brightness = _chroma(original, inside)
    curve = _curve(target, brightness)
    differences = target - _at(curve, brightness)
    usual = float(np.median(np.linalg.norm(target, axis=1)))
    strength = 1 - _rising(_spread(differences, USUAL), *ONE_TINT) * _rising(usual, *PALE)
    if not strength:
        return np.zeros((LEVELS, 4), np.float32)
    own, brightness = _chroma(face, inside)
    own_curve = _curve(own, brightness)
    distances = own - _at(own_curve, brightness)
    kept = min(1.0, *(_spread(differences, most) / max(_spread(distances, most), 1e-6)
                      for most in (USUAL, NEARLY_ALL)))
    levels = np.linspace(0, 1, LEVELS)[:, None]
    added = strength * (curve - kept * own_curve) * (levels + DARK)
    return np.hstack([added, np.full((LEVELS, 1), strength * (1 - kept))]).astype(np.float32)


def apply(face: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """`face` (H, W, 3) float32 RGB in [0, 1] with its chroma changed as `measure` has it, as bright
    as it was."""
    if not measured.any():
        return face
    brightness = _brightness(face)
    places = np.clip(brightness, 0, 1) * np.float32(LEVELS - 1)
    less = measured[0, 3]
    added = cv2.remap(np.ascontiguousarray(measured[None, :, :3]), places, np.zeros_like(places),
                      cv2.INTER_LINEAR)
    result = cv2.merge([brightness] * 3) + added
    if less < 1:
        result += np.float32(1 - less) * (face - brightness[..., None])
    return np.clip(result, 0, 1)


def _brightness(picture: np.ndarray) -> np.ndarray:
    return cv2.transform(picture, WEIGHTS[None])


def _chroma(picture: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Chroma (N, 3), the difference from grey as a share of brightness, and brightness (N,) of the
    pixels `inside`."""
    pixels = picture[inside]
    brightness = pixels @ WEIGHTS
    return (pixels - brightness[:, None]) / (brightness[:, None] + np.float32(DARK)), brightness


def _curve(chroma: np.ndarray, brightness: np.ndarray) -> np.ndarray:
    """(LEVELS, 3): the usual chroma at each level of brightness."""
    bins = np.clip(np.rint(brightness * (LEVELS - 1)), 0, LEVELS - 1).astype(int)
    weights = np.ones(len(bins))
    for _ in range(ROUNDS):
        sums = np.stack([np.bincount(bins, weights * values, LEVELS)
                         for values in (*chroma.T, np.ones(len(bins)))], 1)
        known = KERNEL @ sums
        curve = known[:, :3] / (known[:, 3:] + 1e-9)
        distances = np.square(chroma - _at(curve, brightness)).sum(1)
        weights = 1 / (1 + distances / max(float(np.median(distances)), LEAST_APART ** 2))
    return curve


def _at(curve: np.ndarray, brightness: np.ndarray) -> np.ndarray:
    levels = np.linspace(0, 1, LEVELS)
    return np.stack([np.interp(brightness, levels, values) for values in curve.T], 1)


def _spread(differences: np.ndarray, most: float) -> float:
    """Root of the mean square of their lengths, none of which counts for more than the quantile
    `most`."""
    squares = np.square(differences).sum(1)
    return float(np.sqrt(np.minimum(squares, np.quantile(squares, most)).mean()))


def _rising(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high` on, smooth between them."""
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return share * share * (3 - 2 * share)
