"""Where generate writes: a folder in which nothing of anybody else's is replaced."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lib.errors import FaceswapError
from lib.files.writing import disk_errors, make_folder, make_inner_folder
from lib.media.pictures import picture_file
from lib.provenance.run_record import Record

if TYPE_CHECKING:
    from lib.provenance.marking import Mark


class Output:
    """Files in a folder, each named in the record of the run; what an earlier run's record names may be replaced."""

    def __init__(self, folder: Path, record: Record):
        """Makes the folder. Raises FaceswapError where that is not possible."""
        if folder.exists() and not folder.is_dir():
            raise FaceswapError(f"{folder} is a file. Name a folder with -o.")
        with disk_errors(folder):
            make_folder(folder)
        self._folder, self._record = folder, record
        before = record.before()
        self._ours = list(before.get("files", ())) if before.get("command") == "generate" else []

    def path(self, name: str) -> Path:
        """Where the file of this name goes. Raises FaceswapError where there is one that generate did not write."""
        path = self._folder / name
        if path.exists() and name not in self._ours:
            raise FaceswapError(f"{path} is there already, and not from generate. Take it away, or choose another folder with -o.")
        return path

    def claim(self, *names: str) -> None:
        """Raises FaceswapError, before any work, where one of the files could not be written."""
        for name in names:
            self.path(name)

    def wrote(self, name: str) -> None:
        """Notes that the file of this name is from generate."""
        if name not in self._ours:
            self._ours.append(name)
        self._record.note(files=self._ours)
        self._record.keep()

    def picture(self, name: str, image: np.ndarray, mark: Mark | None) -> None:
        """Writes `image` (H, W, 3) uint8 RGB."""
        picture_file.write(self.path(name), image, mark=mark)
        self.wrote(name)

    def check_empty(self, *names: str) -> None:
        """Raises FaceswapError, before any work, where one of these folders in it holds anything."""
        for path in map(self._folder.__truediv__, names):
            if path.exists() and (path.is_file() or any(path.iterdir())):
                raise FaceswapError(f"{path} holds something already. Take it away, or choose another folder with -o.")

    def folder(self, name: str) -> Path:
        """A folder in it."""
        path = self._folder / name
        with disk_errors(path):
            make_inner_folder(path)
        return path
