from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.faces.geometry import warp
from lib.media.pictures import picture_file
from lib.options import option
from lib.plugin import MASKERS, Masker


@MASKERS.register
@dataclass
class FromFiles(Masker):
    """Masks that another program drew, one picture for each frame of a video: a plugin of a user's own."""

    folder: Path = option(help="Folder of pictures, white = face: 000001.png for the first frame.")

    def mask(self, aligned):
        whole = picture_file.read(self.folder / f"{aligned.face.frame + 1:06d}.png")
        return warp(whole, aligned.matrix, len(aligned.image))[..., :1] / np.float32(255)
