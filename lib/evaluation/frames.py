"""What is measured in one pair of frames."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from lib.evaluation.detail import PartsOfB, brow_heights, detail
from lib.faces.gaze import gaze, iris_contrast, visibility
from lib.faces.geometry import COVERAGES, LEFT_EYE, RIGHT_EYE, crop_matrix, transform_points, warp
from lib.faces.masks import hull, inner_skin, with_whole_brows
from lib.faces.pose import angle_between, head_rotation
from lib.faces.traits import openings
from lib.mesh.irises import see_eyes
from lib.plugin import Aligner, Detector, Recognizer
from lib.types import AlignedFace, Eyes, Face

SIZE, COVERAGE = 256, "whole"  # of the crop on which pictures are compared
UNIT = SIZE / COVERAGES[COVERAGE][0]  # pixels of the crop: the side of the mean face's unit square
OUTSIDE = 0.08  # of the unit: a mask may reach this far beyond the hull of the landmarks
RING = 0.12  # of the unit: width of the band in which the seam is measured
AROUND = 0.35  # of the unit: width of the band in which skin around the face is searched
SKIN_LIKE = 3.0  # deviations of the face's skin colour
FEWEST_SKIN = 150  # pixels of the crop: with less skin there is no colour to compare
EXACT = 99.0  # dB, for no difference
# 8-bit levels by which a face must differ more than the frame outside it to count as swapped
CHANGED = 1.5
SEEN = 0.5  # visibility of an eye whose gaze counts
EYES, MOUTH = slice(36, 48), slice(48, 68)


@dataclass(frozen=True)
class Pair:
    """A frame of both clips, and the original's faces."""

    index: int
    original: np.ndarray  # (H, W, 3) uint8 RGB
    swapped: np.ndarray
    faces: tuple[Face, ...]
    name: str = ""  # of a picture


@dataclass
class FrameScores:
    """What was measured in one pair. `values` by a measure's key, where they can be told."""

    index: int  # from 0; people see `number`
    swapped: bool
    face_found: bool = True  # where the original's is; else only what needs no face is measured
    name: str = ""  # of a picture
    nearest: str = ""  # who it is taken for: "a", "b" or a name of the gallery
    values: dict[str, float] = field(default_factory=dict)
    # the same of the original, where that means something
    originals: dict[str, float] = field(default_factory=dict)
    embedding: np.ndarray | None = None  # (D,) of the swapped face
    openings: np.ndarray | None = None  # (2, 2): original and swapped; eyes and mouth
    # original and swapped: "brows" height, "gaze" to the right, "gaze_height" downwards
    followed: dict[str, tuple[float, float]] = field(default_factory=dict)
    landmarks: np.ndarray | None = None  # (2, 68, 2) frame pixels: original and swapped
    thumbnails: np.ndarray | None = None  # (2, SIZE, SIZE, 3) uint8 RGB

    @property
    def number(self) -> int:
        """Of the frame, counted from 1."""
        return self.index + 1


@dataclass
class Kit:
    """The plugins that one thread measures with."""

    detector: Detector | None  # None: it is not measured whether the face is found again
    aligner: Aligner
    recognizer: Recognizer
    parts: PartsOfB | None = None  # real eyes and mouths of B, where B is known


def measure_pair(pair: Pair, previous: Pair | None, kit: Kit) -> FrameScores | None:
    """The scores of the largest face that was changed, else of the largest; None without faces.

    `previous` is the pair before, in the same shot.
    """
    if not pair.faces:
        return None
    # which face, and whether it was swapped
    difference = np.abs(pair.original.astype(np.int16) - pair.swapped).max(-1).astype(np.uint8)
    outside = ~_near_faces(pair)
    background = float(difference[outside].mean()) if outside.any() else 0.0
    by_size = sorted(pair.faces, key=lambda face: -float(np.prod(np.ptp(face.landmarks, axis=0))))
    changes = [_change(face, difference) - background for face in by_size]
    chosen = next((number for number, change in enumerate(changes) if change > CHANGED), 0)
    face = by_size[chosen]

    # what needs no face in the swapped frame
    scores = FrameScores(pair.index, changes[chosen] > CHANGED, name=pair.name)
    scores.values["outside_psnr"] = _psnr(pair.original, pair.swapped, outside)
    matrix = crop_matrix(face.landmarks, SIZE, COVERAGE)
    scores.thumbnails = _crops(pair, matrix)
    if kit.detector:
        scores.face_found = _finds_face(kit.detector, pair.swapped, face)
        scores.values["found"] = 100.0 * scores.face_found
    if scores.face_found:
        _measure_face(scores, pair, face, matrix, kit)
        if previous is not None:
            mask = _mask(transform_points(face.landmarks, matrix))
            _measure_flicker(scores, _crops(previous, matrix), mask)
    return scores


