"""Face folders packed into one file, and packed files written out again."""

from __future__ import annotations

import json
import logging
import os
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from lib.errors import FaceswapError
from lib.facesets.face_file import read_face_and_text
from lib.facesets.folder import FaceFolder, list_faces
from lib.facesets.packed import DAMAGE, FORMAT, KIND, NUMBERS, TEXT, PackedFaces, in_words
from lib.facesets.png import read_side, write_png
from lib.files import hdf5
from lib.files.names import natural_key
from lib.files.reading import NotRegular, parse_json
from lib.files.writing import disk_errors, new_file, sweep
from lib.system.lock import Lock, Locked
from lib.system.logs import counted
from lib.system.parallel import ordered_map
from lib.system.progress import progress

logger = logging.getLogger(__name__)

BLOCK = 1 << 16  # bytes of texts that are written at a time
LEVEL = 1  # of the compression: the highest one saves a hundredth more, and takes a third longer


@dataclass(frozen=True)
class Packing:
    """What packing came to."""

    count: int  # faces
    size: int  # bytes of the file
    left_out: list[FaceswapError]  # files that are damaged, or no faces


def pack(folders: Sequence[Path], path: Path, compress: bool = False, skip_damaged: bool = False,
         threads: int = 1) -> Packing:
    """Packs the faces in `folders` into the file `path`, which appears when all of it is written.

    A name that two folders share gets a number more. Raises FaceswapError for a file that is
    damaged or no face, unless `skip_damaged`; where there is no face, no space, or something else
    at `path`.
    """
    check_output(path)
    sources = _sources(folders)
    sides = [read_side(source) for source in sources]
    needed = sum(side * side * 3 + TEXT for side in sides)
    free = shutil.disk_usage(path.absolute().parent).free
    if needed > free and not compress:
        raise FaceswapError(f"Packing {len(sources)} faces into {path} takes {in_words(needed)}, "
                            f"and that disk has {in_words(free)} free. Free some space, choose "
                            "another place with -o, or try --compress.")
    logger.info("Packing %s: %s%s needed, %s free.", counted(len(sources), "face"),
                "at most " * compress, in_words(needed), in_words(free))
    with disk_errors(path):
        sweep(path.absolute().parent)
        try:
            lock = Lock(path.with_name(f".{path.name}.lock"))
        except Locked:
            raise FaceswapError(f"Another run is packing {path}. Wait for it to end.") from None
        try:
            with new_file(path) as part:
                return _write(sources, sides, path.name, part, compress, skip_damaged, threads)
        finally:
            lock.release()


def check_output(path: Path) -> None:
    """Raises FaceswapError where no packed face set can be written to `path`."""
    if path.suffix.lower() != ".h5":
        raise FaceswapError(f"A packed face set is a file whose name ends in .h5, not {path}. Name "
                            "one with -o.")
    if not path.absolute().parent.is_dir():
        raise FaceswapError(f"There is no folder {path.absolute().parent}. Make it, or name "
                            "another place with -o.")
    if path.exists() and not _is_ours(path):
        raise FaceswapError(f"{path} exists and is no packed face set. Name another file with -o.")


def unpack(path: Path, folder: Path, threads: int = 1) -> int:
    """Writes the PNG files of a packed face set that are missing in `folder`; returns how many.

    Raises FaceswapError, before the first, where other pictures lie there.
    """
    with PackedFaces(path) as faces:
        FaceFolder(folder)
        present = {file.name for file in list_faces(folder)}
        strangers = present - set(faces.names) or {
            name for index, name in enumerate(faces.names)
            if name in present and not _is_same(folder / name, faces, index)}
        if strangers:
            raise FaceswapError(f"{folder} holds other pictures already, such as {min(strangers)}. "
                                "Empty it, or name a new folder with -o.")
        missing = [index for index, name in enumerate(faces.names) if name not in present]

        def write(index: int) -> None:
            faces.check(index)  # damage is told here, not when somebody reads the PNG
            write_png(folder / faces.names[index], faces.image(index), faces.text(index))

        with disk_errors(folder / "x"):
            for _ in progress(ordered_map(write, missing, threads), f"unpack {path.name}",
                              len(faces), len(present), unit="face"):
                pass
        return len(missing)


class _Face(NamedTuple):
    """What is written of a face."""

    side: int
    picture: np.ndarray | bytes
    text: str
    facts: str
    numbers: np.ndarray


