"""How far a training is: a few of A's faces, kept from it, are swapped and measured now and then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from lib.evaluation.frames import Kit, Pair, measured
from lib.faces.geometry import scale_of, transform_points
from lib.sampling import evenly, middles
from lib.swapping.composite import Compositor
from lib.swapping.pipeline import Follow, Network, Redraw, Role, swap_frames
from lib.types import AlignedFace, Detection, Face, Frame

MOST, SHARE = 12, 0.1  # faces held out: so many, but no larger share of A's
# Keys in `measures`
SHOWN = ("distance_b", "pose_error", "landmark_error", "eyes_error", "mouth_error", "detail", "parts_eyes", "parts_mouth")
WATCHED = ("distance_b", "landmark_error", "softness")  # training goes on while one of these gets better
SHEET, TILE = 6, 128  # faces on a sheet; side of each, pixels
SMOOTH = 3  # measurements whose mean is looked at: one alone is noisy
RECENT, FEWEST = 1 / 3, 10  # share of the iterations, and the least number of measurements, in which something must have got better
BETTER = 0.02  # by this share


@dataclass(frozen=True)
class HeldOut:
    """Faces of A that are kept from training. `faces` are as a face set holds them."""

    faces: Sequence[AlignedFace]
    embedding_b: np.ndarray  # (D,)
    compositor: Compositor
    follow: Follow | None
    kit: Kit
    exemplars: Callable[[Network], Redraw | None] | None = None  # what convert draws into the faces, for a network as it is now

    def swapped(self, network: Network) -> list[np.ndarray]:
        """(H, W, 3) uint8 RGB each: the faces, set into their pictures as convert would."""
        frames = [(Frame(number, one.image), [in_crop(one)]) for number, one in enumerate(self.faces)]
        role = Role(network, self.compositor, exemplars=self.exemplars and self.exemplars(network))
        return [done.frame.with_patches(done.patches) for done in swap_frames(frames, [role], self.follow)]

    def sheet(self, network: Network) -> np.ndarray:
        """(H, W, 3) uint8 RGB: some of the faces, and below each what convert would make of it."""
        some = replace(self, faces=evenly(self.faces, SHEET))
        return np.vstack([np.hstack([cv2.resize(picture, (TILE, TILE), interpolation=cv2.INTER_AREA) for picture in row])
                          for row in ([one.image for one in some.faces], some.swapped(network))])

    def measured(self, network: Network) -> dict[str, float]:
        """Medians over the faces, set into their pictures as convert would, by the keys in SHOWN."""
        found = []
        for number, (one, swapped) in enumerate(zip(self.faces, self.swapped(network))):
            scores = measured(Pair(number, one.image, swapped, (in_crop(one),)), None, self.kit)
            found.append(scores.values | {"distance_b": float(np.linalg.norm(scores.embedding - self.embedding_b))})
        return {key: round(float(np.median([values[key] for values in found if key in values])), 5) for key in SHOWN
                if any(key in values for values in found)}


def held_out(count: int) -> list[int]:
    """Which of `count` faces to keep from training: at least one, evenly spread."""
    return middles(range(count), max(1, min(MOST, int(count * SHARE))))


def plateau(history: Sequence[tuple[int, dict[str, float]]]) -> bool:
    """Whether nothing has got better for the last third of the iterations; `history` are iterations and what was measured then.

    Watched are likeness, landmarks and sharpness. Training grows slow, so what counts as recent grows with it.
    """
    if len(history) < 2 * FEWEST:
        return False
    iterations = np.array([iteration for iteration, _ in history])
    recent = max(FEWEST, int((iterations > (1 - RECENT) * iterations[-1]).sum()))
    if recent > len(history) - SMOOTH:  # nothing to compare with: an earlier run did not measure
        return False
    for key in ("frechet",) if "frechet" in history[-1][1] else WATCHED:
        values = np.array([_watched(row, key) for _, row in history])
        smooth = np.convolve(values, np.ones(SMOOTH) / SMOOTH, "valid")
        before, now = smooth[:-recent], smooth[-recent:]
        if now.min() < before.min() * (1 - BETTER):
            return False
    return True


def score(row: dict[str, float]) -> float:
    """One number for how good a swap is, lower for better: the distance to B, and what landmarks and softness add to it. Of faces drawn
    of nothing, their Frechet distance.

    By the weights, 5 % of the eyes' distance in landmarks, or half of the sharpness, count as much as a tenth of the distance between
    two people.
    """
    if "frechet" in row:
        return row["frechet"]
    return row["distance_b"] + 0.016 * row.get("landmark_error", 0.0) + 0.03 * _watched(row, "softness")


def _watched(row: dict[str, float], key: str) -> float:
    """All lower for better."""
    return -float(np.log(np.clip(row.get("detail", row.get("sharpness", 1.0)), 1e-3, 1 - 1e-3))) if key == "softness" else row.get(key, 0.0)


def in_crop(one: AlignedFace) -> Face:
    """The face in pixels of its crop."""
    box, scale = one.face.detection.box, scale_of(one.matrix)
    middle = transform_points(((box[:2] + box[2:]) / 2)[None], one.matrix)[0]
    half = (box[2:] - box[:2]) * scale / 2
    return Face(Detection(np.hstack([middle - half, middle + half]).astype(np.float32), one.face.detection.score),
                transform_points(one.face.landmarks, one.matrix).astype(np.float32))