def _measure_face(scores: FrameScores, pair: Pair, face: Face, matrix: np.ndarray, kit: Kit
                  ) -> None:
    """Adds what is measured in the swapped face; `matrix` (2, 3) carries frame to crop pixels."""
    landmarks = kit.aligner.align([pair.swapped], [face.detection.box[None]])[0][0]
    scores.landmarks = np.stack([face.landmarks, landmarks])
    _measure_attributes(scores, face.landmarks, landmarks)
    aligned = _aligned(pair.swapped, Face(face.detection, landmarks))
    scores.embedding = kit.recognizer.embed([aligned])[0]
    points, swapped_points = (transform_points(part, matrix) for part in scores.landmarks)
    _measure_gaze(scores, scores.thumbnails, points, swapped_points)
    _measure_brows(scores, scores.thumbnails, points, swapped_points)
    _measure_picture(scores, scores.thumbnails, points)
    fine = detail(np.stack([pair.original, pair.swapped]), matrix, face.landmarks)
    if fine is not None:
        scores.values["detail"] = fine
    if kit.parts:
        likenesses = kit.parts.likeness(pair.swapped, landmarks)
        scores.values |= {f"parts_{part}": value for part, value in likenesses.items()}


def _mask(points: np.ndarray) -> np.ndarray:
    """(SIZE, SIZE) bool: the hull of landmarks (68, 2) in crop pixels."""
    return hull(points, SIZE)[..., 0] > 0.5


def _crops(pair: Pair, matrix: np.ndarray) -> np.ndarray:
    """(2, SIZE, SIZE, 3) uint8 RGB: the face in both frames."""
    return np.stack([warp(image, matrix, SIZE) for image in (pair.original, pair.swapped)])


def between_eyes(landmarks: np.ndarray) -> float:
    """Pixels from the middle of one eye to that of the other, of landmarks (68, 2)."""
    return max(float(np.linalg.norm(landmarks[RIGHT_EYE].mean(0) - landmarks[LEFT_EYE].mean(0))),
               1e-6)


def _aligned(image: np.ndarray, face: Face) -> AlignedFace:
    matrix = crop_matrix(face.landmarks, SIZE, COVERAGE)
    return AlignedFace(face, warp(image, matrix, SIZE), matrix, COVERAGE)


def _near_faces(pair: Pair) -> np.ndarray:
    """(H, W) bool: where a swap of the faces may have changed pixels."""
    near = np.zeros(pair.original.shape[:2], np.uint8)
    for face in pair.faces:
        outline = cv2.convexHull(np.rint(with_whole_brows(face.landmarks)).astype(np.int32))
        grown = np.zeros_like(near)
        cv2.fillConvexPoly(grown, outline, 1)
        unit = np.ptp(face.landmarks[17:], axis=0).max()
        cv2.polylines(grown, [outline], True, 1, max(1, round(2 * OUTSIDE * unit)))
        near |= grown
    return near > 0


def _change(face: Face, difference: np.ndarray) -> float:
    """Mean difference, 8-bit levels, inside the middle of the face."""
    inside = np.zeros(difference.shape, np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.rint(face.landmarks[17:]).astype(np.int32)), 1)
    return float(difference[inside > 0].mean()) if inside.any() else 0.0


def _psnr(original: np.ndarray, swapped: np.ndarray, where: np.ndarray) -> float:
    if not where.any():
        return EXACT
    error = float(np.square(original[where].astype(np.float32) - swapped[where]).mean())
    return min(EXACT, 10 * np.log10(255 ** 2 / error)) if error else EXACT


def _finds_face(detector: Detector, image: np.ndarray, face: Face) -> bool:
    """Whether the middle of a detected face lies within the box of `face`."""
    low, high = face.detection.box[:2], face.detection.box[2:]
    middles = ((detection.box[:2] + detection.box[2:]) / 2
               for detection in detector.detect([image])[0])
    return any((low < middle).all() and (middle < high).all() for middle in middles)


def _measure_attributes(scores: FrameScores, original: np.ndarray, swapped: np.ndarray) -> None:
    errors = 100 * np.linalg.norm(swapped - original, axis=1) / between_eyes(original)
    scores.values |= {"landmark_error": errors.mean(), "eyes_error": errors[EYES].mean(),
                      "mouth_error": errors[MOUTH].mean(),
                      "pose_error": angle_between(head_rotation(original), head_rotation(swapped))}
    scores.openings = np.stack([openings(original), openings(swapped)])


