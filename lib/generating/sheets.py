"""Sheets: pictures side by side, with words."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

LEAST = 96  # pixels a side of a picture with words: smaller ones are enlarged
LINE, INK, PAPER = 20, (0, 0, 0), 255


def grid(pictures: np.ndarray, across: int) -> np.ndarray:
    """(H, W, 3) uint8 RGB: pictures (N, S, S, 3) row by row, as they are; what is left of the last row is white."""
    count, side = pictures.shape[:2]
    rows = -(-count // across)
    whole = np.full((rows * across, side, side, 3), PAPER, np.uint8)
    whole[:count] = pictures
    return whole.reshape(rows, across, side, side, 3).swapaxes(1, 2).reshape(rows * side, across * side, 3)


def table(rows: Sequence[Sequence[np.ndarray | None]], words: Sequence[Sequence[str]]) -> np.ndarray:
    """(H, W, 3) uint8 RGB: `rows` of pictures (S, S, 3), None for an empty place, with the `words` of each below it."""
    side = max(LEAST, next(picture for row in rows for picture in row if picture is not None).shape[0])
    lines = [np.hstack([_tile(picture, said, side) for picture, said in zip(row, below, strict=True)])
             for row, below in zip(rows, words, strict=True)]
    return np.vstack(lines)


def _tile(picture: np.ndarray | None, words: str, side: int) -> np.ndarray:
    tile = np.full((side + LINE, side, 3), PAPER, np.uint8)
    if picture is not None:
        tile[:side] = fitted(picture, side)
    scale = min(0.45, 0.45 * (side - 4) / max(1, cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)[0][0]))
    cv2.putText(tile, words, (3, side + LINE - 6), cv2.FONT_HERSHEY_SIMPLEX, scale, INK, 1, cv2.LINE_AA)
    return tile


def heat(values: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB of (H, W): 0 is black, the largest is white."""
    return np.repeat(np.rint(255 * values / max(float(values.max()), 1e-9)).astype(np.uint8)[..., None], 3, -1)


def fitted(picture: np.ndarray, side: int) -> np.ndarray:
    """A square picture of another side, in pixels."""
    how = cv2.INTER_CUBIC if len(picture) < side else cv2.INTER_AREA
    return picture if len(picture) == side else cv2.resize(picture, (side, side), interpolation=how)
