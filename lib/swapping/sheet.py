"""A picture to choose settings by: some faces of a film, as they were and as each choice makes
them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from lib.media.pictures.contact_sheet import stack, text_line
from lib.types import Face

TILE, COLUMNS = 320, 6  # pixels a side of a face, faces a row
LARGER = 0.6  # of the largest face's side: faces of at least that are shown
AROUND = 2.0  # a tile's side, of the larger side of the landmarks' box


def sheet(rows: Sequence[tuple[str, Sequence[np.ndarray]]], faces: Sequence[Sequence[Face]],
          names: Sequence[str]) -> np.ndarray:
    """(H, W, 3) uint8 RGB: for each of `rows`, of the name given, the surroundings of one of the
    `faces` of each frame.

    The larger ones take turns from frame to frame. Each row has the same frames, (H, W, 3) uint8
    RGB each; `names` are theirs, written above.
    """
    lines = []
    for start in range(0, len(names), COLUMNS):
        some = range(start, min(start + COLUMNS, len(names)))
        lines.append(np.hstack([text_line(names[place], TILE) for place in some]))
        for label, images in rows:
            lines.append(text_line(label, TILE * len(some)))
            lines.append(np.hstack([_around(images[place], faces[place], place) for place in some]))
    return stack(lines)


def _around(image: np.ndarray, faces: Sequence[Face], turn: int) -> np.ndarray:
    """(TILE, TILE, 3): one of the larger faces and what is around it; the edge of the frame goes on
    where it ends."""
    boxes = sorted((np.concatenate([face.landmarks.min(0), face.landmarks.max(0)])
                    for face in faces), key=lambda box: box[0])
    sides = [(box[2:] - box[:2]).max() for box in boxes]
    larger = [box for box, side in zip(boxes, sides) if side >= LARGER * max(sides)]
    box = larger[turn % len(larger)]
    side = AROUND * float((box[2:] - box[:2]).max())
    middle = (box[:2] + box[2:]) / 2 - (0, 0.06 * side)  # landmarks end at the brows
    corner = middle - side / 2
    scale = TILE / side
    matrix = np.array([[scale, 0, -corner[0] * scale], [0, scale, -corner[1] * scale]])
    if scale < 1:  # warpAffine would alias
        whole = cv2.getRectSubPix(image, (round(side), round(side)),
                                  (float(middle[0]), float(middle[1])))
        return cv2.resize(whole, (TILE, TILE), interpolation=cv2.INTER_AREA)
    return cv2.warpAffine(image, matrix, (TILE, TILE), flags=cv2.INTER_CUBIC,
                          borderMode=cv2.BORDER_REPLICATE)
