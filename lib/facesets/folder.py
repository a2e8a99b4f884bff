"""Face folders: aligned faces as PNG files, one a face, that users sort, look at and delete."""

from __future__ import annotations

import itertools
import os
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.errors import FaceswapError
from lib.faces.geometry import DEFAULT_COVERAGE, DEFAULT_SIZE, crop
from lib.facesets.face_file import Origin, make_text, read_data
from lib.facesets.png import MOST_BYTES, MOST_TEXT, foreign_tool, is_face, text_of, write_png
from lib.files.names import natural_key
from lib.files.reading import NotRegular, parse_json, read_bytes
from lib.files.writing import make_folder, probe
from lib.media.base import FrameSource, Mark
from lib.types import AlignedFace, Face, Frame

MASK = "_mask"  # what the name of a mask's file adds to that of the face beside it
LONGEST_STEM = 180  # bytes of a source's name in those of its faces; file systems take 255 in all
MORE = 5  # further faces that a picture may have shown before it changed


def write_face(folder: Path, aligned: AlignedFace, origin: Origin,
               coverage: str = DEFAULT_COVERAGE, mark: Mark | None = None,
               original: Path | None = None) -> Path:
    """Writes a face into `folder`, atomically, in place of the same face if it is there. The name
    tells source, frame and number.

    With `mark` it is marked as synthetic, made from the file `original`.
    """
    text = make_text(aligned, origin, coverage)
    # two sources of one name may share a folder: the second one's faces get a number more
    for path in _names(folder, origin):
        with suppress(FileExistsError):  # another run may write it meanwhile
            if not path.exists():
                write_png(path, aligned.image, text, mark, original, new=True)
                return path
        if _is_from(path, origin):
            write_png(path, aligned.image, text, mark, original)
            return path


def mask_beside(face: Path) -> Path:
    """Where the mask of the face in the file `face` lies, for painting."""
    return face.with_name(f"{face.stem}{MASK}.png")


def is_mask(path: Path) -> bool:
    """Whether the PNG file at `path` lies beside a face as its mask, and is no face itself."""
    return path.stem.endswith(MASK) and not is_face(path)


def list_faces(folder: Path) -> list[Path]:
    """The PNG files of a face folder, without masks beside faces, numbers in their names in numeric
    order."""
    with os.scandir(folder) as entries:
        paths = [folder / entry.name for entry in entries
                 if entry.name.lower().endswith(".png") and not entry.name.startswith(".")
                 and entry.is_file() and not is_mask(folder / entry.name)]
    return sorted(paths, key=lambda path: natural_key(path.name))


def is_face_folder(folder: Path) -> bool:
    """Whether `folder` holds faces from extract, rather than pictures to be searched."""
    return folder.is_dir() and any(is_face(path) for path in list_faces(folder))


def foreign_faces(folder: Path) -> str | None:
    """The other tool that made the face pictures of `folder`, judged by the first; None for
    none.
    """
    paths = folder.iterdir() if folder.is_dir() else ()
    first = next((path for path in paths
                  if path.suffix.lower() in (".png", ".jpg") and path.is_file()), None)
    if first is None:
        return None
    data = read_data(first)
    if (text := text_of(data)) is not None:
        return foreign_tool(text)
    is_jpeg = data.startswith(b"\xff\xd8")
    return "DeepFaceLab" if is_jpeg and b"source_landmarks" in data[:MOST_TEXT] else None


class FaceFolder:
    """A folder that faces are written into."""

    mark: Mark | None = None  # marks the faces as synthetic

    def __init__(self, path: Path):
        """Makes the folder `path`; FaceswapError if it cannot be written."""
        self.path = path
        if path.exists() and not path.is_dir():
            raise FaceswapError(f"Cannot write faces into {path}: it is a file. Name a folder with "
                                "-o.")
        try:
            make_folder(path)
            probe(path)
        except OSError as error:
            raise FaceswapError(f"Cannot write faces into {path}: {error.strerror}. Choose another "
                                "folder with -o.") from error

    def find(self, origin: Origin) -> Path | None:
        """The file of the face from `origin` under the name that it was given, if it is there."""
        for path in _names(self.path, origin):
            if not path.exists():
                return None
            if _is_from(path, origin):
                return path

    def is_empty(self) -> bool:
        """Whether it holds no face."""
        return not list_faces(self.path)

    def write(self, aligned: AlignedFace, origin: Origin, coverage: str = DEFAULT_COVERAGE,
              original: Path | None = None) -> Path:
        """Writes a face; `original` is the file that it was made from, for its `mark`."""
        return write_face(self.path, aligned, origin, coverage, self.mark, original)


@dataclass(frozen=True)
class FaceCropper:
    """Crops faces of frames, and writes them where it has a `sink`."""

    sink: FaceFolder | None = None
    size: int = DEFAULT_SIZE  # pixels a side
    coverage: str = DEFAULT_COVERAGE

    def crop(self, image: np.ndarray, face: Face) -> AlignedFace:
        """The crop of a face in `image` (H, W, 3) uint8 RGB."""
        return crop(image, face, self.size, self.coverage)

    def write(self, source: FrameSource, frame: Frame, number: int, aligned: AlignedFace) -> None:
        """Writes the `number`-th face of `frame`, whose image is not needed."""
        origin = origin_in(source, frame.index, number, frame.name, frame.time)
        self.sink.write(aligned, origin, self.coverage)

    def remove_others(self, source: FrameSource, frame: Frame, numbers: set[int]) -> None:
        """Removes the files of the frame's faces, which its picture no longer shows, but those of
        these `numbers`."""
        for number in range(max(numbers, default=-1) + MORE):
            origin = origin_in(source, frame.index, number, frame.name)
            if number not in numbers and (file := self.sink.find(origin)):
                file.unlink()


def origin_in(source: FrameSource, frame: int, number: int, name: str, time: float | None = None
              ) -> Origin:
    """The origin of the `number`-th face of a frame; `name` is that of the frame's picture."""
    return Origin(os.path.abspath(source.path), frame, number, name, time)


def stem_of(origin: Origin) -> str:
    """The beginning of the name of a face's file: source, frame, number."""
    stem = Path(origin.name or origin.source).stem
    if len(os.fsencode(stem)) > LONGEST_STEM:
        stem = f"{stem[:LONGEST_STEM // 4]}~{zlib.crc32(os.fsencode(stem)):08x}"
    return f"{stem}_{origin.frame:06d}_{origin.number}"


def _names(folder: Path, origin: Origin) -> Iterator[Path]:
    stem = stem_of(origin)
    yield folder / f"{stem}.png"
    yield from (folder / f"{stem}-{tries}.png" for tries in itertools.count(2))


def _is_from(path: Path, origin: Origin) -> bool:
    try:
        values = parse_json(text_of(read_bytes(path, MOST_BYTES)))["origin"]
        return ((values["source"], values["frame"], values["name"])
                == (origin.source, origin.frame, origin.name))
    except (TypeError, ValueError, KeyError, AttributeError, NotRegular):
        return False
