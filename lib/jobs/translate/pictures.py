"""Whole pictures, translated: those of a folder, or one alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import partial

import cv2
import numpy as np

from lib.errors import FaceswapError
from lib.jobs.shared.marking import option_values
from lib.jobs.translate.settings import ELSEWHERE, TranslateSettings
from lib.jobs.translate.work import Piece, Work, check_size
from lib.media.endpoints.sink import PictureSink
from lib.media.pictures.picture_source import PictureSource
from lib.provenance.run_record import content_id, named_files
from lib.swapping.label import CORNERS, Label
from lib.training.batches.whole_pictures import LOADED
from lib.training.saved.swapper import Translator
from lib.types import Frame


class PictureWork(Work):
    """Notes what fails in `failures`, a sentence each."""

    unit, writers = "picture", 1  # the sink has threads of its own
    sink: PictureSink

    def __init__(self, settings: TranslateSettings, translator: Translator, label: Label | None,
                 failures: dict[str, None]):
        self._settings, self._translator, self._label = settings, translator, label
        self._failures = failures
        self._source = PictureSource(settings.input)
        self.sink = self.opened = PictureSink(settings.output, self._source)
        trained = round(translator.size * LOADED) if translator.whole else translator.size
        self._side = trained if settings.size is None else settings.size

    def begin(self) -> int:
        self._ranges = self.sink.missing(self._key())
        return sum((stop or self._source.count) - start for start, stop in self._ranges)

    def pieces(self) -> Iterator[Piece]:
        for start, stop in self._ranges:
            for frame in self._source.frames(start, stop):
                image = scaled(frame.image, self._side)
                try:
                    check_size(image, self._translator)
                except FaceswapError as error:
                    self._failures[f"{frame.name}: {error}"] = None
                    continue
                yield Piece(image, partial(self._write, frame.index, frame.name))
            self._failures |= dict.fromkeys(f"Incomplete input: {loss}"
                                            for loss in self._source.losses)

    def _key(self) -> str:
        """Stands for all that finished pictures depend on."""
        options = {name: value for name, value in option_values(self._settings).items()
                   if name not in ELSEWHERE}
        depends = [options, content_id(self._source.path, self._source.files),
                   named_files(self._settings, ELSEWHERE), self._translator.digest]
        return hashlib.sha256(json.dumps(depends, sort_keys=True, default=str).encode()).hexdigest()

    def _write(self, index: int, name: str, drawn: np.ndarray) -> None:
        frame = Frame(index, drawn, name)
        if self._label:
            drawn = frame.with_patches([self._label.patch(frame, [], False, CORNERS[0])])
        self.sink.write(frame, drawn)


def scaled(image: np.ndarray, side: int) -> np.ndarray:
    """`image` (H, W, 3) uint8 with its shorter side `side` pixels long; 0: as it is."""
    factor = side / min(image.shape[:2])
    if side == 0 or factor == 1:
        return image
    size = tuple(round(length * factor) for length in image.shape[1::-1])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
