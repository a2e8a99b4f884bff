"""Covers cut out of the user's own pictures: PNG files with transparency."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from lib.errors import FaceswapError
from lib.media.pictures import picture_file
from lib.media.pictures.picture_source import list_pictures
from lib.training.covers.layer import Layer, Scene

LARGEST = 512  # pixels, longer side: more is not seen at the size of a face
LEAST_OPAQUE = 0.002  # share of a picture


class Cutouts:
    """Sets one of some pictures somewhere over a face."""

    def __init__(self, pictures: list[np.ndarray]):
        """`pictures`: (H, W, 4) uint8 RGB and alpha, cut to what is opaque."""
        self._pictures = pictures

    def __call__(self, scene: Scene, random: np.random.Generator) -> Layer:
        picture = self._pictures[random.integers(len(self._pictures))]
        height, width = picture.shape[:2]
        scale = scene.unit * random.uniform(0.5, 2.2) / max(height, width)
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2),
                                         random.normal(0, 50), scale)
        matrix[0] *= random.choice([-1, 1])  # mirrored
        # A place of the cover lies on a place of the face
        held = np.array([random.uniform(0.1, 0.9) * width, random.uniform(0.1, 0.9) * height, 1])
        aim = scene.landmarks[random.integers(68)] + random.normal(0, 0.15, 2) * scene.unit
        matrix[:, 2] += aim - matrix @ held
        alpha = picture[..., 3:].astype(np.float32) / 255
        colors = picture[..., :3] * alpha
        drawn = cv2.warpAffine(np.dstack([colors, alpha]), matrix, (scene.size, scene.size),
                               flags=cv2.INTER_AREA)
        opaque = drawn[..., 3].clip(0, 1)
        return Layer(drawn[..., :3] / np.maximum(opaque, 1e-3)[..., None], opaque)


def read_cutouts(folder: Path) -> Cutouts:
    """The pictures of a folder. Raises FaceswapError where there is none, or one has nothing
    transparent about it.
    """
    if not folder.is_dir():
        raise FaceswapError(f"--covers: {folder} is no folder. Name one of PNG files with "
                            "transparency, each of something that covers a face.")
    paths = list_pictures(folder)
    if not paths:
        raise FaceswapError(f"--covers: {folder} holds no pictures. Put PNG files with "
                            "transparency there.")
    return Cutouts([_cut_out(path) for path in paths])


def _cut_out(path: Path) -> np.ndarray:
    """(H, W, 4) uint8 of what is opaque, no larger than is of use."""
    rgba = picture_file.pixels(path).rgba
    if rgba is None:
        raise _unusable(path, "nothing transparent")
    if rgba.dtype == np.uint16:
        rgba = (rgba // 257).astype(np.uint8)
    opaque = rgba[..., 3] > 127
    if opaque.mean() < LEAST_OPAQUE:
        raise _unusable(path, "nothing to see")
    rows, columns = (np.flatnonzero(opaque.any(axis)) for axis in (1, 0))
    cut = rgba[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    shrink = LARGEST / max(cut.shape[:2])
    if shrink >= 1:
        return cut
    return cv2.resize(cut, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)


def _unusable(path: Path, what: str) -> FaceswapError:
    return FaceswapError(f"--covers: {path} has {what} in it. Cut the thing out, so that its alpha "
                         "channel says where it is.")
