"""New faces apart from their frames, for compositors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.errors import FaceswapError
from lib.files.names import PICTURE_ENDINGS, VIDEO_ENDINGS
from lib.files.writing import disk_errors, write_text
from lib.media.base import FrameSource
from lib.media.endpoints.sink import PictureSink, refuse_hdr
from lib.media.pictures import picture_file
from lib.plugin import WRITERS, Writer
from lib.types import Frame, Patch


@WRITERS.register
@dataclass
class Patches(Writer):
    """New faces apart from their frames, for compositors: PNG with alpha, and their matrices.

    The alpha channel is the mask; the matrices carry the faces into the frames.

    A JSON file for each frame names the faces, upright as they were before they were set in, and
    their matrices.
    """

    def open(self, path: Path, source: FrameSource) -> PatchSink:
        return PatchSink(path, source)


class PatchSink(PictureSink):
    """NAME.json and NAME_face1.png and so on for each frame."""

    aligned = True

    def __init__(self, path: Path, source: FrameSource):
        if Path(path).suffix.lower() in PICTURE_ENDINGS | VIDEO_ENDINGS and not Path(path).is_dir():
            raise FaceswapError(f"The writer patch makes several files a frame, which {path} "
                                "cannot hold. Name a folder.")
        refuse_hdr(source, "a face of 8 bits")
        super().__init__(path, source, ".json")

    def write(self, frame: Frame, image: np.ndarray) -> None:
        raise NotImplementedError("whole pictures hold no faces apart")

    def patch(self, frame: Frame, patches: Sequence[Patch]) -> None:
        self._submit(self._save_faces, self._file(frame), frame, patches)

    def _save_faces(self, file: Path, frame: Frame, patches: Sequence[Patch]) -> None:
        faces = []
        for number, patch in enumerate(patches, 1):
            face, matrix = patch.aligned
            name = f"{file.stem}_face{number}.png"
            picture_file.write(file.with_name(name), face, mark=self.mark,
                               original=self._origin(frame))
            faces.append({"file": name, "matrix": matrix.round(6).tolist()})
        with disk_errors(file):
            text = json.dumps({"frame": frame.index, "time": frame.time, "size": frame.size,
                               "faces": faces}, indent=1)
            write_text(file, text, durable=False)
