"""Pictures to look at: boxes, landmarks, tracks, people and masks, drawn into the frame; masks laid
over a face.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from lib.alignments.left_out import REASONS
from lib.alignments.store import StoredFace
from lib.faces.geometry import crop_matrix, invert, transform_points
from lib.media.pictures.contact_sheet import text_line

FOUND, FILLED, LEFT_OUT = (40, 230, 90), (255, 150, 0), (150, 150, 150)
MASKS = ((255, 70, 220), (70, 200, 255), (255, 235, 60), (255, 90, 90))
# jaw, brows, bridge and wings of the nose, eyes, lips
LINES = (range(17), range(17, 22), range(22, 27), range(27, 31), range(31, 36),
         (*range(36, 42), 36), (*range(42, 48), 42), (*range(48, 60), 48), (*range(60, 68), 60))
SHIFT = 4  # OpenCV draws at 1/16 of a pixel
TINT, OUTLINE = (255, 40, 120), (255, 255, 0)  # colours that few faces have
STRENGTH = 0.4  # of the tint where the mask is 1


def draw(image: np.ndarray, faces: Sequence[StoredFace], masks: bool = False) -> np.ndarray:
    """A copy of `image` (H, W, 3) uint8 RGB with `faces` drawn into it: green; orange if filled in;
    gray, with the reason, if left out.

    With `masks` also the outlines of the stored masks, each masker in a colour of its own.
    """
    image = np.ascontiguousarray(image).copy()
    width = max(1, round(max(image.shape[:2]) / 640))
    for stored in faces:
        color = LEFT_OUT if stored.dropped else FILLED if stored.filled else FOUND
        landmarks = stored.face.landmarks
        for line in LINES:
            _line(image, landmarks[list(line)], color, width)
        left, top, right, bottom = stored.face.detection.box
        _line(image, np.array([(left, top), (right, top), (right, bottom), (left, bottom),
                               (left, top)]), color, width)
        lines = [(_label(stored), color)]
        for name, outline in zip(sorted(stored.masks) if masks else [], itertools.cycle(MASKS)):
            _outline(image, stored.masks[name], landmarks, outline, width)
            lines.append((name, outline))
        _write(image, lines, (left, bottom), right - left)
    return image


def _label(stored: StoredFace) -> str:
    parts = [f"track {stored.track}" if stored.track is not None else "",
             f"person {stored.person}" if stored.person is not None else "",
             "filled in" if stored.filled else "",
             REASONS.get(stored.dropped, "left out") if stored.dropped else "",
             f"{stored.face.detection.score:.2f}"]
    return "  ".join(part for part in parts if part)


def _outline(image: np.ndarray, mask: np.ndarray, landmarks: np.ndarray,
             color: tuple[int, int, int], width: int) -> None:
    """The edge of a mask (S, S, 1) of the crop of coverage "whole"."""
    back = invert(crop_matrix(landmarks, len(mask), "whole"))
    contours, _ = cv2.findContours((mask[..., 0] > 0.5).astype(np.uint8), cv2.RETR_LIST,
                                   cv2.CHAIN_APPROX_NONE)
    for contour in contours:
        points = contour[:, 0].astype(np.float64)
        _line(image, transform_points(np.vstack([points, points[:1]]), back), color, width)


def _line(image: np.ndarray, points: np.ndarray, color: tuple[int, int, int], width: int) -> None:
    corners = np.clip(np.rint(points * (1 << SHIFT)), -(1 << 24), 1 << 24).astype(np.int32)
    cv2.polylines(image, [corners[:, None]], False, color, width, cv2.LINE_AA, SHIFT)


def _write(image: np.ndarray, lines: Sequence[tuple[str, tuple[int, int, int]]],
           corner: tuple[float, float], width: float) -> None:
    """Lines of text on a dark ground below `corner` (x, y) of a face `width` pixels wide, moved
    into the picture.
    """
    size = float(np.clip(width / 250, 0.35, max(0.35, max(image.shape[:2]) / 1500)))
    boxes = [cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1) for text, _ in lines]
    step = max(height + below for (_, height), below in boxes) + 2
    widest = max(across for (across, _), _ in boxes)
    x = int(min(max(corner[0], 2), max(image.shape[1] - widest - 2, 2)))
    y = int(min(max(corner[1] + 2, 0), max(image.shape[0] - step * len(lines), 0)))
    ground = image[y:y + step * len(lines), x - 2:x + widest + 2]
    ground[:] = ground // 3
    for row, (text, color) in enumerate(lines):
        (_, height), _ = boxes[row]
        cv2.putText(image, text, (x, y + row * step + height + 1), cv2.FONT_HERSHEY_SIMPLEX, size,
                    color, 1, cv2.LINE_AA)


def masks_side_by_side(image: np.ndarray, masks: Mapping[str, np.ndarray]) -> np.ndarray:
    """`image` (S, S, 3) uint8 RGB as it is, then once for each of `masks` (M, M, 1) float32 by
    name, tinted where the mask is.

    A line runs where a mask is 0.5. Returns (S + LINE, (1 + number of masks) * S, 3) uint8 RGB.
    """
    pictures = [_named(image, "")]
    for name, mask in masks.items():
        mask = cv2.resize(mask, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        share = STRENGTH * mask[..., None]
        tinted = np.rint(image * (1 - share) + np.array(TINT, np.float32) * share).astype(np.uint8)
        outlines, _ = cv2.findContours((mask >= 0.5).astype(np.uint8), cv2.RETR_LIST,
                                       cv2.CHAIN_APPROX_NONE)
        pictures.append(_named(cv2.drawContours(tinted, outlines, -1, OUTLINE, 1), name))
    return np.hstack(pictures)


def _named(image: np.ndarray, name: str) -> np.ndarray:
    return np.vstack([text_line(name, image.shape[1], 0), image])
