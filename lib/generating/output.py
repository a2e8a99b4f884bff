"""Where generate writes: a folder in which only its own files are replaced."""

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
    """Files in a folder, each named in the record of the run. Files that an earlier record names
    may be replaced."""

    def __init__(self, folder: Path, record: Record):
        """Makes the folder. Raises FaceswapError where that is not possible."""
        if folder.exists() and not folder.is_dir():
            raise FaceswapError(f"{folder} is a file. Name a folder with -o.")
        with disk_errors(folder):
            make_folder(folder)
        self._folder, self._record = folder, record
        before = record.earlier()
        self._files = list(before.get("files", ())) if before.get("command") == "generate" else []

    def path(self, name: str) -> Path:
        """Path of a file to write. Raises FaceswapError where generate did not write the file
        there."""
        path = self._folder / name
        if path.exists() and name not in self._files:
            raise FaceswapError(f"{path} exists, and is not from generate. Move it away, or choose "
                                "another folder with -o.")
        return path

    def claim(self, *names: str) -> None:
        """Raises FaceswapError, before any work, where one of these files could not be written."""
        for name in names:
            self.path(name)

    def note(self, name: str) -> None:
        """Notes in the record that generate wrote this file."""
        if name not in self._files:
            self._files.append(name)
        self._record.note(files=self._files)
        self._record.save()

    def picture(self, name: str, image: np.ndarray, mark: Mark | None) -> None:
        """Writes `image` (H, W, 3) uint8 RGB."""
        picture_file.write(self.path(name), image, mark=mark)
        self.note(name)

    def check_empty(self, *names: str) -> None:
        """Raises FaceswapError, before any work, where one of these subfolders holds anything."""
        for path in (self._folder / name for name in names):
            if path.exists() and (path.is_file() or any(path.iterdir())):
                raise FaceswapError(f"{path} holds something already. Move it away, or choose "
                                    "another folder with -o.")

    def folder(self, name: str) -> Path:
        """Makes a subfolder."""
        path = self._folder / name
        with disk_errors(path):
            make_inner_folder(path)
        return path
