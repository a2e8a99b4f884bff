"""Folders of pictures, or one picture, as a source of frames."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from lib.errors import FaceswapError
from lib.files.names import PICTURE_ENDINGS, VIDEO_ENDINGS, natural_key, printable
from lib.media.base import FrameSource
from lib.media.opening import open_picture
from lib.media.pictures.content import identify
from lib.media.pictures.metadata import ORIENTATION, TURNED
from lib.media.pictures.picture_file import Pixels, pixels
from lib.media.pictures.picture_frames import DeepPicture, TransparentPicture
from lib.system.parallel import ordered_map
from lib.types import Frame

logger = logging.getLogger(__name__)
READERS = 2  # pictures decoded ahead of the consumer, who has the other cores


class PictureSource(FrameSource):
    """The pictures of a folder in natural order of their names, or one picture.

    Those that cannot be read are `losses`.
    """

    rate = None

    def __init__(self, path: Path):
        """Raises FaceswapError where there is no picture."""
        self.path = Path(path)
        self.files = list_pictures(self.path) if self.path.is_dir() else [self.path]
        if not self.files:
            raise FaceswapError(f"There is no picture in {self.path}. {_advice(self.path)}")
        self.count = len(self.files)
        self._losses: list[str] = []
        self._logged_moves = False  # that a picture moves

    @cached_property
    def names(self) -> list[str]:
        return [printable(file.name) for file in self.files]

    @cached_property
    def size(self) -> tuple[int, int] | None:  # type: ignore[override]
        """(width, height) of all pictures that can be read; None where they differ."""
        sizes = set()
        for file in self.files:
            if (size := shown_size(file)) is not None:
                sizes.add(size)
            if len(sizes) > 1:
                return None
        return sizes.pop() if sizes else None

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        self._losses = []
        files = self.files[start:stop]
        results = ordered_map(_pixels_or_error, files, READERS)
        for index, (file, result) in enumerate(zip(files, results), start):
            if isinstance(result, FaceswapError):
                problem = str(result).removeprefix(str(file)).strip()
                self._losses.append(f"{file.name}: {problem}")
                continue
            if result.moves and not self._logged_moves:
                self._logged_moves = True
                logger.warning("%s is an animation: in a folder only its first picture is used. "
                               "To use all of them, name the file itself.", printable(file.name))
            if result.image.dtype == np.uint16:
                yield DeepPicture(index, result.image, self.names[index], result.rgba)
            elif result.rgba is not None:
                yield TransparentPicture(index, result.image, self.names[index], result.rgba)
            else:
                yield Frame(index, result.image, self.names[index])

    @property
    def losses(self) -> list[str]:
        return list(self._losses)


def list_pictures(folder: Path) -> list[Path]:
    """Files with a picture's ending, and those without any that hold one; no hidden files.

    Raises FaceswapError where the folder cannot be read.
    """
    files = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.is_file():
                    continue
                ending = os.path.splitext(entry.name)[1].lower()
                if ending in PICTURE_ENDINGS or not ending and identify(Path(entry.path)) in (
                        "picture", "heic"):
                    files.append(folder / entry.name)
    except OSError as error:
        raise FaceswapError(f"{folder} cannot be read: {error.strerror}. Check its "
                            "permissions.") from error
    return sorted(files, key=lambda path: natural_key(path.name))


def shown_size(file: Path) -> tuple[int, int] | None:
    """(width, height) of the picture as it is shown, by its header; None where it cannot be
    read."""
    try:
        with open_picture(file) as picture:
            # Of TIFF Pillow has turned the size
            is_turned = picture.format != "TIFF" and picture.getexif().get(ORIENTATION, 1) in TURNED
            return picture.size[::-1] if is_turned else picture.size
    except Exception:  # decoders of damaged files raise anything; `pixels` may know more
        result = _pixels_or_error(file)
        return None if isinstance(result, FaceswapError) else result.image.shape[1::-1]


def _pixels_or_error(file: Path) -> Pixels | FaceswapError:
    try:
        return pixels(file)
    except FaceswapError as error:
        return error


def _advice(folder: Path) -> str:
    """What to name instead of a folder without pictures."""
    entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    if video := next((path for path in entries if path.suffix.lower() in VIDEO_ENDINGS), None):
        return f"There is a video: name it itself, {video}."
    if inner := next((path for path in entries if path.is_dir()), None):
        return f"Folders inside it are not searched: name one itself, such as {inner}."
    return "Name a folder with pictures, a picture or a video."
