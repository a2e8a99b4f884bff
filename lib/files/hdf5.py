"""HDF5 files that others made: all that is read lies in the very file, as plain numbers, and takes
no more memory than the file has bytes.

HDF5 itself follows links into other files, reads raw bytes of files that a dataset names, and makes
a terabyte of nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.files.reading import Unreadable, opened

if TYPE_CHECKING:
    import h5py

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MOST_PARTS, DEEPEST = 100_000, 32  # groups and datasets in all, and within each other
NUMBERS = "fiub"  # kinds of NumPy's that are read
# as h5py says it
DAMAGE = (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError, IndexError,
          OverflowError)


def is_hdf5(path: Path) -> bool:
    """Whether the regular file at `path` begins as HDF5 does. Raises NotRegular, OSError."""
    with opened(path) as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


def open_hdf5(path: Path, named: bool = True) -> h5py.File:
    """The file, for reading; close it. Raises NotRegular, OSError, and Unreadable where it is no
    HDF5 file."""
    import h5py

    with opened(path, named) as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            raise Unreadable("it is no HDF5 file")
    return h5py.File(path, "r")


def dataset(group: h5py.Group, name: str) -> h5py.Dataset:
    """The dataset, if all of it lies in this very file. Raises Unreadable where there is none
    such."""
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise Unreadable(f"there is no {name[:60]}")
    data = group[name]
    if not isinstance(data, h5py.Dataset):
        raise Unreadable(f"{name[:60]} is no dataset")
    if data.external or data.is_virtual:
        raise Unreadable(f"{name[:60]} lies in another file")
    return data


def numbers(group: h5py.Group, name: str, most: int | None = None) -> Any:
    """The whole dataset as an array. Raises Unreadable where it is not plain numbers that are all
    there, of `most` bytes at most.
    """
    data = dataset(group, name)
    _check_stored(data, name)
    if most is not None and data.nbytes > most:
        raise Unreadable(f"{name[:60]} has {data.nbytes} bytes, more than {most}")
    return data[()]


def check_numbers(path: Path, named: bool = True) -> None:
    """Raises Unreadable where a file holds, anywhere, a link to another, or what is not plain
    numbers that are all there.

    For files that another library reads as a whole. Raises what h5py raises where it is damaged,
    too.
    """
    import h5py

    with open_hdf5(path, named) as file:
        groups, places = [(file, 0)], set()
        for group, depth in groups:
            if depth > DEEPEST:
                raise Unreadable("its groups lie too deep in each other")
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise Unreadable(f"{name[:60]} leads to another place")
                inner = group[name]
                place = h5py.h5o.get_info(inner.id).addr
                if place in places:
                    raise Unreadable(f"{name[:60]} is in two places")
                places.add(place)
                if len(places) > MOST_PARTS:
                    raise Unreadable(f"it has more than {MOST_PARTS} parts")
                if isinstance(inner, h5py.Group):
                    groups.append((inner, depth + 1))
                else:
                    _check_stored(dataset(group, name), name)


def _check_stored(data: h5py.Dataset, name: str) -> None:
    if data.dtype.kind not in NUMBERS:
        raise Unreadable(f"{name[:60]} holds no numbers")
    if data.nbytes > data.id.get_storage_size():
        raise Unreadable(f"{name[:60]} is not whole")
