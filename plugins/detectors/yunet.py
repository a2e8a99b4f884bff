from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import cv2
import numpy as np

from lib.faces.search import BoundedDetector, dlib_box, shrunk
from lib.net.weights import weights
from lib.onnx import runtime
from lib.options import option
from lib.plugin import DETECTORS
from lib.types import Detection

# Pixels between the places at which each of the network's three levels looks for a face
STRIDES = (8, 16, 32)
EYES, MOUTH = slice(0, 2), slice(3, 5)  # of the five points
# boxes, points, scores of what may be a face
Candidates = tuple[np.ndarray, np.ndarray, np.ndarray]
OVERLAP = 0.3  # intersection over union from which on two boxes are of one face


@DETECTORS.register
@dataclass
class YuNet(BoundedDetector):
    """Small and fast on a CPU; also finds profiles and small faces. Downloads 0.3 MB once.

    "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research, 2023.
    """

    min_score: float = option(0.8, "Ignore faces below this score.", low=0.0, high=1.0)
    smallest = 20.0  # it found 26 of 26 faces at 20 pixels, 24 at 16, 6 at 12
    # It also finds faces upside down, with points as if they stood upright, at 0.82 to 0.92;
    # upright ones at 0.93 to 0.96
    upright = 0.93

    def __post_init__(self):
        self._session = runtime.session(weights("yunet_n"))
        # a GPU takes all frames at once; a processor's cache does not hold them
        self._together = len(self._session.get_providers()) > 1

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        pairs = [shrunk(image, self.search) for image in images]

        def batch_of(pair: tuple[np.ndarray, float]) -> object:
            return pair[0].shape if self._together else id(pair[0])

        rows: list[list[Detection]] = []
        for _, group in groupby(pairs, batch_of):
            pictures, scales = zip(*group)
            rows += map(self._detections, self._candidates(pictures), scales)
        return rows

    def _detections(self, candidates: Candidates,
                    scale: float) -> list[Detection]:
        """The best of the candidates, each face once, in pixels of a frame that is `scale` times as
        large.
        """
        boxes, points, scores = candidates
        best = cv2.dnn.NMSBoxes(boxes, scores, self.min_score, OVERLAP) if len(boxes) else []
        detections = []
        for place in best:
            box = dlib_box(points[place][EYES], points[place][MOUTH])
            box = box * scale + np.float32((scale - 1) / 2)
            detections.append(Detection(box, float(min(scores[place], 1))))
        return sorted(detections, key=lambda detection: -detection.score)

    def _candidates(self, pictures: Sequence[np.ndarray]) -> Iterator[Candidates]:
        """For each of `pictures` (H, W, 3), all of one size: boxes, points and scores of what may
        be a face.

        Boxes (K, 4) as left, top, width, height; points (K, 5, 2); scores (K,).
        """
        height, width = pictures[0].shape[:2]
        below, beside = -height % STRIDES[-1], -width % STRIDES[-1]
        padded = [cv2.copyMakeBorder(picture, 0, below, 0, beside, cv2.BORDER_CONSTANT)
                  for picture in pictures]
        blob = cv2.dnn.blobFromImages(padded, swapRB=True)  # it takes BGR from 0 to 255
        names = [f"{what}_{stride}" for stride in STRIDES for what in ("cls", "obj", "bbox", "kps")]
        answers = self._session.run(names, {self._session.get_inputs()[0].name: blob})
        for place in range(len(pictures)):
            levels = []
            for level, stride in enumerate(STRIDES):
                answer = [values[place] for values in answers[4 * level:4 * level + 4]]
                levels.append(self._of_level(*answer, stride, blob.shape[3] // stride))
            yield tuple(np.concatenate(parts).astype(np.float32) for parts in zip(*levels))

    def _of_level(self, face: np.ndarray, presence: np.ndarray, box: np.ndarray, points: np.ndarray,
                  stride: int, columns: int) -> Candidates:
        """Boxes, points and scores of one level, whose places lie `stride` pixels apart, `columns`
        in a row.
        """
        scores = np.sqrt(face[:, 0].clip(0, 1) * presence[:, 0].clip(0, 1))
        kept = np.flatnonzero(scores >= self.min_score)
        row, column = np.divmod(kept, columns)
        origin = np.column_stack([column, row])
        size = np.exp(box[kept, 2:]) * stride
        boxes = np.hstack([(origin + box[kept, :2]) * stride - size / 2, size])
        return boxes, (points[kept].reshape(-1, 5, 2) + origin[:, None]) * stride, scores[kept]
