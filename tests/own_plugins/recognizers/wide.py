from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.plugin import RECOGNIZERS, Recognizer
from plugins.recognizers.dlib_resnet import AVERAGE, DlibResnet


def widened(embeddings: np.ndarray) -> np.ndarray:
    """(N, 128) -> (N, 512) of which all distances are twice as large."""
    return np.repeat(embeddings, 4, axis=1)


@RECOGNIZERS.register
@dataclass
class Wide(Recognizer):
    """A recognizer with 512 numbers and bounds of its own: a plugin of a user's own."""

    average = widened(AVERAGE[None])[0]
    same = DlibResnet.same
    telling = 2 * DlibResnet.telling
    same_distance = 2 * DlibResnet.same_distance

    def __post_init__(self):
        self._narrow = DlibResnet()

    def embed(self, faces):
        return widened(self._narrow.embed(faces))
