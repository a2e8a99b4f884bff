"""Face sets: a folder of aligned faces as PNG files, each of which says in its metadata where it is from.

A PNG text chunk with the keyword `faceswap` holds JSON: `format` 1, `coverage`, `landmarks` (68 x 2, frame pixels),
`matrix` (2 x 3, frame -> crop pixels), `box`, `score`, and `origin`: `source`, `frame`, `number`, `name`, `time`.
"""

from __future__ import annotations

import itertools
import json
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from lib.errors import FaceswapError
from lib.files.reading import NotRegular, opened, parse_json, read_bytes
from lib.faces.geometry import COVERAGES, DEFAULT_COVERAGE, invert, template_matrix, transform_points, warp
from lib.faces.quality import check_landmarks, check_matrix
from lib.files.writing import make_folder, probe, write_bytes
from lib.media.files import natural_key
from lib.media.pictures import XMP_CHUNK
from lib.types import AlignedFace, Detection, Face

if TYPE_CHECKING:
    from lib.provenance.marking import Mark

FORMAT = 1
SIGNATURE = b"\x89PNG\r\n\x1a\n"
AFTER_HEADER = len(SIGNATURE) + 25  # the IHDR chunk comes first and is always 25 bytes long
KEYWORD = b"faceswap\0"
LONGEST_REASON = 200  # letters of what an error says of a damaged file
LONGEST_STEM = 180  # bytes of a source's name in those of its faces; file systems take 255 in all
LARGEST = 8192  # pixels a side that a face may have
MOST_BYTES, MOST_TEXT = LARGEST * LARGEST * 4, 1 << 20  # of a file; of what a face says of itself
MOST_FRAMES, MOST_FACES = 1 << 40, 1 << 20  # of a source; of a frame


@dataclass(frozen=True)
class Origin:
    """Which face of which frame of what."""

    source: str  # path of the video or of the folder of pictures
    frame: int
    number: int  # of the face within its frame, from 0
    name: str = ""  # file name of the picture; "" in a video
    time: float | None = None  # seconds into the video


@dataclass(frozen=True)
class FaceFile:
    """What a face PNG holds."""

    aligned: AlignedFace
    coverage: str  # a name in COVERAGES
    origin: Origin

    @property
    def image(self) -> np.ndarray:
        """(S, S, 3) uint8 RGB."""
        return self.aligned.image

    @property
    def size(self) -> int:
        return len(self.aligned.image)

    @property
    def landmarks(self) -> np.ndarray:
        """(68, 2) in pixels of the crop; `aligned.face.landmarks` has them in pixels of the frame."""
        return transform_points(self.aligned.face.landmarks, self.aligned.matrix)

    def seen(self, size: int, coverage: str) -> AlignedFace:
        """The part of it that a crop of `size` pixels and that `coverage`, no larger than its own, shows."""
        matrix = template_matrix(size, coverage) @ np.vstack([invert(template_matrix(self.size, self.coverage)), [0, 0, 1]])
        return AlignedFace(self.aligned.face, warp(self.image, matrix, size), matrix @ np.vstack([self.aligned.matrix, [0, 0, 1]]))


class NotAFace(FaceswapError):
    """A PNG that does not say where its face is."""


def write_face(folder: Path, aligned: AlignedFace, origin: Origin, coverage: str = DEFAULT_COVERAGE, mark: Mark | None = None,
               original: Path | None = None) -> Path:
    """Writes the face into `folder`, atomically; its name tells source, frame and number. The same face replaces itself.

    With `mark` it is marked as synthetic, made of the file `original`.
    """
    path = _free_name(folder, origin)
    face = aligned.face
    text = json.dumps({
        "format": FORMAT, "coverage": coverage, "landmarks": face.landmarks.astype(float).round(3).tolist(),
        "matrix": aligned.matrix.tolist(), "box": face.detection.box.astype(float).round(3).tolist(),
        "score": round(face.detection.score, 5), "origin": asdict(origin)})
    write_png(path, aligned.image, text, mark, original)
    return path


