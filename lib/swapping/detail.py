"""`--match-detail`: a network draws softer than a camera films, without its noise and motion blur.

Each face gets what its frame has of these: sharpness (`match_sharpness`, in the crop), then motion
blur (`add_motion_blur`) and noise (`add_noise`), at the frame's size. Fine detail is raised to 75 %
of the original's, at most to four times its own. Motion is known where a face is followed from
frame to frame, so previews of single frames have no motion blur.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

FINE = 1.5  # sigma of fine detail, pixels of the crop on which masks are made
TARGET_SHARE = 0.75  # of the original's variance of the Laplacian; all of it would copy its noise
# Times that the fine detail is added at most: more brought blurred pictures no nearer to the sharp
# ones
MOST = 3.0
# Neighbourhoods between whose darkest and lightest pixel a place stays, so that edges get no halo.
# The two together are about a circle, and each takes a fraction of the time that it would.
AROUND = np.ones((3, 5), np.uint8), np.ones((5, 1), np.uint8)
MARGIN = 6  # pixels around a place that matter to how it is sharpened
# Filter that keeps the strength of noise and removes smooth pictures
NOISE = np.float32([[1, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 6
QUIET = 0.3  # quantile of the filtered pixels that measures noise; those above it are texture
OF_SIGMA = 0.3853  # the same quantile of the absolute value of a standard normal distribution
SAMPLED, SIDE = 5, 160  # every so many-th pixel is measured, in a square of this side, pixels
GRAIN = 1024  # side of the sheet of noise from which pieces are taken, pixels
LEAST_NOISE = 0.004  # missing noise below this is not added; share of the full range
SHUTTER = 0.5  # share of the time from frame to frame that the shutter is open
SHORTEST = 2.0  # shortest visible motion blur, pixels
STEPS = 4  # lengths of motion blur that are tried
PASSES = 3  # of finding the amount, since what is held back by AROUND is not known before


def match_sharpness(face: np.ndarray, original: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """`face` with its fine detail raised to that of `original`, never lowered.

    Both (S, S, 3) RGB, `face` float32 in [0, 1], `original` uint8; `inside` (S, S) bool says where
    they are compared. The amount of an unsharp mask is solved for: the Laplacian is linear, so its
    variance is a square in the amount. What it adds stays between the darkest and the lightest
    nearby, and more is added for what that holds back.
    """
    if not inside.any():
        return face
    fine = face - cv2.GaussianBlur(face, (0, 0), FINE)
    before, added = _detail(face, inside), _detail(fine, inside)
    target = TARGET_SHARE * _detail(original, inside).var() / 255 ** 2
    square, plain = float(added.var()), float(before.var())
    mixed = float(np.mean((before - before.mean()) * (added - added.mean())))
    if square <= 1e-12 or plain >= target:
        return face
    darkest = cv2.min(*(cv2.erode(face, around) for around in AROUND))
    lightest = cv2.max(*(cv2.dilate(face, around) for around in AROUND))
    aim = target
    for _ in range(PASSES):
        amount = (np.sqrt(mixed ** 2 + square * (aim - plain)) - mixed) / square
        sharpened = cv2.min(cv2.max(cv2.scaleAdd(fine, min(amount, MOST), face), darkest), lightest)
        if amount >= MOST:
            break
        aim = max(plain, aim * target / max(float(_detail(sharpened, inside).var()), plain))
    return sharpened


def sharpen(face: np.ndarray, amount: float) -> np.ndarray:
    """`face` (S, S, 3) float32 RGB with its fine detail added `amount` times: an unsharp mask."""
    return cv2.addWeighted(face, 1 + amount, cv2.GaussianBlur(face, (0, 0), FINE), -amount, 0)


def add_noise(face: np.ndarray, original: np.ndarray, inside: np.ndarray, seed: int) -> np.ndarray:
    """`face` with as much noise as `original` has more than it. Both (H, W, 3) RGB at the frame's
    size, `face` float32 in [0, 1], `original` uint8 or uint16; `inside` (H, W) bool.

    "Fast Noise Variance Estimation", Computer Vision and Image Understanding, 1996, of the pixels
    that vary least.
    """
    middle = tuple(slice(max(0, side - SIDE) // 2, max(0, side - SIDE) // 2 + SIDE)
                   for side in inside.shape)
    if not inside[middle].any():
        return face
    original_noise = _noise(as_floats(original[middle]), inside[middle])
    missing = original_noise ** 2 - _noise(face[middle], inside[middle]) ** 2
    if missing < LEAST_NOISE ** 2:
        return face
    return cv2.scaleAdd(cv2.merge([_grain(inside.shape, seed)] * 3), float(np.sqrt(missing)), face)


def _grain(shape: tuple[int, int], seed: int) -> np.ndarray:
    """`shape` float32, normally distributed: a piece of a sheet that is made once, another for each
    `seed`."""
    places = np.random.default_rng(seed).integers(GRAIN, size=2)
    rows, columns = (np.arange(place, place + side) for place, side in zip(places, shape))
    return _sheet().take(rows, 0, mode="wrap").take(columns, 1, mode="wrap")


@cache
def _sheet() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((GRAIN, GRAIN), np.float32)


def add_motion_blur(face: np.ndarray, original: np.ndarray, inside: np.ndarray,
                    motion: np.ndarray) -> np.ndarray:
    """`face` smeared along `motion` (x, y), pixels from frame to frame, as long as it has more
    detail in that direction than `original`.

    Both (H, W, 3) RGB at the frame's size, `face` float32 in [0, 1], `original` uint8 or uint16;
    `inside` (H, W) bool. At most as far as the shutter is open.
    """
    longest = SHUTTER * float(np.hypot(*motion))
    if longest < SHORTEST or not inside.any():
        return face
    target = _along(as_floats(original), inside, motion)
    if _along(face, inside, motion) <= target:
        return face
    for step in range(1, STEPS + 1):
        result = _smear(face, motion / np.hypot(*motion) * longest * step / STEPS)
        if _along(result, inside, motion) <= target:
            break
    return result


def as_floats(picture: np.ndarray) -> np.ndarray:
    """uint8, or uint16 of 256 times as much, as float32 in [0, 1]."""
    return picture * np.float32(1 / (255 if picture.dtype == np.uint8 else 255 * 256))


def _noise(picture: np.ndarray, inside: np.ndarray) -> float:
    """Standard deviation of the noise of the brightness, of the full range."""
    rest = np.abs(cv2.filter2D(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.CV_32F,
                               NOISE)[inside][::SAMPLED])
    place = int(QUIET * len(rest))
    return float(np.partition(rest, place)[place]) / OF_SIGMA


def _along(picture: np.ndarray, inside: np.ndarray, motion: np.ndarray) -> float:
    """Mean square of how the brightness changes along `motion`."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, *order)[inside] for order in ((1, 0), (0, 1)))
    along = motion / np.hypot(*motion)
    return float(np.mean((across * np.float32(along[0]) + down * np.float32(along[1])) ** 2))


def _smear(picture: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The mean of `picture` (H, W, 3) moved along `shift` (x, y), from half of it before to half of
    it after."""
    reach = int(np.ceil(np.abs(shift).max() / 2)) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    ends = [tuple(np.rint((reach + end * shift / 2) * 256).astype(int).tolist()) for end in (-1, 1)]
    cv2.line(kernel, *ends, 1.0, 1, cv2.LINE_8, 8)
    return cv2.filter2D(picture, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def _detail(picture: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(K,) float32: the Laplacian of the brightness of (S, S, 3) at the K places `inside`."""
    return cv2.Laplacian(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.CV_32F)[inside]
