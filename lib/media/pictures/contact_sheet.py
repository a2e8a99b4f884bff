"""Contact sheets: pictures side by side, with words. All pictures are (H, W, 3) uint8 RGB."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

LINE = 24  # pixels, height of a line of text
DARK, WHITE = 24, 255  # levels of the background
SMALLEST = 96  # pixels a side of a picture in a table: smaller ones are enlarged


def text_line(text: str, width: int, background: int = DARK) -> np.ndarray:
    """(LINE, width, 3): `text`, in smaller letters where it would not fit."""
    line = np.full((LINE, width, 3), background, np.uint8)
    ink = (230, 230, 230) if background < 128 else (0, 0, 0)
    needed = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)[0][0]
    scale = 0.45 * min(1.0, (width - 8) / max(1, needed))
    cv2.putText(line, text, (5, LINE - 8), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 1, cv2.LINE_AA)
    return line


def stack(rows: Sequence[np.ndarray], background: int = DARK) -> np.ndarray:
    """`rows` one below the other, each filled up at its right to the width of the widest."""
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)),
                             constant_values=background) for row in rows])


def grid(pictures: Sequence[np.ndarray], columns: int, background: int = WHITE) -> np.ndarray:
    """`pictures` of one size, row by row; the rest of the last row is background."""
    return stack([np.hstack(pictures[start:start + columns])
                  for start in range(0, len(pictures), columns)], background)


def table(rows: Sequence[Sequence[np.ndarray | None]], captions: Sequence[Sequence[str]]
          ) -> np.ndarray:
    """`rows` of square pictures, None for an empty place, with the caption of each below it. All
    become as large as the first."""
    pictures = [picture for row in rows for picture in row if picture is not None]
    side = max(SMALLEST, len(pictures[0]))
    empty = np.full((side, side, 3), WHITE, np.uint8)
    lines = []
    for row, row_captions in zip(rows, captions, strict=True):
        lines.append(np.hstack([empty if picture is None else resized(picture, side)
                                for picture in row]))
        lines.append(np.hstack([text_line(caption, side, WHITE) for caption in row_captions]))
    return np.vstack(lines)


def resized(picture: np.ndarray, side: int) -> np.ndarray:
    """A square picture with `side` pixels a side."""
    if len(picture) == side:
        return picture
    method = cv2.INTER_CUBIC if len(picture) < side else cv2.INTER_AREA
    return cv2.resize(picture, (side, side), interpolation=method)


def heat_map(values: np.ndarray) -> np.ndarray:
    """`values` (H, W), at least 0: 0 is black, the largest is white."""
    levels = np.rint(255 * values / max(float(values.max()), 1e-9)).astype(np.uint8)
    return np.repeat(levels[..., None], 3, -1)
