"""Face sets: a folder of aligned faces as PNG files, each of which says in its metadata where it is from.

A PNG text chunk (tEXt; also zTXt and iTXt, as which other programs save it) with the keyword `faceswap` holds JSON: `format` 1,
`coverage`, `size` (pixels a side; files of earlier versions lack it), `landmarks` (68 x 2, frame pixels), `matrix` (2 x 3, frame -> crop
pixels of that size), `box`, `score`, and `origin`: `source`, `frame`, `number`, `name`, `time`. The picture may have been scaled since.
"""

from __future__ import annotations

import itertools
import json
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from lib.errors import FaceswapError
from lib.faces.geometry import COVERAGES, DEFAULT_COVERAGE, invert, resized_matrix, template_matrix, transform_points, upsampled, warp
from lib.faces.quality import check_landmarks, check_matrix
from lib.files.names import natural_key
from lib.files.reading import NotRegular, opened, parse_json, read_bytes
from lib.files.writing import make_folder, probe, write_bytes, write_new
from lib.media.pictures.metadata import XMP_CHUNK
from lib.types import AlignedFace, Detection, Face

if TYPE_CHECKING:
    from lib.provenance.marking import Mark

FORMAT = 1
SIGNATURE = b"\x89PNG\r\n\x1a\n"
AFTER_HEADER = len(SIGNATURE) + 25  # the IHDR chunk comes first and is always 25 bytes long
KEYWORD, TEXTS = b"faceswap\0", (b"tEXt", b"zTXt", b"iTXt")
OTHER_TOOL = "deepfakes/faceswap"
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
        return AlignedFace(self.aligned.face, warp(self.image, matrix, size), matrix @ np.vstack([self.aligned.matrix, [0, 0, 1]]),
                           coverage)


class NotAFace(FaceswapError):
    """A PNG that does not say where its face is."""


class ForeignFace(NotAFace):
    """A face picture that another tool made, whose metadata is not read."""


def write_face(folder: Path, aligned: AlignedFace, origin: Origin, coverage: str = DEFAULT_COVERAGE, mark: Mark | None = None,
               original: Path | None = None) -> Path:
    """Writes the face into `folder`, atomically; its name tells source, frame and number. The same face replaces itself.

    With `mark` it is marked as synthetic, made of the file `original`.
    """
    face = aligned.face
    text = json.dumps({
        "format": FORMAT, "coverage": coverage, "size": len(aligned.image), "landmarks": face.landmarks.astype(float).round(3).tolist(),
        "matrix": aligned.matrix.tolist(), "box": face.detection.box.astype(float).round(3).tolist(),
        "score": round(face.detection.score, 5), "origin": asdict(origin)})
    for path in _names(folder, origin):  # two sources of one name may share a folder: the second's faces get a number more
        with suppress(FileExistsError):  # another run may write it meanwhile
            if not path.exists():
                write_png(path, aligned.image, text, mark, original, new=True)
                return path
        if _is_from(path, origin):
            write_png(path, aligned.image, text, mark, original)
            return path


def write_png(path: Path, image: np.ndarray, text: str, mark: Mark | None = None, original: Path | None = None, new: bool = False) -> None:
    """Writes a face's PNG, atomically: `image` (S, S, 3) uint8 RGB, and the JSON `text` that says where it is from.

    With `new`, raises FileExistsError where anything has that name by then.
    """
    # one filter and Huffman coding alone: half the time of OpenCV's choice, and faces hardly larger
    _, png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [
        cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY])
    said = _chunk(b"tEXt", KEYWORD + text.encode("latin-1"))
    if mark:
        said += _chunk(b"iTXt", XMP_CHUNK.encode() + b"\0\0\0\0\0" + mark.xmp)
    data = b"".join((png[:AFTER_HEADER], said, png[AFTER_HEADER:]))
    (write_new if new else write_bytes)(path, mark.signed(data, path, original) if mark else data, durable=False)


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
    box, score = _array(said["box"], (4,), np.float32), float(_array(said["score"], (), np.float64))
    face = Face(Detection(box, score), _array(said["landmarks"], (68, 2), np.float32))
    matrix = _array(said["matrix"], (2, 3), np.float64)
    check_landmarks(face.landmarks)
    check_matrix(matrix)
    if "size" not in said:
        matrix = resized_matrix(matrix, face.landmarks, len(image), said["coverage"])
    elif type(said["size"]) is not int or not 0 < said["size"] <= LARGEST:
        raise ValueError(f"size {said['size']!r}")
    elif said["size"] != len(image):
        matrix = upsampled(matrix, len(image) / said["size"])
    return FaceFile(AlignedFace(face, image, matrix, said["coverage"]), said["coverage"], origin_of(said["origin"]))


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
            end = file.tell() + length + 4
            body = file.read(min(length, len(KEYWORD)))
            if kind in TEXTS and body == KEYWORD:
                if kind == b"tEXt":
                    return True
                text = _decoded(kind, body + file.read(min(length, MOST_TEXT) - len(body)))
                if text is not None and made_by(text) is None:
                    return True
            file.seek(end)
    return False


def made_by(text: str) -> str | None:
    """The other tool that makes face pictures with such a `text`; None where it is ours, or damaged."""
    try:
        said = parse_json(text)
    except ValueError:
        return None
    return OTHER_TOOL if isinstance(said, dict) and {"alignments", "source"} <= said.keys() else None


def foreign_faces(folder: Path) -> str | None:
    """Which other tool made the face pictures of `folder`, judged by the first of them; None where none is known to have."""
    paths = folder.iterdir() if folder.is_dir() else ()
    first = next((path for path in paths if path.suffix.lower() in (".png", ".jpg") and path.is_file()), None)
    if first is None:
        return None
    data = _bytes(first)
    if (text := _text(data)) is not None:
        return made_by(text)
    return "DeepFaceLab" if data.startswith(b"\xff\xd8") and b"source_landmarks" in data[:MOST_TEXT] else None


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
    if other := made_by(text):
        raise ForeignFace(f"{path} is a face picture of {other}, whose metadata is not read. Extract the faces of the video or pictures "
                          "that it was made of; or those in these face pictures, with faceswap.py extract.")
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
        if kind in TEXTS and body.startswith(KEYWORD) and length <= MOST_TEXT and (text := _decoded(kind, body)) is not None:
            return text
        place += 12 + length
    return None


def _decoded(kind: bytes, body: bytes) -> str | None:
    """The text of a chunk that begins with our keyword (Portable Network Graphics, third edition, 11.3.3); None where it is damaged."""
    rest = body[len(KEYWORD):]
    if kind == b"tEXt":
        return rest.decode("latin-1")
    try:
        if kind == b"zTXt":
            return _inflated(rest[1:]).decode("latin-1")
        _, _, data = rest[2:].split(b"\0", 2)  # language and translated keyword
        return (_inflated(data) if rest[0] else data).decode("utf-8")
    except (ValueError, IndexError, zlib.error):
        return None


def _inflated(data: bytes) -> bytes:
    inflating = zlib.decompressobj()
    text = inflating.decompress(data, MOST_TEXT)
    if not inflating.eof:
        raise ValueError("its text is too long, or not whole")
    return text


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
