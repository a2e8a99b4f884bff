"""Detail: a network draws softer than a camera films; its faces are sharpened until they look as sharp as the frame that they go into."""

from __future__ import annotations

import cv2
import numpy as np

FINE = 1.5  # pixels of a crop for masks: sigma of what counts as fine detail
WANTED = 0.75  # share of the original's variance of the Laplacian: all of it would be its noise, too
MOST = 3.0  # times that the fine detail is added: more brings pictures that were blurred by a pixel no nearer to what they were
AROUND = np.ones((3, 5), np.uint8), np.ones((5, 1), np.uint8)  # pixels between whose darkest and lightest a place stays: edges become
# steeper, and get no halo. The two together are about a circle, and each takes a fraction of the time that it would.
MARGIN = 6  # pixels around a place, beyond which nothing matters to how it is sharpened
PASSES = 3  # in which the amount is found, since what is held back is not known before


def matched(face: np.ndarray, original: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """`face` with its fine detail raised to that of `original`, never lowered.

    Both (S, S, 3) RGB, `face` float32 in [0, 1], `original` uint8; `inside` (S, S) bool says where they are compared. The amount of an
    unsharp mask is solved for: the Laplacian is linear, so its variance is a square in the amount. What it adds stays between the
    darkest and the lightest nearby, and more is added for what that holds back.
    """
    if not inside.any():
        return face
    fine = face - cv2.GaussianBlur(face, (0, 0), FINE)
    before, added = _detail(face, inside), _detail(fine, inside)
    wanted = WANTED * _detail(original, inside).var() / 255 ** 2
    square, mixed, plain = float(added.var()), float(np.mean((before - before.mean()) * (added - added.mean()))), float(before.var())
    if square <= 1e-12 or plain >= wanted:
        return face
    darkest = cv2.min(*(cv2.erode(face, around) for around in AROUND))
    lightest = cv2.max(*(cv2.dilate(face, around) for around in AROUND))
    aim = wanted
    for _ in range(PASSES):
        amount = (np.sqrt(mixed ** 2 + square * (aim - plain)) - mixed) / square
        sharpened = cv2.min(cv2.max(cv2.scaleAdd(fine, min(amount, MOST), face), darkest), lightest)
        if amount >= MOST:
            break
        aim = max(plain, aim * wanted / max(float(_detail(sharpened, inside).var()), plain))
    return sharpened


def sharpened(face: np.ndarray, amount: float) -> np.ndarray:
    """`face` (S, S, 3) float32 RGB with its fine detail added `amount` times: an unsharp mask."""
    return cv2.addWeighted(face, 1 + amount, cv2.GaussianBlur(face, (0, 0), FINE), -amount, 0)


def _detail(picture: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(K,) float32: the Laplacian of the brightness of (S, S, 3) at the K places `inside`."""
    return cv2.Laplacian(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.CV_32F)[inside]
