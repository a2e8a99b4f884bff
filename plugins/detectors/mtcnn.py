from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.errors import FaceswapError
from lib.faces.search import BoundedDetector, dlib_box, shrunk
from lib.options import option
from lib.plugin import DETECTORS
from lib.silence import silent_start
from lib.types import Detection

EYES, MOUTH = ("left_eye", "right_eye"), ("mouth_left", "mouth_right")


@DETECTORS.register
@dataclass
class Mtcnn(BoundedDetector):
    """Finds profiles and small faces. Needs `pip install mtcnn`; takes five times yunet's time.

    Three small networks, one after the other. "Joint Face Detection and Alignment Using Multitask
    Cascaded Convolutional Networks", IEEE Signal Processing Letters, 2016.
    """

    min_score: float = option(0.9, "Ignore faces below this score.", low=0.0, high=1.0)
    smallest = 20.0  # it found 26 of 26 faces at 20 pixels, 24 at 16, 10 at 12

    def __post_init__(self):
        with silent_start():
            try:
                from mtcnn import MTCNN
            except ImportError as error:
                raise FaceswapError("The detector mtcnn needs a package that is not installed "
                                    f"({error}). Run: pip install mtcnn, or choose another "
                                    "--detector.") from error
            import tensorflow as tf

            # as training sets it, which may follow in this process
            for gpu in tf.config.list_physical_devices("GPU"):
                tf.config.experimental.set_memory_growth(gpu, True)
            self._networks = MTCNN()

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        pictures = [shrunk(image, self.search) for image in images]
        by_shape: dict[tuple, list[int]] = {}  # pictures of one size can share a batch
        for place, (picture, _) in enumerate(pictures):
            by_shape.setdefault(picture.shape, []).append(place)
        rows: list[list[Detection]] = [[] for _ in images]
        for places in by_shape.values():
            batch = [pictures[place][0] for place in places]
            answers = self._networks.detect_faces(batch, fit_to_image=False,
                                                  threshold_onet=self.min_score)
            for place, faces in zip(places, answers):
                detections = [_detection(face, pictures[place][1]) for face in faces]
                rows[place] = sorted(detections, key=lambda detection: -detection.score)
        return rows


def _detection(face: dict, scale: float) -> Detection:
    """Points of small faces are coarse: the box is made of them and of the networks' own box, as
    large as dlib's.
    """
    points = {name: np.array(point, float) for name, point in face["keypoints"].items()}
    _, _, width, height = face["box"]
    eyes, mouth = (np.stack([points[name] for name in names]) for names in (EYES, MOUTH))
    box = dlib_box(eyes, mouth, max(width * height, 1) ** 0.5)
    return Detection(box * scale + np.float32((scale - 1) / 2), min(float(face["confidence"]), 1.0))
