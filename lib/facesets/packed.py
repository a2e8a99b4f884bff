"""Packed face sets: all faces of a folder in one HDF5 file, which loads many times faster.

Layout, `format` 1. Attributes of the file: `kind` "faceswap faces", `format`, and `count`, the
number N of faces. Datasets:

- `images_S` for each side S in pixels: (K, S, S, 3) uint8 RGB. In one piece, so that it is mapped
  into memory and not copied; or a face a chunk, deflated (`--compress`). Rows that `places` does
  not name hold nothing.
- `places` (N, 2) int32: of each face the side of its picture, and its row there.
- `names` and `texts`, uint8: of each face the name of its PNG file, and the JSON text that stands
  in it (see `face_file`), each followed by a zero byte.
- `numbers` (N, 147) float64 and `facts`, uint8: the same as the texts, in a form that loads fast.
  Of each face its landmarks, matrix, box and score; and the rest as JSON with `coverage` and
  `origin`, each followed by a zero byte.

Faces lie in the order of their names, numbers in numeric order. A file must not change while its
faces are in use.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from lib.errors import FaceswapError
from lib.faces.geometry import COVERAGES, resized_matrix
from lib.faces.quality import check_landmarks, check_matrix
from lib.facesets.face_file import LONGEST_REASON, FaceFile, face_of, origin_of
from lib.facesets.png import LARGEST
from lib.files import hdf5
from lib.files.reading import NotRegular, parse_json
from lib.system import device
from lib.types import AlignedFace, Detection, Face

KIND, FORMAT = "faceswap faces", 1
TEXT = 4096  # bytes at most, usually, of a face's text
NUMBERS = 68 * 2 + 2 * 3 + 4 + 1  # landmarks, matrix, box, score
DAMAGE = (*hdf5.DAMAGE, zlib.error)


def is_packed(path: Path) -> bool:
    """Whether `path` is an HDF5 file: a packed face set, or what somebody takes for one."""
    try:
        return hdf5.is_hdf5(path)
    except (OSError, NotRegular):
        return False


class PackedFaces:
    """A packed face set that is open for reading. Its whole layout is checked before memory is
    taken."""

    def __init__(self, path: Path):
        """Raises FaceswapError where `path` is no packed set, is damaged, has a newer format, or
        takes more memory than there is."""
        self.path = path
        if not is_packed(path):
            raise FaceswapError(f"{path} is no packed face set. Name a file that `faceswap.py "
                                "faces pack` made.")
        with self._reported():
            self._file = hdf5.open_hdf5(path)
        try:
            with self._reported():
                self._check_kind()
                places = self._read_tables()
                self._map_pictures(places)
                self._check_geometry(places)
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
            return self._inflated(images, index, side, row)

    def read(self, index: int) -> FaceFile:
        """A face. Raises FaceswapError where it is damaged."""
        image, facts, numbers = self.image(index), self._facts[index], self._numbers[index]
        with self._reported():
            origin, coverage = origin_of(facts["origin"]), facts["coverage"]
            if coverage not in COVERAGES:
                raise ValueError(f"coverage {coverage!r}")
        single = self._single[index]
        face = Face(Detection(single[142:146], float(numbers[146])), single[:136].reshape(68, 2))
        return FaceFile(AlignedFace(face, image, numbers[136:142].reshape(2, 3)), coverage, origin)

    def check(self, index: int) -> None:
        """Raises FaceswapError where the text of a face makes no sense."""
        image = self.image(index)
        with self._reported():
            face_of(parse_json(self._texts[index]), image)

    def _inflated(self, images: Any, index: int, side: int, row: int) -> np.ndarray:
        """(S, S, 3) uint8 RGB, of a dataset with a face a chunk. Raises ValueError."""
        from h5py._objects import phil

        size = side * side * 3
        chunk = images.id.get_chunk_info_by_coord((row, 0, 0, 0))
        largest = size + size // 1000 + TEXT
        if chunk.byte_offset is None or not 0 < chunk.size <= largest or chunk.filter_mask:
            raise ValueError(f"picture {index} is not there")
        # h5py's own lock, which its read_direct_chunk forgets up to 3.15: threads then spoil
        # HDF5's memory
        with phil:
            _, deflated = images.id.read_direct_chunk((row, 0, 0, 0))
        data = zlib.decompressobj().decompress(deflated, size)
        if len(data) != size:
            raise ValueError(f"picture {index} is not whole")
        return np.frombuffer(data, np.uint8).reshape(side, side, 3)

    def _check_kind(self) -> None:
        attributes = self._file.attrs
        if attributes.get("kind") != KIND:
            raise FaceswapError(f"{self.path} is an HDF5 file, but no packed face set: other data "
                                "is in it. Name a file that `faceswap.py faces pack` made.")
        if not isinstance(attributes["format"], (int, np.integer)):
            raise ValueError("its format is no number")
        if attributes["format"] != FORMAT:
            raise FaceswapError(f"{self.path} is a packed face set of format "
                                f"{attributes['format']}; this program reads {FORMAT}. Use the "
                                "version of faceswap that made it, or pack the faces again.")

    def _read_tables(self) -> np.ndarray:
        """Reads all but the pictures; returns `places` (N, 2) int32."""
        self.names = [os.fsdecode(name) for name in self._strings("names")]
        self._texts = self._strings("texts")
        places = self._table("places", np.int32)
        self._facts = parse_json(b"[" + b",".join(self._strings("facts")) + b"]")
        self._numbers = self._table("numbers", np.float64)
        self._single = self._numbers.astype(np.float32)
        if not np.isfinite(self._single).all():
            raise ValueError("a coordinate is not a number")
        counts = {len(self.names), len(self._texts), len(self._facts), len(self._numbers),
                  len(places), int(self._file.attrs["count"])}
        shapes = places.shape[1:], self._numbers.shape[1:]
        if len(counts) > 1 or shapes != ((2,), (NUMBERS,)):
            raise ValueError("it does not have as many faces as it says")
        if unsafe := [name for name in self.names if not _is_plain(name)]:
            raise ValueError(f"{unsafe[0]!r} is no name for a face")
        self._places = [tuple(place) for place in places.tolist()]
        are_unique = (len({name.casefold() for name in self.names}) == len(self.names)
                      and len(set(self._places)) == len(self._places))
        if not are_unique:
            raise ValueError("two faces have one name or place")
        return places

    def _map_pictures(self, places: np.ndarray) -> None:
        """Maps the pictures into memory; compressed ones must fit into it."""
        self._images = {side: self._pictures(side, places[places[:, 0] == side, 1])
                        for side in np.unique(places[:, 0]).tolist()}
        self.compressed = not all(isinstance(images, np.ndarray)
                                  for images in self._images.values())
        if self.compressed:
            needed = int((places[:, 0].astype(np.int64) ** 2 * 3).sum())
            available = device.memory()[1]
            if needed > available:
                raise FaceswapError(f"The {len(self)} faces of {self.path} take {in_words(needed)} "
                                    f"of memory, and this machine has {in_words(available)}. Pack "
                                    "them without --compress, or pack fewer.")

    def _check_geometry(self, places: np.ndarray) -> None:
        """Checks landmarks and matrices, and mends the matrices of earlier versions, which may be
        those of larger or smaller pictures."""
        check_landmarks(self._single[:, :136].reshape(-1, 68, 2))
        matrices = self._numbers[:, 136:142].reshape(-1, 2, 3)
        check_matrix(matrices)
        coverages = np.array([facts.get("coverage") if isinstance(facts, dict) else None
                              for facts in self._facts], object)
        for side in self._images:
            for coverage in COVERAGES:
                rows = np.flatnonzero((places[:, 0] == side) & (coverages == coverage))
                landmarks = self._single[rows, :136].reshape(-1, 68, 2)
                matrices[rows] = resized_matrix(matrices[rows], landmarks, side, coverage)

    def _pictures(self, side: int, rows: np.ndarray) -> Any:
        """The pictures of one side: mapped into memory, or the dataset if they are compressed."""
        images = hdf5.dataset(self._file, f"images_{side}")
        has_shape = images.dtype == np.uint8 and images.shape[1:] == (side, side, 3)
        if not has_shape or not 0 < side <= LARGEST:
            raise ValueError(f"its pictures are {images.dtype} {images.shape}")
        if rows.min() < 0 or rows.max() >= len(images):
            raise ValueError("a face has no picture")
        if images.chunks is None:
            offset = images.id.get_offset()
            return np.asarray(np.memmap(self.path, np.uint8, "r", offset, images.shape))
        filters = images.id.get_create_plist().get_nfilters()
        if images.chunks != (1, side, side, 3) or images.compression != "gzip" or filters != 1:
            raise ValueError("its pictures are compressed in another way")
        return images

    def _strings(self, name: str) -> list[bytes]:
        return self._table(name, np.uint8).tobytes().split(b"\0")[:-1]

    def _table(self, name: str, kind: type) -> np.ndarray:
        data = hdf5.dataset(self._file, name)
        stored = data.id.get_storage_size()
        if data.dtype != kind or data.ndim not in (1, 2) or stored > self.path.stat().st_size:
            raise ValueError(f"{name} is not whole")
        return hdf5.numbers(self._file, name)

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Damage becomes a FaceswapError."""
        try:
            yield
        except DAMAGE as error:
            reason = " ".join(str(error).split())[:LONGEST_REASON]
            raise FaceswapError(f"The packed face set {self.path} is damaged ({reason}). Pack the "
                                "faces again, or copy the file again from where it is whole."
                                ) from error


def in_words(size: int) -> str:
    """Bytes as "1.9 GB" or "12 MB"."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _is_plain(name: str) -> bool:
    """Whether it names a PNG file in a folder, and no other place."""
    is_one_part = PurePosixPath(name).name == name == PureWindowsPath(name).name
    return is_one_part and name.lower().endswith(".png") and not name.startswith(".")
