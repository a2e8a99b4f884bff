"""Packed face sets: all faces of a folder in one HDF5 file, which loads many times faster than their PNG files.

Layout, `format` 1. Attributes of the file: `kind` "faceswap faces", `format`, and `count`, the number N of faces. Datasets:

- `images_S` for each side S in pixels: (K, S, S, 3) uint8 RGB. In one piece, so that it is mapped into memory and no copy is made;
  or a face a chunk, deflated (`--compress`). Rows that `places` does not name hold nothing.
- `places` (N, 2) int32: of each face the side of its picture, and its row there.
- `names` and `texts`, uint8: of each face the name of its PNG file, and the JSON text that stands in it (see `faceset`), each
  followed by a zero byte.
- `numbers` (N, 147) float64 and `facts`, uint8: the same as the texts, in a form that loads fast. Of each face its landmarks, matrix,
  box and score; and the rest as JSON with `coverage` and `origin`, each followed by a zero byte.

Faces lie in the order of their names, numbers in numeric order. A file must stay as it is while faces of it are in use.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

import cv2
import numpy as np

from lib.errors import FaceswapError
from lib.faces.geometry import COVERAGES, resized_matrix
from lib.faces.quality import check_landmarks, check_matrix
from lib.facesets.folder import (
    LARGEST,
    LONGEST_REASON,
    SIGNATURE,
    FaceFile,
    FaceFolder,
    face_of,
    is_face_folder,
    list_faces,
    origin_of,
    read_face,
    read_face_and_text,
    write_png,
)
from lib.files import hdf5
from lib.files.names import natural_key
from lib.files.reading import NotRegular, parse_json
from lib.files.writing import disk_errors, new_file, sweep
from lib.system import device
from lib.system.lock import Lock, Locked
from lib.system.logs import counted
from lib.system.parallel import ordered_map
from lib.system.progress import progress
from lib.types import AlignedFace, Detection, Face

logger = logging.getLogger(__name__)

KIND, FORMAT = "faceswap faces", 1
BLOCK = 1 << 16  # bytes of names and texts that are written at a time
TEXT = 4096  # bytes at most, usually, of what a face says of itself
NUMBERS = 68 * 2 + 2 * 3 + 4 + 1  # landmarks, matrix, box, score
TOLD = 5  # names of damaged files at most
LEVEL = 1  # of the compression: the highest one saves a hundredth more, and takes a third longer
DAMAGE = (*hdf5.DAMAGE, zlib.error)


@dataclass(frozen=True)
class Packing:
    """What came of it."""

    count: int  # faces
    size: int  # bytes of the file
    left_out: list[FaceswapError]  # files that are damaged, or no faces


def is_packed(path: Path) -> bool:
    """Whether `path` is an HDF5 file: a packed face set, or what somebody takes for one."""
    try:
        return hdf5.is_hdf5(path)
    except (OSError, NotRegular):
        return False


def is_face_set(path: Path) -> bool:
    """Whether `path` holds aligned faces: a packed face set, or a folder of faces from extract."""
    return is_packed(path) or is_face_folder(path)


def face_names(path: Path) -> list[str]:
    """File names of the faces in a folder or a packed set, in the order of `read_faces`. No picture is read."""
    if path.is_dir():
        return [one.name for one in list_faces(path)]
    with PackedFaces(path) as faces:
        return faces.names


def read_faces(path: Path, threads: int) -> list[FaceFile]:
    """The faces in a folder or a packed set, numbers in their names in numeric order.

    Pictures of a packed set may not be written to: they lie in the file, and come into memory as they are looked at. Raises
    FaceswapError for what is damaged, or no face: all that is so in a folder, at once.
    """
    cv2.setNumThreads(1)  # the threads are here
    if path.is_dir():
        paths = list_faces(path)
        files = list(progress(ordered_map(_face_or_error, paths, threads), f"read {path.name}", len(paths), unit="face"))
        bad = [(one, file) for one, file in zip(paths, files) if isinstance(file, FaceswapError)]
        if len(bad) > 1:
            names = ", ".join(one.name for one, _ in bad[:TOLD]) + (f" and {len(bad) - TOLD} more" if len(bad) > TOLD else "")
            raise FaceswapError(f"{len(bad)} files in {path} are damaged, or no faces: {names}. The first: {bad[0][1]}")
        if bad:
            raise bad[0][1]
        return files
    with PackedFaces(path) as faces:
        places = range(len(faces))
        files = ordered_map(faces.read, places, threads) if faces.compressed else map(faces.read, places)
        return list(progress(files, f"read {path.name}", len(faces), unit="face"))


def _face_or_error(path: Path) -> FaceFile | FaceswapError:
    try:
        return read_face(path)
    except FaceswapError as error:
        return error


class PackedFaces:
    """A packed face set that is open for reading. All of its layout is checked before memory is taken."""

    def __init__(self, path: Path):
        """Raises FaceswapError where `path` is none, is damaged, is newer than this program, or takes more memory than there is."""
        self.path = path
        if not is_packed(path):
            raise FaceswapError(f"{path} is no packed face set. Name a file that `faceswap.py faces pack` made.")
        with self._reported():
            self._file = hdf5.open_hdf5(path)
        try:
            with self._reported():
                self._check()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> PackedFaces:
        return self

    def __exit__(self, *error) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self.names)

    def text(self, index: int) -> str:
        """The JSON text of a face."""
        return self._texts[index].decode("latin-1")

    def image(self, index: int) -> np.ndarray:
        """(S, S, 3) uint8 RGB, read-only."""
        side, row = self._places[index]
        images = self._images[side]
        if isinstance(images, np.ndarray):
            return images[row]
        with self._reported():
            from h5py._objects import phil

            size = side * side * 3
            chunk = images.id.get_chunk_info_by_coord((row, 0, 0, 0))
            if chunk.byte_offset is None or not 0 < chunk.size <= size + size // 1000 + TEXT or chunk.filter_mask:
                raise ValueError(f"picture {index} is not there")
            with phil:  # h5py's own lock, which its read_direct_chunk forgets up to 3.15: threads then spoil HDF5's memory
                _, deflated = images.id.read_direct_chunk((row, 0, 0, 0))
            data = zlib.decompressobj().decompress(deflated, size)
            if len(data) != size:
                raise ValueError(f"picture {index} is not whole")
            return np.frombuffer(data, np.uint8).reshape(side, side, 3)

    def read(self, index: int) -> FaceFile:
        image, fact, numbers = self.image(index), self._facts[index], self._numbers[index]
        try:
            origin, coverage = origin_of(fact["origin"]), fact["coverage"]
            if coverage not in COVERAGES:
                raise ValueError(f"coverage {coverage!r}")
        except DAMAGE as error:
            raise self._damaged(error) from error
        single = self._single[index]
        face = Face(Detection(single[142:146], float(numbers[146])), single[:136].reshape(68, 2))
        return FaceFile(AlignedFace(face, image, numbers[136:142].reshape(2, 3), coverage), coverage, origin)

    def check(self, index: int) -> None:
        """Raises FaceswapError where the text of a face makes no sense."""
        image = self.image(index)
        with self._reported():
            face_of(parse_json(self._texts[index]), image)

    def _check(self) -> None:
        attributes = self._file.attrs
        if attributes.get("kind") != KIND:
            raise FaceswapError(f"{self.path} is an HDF5 file, but no packed face set: other data is in it. Name a file that "
                                "`faceswap.py faces pack` made.")
        if not isinstance(attributes["format"], (int, np.integer)):
            raise ValueError("its format is no number")
        if attributes["format"] != FORMAT:
            raise FaceswapError(f"{self.path} is a packed face set of format {attributes['format']}; this program reads {FORMAT}. Use the "
                                "version of faceswap that made it, or pack the faces again.")
        self.names = [os.fsdecode(name) for name in self._strings("names")]
        self._texts = self._strings("texts")
        places = self._bytes("places", np.int32)
        self._facts = parse_json(b"[" + b",".join(self._strings("facts")) + b"]")
        self._numbers = self._bytes("numbers", np.float64)
        self._single = self._numbers.astype(np.float32)
        if not np.isfinite(self._single).all():
            raise ValueError("a coordinate is not a number")
        counts = {len(self.names), len(self._texts), len(self._facts), len(self._numbers), len(places), int(attributes["count"])}
        if len(counts) > 1 or places.shape[1:] != (2,) or self._numbers.shape[1:] != (NUMBERS,):
            raise ValueError("it does not have as many faces as it says")
        if unsafe := [name for name in self.names if not _is_plain(name)]:
            raise ValueError(f"{unsafe[0]!r} is no name for a face")
        self._places = [tuple(place) for place in places.tolist()]
        if len({name.casefold() for name in self.names}) < len(self.names) or len(set(self._places)) < len(self._places):
            raise ValueError("two faces have one name or place")
        sides = np.unique(places[:, 0]).tolist()
        self._images = {side: self._pictures(side, places[places[:, 0] == side, 1]) for side in sides}
        self.compressed = not all(isinstance(images, np.ndarray) for images in self._images.values())
        if self.compressed:
            needed, there = int((places[:, 0].astype(np.int64) ** 2 * 3).sum()), device.memory()[1]
            if needed > there:
                raise FaceswapError(f"The {len(self)} faces of {self.path} take {in_words(needed)} of memory, and this machine has "
                                    f"{in_words(there)}. Pack them without --compress, or pack fewer.")
        check_landmarks(self._single[:, :136].reshape(-1, 68, 2))
        matrices = self._numbers[:, 136:142].reshape(-1, 2, 3)
        check_matrix(matrices)
        coverages = np.array([fact.get("coverage") if isinstance(fact, dict) else None for fact in self._facts], object)
        for side in sides:  # sets that earlier versions packed may hold pictures that were scaled before
            for coverage in COVERAGES:
                alike = np.flatnonzero((places[:, 0] == side) & (coverages == coverage))
                matrices[alike] = resized_matrix(matrices[alike], self._single[alike, :136].reshape(-1, 68, 2), side, coverage)

    def _pictures(self, side: int, rows: np.ndarray) -> Any:
        """The pictures of one side: mapped into memory, or where they are compressed the dataset itself."""
        images = hdf5.dataset(self._file, f"images_{side}")
        if images.dtype != np.uint8 or images.shape[1:] != (side, side, 3) or not 0 < side <= LARGEST:
            raise ValueError(f"its pictures are {images.dtype} {images.shape}")
        if rows.min() < 0 or rows.max() >= len(images):
            raise ValueError("a face has no picture")
        if images.chunks is None:
            return np.asarray(np.memmap(self.path, np.uint8, "r", images.id.get_offset(), images.shape))
        if images.chunks != (1, side, side, 3) or images.compression != "gzip" or images.id.get_create_plist().get_nfilters() != 1:
            raise ValueError("its pictures are compressed in another way")
        return images

    def _strings(self, name: str) -> list[bytes]:
        return self._bytes(name, np.uint8).tobytes().split(b"\0")[:-1]

    def _bytes(self, name: str, kind: type) -> np.ndarray:
        data = hdf5.dataset(self._file, name)
        if data.dtype != kind or data.ndim not in (1, 2) or data.id.get_storage_size() > self.path.stat().st_size:
            raise ValueError(f"{name} is not whole")
        return hdf5.numbers(self._file, name)

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except FaceswapError:
            raise
        except DAMAGE as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> FaceswapError:
        reason = " ".join(str(error).split())[:LONGEST_REASON]
        return FaceswapError(f"The packed face set {self.path} is damaged ({reason}). Pack the faces again, or copy it again from where it "
                             "is whole.")


def pack(folders: Sequence[Path], path: Path, compress: bool = False, skip_damaged: bool = False, threads: int = 1) -> Packing:
    """Makes the packed face set `path` of the faces in `folders`; nothing has that name before all of it is written.

    A name that two folders share gets a number more. Raises FaceswapError for a file that is damaged or no face, which `skip_damaged`
    leaves out; where there is no face, no space, or something else at `path`.
    """
    check_output(path)
    sources = _sources(folders)
    sides = [_side(source) for source in sources]
    needed, free = sum(side * side * 3 + TEXT for side in sides), shutil.disk_usage(path.absolute().parent).free
    if needed > free and not compress:
        raise FaceswapError(f"Packing {len(sources)} faces into {path} takes {in_words(needed)}, and that disk has {in_words(free)} free. "
                            "Free some space, choose another place with -o, or try --compress.")
    logger.info("Packing %s: %s%s needed, %s free.", counted(len(sources), "face"), "at most " * compress, in_words(needed), in_words(free))
    with disk_errors(path):
        sweep(path.absolute().parent)
        try:
            lock = Lock(path.with_name(f".{path.name}.lock"))
        except Locked:
            raise FaceswapError(f"Another run is packing {path}. Wait until it has ended.") from None
        try:
            with new_file(path) as part:
                return _write(sources, sides, path.name, part, compress, skip_damaged, threads)
        finally:
            lock.release()


def check_output(path: Path) -> None:
    """Raises FaceswapError where `path` is no name for a packed face set, or the name of something else."""
    if path.suffix.lower() != ".h5":
        raise FaceswapError(f"A packed face set is a file whose name ends in .h5, not {path}. Name one with -o.")
    if not path.absolute().parent.is_dir():
        raise FaceswapError(f"There is no folder {path.absolute().parent}. Make it, or name another place with -o.")
    if path.exists() and not _is_ours(path):
        raise FaceswapError(f"{path} is there already and is no packed face set. Name another file with -o.")


def unpack(path: Path, folder: Path, threads: int = 1) -> int:
    """Writes the PNG files of a packed face set into `folder`, those that are not there yet; returns how many.

    Raises FaceswapError before the first where others lie there.
    """
    with PackedFaces(path) as faces:
        FaceFolder(folder)
        there = {one.name for one in list_faces(folder)}
        others = there - set(faces.names) or {name for index, name in enumerate(faces.names)
                                              if name in there and not _is_same(folder / name, faces, index)}
        if others:
            raise FaceswapError(f"{folder} holds other pictures already, such as {min(others)}. Empty it, or name a new folder with -o.")
        missing = [index for index, name in enumerate(faces.names) if name not in there]

        def write(index: int) -> None:
            faces.check(index)  # what is damaged is told here, not by who reads the PNG
            write_png(folder / faces.names[index], faces.image(index), faces.text(index))

        with disk_errors(folder / "x"):
            for _ in progress(ordered_map(write, missing, threads), f"unpack {path.name}", len(faces), len(there), unit="face"):
                pass
        return len(missing)


def in_words(size: int) -> str:
    """So many bytes as "1.9 GB" or "12 MB"."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _write(sources: Sequence[Path], sides: Sequence[int], name: str, part: Path, compress: bool, skip_damaged: bool,
           threads: int) -> Packing:
    """Writes the file `part`, which will be called `name`, a face at a time."""
    import h5py

    cv2.setNumThreads(1)  # the threads are here
    places, left_out = [], []
    rows = dict.fromkeys(sides, 0)
    with h5py.File(part, "w") as file:
        images = {side: _pictures(file, side, sides.count(side), compress) for side in sorted(set(sides)) if side}
        names, texts, facts = (_Texts(file, name) for name in ("names", "texts", "facts"))
        numbers = file.create_dataset("numbers", (0, NUMBERS), np.float64, maxshape=(None, NUMBERS), chunks=(256, NUMBERS))
        faces = progress(ordered_map(partial(_read, compress=compress), sources, threads), f"pack {name}", len(sources), unit="face")
        for source, side, face_name, face in zip(sources, sides, _names(sources), faces):
            if isinstance(face, FaceswapError):
                if not skip_damaged:
                    raise FaceswapError(f"{face} Or pack the others with --skip-damaged.")
                left_out.append(face)
                continue
            if face.side != side:
                raise FaceswapError(f"{source} was changed while the faces were packed. Run the same command again.")
            if compress:
                images[side].id.write_direct_chunk((rows[side], 0, 0, 0), face.picture)
            else:
                images[side][rows[side]] = face.picture
            places.append((side, rows[side]))
            rows[side] += 1
            for grown, text in (names, os.fsencode(face_name)), (texts, face.text.encode("latin-1")), (facts, face.facts.encode("ascii")):
                grown.add(text)
            numbers.resize(len(places), axis=0)
            numbers[-1] = face.numbers
        if not places:
            raise left_out[0]
        for grown in names, texts, facts:
            grown.end()
        file.create_dataset("places", data=np.array(places, np.int32))
        file.attrs.update({"kind": KIND, "format": FORMAT, "count": len(places)})
    return Packing(len(places), part.stat().st_size, left_out)


