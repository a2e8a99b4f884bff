"""What is measured of one face: sharpness, which way the head points, how far eyes and mouth are
open.
"""

from __future__ import annotations

import cv2
import numpy as np

from lib.faces.geometry import eye_openings, transform_points
from lib.faces.pose import head_rotation, yaw_pitch_roll
from lib.types import AlignedFace, Face


def width(face: Face) -> float:
    """Of the box around the face, in pixels of its frame."""
    return float(face.detection.box[2] - face.detection.box[0])


def blur(aligned: AlignedFace) -> float:
    """0 (sharp) to 1 (blurred): how little a further blur changes the part of the crop within the
    landmarks.

    "The Blur Effect: Perception and Estimation with a New No-Reference Perceptual Blur Metric",
    SPIE, 2007.
    """
    from skimage.measure import blur_effect

    points = transform_points(aligned.face.landmarks, aligned.matrix)
    left, top = np.floor(points.min(0)).astype(int).clip(0)
    right, bottom = np.ceil(points.max(0)).astype(int)
    gray = cv2.cvtColor(aligned.image, cv2.COLOR_RGB2GRAY)[top:bottom, left:right]
    # With landmarks off the crop there is nothing that could be sharp
    return float(blur_effect(gray)) if min(gray.shape) > 3 else 1.0


def yaw_pitch(aligned: AlignedFace) -> tuple[float, float]:
    """Degrees: the head turned to the picture's right, and raised, as seen in the crop.

    Raises ValueError where the landmarks make no face.
    """
    landmarks = transform_points(aligned.face.landmarks, aligned.matrix)
    yaw, pitch, _ = yaw_pitch_roll(head_rotation(landmarks))
    return float(yaw), float(pitch)


def roll(face: Face) -> float:
    """Degrees by which the head is tilted clockwise in its frame. Raises ValueError for landmarks
    of no face.
    """
    return float(yaw_pitch_roll(head_rotation(face.landmarks))[2])


def openings(landmarks: np.ndarray) -> np.ndarray:
    """(2,): how far eyes and mouth of `landmarks` (68, 2) are open.

    The eyes: height by width; the mouth: by the distance between the outer corners of the eyes.
    """
    width = np.linalg.norm(landmarks[36] - landmarks[45])
    mouth = np.linalg.norm(landmarks[62] - landmarks[66]) / max(width, 1e-6)
    return np.array([eye_openings(landmarks).mean(), mouth])