def _measure_gaze(scores: FrameScores, crops: np.ndarray, original: np.ndarray,
                  swapped: np.ndarray) -> None:
    """Mean of the eyes that are seen in both pictures: how far two people's irises lie outwards
    differs with the shape of their eyes."""
    points = original, swapped
    eyes = [Eyes(landmarks, seen.irises)
            for landmarks, seen in zip(points, see_eyes(list(crops), points))]
    is_seen = np.min([*map(visibility, eyes), iris_contrast(crops[0], eyes[0])], 0) > SEEN
    if is_seen.any():
        first, second = (gaze(both)[is_seen].mean(0) for both in eyes)
        scores.values["gaze_error"] = 100 * float(np.linalg.norm(second - first))
        for name, *values in zip(("gaze", "gaze_height"), first.tolist(), second.tolist()):
            scores.followed[name] = (values[0], values[1])


def _measure_brows(scores: FrameScores, crops: np.ndarray, original: np.ndarray,
                   swapped: np.ndarray) -> None:
    """Mean height above the eyes of the brows that show in both pictures."""
    heights = np.stack([brow_heights(picture, points)
                        for picture, points in zip(crops, (original, swapped))])
    visible = np.isfinite(heights).all(0)
    if visible.any():
        first, second = heights[:, visible].mean(1).tolist()
        scores.values["brow_error"] = 100 * float(np.abs(heights[1] - heights[0])[visible].mean())
        scores.followed["brows"] = first, second


def _measure_picture(scores: FrameScores, crops: np.ndarray, points: np.ndarray) -> None:
    mask = _mask(points)
    gray = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) for picture in crops]
    variance = [cv2.Laplacian(picture, cv2.CV_32F)[mask].var() for picture in gray]
    if variance[0] > 1e-6:
        scores.values["sharpness"] = float(variance[1] / variance[0])
    scores.values["seam"] = _seam(*gray, mask)
    lab = [cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) for picture in crops]
    skin = inner_skin(points, SIZE)[..., 0] > 0.5
    surroundings = _skin_around(lab[0], skin, mask)
    if surroundings is not None:
        for values, picture in zip((scores.originals, scores.values), lab):
            colors = [np.median(picture[part], 0) for part in (skin, surroundings)]
            values["skin_difference"] = _ciede2000(*colors)


def _seam(original: np.ndarray, swapped: np.ndarray, mask: np.ndarray) -> float:
    """By how much the steepness across the edge of `mask` exceeds the original's, in a band."""
    inside, outside = (cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 5)
                       for part in (mask, ~mask))
    distance = cv2.GaussianBlur(inside - outside, (0, 0), 2)
    normal = np.stack([cv2.Sobel(distance, cv2.CV_32F, 1, 0),
                       cv2.Sobel(distance, cv2.CV_32F, 0, 1)])
    normal /= np.maximum(np.linalg.norm(normal, axis=0), 1e-6)
    band = np.abs(distance) < RING * UNIT / 2
    steepness = []
    for picture in (original, swapped):
        smooth = cv2.GaussianBlur(picture, (0, 0), 1)
        gradient = np.stack([cv2.Sobel(smooth, cv2.CV_32F, 1, 0),
                             cv2.Sobel(smooth, cv2.CV_32F, 0, 1)]) / 8
        steepness.append(np.abs((gradient * normal).sum(0))[band])
    return float(np.maximum(steepness[1] - steepness[0], 0).mean())


def _skin_around(lab: np.ndarray, skin: np.ndarray, mask: np.ndarray) -> np.ndarray | None:
    """(SIZE, SIZE) bool: skin outside `mask` (forehead, ears, neck), by the face's colours."""
    if skin.sum() < FEWEST_SKIN:
        return None
    usual = np.median(lab[skin], 0)
    deviation = np.maximum(1.48 * np.median(np.abs(lab[skin] - usual), 0), (4, 2, 2))
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((2 * round(OUTSIDE * UNIT) + 1,) * 2)) > 0
    near = cv2.dilate(mask.astype(np.uint8), np.ones((2 * round(AROUND * UNIT) + 1,) * 2)) > 0
    around = near & ~grown & (np.square((lab - usual) / deviation).sum(-1) < SKIN_LIKE ** 2)
    return around if around.sum() >= FEWEST_SKIN else None


def _ciede2000(first: np.ndarray, second: np.ndarray) -> float:
    from skimage.color import deltaE_ciede2000

    return float(deltaE_ciede2000(first.astype(float), second.astype(float)))


def _measure_flicker(scores: FrameScores, earlier: np.ndarray, mask: np.ndarray) -> None:
    """The earlier frame of both clips is moved by the original's motion; what still differs inside
    `mask` is flicker."""
    crops = scores.thumbnails
    gray = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (crops[0], earlier[0])]
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(*gray, None)
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    changes = []
    for crop, before in zip(crops, earlier):
        moved = cv2.remap(before, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR,
                          borderMode=cv2.BORDER_REPLICATE)
        changes.append(float(np.abs(crop.astype(np.float32) - moved)[mask].mean()))
    scores.originals["change"], scores.values["change"] = changes