def _pictures(file: Any, side: int, count: int, compress: bool) -> Any:
    """A dataset for so many pictures of one side."""
    how = {"chunks": (1, side, side, 3), "compression": "gzip", "compression_opts": LEVEL} if compress else {}
    return file.create_dataset(f"images_{side}", (count, side, side, 3), np.uint8, **how)


class _Texts:
    """A dataset of texts, each followed by a zero byte, that is written block by block."""

    def __init__(self, file: Any, name: str):
        self._data = file.create_dataset(name, (0,), np.uint8, maxshape=(None,), chunks=(BLOCK,))
        self._waiting = bytearray()

    def add(self, text: bytes) -> None:
        self._waiting += text + b"\0"
        if len(self._waiting) >= BLOCK:
            self.end()

    def end(self) -> None:
        there = len(self._data)
        self._data.resize(there + len(self._waiting), axis=0)
        self._data[there:] = np.frombuffer(self._waiting, np.uint8)
        self._waiting = bytearray()


class _Face(NamedTuple):
    """What of a face is written."""

    side: int
    picture: np.ndarray | bytes
    text: str
    facts: str
    numbers: np.ndarray


def _read(path: Path, compress: bool) -> _Face | FaceswapError:
    """The face in a file, or what is wrong with it."""
    try:
        file, text = read_face_and_text(path)
    except FaceswapError as error:
        return error
    said = parse_json(text) | {"matrix": file.aligned.matrix}  # which is that of the picture's size
    facts = json.dumps({"coverage": said["coverage"], "origin": said["origin"]})
    numbers = np.concatenate([np.ravel(said[name]) for name in ("landmarks", "matrix", "box", "score")])
    return _Face(file.size, zlib.compress(file.image, LEVEL) if compress else file.image, text, facts, numbers)