class _File:
    """A packed face set that is written face by face. For faces of these sides in pixels, 0 for
    files that are none."""

    def __init__(self, file: Any, sides: Sequence[int], compress: bool):
        self._file, self._compress = file, compress
        self._images = {side: self._dataset(side, sides.count(side))
                        for side in sorted(set(sides)) if side}
        self._names, self._texts, self._facts = (
            _Texts(file, name) for name in ("names", "texts", "facts"))
        self._numbers = file.create_dataset("numbers", (0, NUMBERS), np.float64,
                                            maxshape=(None, NUMBERS), chunks=(256, NUMBERS))
        self._rows = dict.fromkeys(sides, 0)  # written so far
        self._places: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._places)

    def _dataset(self, side: int, count: int) -> Any:
        options = {"chunks": (1, side, side, 3), "compression": "gzip", "compression_opts": LEVEL}
        return self._file.create_dataset(f"images_{side}", (count, side, side, 3), np.uint8,
                                         **options if self._compress else {})

    def add(self, name: str, face: _Face) -> None:
        row = self._rows[face.side]
        if self._compress:
            self._images[face.side].id.write_direct_chunk((row, 0, 0, 0), face.picture)
        else:
            self._images[face.side][row] = face.picture
        self._places.append((face.side, row))
        self._rows[face.side] += 1
        self._names.add(os.fsencode(name))
        self._texts.add(face.text.encode("latin-1"))
        self._facts.add(face.facts.encode("ascii"))
        self._numbers.resize(len(self._places), axis=0)
        self._numbers[-1] = face.numbers

    def end(self) -> None:
        for texts in self._names, self._texts, self._facts:
            texts.flush()
        self._file.create_dataset("places", data=np.array(self._places, np.int32))
        self._file.attrs.update({"kind": KIND, "format": FORMAT, "count": len(self._places)})


class _Texts:
    """A dataset of texts, each followed by a zero byte, that is written block by block."""

    def __init__(self, file: Any, name: str):
        self._data = file.create_dataset(name, (0,), np.uint8, maxshape=(None,), chunks=(BLOCK,))
        self._waiting = bytearray()

    def add(self, text: bytes) -> None:
        self._waiting += text + b"\0"
        if len(self._waiting) >= BLOCK:
            self.flush()

    def flush(self) -> None:
        written = len(self._data)
        self._data.resize(written + len(self._waiting), axis=0)
        self._data[written:] = np.frombuffer(self._waiting, np.uint8)
        self._waiting = bytearray()


def _write(sources: Sequence[Path], sides: Sequence[int], name: str, part: Path, compress: bool,
           skip_damaged: bool, threads: int) -> Packing:
    """Writes the file `part`, which will be called `name`, face by face."""
    import h5py

    cv2.setNumThreads(1)  # the threads are here
    left_out = []
    with h5py.File(part, "w") as handle:
        file = _File(handle, sides, compress)
        faces = progress(ordered_map(partial(_read, compress=compress), sources, threads),
                         f"pack {name}", len(sources), unit="face")
        for source, side, face_name, face in zip(sources, sides, _unique_names(sources), faces):
            if isinstance(face, FaceswapError):
                if not skip_damaged:
                    raise FaceswapError(f"{face} Or pack the others with --skip-damaged.")
                left_out.append(face)
            elif face.side != side:
                raise FaceswapError(f"{source} was changed while the faces were packed. Run the "
                                    "same command again.")
            else:
                file.add(face_name, face)
        if not len(file):
            raise left_out[0]
        file.end()
        count = len(file)
    return Packing(count, part.stat().st_size, left_out)


def _read(path: Path, compress: bool) -> _Face | FaceswapError:
    """The face in a file, or what is wrong with it."""
    try:
        file, text = read_face_and_text(path)
    except FaceswapError as error:
        return error
    values = parse_json(text) | {"matrix": file.aligned.matrix}  # that of the picture's size
    facts = json.dumps({"coverage": values["coverage"], "origin": values["origin"]})
    numbers = np.concatenate([np.ravel(values[name])
                              for name in ("landmarks", "matrix", "box", "score")])
    picture = zlib.compress(file.image, LEVEL) if compress else file.image
    return _Face(file.size, picture, text, facts, numbers)


def _sources(folders: Sequence[Path]) -> list[Path]:
    """The files of all `folders` in the order of their names."""
    paths = []
    for folder in folders:
        if not folder.is_dir():
            raise FaceswapError(f"{folder} {'is a file' if folder.exists() else 'does not exist'}. "
                                "Name a folder of faces made by extract.")
        files = list_faces(folder)
        if not files:
            raise FaceswapError("There are no faces (PNG files made by extract) directly in "
                                f"{folder}; its subfolders are not read.")
        paths += files
    return sorted(paths, key=lambda path: natural_key(path.name))


def _unique_names(paths: Sequence[Path]) -> list[str]:
    """A name for each file, no two alike where case is ignored."""
    originals = {path.name.casefold() for path in paths}
    names: dict[str, str] = {}  # by the name in lower case
    for path in paths:
        name, tries = path.name, 1
        while name.casefold() in names or (tries > 1 and name.casefold() in originals):
            tries += 1
            name = f"{path.stem}-{tries}{path.suffix}"
        names[name.casefold()] = name
    return list(names.values())


def _is_ours(path: Path) -> bool:
    """Whether `path` is a packed face set of any format, whole or not."""
    try:
        with hdf5.open_hdf5(path) as file:
            return file.attrs.get("kind") == KIND
    except (*DAMAGE, NotRegular):
        return False


def _is_same(path: Path, faces: PackedFaces, index: int) -> bool:
    try:
        file, text = read_face_and_text(path)
    except FaceswapError:
        return False
    return text == faces.text(index) and np.array_equal(file.image, faces.image(index))