def write_png(path: Path, image: np.ndarray, text: str, mark: Mark | None = None, original: Path | None = None) -> None:
    """Writes a face's PNG, atomically: `image` (S, S, 3) uint8 RGB, and the JSON `text` that says where it is from."""
    # one filter and Huffman coding alone: half the time of OpenCV's choice, and faces hardly larger
    _, png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [
        cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY])
    said = _chunk(b"tEXt", KEYWORD + text.encode("latin-1"))
    if mark:
        said += _chunk(b"iTXt", XMP_CHUNK.encode() + b"\0\0\0\0\0" + mark.xmp)
    data = b"".join((png[:AFTER_HEADER], said, png[AFTER_HEADER:]))
    write_bytes(path, mark.signed(data, path, original) if mark else data, durable=False)


def read_face(path: Path) -> FaceFile:
    """The face in a PNG that `write_face` made. Raises NotAFace if it is not one, FaceswapError if it is damaged; both name the file."""
    return read_face_and_text(path)[0]


def read_face_and_text(path: Path) -> tuple[FaceFile, str]:
    """The same, and the JSON text that says where it is from."""
    data = _bytes(path)
    text = _text(data)
    said = _said(path, text)
    try:
        return face_of(said, _picture(data)), text
    except (ValueError, TypeError, KeyError, AttributeError, cv2.error) as error:
        raise _damaged(path, error) from error


def read_origin(path: Path) -> tuple[Origin, np.ndarray]:
    """Where the face in a PNG is from, and its landmarks (68, 2) float32 there; the picture is not decoded. Raises as `read_face` does."""
    said = _said(path, _text(_bytes(path)))
    try:
        landmarks = _array(said["landmarks"], (68, 2), np.float32)
        check_landmarks(landmarks)
        return origin_of(said["origin"]), landmarks
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(path, error) from error


def face_of(said: dict[str, Any], image: np.ndarray) -> FaceFile:
    """The face with the picture `image` (S, S, 3) uint8 RGB whose JSON text says `said`. Raises ValueError, TypeError, KeyError or
    AttributeError where that makes no sense."""
    if said["format"] != FORMAT:
        raise ValueError(f"format {said['format']}, this program reads {FORMAT}")
    if said["coverage"] not in COVERAGES:
        raise ValueError(f"coverage {said['coverage']!r}")
    face = Face(Detection(_array(said["box"], (4,), np.float32), float(_array(said["score"], (), np.float64))), _array(said["landmarks"], (68, 2), np.float32))
    matrix = _array(said["matrix"], (2, 3), np.float64)
    check_landmarks(face.landmarks)
    check_matrix(matrix)
    return FaceFile(AlignedFace(face, image, matrix), said["coverage"], origin_of(said["origin"]))


def crop_landmarks(files: Sequence[FaceFile]) -> np.ndarray:
    """(N, 68, 2) float64: the `landmarks` of each of `files`, all at once."""
    return transform_points(np.stack([file.aligned.face.landmarks for file in files]), np.stack([file.aligned.matrix for file in files]))


def list_faces(folder: Path) -> list[Path]:
    """The PNG files of a face folder, numbers in their names in numeric order."""
    with os.scandir(folder) as entries:
        found = [folder / entry.name for entry in entries
                 if entry.name.lower().endswith(".png") and not entry.name.startswith(".") and entry.is_file()]
    return sorted(found, key=lambda path: natural_key(path.name))


def is_face_folder(folder: Path) -> bool:
    """Whether `folder` holds faces from extract, rather than pictures yet to be searched."""
    return folder.is_dir() and any(is_face(path) for path in list_faces(folder))


def is_face(path: Path) -> bool:
    """Whether the file is a PNG that says where its face is. Its picture is not read."""
    with opened(path) as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            return False
        while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
            length, kind = struct.unpack(">I4s", head)
            begins = file.read(min(length, len(KEYWORD)))
            if kind == b"tEXt" and begins == KEYWORD:
                return True
            file.seek(length - len(begins) + 4, os.SEEK_CUR)
    return False


class FaceFolder:
    """Where extract puts faces."""

    mark: Mark | None = None  # with which faces that were made are marked as synthetic

    def __init__(self, path: Path):
        """Makes the folder `path`; FaceswapError if it cannot be written."""
        self.path = path
        if path.exists() and not path.is_dir():
            raise FaceswapError(f"Cannot write faces into {path}: it is a file. Name a folder with -o.")
        try:
            make_folder(path)
            probe(path)
        except OSError as error:
            raise FaceswapError(f"Cannot write faces into {path}: {error.strerror}. Choose another folder with -o.") from error

    def find(self, origin: Origin) -> Path | None:
        """The file of the face from `origin` under the name that it was given, if it is there."""
        for path in _names(self.path, origin):
            if not path.exists():
                return None
            if _is_from(path, origin):
                return path

    def is_empty(self) -> bool:
        return not list_faces(self.path)

    def write(self, aligned: AlignedFace, origin: Origin, coverage: str = DEFAULT_COVERAGE, original: Path | None = None) -> Path:
        """`original` is the file that a face was made of, for its `mark`."""
        return write_face(self.path, aligned, origin, coverage, self.mark, original)