def _sources(folders: Sequence[Path]) -> list[Path]:
    """The files of all `folders` in the order of their names."""
    paths = []
    for folder in folders:
        if not folder.is_dir():
            raise FaceswapError(f"{folder} {'is a file' if folder.exists() else 'does not exist'}. Name a folder of faces made by extract.")
        if not (found := list_faces(folder)):
            raise FaceswapError(f"There are no faces (PNG files made by extract) in {folder} itself; folders in it are not looked into.")
        paths += found
    return sorted(paths, key=lambda path: natural_key(path.name))


def _names(paths: Sequence[Path]) -> list[str]:
    """A name for each, no two alike where case is ignored."""
    names, taken = [], {path.name.casefold() for path in paths}
    given: set[str] = set()
    for path in paths:
        name, tries = path.name, 1
        while name.casefold() in given or (tries > 1 and name.casefold() in taken):
            tries += 1
            name = f"{path.stem}-{tries}{path.suffix}"
        given.add(name.casefold())
        names.append(name)
    return names


def _side(path: Path) -> int:
    """Pixels, as the head of a PNG file says; 0 where it is none, or not square, which is told when it is read."""
    try:
        with open(path, "rb") as file:
            head = file.read(24)
    except OSError:
        return 0
    width, height = int.from_bytes(head[16:20]), int.from_bytes(head[20:24])
    return width if head.startswith(SIGNATURE) and width == height <= LARGEST else 0


def _is_ours(path: Path) -> bool:
    """Whether `path` is a packed face set of any format, whole or not."""
    try:
        with hdf5.open_hdf5(path) as file:
            return file.attrs.get("kind") == KIND
    except (*DAMAGE, NotRegular):
        return False


def _is_plain(name: str) -> bool:
    """Whether it names a PNG file in a folder, and no other place."""
    return (PurePosixPath(name).name == name == PureWindowsPath(name).name and name.lower().endswith(".png")
            and not name.startswith("."))


def _is_same(path: Path, faces: PackedFaces, index: int) -> bool:
    try:
        file, text = read_face_and_text(path)
    except FaceswapError:
        return False
    return text == faces.text(index) and np.array_equal(file.image, faces.image(index))
