"""Aligned faces, translated: those of a folder or a packed set, or one alone. The result is a face
set, too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from lib.errors import FaceswapError
from lib.faces.geometry import COVERAGES, upsampled
from lib.facesets.face_file import FaceFile, read_face
from lib.facesets.folder import FaceFolder, list_faces, stem_of
from lib.facesets.packed import PackedFaces, is_packed
from lib.files.names import same_path
from lib.jobs.translate.settings import TranslateSettings
from lib.jobs.translate.work import Piece, Work, check_size
from lib.swapping.exemplars import loading
from lib.swapping.exemplars.stage import Drawer, Separate
from lib.system import device
from lib.system.parallel import ordered_map
from lib.training.saved.swapper import Translator
from lib.types import AlignedFace, SwappedFace


class FaceWork(Work):
    """Notes what fails in `failures`, a sentence each."""

    unit, writers = "face", device.cores()
    sink: FaceFolder

    def __init__(self, settings: TranslateSettings, translator: Translator,
                 failures: dict[str, None]):
        self._input, self._translator, self._failures = settings.input, translator, failures
        self._size = settings.size
        if same_path(settings.output, self._input if self._input.is_dir() else self._input.parent):
            raise FaceswapError(
                f"{settings.output} holds the faces that are to be translated. Name another "
                "folder with -o.")
        self.sink, self.opened = FaceFolder(settings.output), nullcontext()
        self._drawer = _drawer(settings, translator) if settings.exemplars else None

    def begin(self) -> int:
        self._packed = PackedFaces(self._input) if is_packed(self._input) else None
        self._files = [] if self._packed else list_faces(
            self._input) if self._input.is_dir() else [self._input]
        return len(self._packed or self._files)

    def pieces(self) -> Iterator[Piece]:
        numbers = range(len(self._packed or self._files))
        for original, face in ordered_map(self._read, numbers, device.cores()):
            try:
                if isinstance(face, FaceswapError):
                    raise face
                aligned = self._crop(face)
                check_size(aligned.image, self._translator)
            except FaceswapError as error:
                self._failures[str(error)] = None
                continue
            yield Piece(aligned.image, partial(self._write, aligned, face, original))

    def _read(self, number: int) -> tuple[Path, FaceFile | FaceswapError]:
        """The file that a face is in, and the face, or why it cannot be read."""
        path = self._input if self._packed else self._files[number]
        try:
            return path, self._packed.read(number) if self._packed else read_face(path)
        except FaceswapError as error:
            return path, error

    def _crop(self, face: FaceFile) -> AlignedFace:
        """What the model sees of `face`, in the size that was asked for. Raises FaceswapError where
        it shows too little."""
        coverage = self._translator.coverage
        share = COVERAGES[coverage][0] / COVERAGES[face.coverage][0]
        if share > 1:
            raise FaceswapError(
                f"{stem_of(face.origin)}: it shows a {face.coverage} face, and the model knows "
                f"{coverage} ones. Extract the faces with --coverage {coverage}.")
        side = self._translator.size if self._size is None else round(face.size * share)
        return face.recrop(self._size or side, coverage)

    def _write(self, aligned: AlignedFace, face: FaceFile, original: Path,
               drawn: np.ndarray) -> None:
        if self._drawer is not None:
            drawn = with_exemplars(self._drawer, aligned, drawn)
        self.sink.write(replace(aligned, image=drawn), face.origin, self._translator.coverage,
                        original)


class _FaceNetwork(NamedTuple):
    """A translator of faces as a network of colours in [0, 1]."""

    translator: Translator
    size: int
    drawn: int
    coverage: str

    def __call__(self, faces: np.ndarray) -> tuple[np.ndarray, None]:
        """(N, S, S, 3) float32 RGB in [0, 1] -> the same, translated; no masks."""
        pictures = cv2.convertScaleAbs(faces, alpha=255).reshape(faces.shape)
        return self.translator(pictures).astype(np.float32) / 255, None


def _drawer(settings: TranslateSettings, translator: Translator) -> Drawer | None:
    """What draws the detail of real pictures into faces; None for a model that has none."""
    banks = loading.read_banks(settings.model_dir)
    if banks.keys() != {"a", "b"}:
        return None
    network = _FaceNetwork(translator, translator.size, translator.size, translator.coverage)
    exemplars = loading.prepare(banks, network)
    new, old = ("a", "b") if settings.swap_model else ("b", "a")
    return loading.make_drawer(network, exemplars[new], exemplars[old])


def with_exemplars(drawer: Drawer, aligned: AlignedFace, drawn: np.ndarray) -> np.ndarray:
    """`drawn` (S, S, 3) uint8 RGB, the translation of `aligned`, with the detail of real
    pictures."""
    side = drawer.exemplars.side
    larger = replace(aligned, image=cv2.resize(aligned.image, (side, side),
                                               interpolation=cv2.INTER_CUBIC),
                     matrix=upsampled(aligned.matrix, side / len(aligned.image)))
    face = SwappedFace(larger, drawn.astype(np.float32) / 255,
                       np.ones((*drawn.shape[:2], 1), np.float32))
    image = np.clip(Separate(drawer)(0, face).image, 0, 1)
    return cv2.convertScaleAbs(cv2.resize(image, drawn.shape[1::-1], interpolation=cv2.INTER_AREA),
                               alpha=255)
