from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.errors import FaceswapError
from lib.faces.search import dlib_box, shrunk
from lib.options import option
from lib.plugin import DETECTORS, Detector
from lib.silence import silent_start
from lib.types import Detection

EYES, MOUTH = ("left_eye", "right_eye"), ("mouth_left", "mouth_right")


@DETECTORS.register
@dataclass
class Mtcnn(Detector):
    """Three small networks, one after the other; finds profiles and small faces. Needs `pip install mtcnn`; five times yunet's time.

    "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks", IEEE Signal Processing Letters, 2016.
    """

    search: int = option(640, "Longer side, in pixels, at which frames are searched; more finds "
                         "smaller faces.", low=64, high=8192)
    min_score: float = option(0.9, "Ignore faces below this score.", low=0.0, high=1.0)
    smallest = 20.0  # of 26 faces it found 26 at 20 pixels, 24 at 16, 10 at 12

    def __post_init__(self):
        with silent_start():
            try:
                from mtcnn import MTCNN
            except ImportError as error:
                raise FaceswapError("The detector mtcnn needs a package that is not installed "
                                    f"({error}). Run: pip install mtcnn, or choose another "
                                    "--detector.") from error
            import tensorflow as tf

            # As training asks for it, which may follow in this process
            for gpu in tf.config.list_physical_devices("GPU"):
                tf.config.experimental.set_memory_growth(gpu, True)
            self._networks = MTCNN()

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        pictures = [shrunk(image, self.search) for image in images]
        alike: dict[tuple, list[int]] = {}  # pictures of one size can share a batch
        for place, (picture, _) in enumerate(pictures):
            alike.setdefault(picture.shape, []).append(place)
        rows: list[list[Detection]] = [[] for _ in images]
        for places in alike.values():
            batch = [pictures[place][0] for place in places]
            for place, faces in zip(places,
                                    self._networks.detect_faces(batch, fit_to_image=False,
                                                                threshold_onet=self.min_score)):
                found = [_detection(face, pictures[place][1]) for face in faces]
                rows[place] = sorted(found, key=lambda detection: -detection.score)
        return rows


def _detection(face: dict, scale: float) -> Detection:
    """Small faces' points are coarse: the box is built from them and from the networks' own, whose
    area is that of dlib's.
    """
    points = {name: np.array(point, float) for name, point in face["keypoints"].items()}
    _, _, width, height = face["box"]
    box = dlib_box(np.stack([points[name] for name in EYES]),
                   np.stack([points[name] for name in MOUTH]), max(width * height, 1) ** 0.5)
    return Detection(box * scale + np.float32((scale - 1) / 2), min(float(face["confidence"]), 1.0))
