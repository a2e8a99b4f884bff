"""A line-up: pictures of faces, original or swapped at random, for people to judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.errors import FaceswapError
from lib.files.writing import disk_errors, make_folder, write_json
from lib.media.base import FrameSource
from lib.media.pictures import picture_file
from lib.media.pictures.contact_sheet import resized
from lib.sampling import evenly
from lib.types import Face

COUNT = 20  # pictures
AROUND = 1.9  # side of a picture, of the larger side of the box around the landmarks
SMALLEST, LARGEST = 256, 640  # pixels a side: others are enlarged or reduced


@dataclass(frozen=True)
class LineUp:
    """What was written."""

    pictures: list[Path]
    key: Path  # JSON file that says which are swapped


def write(folder: Path, original: FrameSource, swapped: FrameSource,
          faces_of: Callable[[int], Sequence[Face]], indices: Sequence[int],
          seed: int | None = None) -> LineUp:
    """Writes COUNT pictures into `folder`, 01.png and so on, each a face in one of the frames
    `indices`, half of them swapped, at random. The key lies beside the folder, not in it.

    Raises FaceswapError for too few frames, or a folder that exists.
    """
    if len(indices) < COUNT:
        raise FaceswapError(f"{original.path} shows a face in {len(indices)} frames; a line-up "
                            f"takes {COUNT}. Give a longer clip.")
    if folder.is_dir() and any(folder.iterdir()) or folder.is_file():
        raise FaceswapError(f"{folder} exists. Name a new folder with --line-up.")
    random = np.random.default_rng(seed)
    frames = random.permutation(evenly(indices, COUNT)).tolist()
    is_swapped = random.permutation(np.arange(COUNT) % 2 == 0).tolist()
    with disk_errors(folder):
        make_folder(folder)
        pictures, rows = [], []
        for number, (index, fake) in enumerate(zip(frames, is_swapped), 1):
            source = swapped if fake else original
            frame = next(iter(source.frames(index, index + 1)))
            face = max(faces_of(index),
                       key=lambda face: float(np.prod(np.ptp(face.landmarks, axis=0))))
            path = folder / f"{number:02d}.png"
            picture_file.write(path, _crop(frame.image, face))
            pictures.append(path)
            rows.append({"picture": path.name, "frame": index + 1, "swapped": fake})
        key = folder.with_name(f"{folder.name}.key.json")
        write_json(key, rows)
    return LineUp(pictures, key)


def _crop(image: np.ndarray, face: Face) -> np.ndarray:
    """(S, S, 3) uint8 RGB: the face and some of its surroundings, upright as the frame is."""
    low, high = face.landmarks.min(0), face.landmarks.max(0)
    side = int(min(AROUND * float((high - low).max()), *image.shape[:2]))
    corner = np.clip(((low + high) / 2 - side / 2).astype(int), 0,
                     np.array(image.shape[1::-1]) - side)
    part = image[corner[1]:corner[1] + side, corner[0]:corner[0] + side]
    return resized(part, int(np.clip(side, SMALLEST, LARGEST)))
