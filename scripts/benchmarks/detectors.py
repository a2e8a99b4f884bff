"""What each detector finds, how large a face must be for it, how good its boxes are for landmarks,
and how long a frame takes.

Reads the hand-counted photographs, the annotated faces and the clips of the test data
(FACESWAP_TEST_DATA).
"""

from __future__ import annotations

import logging
import os
import statistics
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from lib.errors import FaceswapError
from lib.faces.finding import find_faces
from lib.faces.geometry import LEFT_EYE, RIGHT_EYE
from lib.faces.search import dlib_box, intersection_over_union
from lib.files.reading import read_json
from lib.jobs.bench import BenchSettings, Figure
from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file
from lib.plugin import ALIGNERS, DETECTORS, Aligner, Detector
from lib.system.parallel import opencv_on_one_thread
from lib.system.progress import progress
from lib.types import Face

logger = logging.getLogger(__name__)

DATA = Path(os.environ.get("FACESWAP_TEST_DATA",
                           Path(__file__).resolve().parents[3] / "shared" / "data"))
CLIPS = {"512x512": "videos/swap/a_ocasio_cortez.mp4", "720p": "videos/people/woman_720p.mp4",
         "1080p": "videos/bench/street_1080p.mp4"}
GROUPS = ("single", "group", "hard", "scales", "noface")
# Pixels of a face, when its size is tried
SIDES = (8, 10, 12, 14, 16, 18, 20, 24, 28, 32, 36, 40, 48, 56, 64, 72, 80, 96)
# Intersection over union from which on a face is found; a small one
OVERLAP, SMALL_OVERLAP = 0.5, 0.4
# Landmark error, of the distance between the outer eye corners, from which on a fit is lost
FAR_OFF = 0.1
OUTER_EYES, MOUTH_CORNERS = [36, 45], [48, 54]


def measure(settings: BenchSettings) -> list[Figure]:
    if not (DATA / "photos" / "counts.json").is_file():
        raise FaceswapError(f"There is no test data in {DATA}. Name its folder in "
                            "FACESWAP_TEST_DATA.")
    with opencv_on_one_thread():
        names = [name for name in DETECTORS.names() if name != "auto"]
        return [figure for name in names for figure in _measured(name, settings.repeats)]


def _measured(name: str, repeats: int) -> list[Figure]:
    try:
        detector = DETECTORS.create(name)
    except FaceswapError as error:
        logger.warning("%s is left out. %s", name, error)
        return []
    aligner = ALIGNERS.create("dlib68")
    return [*_times(name, detector, repeats), *_photographs(name, detector, aligner),
            *_annotated(name, detector, aligner),
            Figure(f"{name}: smallest face found", _smallest(detector), "pixels",
                   f"{detector.smallest:g} are counted on")]


def _times(name: str, detector: Detector, repeats: int) -> Iterator[Figure]:
    for size, clip in CLIPS.items():
        frames = [frame.image for frame in islice(open_source(DATA / clip), max(2, repeats))]
        detector.detect(frames[:1])  # the first call takes memory
        seconds = []
        for frame in frames:
            began = time.process_time()  # of all its threads; that of other programs does not count
            detector.detect([frame])
            seconds.append(time.process_time() - began)
        yield Figure(f"{name}: a frame of {size}", 1000 * statistics.median(seconds),
                     "ms of one core")


def _photographs(name: str, detector: Detector, aligner: Aligner) -> Iterator[Figure]:
    """Recall and precision over hand-counted faces, as extract finds them: with a second look.

    Where a count is a range, what lies within it is right.
    """
    counts = read_json(DATA / "photos" / "counts.json")["files"]
    # expected, found of them, too many, found in all
    totals = {group: np.zeros(4, int) for group in GROUPS}
    chosen = [file for file in counts if file.split("/")[0] in GROUPS]
    for file in progress(chosen, f"{name}, photographs", len(chosen), unit="photo"):
        low, high = counts[file]["accept"]
        image = picture_file.read(DATA / "photos" / file)
        count = len(find_faces([image], detector, aligner, look_again=True)[0])
        totals[file.split("/")[0]] += low, min(count, low), max(count - high, 0), count
    for group in GROUPS[:-1]:
        yield Figure(f"{name}: recall, {group}", totals[group][1] / totals[group][0],
                     f"of {totals[group][0]}")
    yield Figure(f"{name}: faces where there are none", totals["noface"][3], "")
    _, _, extra, count = sum(totals.values())
    yield Figure(f"{name}: precision, all photographs", 1 - extra / max(count, 1), f"of {count}")


def _annotated(name: str, detector: Detector, aligner: Aligner) -> Iterator[Figure]:
    """Recall of hand-marked faces, by the square that dlib would draw around each, and the error of
    68 points.
    """
    images = read_json(DATA / "annotated" / "annotations.json")["images"]
    errors, total, extra = [], 0, 0
    for entry in images:
        image = picture_file.read(DATA / "annotated" / entry["file"])
        faces = find_faces([image], detector, aligner, look_again=True)[0]
        marked = [np.array(face["landmarks_68"], float) for face in entry["faces"]]
        errors += [error for points in marked if (error := _error(points, faces)) is not None]
        total += len(marked)
        extra += max(0, len(faces) - entry.get("faces_visible", len(marked)))
    yield Figure(f"{name}: recall, annotated", len(errors) / total, f"of {total}")
    yield Figure(f"{name}: false faces, annotated", extra, "")
    yield Figure(f"{name}: landmark error from its boxes", float(np.mean(errors)), "eye distance",
                 "at most 0.05")
    yield Figure(f"{name}: fits beyond {FAR_OFF}", float(np.mean(np.array(errors) > FAR_OFF)),
                 "share", "at most 0.05")


def _error(points: np.ndarray, faces: list[Face]) -> float | None:
    """Mean distance of landmarks from `points` (68, 2), in distances of the outer eye corners.

    Those of the face that was found there; None if none was.
    """
    box = dlib_box(np.stack([points[RIGHT_EYE].mean(0), points[LEFT_EYE].mean(0)]),
                   points[MOUTH_CORNERS])
    best = max(faces, key=lambda face: intersection_over_union(face.detection.box, box),
               default=None)
    if best is None or intersection_over_union(best.detection.box, box) < OVERLAP:
        return None
    right, left = points[OUTER_EYES]
    distance = np.linalg.norm(best.landmarks - points, axis=1).mean()
    return float(distance / np.linalg.norm(left - right))


def _smallest(detector: Detector) -> float:
    """The side in pixels from which on nine in ten of the portraits are found, when they are
    shrunk.
    """
    faces = []
    for path in sorted((DATA / "photos" / "single").iterdir())[::3]:
        image = picture_file.read(path)
        if row := detector.detect([image])[0]:
            faces.append((image, row[0].box))
    for side in SIDES:
        hits = 0
        for image, box in faces:
            scale = side / (box[2] - box[0])
            method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=method)
            boxes = [detection.box for detection in detector.detect([small])[0]]
            hits += any(intersection_over_union(detected, box * scale) > SMALL_OVERLAP
                        for detected in boxes)
        if hits >= 0.9 * len(faces):
            return side
    return float("inf")
