"""Progress of a training: a few faces of A are held out, and swapped and measured now and then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lib.evaluation.frames import Kit, Pair, measure_pair
from lib.faces.geometry import scale_of, transform_points
from lib.media.pictures.contact_sheet import grid, resized
from lib.sampling import evenly, middles
from lib.swapping.composite import Compositor
from lib.swapping.pipeline import Follow, Network, Redraw, Role, swap_frames
from lib.types import AlignedFace, Detection, Face, Frame

MOST, SHARE = 12, 0.1  # faces held out at most; share of A's faces at most
# Keys in `measures`
SHOWN = ("distance_b", "pose_error", "landmark_error", "eyes_error", "mouth_error", "detail",
         "parts_eyes", "parts_mouth")
WATCHED = ("distance_b", "landmark_error", "softness")  # training pays while one of these improves
SHEET, TILE = 6, 128  # faces on a sheet; side of each, pixels
SMOOTH = 3  # measurements that are averaged: a single one is noisy
# Something must have improved in this share of the iterations, and in this many measurements
RECENT, FEWEST = 1 / 3, 10
BETTER = 0.02  # share by which a value must improve


@dataclass(frozen=True)
class HeldOut:
    """Faces of A that are held out of training, and how they are swapped and measured."""

    faces: Sequence[AlignedFace]  # as a face set holds them
    embedding_b: np.ndarray  # (D,)
    compositor: Compositor
    follow: Follow | None
    kit: Kit
    # makes what convert draws into the faces, for the network as it is now
    exemplars: Callable[[Network], Redraw | None] | None = None

    def swapped(self, network: Network) -> list[np.ndarray]:
        """(H, W, 3) uint8 RGB each: the faces, swapped as convert would."""
        frames = [(Frame(number, aligned.image), [in_crop(aligned)])
                  for number, aligned in enumerate(self.faces)]
        role = Role(network, self.compositor, exemplars=self.exemplars and self.exemplars(network))
        return [finished.frame.with_patches(finished.patches)
                for finished in swap_frames(frames, [role], self.follow)]

    def sheet(self, network: Network) -> np.ndarray:
        """(H, W, 3) uint8 RGB: some of the faces, and below each its swap."""
        sample = replace(self, faces=evenly(self.faces, SHEET))
        pictures = [aligned.image for aligned in sample.faces] + sample.swapped(network)
        return grid([resized(picture, TILE) for picture in pictures], len(sample.faces))

    def measure(self, network: Network) -> dict[str, float]:
        """Medians over the swapped faces, by the keys in SHOWN."""
        rows = []
        for number, (aligned, swapped) in enumerate(zip(self.faces, self.swapped(network))):
            pair = Pair(number, aligned.image, swapped, (in_crop(aligned),))
            scores = measure_pair(pair, None, self.kit)
            distance = float(np.linalg.norm(scores.embedding - self.embedding_b))
            rows.append(scores.values | {"distance_b": distance})
        columns = {key: [row[key] for row in rows if key in row] for key in SHOWN}
        return {key: round(float(np.median(values)), 5) for key, values in columns.items()
                if values}


def held_out(count: int) -> list[int]:
    """Indices of the faces to hold out, of `count`: at least one, evenly spread."""
    return middles(range(count), max(1, min(MOST, int(count * SHARE))))


def plateau(history: Sequence[tuple[int, dict[str, float]]]) -> bool:
    """Whether likeness, landmarks and sharpness have not improved in the last third of the
    iterations.

    `history` holds iterations and what was measured at each. Training slows down, so the recent
    part grows with it.
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
        if smooth[-recent:].min() < smooth[:-recent].min() * (1 - BETTER):
            return False
    return True


def score(row: dict[str, float]) -> float:
    """One number for the quality of a swap, lower for better: distance to B plus landmark error and
    softness; of a generator its Frechet distance.

    By the weights, landmarks that are off by 5 % of the distance between the eyes, or half of the
    sharpness, count as much as a tenth of the distance between two people.
    """
    if "frechet" in row:
        return row["frechet"]
    return row["distance_b"] + 0.016 * row.get("landmark_error",
                                               0.0) + 0.03 * _watched(row, "softness")


def _watched(row: dict[str, float], key: str) -> float:
    """A value by a key of WATCHED; lower is better."""
    if key != "softness":
        return row.get(key, 0.0)
    sharpness = row.get("detail", row.get("sharpness", 1.0))
    return -float(np.log(np.clip(sharpness, 1e-3, 1 - 1e-3)))


def in_crop(aligned: AlignedFace) -> Face:
    """The face in pixels of its crop."""
    detection, scale = aligned.face.detection, scale_of(aligned.matrix)
    box = detection.box
    middle = transform_points(((box[:2] + box[2:]) / 2)[None], aligned.matrix)[0]
    half = (box[2:] - box[:2]) * scale / 2
    box = np.hstack([middle - half, middle + half]).astype(np.float32)
    landmarks = transform_points(aligned.face.landmarks, aligned.matrix).astype(np.float32)
    return Face(Detection(box, detection.score), landmarks)
