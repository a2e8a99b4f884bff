"""Detail: a network draws softer than a camera films; its faces are sharpened until they look as sharp as the frame that they go into."""

from __future__ import annotations

import cv2
import numpy as np

FINE = 2.25  # pixels of a crop for masks: sigma of what counts as fine detail
WANTED = 1.0  # share of the original's variance of the Laplacian, were nothing held back; it comes to less
REACH = 2  # pixels around a place, between whose darkest and lightest it stays: edges become steeper, and get no halo
MOST = 6.0  # times that the fine detail is added; more shows the network's own patterns


def matched(face: np.ndarray, original: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """`face` with its fine detail raised to that of `original`, never lowered.

    Both (S, S, 3) RGB, `face` float32 in [0, 1], `original` uint8; `inside` (S, S) bool says where they are compared. The amount of an
    unsharp mask is solved for: the Laplacian is linear, so its variance is a square in the amount. What it adds stays between the
    darkest and the lightest nearby, so that no edge gets a halo.
    """
    if not inside.any():
        return face
    fine = face - cv2.GaussianBlur(face, (0, 0), FINE)
    before, added = (cv2.Laplacian(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.CV_32F)[inside] for picture in (face, fine))
    wanted = WANTED * cv2.Laplacian(cv2.cvtColor(original, cv2.COLOR_RGB2GRAY), cv2.CV_32F)[inside].var() / 255 ** 2
    square, mixed, plain = float(added.var()), float(np.mean((before - before.mean()) * (added - added.mean()))), float(before.var())
    if square <= 1e-12 or plain >= wanted:
        return face
    amount = (np.sqrt(mixed ** 2 + square * (wanted - plain)) - mixed) / square
    sharpened = face + np.float32(min(amount, MOST)) * fine
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * REACH + 1, 2 * REACH + 1))
    return np.clip(sharpened, cv2.erode(face, around), cv2.dilate(face, around))