def stem_of(origin: Origin) -> str:
    """How the name of a face's file begins: source, frame, number."""
    stem = Path(origin.name or origin.source).stem
    if len(os.fsencode(stem)) > LONGEST_STEM:
        stem = f"{stem[:LONGEST_STEM // 4]}~{zlib.crc32(os.fsencode(stem)):08x}"
    return f"{stem}_{origin.frame:06d}_{origin.number}"


def _free_name(folder: Path, origin: Origin) -> Path:
    """Two sources of one name may share a folder: the second's faces get a number more."""
    return next(path for path in _names(folder, origin) if not path.exists() or _is_from(path, origin))


def _names(folder: Path, origin: Origin) -> Iterator[Path]:
    stem = stem_of(origin)
    yield folder / f"{stem}.png"
    yield from (folder / f"{stem}-{tries}.png" for tries in itertools.count(2))


def _is_from(path: Path, origin: Origin) -> bool:
    try:
        there = parse_json(_text(read_bytes(path, MOST_BYTES)))["origin"]
        return (there["source"], there["frame"], there["name"]) == (origin.source, origin.frame, origin.name)
    except (TypeError, ValueError, KeyError, AttributeError, NotRegular):
        return False


def _bytes(path: Path) -> bytes:
    try:
        return read_bytes(path, MOST_BYTES)
    except OSError as error:
        raise FaceswapError(f"Cannot read {path}: {error.strerror}.") from error
    except ValueError as error:
        raise _damaged(path, error) from error


def _said(path: Path, text: str | None) -> dict[str, Any]:
    """What a face PNG says of itself in its `text`."""
    if text is None:
        raise NotAFace(f"{path} does not say where its face is: it is not from extract, or another program saved it anew. "
                       "Take it away, or extract the faces again.")
    try:
        said = parse_json(text)
        if said["format"] != FORMAT:
            raise ValueError(f"format {said['format']}, this program reads {FORMAT}")
        return said
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> FaceswapError:
    return FaceswapError(f"The face file {path} is damaged ({' '.join(str(error).split())[:LONGEST_REASON]}). Delete it, or extract the "
                         "faces again.")


def _text(data: bytes) -> str | None:
    """The text chunk with our keyword, wherever another program may have moved it."""
    if not data.startswith(SIGNATURE):
        return None
    place = len(SIGNATURE)
    while place + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[place:place + 8])
        body = data[place + 8:place + 8 + length]
        if kind == b"tEXt" and body.startswith(KEYWORD) and length <= MOST_TEXT:
            return body[len(KEYWORD):].decode("latin-1")
        place += 12 + length
    return None


def _picture(data: bytes) -> np.ndarray:
    """(S, S, 3) uint8 RGB, of a PNG."""
    width, height = struct.unpack(">II", data[16:24])
    if width != height or not 0 < width <= LARGEST:
        raise ValueError(f"{width}x{height} pixels")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None or b"IEND" not in data[-12:]:
        raise ValueError("its picture cannot be decoded")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def origin_of(said: dict[str, Any]) -> Origin:
    """The origin that a face's JSON text has. Raises TypeError or ValueError where it makes no sense."""
    origin = Origin(**said)
    if not all(isinstance(text, str) for text in (origin.source, origin.name)) or \
            not all(type(number) is int and 0 <= number < most
                    for number, most in ((origin.frame, MOST_FRAMES), (origin.number, MOST_FACES))) or \
            not (origin.time is None or type(origin.time) in (int, float) and abs(origin.time) < MOST_FRAMES):
        raise ValueError("it does not say where it is from")
    return origin


def _array(values: Any, shape: tuple[int, ...], kind: type) -> np.ndarray:
    array = np.array(values, kind).reshape(shape)
    if not np.isfinite(array).all():
        raise ValueError("a coordinate is not a number")
    return array


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
