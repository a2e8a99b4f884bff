"""`faceswap.py translate`: whole pictures, or faces of a set, as a model that learnt to translate draws them."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from lib.errors import DONE, SOME_FAILED, FaceswapError, UsageError
from lib.faces.geometry import COVERAGES, upsampled
from lib.facesets.folder import FaceFile, FaceFolder, is_face, list_faces, read_face, stem_of
from lib.facesets.packed import PackedFaces, is_face_set, is_packed
from lib.files.names import same_path
from lib.media.endpoints.sink import PictureSink
from lib.media.pictures.picture_file import PictureSource, content
from lib.options import option
from lib.provenance.run_record import Record, alone, identity, named_files
from lib.provenance.xmp import TRANSLATED
from lib.settings import Settings
from lib.swapping.exemplars import loading
from lib.swapping.exemplars.stage import Drawer, Separate
from lib.swapping.label import CORNERS, Label
from lib.system import device
from lib.system.logs import counted
from lib.system.parallel import ordered_map, prefetch
from lib.system.progress import progress
from lib.training.batches.whole_pictures import LOADED
from lib.training.saved.swapper import LEAST, Translator, load_translator
from lib.types import AlignedFace, Frame, SwappedFace
from scripts.convert import marked, marking, told_of

logger = logging.getLogger(__name__)
BATCH, PIXELS = 16, 1 << 20  # pictures of one size that are translated at a time: so many, of no more pixels in all
ELSEWHERE = ("input", "output", "model_dir", "save")  # options that finished pictures do not depend on


@dataclass(frozen=True)
class Piece:
    """What is translated in one go."""

    image: np.ndarray  # (H, W, 3) uint8 RGB, as the network sees it
    write: Callable[[np.ndarray], None]  # takes the same, translated


def run(options: Translate) -> int:
    began = time.monotonic()
    of_faces = _holds_faces(options)
    if options.size is not None and 0 < options.size < LEAST:
        raise UsageError(f"--size must be 0, for each picture's own, or at least {LEAST}, not {options.size}.")
    label, mark_of = options.label and Label(options.label), marking(options, TRANSLATED)
    translator = load_translator(options.model_dir, "a" if options.swap_model else "b", options.save)
    of_faces = of_faces and not translator.whole
    if of_faces and label:
        raise UsageError("--label is written into whole pictures, and hides what faces of a set are for. Leave it out.")
    troubles: dict[str, None] = {}
    work = _Faces(options, translator, troubles) if of_faces else _Pictures(options, translator, label, troubles)
    if not (of_faces or translator.whole):
        logger.warning("The model knows aligned faces of %s coverage alone: of whole pictures it makes nothing good. convert sets its "
                       "faces into pictures.", translator.coverage)

    with alone(options.output), Record(options.output, "translate", told_of(options), {"input": options.input}) as record, \
            marked(work.sink, record, mark_of and mark_of(options.input, {options.model_dir: translator}, partial(record.sha256, "input")),
                   options, troubles), work.opened:
        record.note(models={str(options.model_dir): translator.digest})
        total = work.begin()
        drawn = ordered_map(lambda made: made[0].write(made[1]), _translated(translator, prefetch(work.pieces())), work.writers)
        count = sum(1 for _ in progress(drawn, "translate", total, unit=work.unit))
        record.note(pictures=count, failures=list(troubles))

    if not total:
        logger.info("All that was asked for was there already, made by an earlier run with all the same.")
    logger.info("Translated %s in %.0f s: %s", counted(count, work.unit), time.monotonic() - began, options.output)
    for ending in sorted(work.sink.mark.without) if work.sink.mark else ():
        logger.warning("%s files carry no Content Credentials. PNG and JPEG do.", ending)
    for trouble in troubles:
        logger.warning("%s", trouble)
    return SOME_FAILED if troubles else DONE


def _holds_faces(options: Translate) -> bool:
    """Whether the input holds aligned faces. Raises FaceswapError where it is nothing that can be translated."""
    path = options.input
    if not path.exists():
        raise FaceswapError(f"{path} does not exist. Name a folder of pictures, a picture, or a set of faces.")
    if path.is_file() and content(path) == "video":
        raise FaceswapError(f"{path} is a video, and translate takes pictures: faceswap.py ffmpeg extract takes it apart, and ffmpeg "
                            "assemble puts the pictures together again. convert sets translated faces into videos.")
    return is_face_set(path) or path.is_file() and is_face(path)


def _translated(translator: Translator, pieces: Iterator[Piece]) -> Iterator[tuple[Piece, np.ndarray]]:
    """What becomes of `pieces`, in their order."""
    for batch in _batches(pieces):
        yield from zip(batch, translator(np.stack([piece.image for piece in batch])))


def _batches(pieces: Iterator[Piece]) -> Iterator[list[Piece]]:
    """Of one size each."""
    batch: list[Piece] = []
    for piece in pieces:
        shape = piece.image.shape
        if batch and (shape != batch[0].image.shape or len(batch) == min(BATCH, max(1, PIXELS // (shape[0] * shape[1])))):
            yield batch
            batch = []
        batch.append(piece)
    if batch:
        yield batch


class _Pictures:
    """Whole pictures, of a folder or one alone."""

    unit, writers = "picture", 1  # the sink has threads of its own

    def __init__(self, options: Translate, translator: Translator, label: Label | None, troubles: dict[str, None]):
        self._options, self._translator, self._label, self._troubles = options, translator, label, troubles
        self._source = PictureSource(options.input)
        self.sink = self.opened = PictureSink(options.output, self._source)
        trained = round(translator.size * LOADED) if translator.whole else translator.size
        self._side = trained if options.size is None else options.size

    def begin(self) -> int:
        """How many pictures there are to translate: without those that an earlier run with all the same wrote."""
        told = {name: value for name, value in told_of(self._options).items() if name not in ELSEWHERE}
        depends = [told, identity(self._source.path, self._source.files), named_files(self._options, ELSEWHERE), self._translator.digest]
        self._stretches = self.sink.missing(hashlib.sha256(json.dumps(depends, sort_keys=True, default=str).encode()).hexdigest())
        return sum((stop or self._source.count) - start for start, stop in self._stretches)

    def pieces(self) -> Iterator[Piece]:
        for start, stop in self._stretches:
            for frame in self._source.frames(start, stop):
                image = _scaled(frame.image, self._side)
                try:
                    _check_size(image, self._translator)
                except FaceswapError as error:
                    self._troubles[f"{frame.name}: {error}"] = None
                    continue
                yield Piece(image, partial(self._write, frame.index, frame.name))
            self._troubles |= dict.fromkeys(f"Incomplete input: {loss}" for loss in self._source.losses)

    def _write(self, index: int, name: str, drawn: np.ndarray) -> None:
        frame = Frame(index, drawn, name)
        self.sink.write(frame, frame.with_patches([self._label.patch(frame, [], False, CORNERS[0])]) if self._label else drawn)


class _Faces:
    """Aligned faces of a folder or a packed set, or one alone. What comes of them is a set, too."""

    unit, writers = "face", device.cores()

    def __init__(self, options: Translate, translator: Translator, troubles: dict[str, None]):
        self._input, self._translator, self._troubles = options.input, translator, troubles
        self._size = options.size
        if same_path(options.output, self._input if self._input.is_dir() else self._input.parent):
            raise FaceswapError(f"{options.output} holds the faces that are to be translated. Name another folder with -o.")
        self.sink, self.opened = FaceFolder(options.output), nullcontext()
        self._exemplars = _exemplars(options, translator) if options.exemplars else None

    def begin(self) -> int:
        """How many faces there are."""
        self._packed = PackedFaces(self._input) if is_packed(self._input) else None
        self._files = [] if self._packed else list_faces(self._input) if self._input.is_dir() else [self._input]
        return len(self._packed or self._files)

    def pieces(self) -> Iterator[Piece]:
        for original, face in ordered_map(self._read, range(len(self._packed or self._files)), device.cores()):
            try:
                if isinstance(face, FaceswapError):
                    raise face
                aligned = self._seen(face)
                _check_size(aligned.image, self._translator)
            except FaceswapError as error:
                self._troubles[str(error)] = None
                continue
            yield Piece(aligned.image, partial(self._write, aligned, face, original))

    def _read(self, index: int) -> tuple[Path, FaceFile | FaceswapError]:
        """The file that a face is in, and the face."""
        path = self._input if self._packed else self._files[index]
        try:
            return path, self._packed.read(index) if self._packed else read_face(path)
        except FaceswapError as error:
            return path, error

    def _seen(self, face: FaceFile) -> AlignedFace:
        """What the model sees of it, in the size that was asked for."""
        coverage = self._translator.coverage
        share = COVERAGES[coverage][0] / COVERAGES[face.coverage][0]
        if share > 1:
            raise FaceswapError(f"{stem_of(face.origin)}: it shows a {face.coverage} face, and the model knows {coverage} ones. Extract "
                                f"the faces with --coverage {coverage}.")
        own = self._translator.size if self._size is None else round(face.size * share)
        return face.seen(self._size or own, coverage)

    def _write(self, aligned: AlignedFace, face: FaceFile, original: Path, drawn: np.ndarray) -> None:
        if self._exemplars is not None:
            drawn = _with_exemplars(self._exemplars, aligned, drawn)
        self.sink.write(replace(aligned, image=drawn), face.origin, self._translator.coverage, original)


class _FaceNetwork(NamedTuple):
    """A translator of faces as a network of colours in [0, 1]."""

    translator: Translator
    size: int
    drawn: int
    coverage: str

    def __call__(self, faces: np.ndarray) -> tuple[np.ndarray, None]:
        """(N, S, S, 3) float32 RGB in [0, 1] -> the same, translated."""
        return self.translator(cv2.convertScaleAbs(faces, alpha=255).reshape(faces.shape)).astype(np.float32) / 255, None


def _exemplars(options: Translate, translator: Translator) -> Drawer | None:
    """What draws the detail of real pictures into faces; None of a model that has none."""
    banks = loading.read_banks(options.model_dir)
    if banks.keys() != {"a", "b"}:
        return None
    network = _FaceNetwork(translator, translator.size, translator.size, translator.coverage)
    ready = loading.prepared(banks, network)
    to, other = ("a", "b") if options.swap_model else ("b", "a")
    return loading.drawer(network, ready[to], ready[other])


def _with_exemplars(drawer: Drawer, aligned: AlignedFace, drawn: np.ndarray) -> np.ndarray:
    """`drawn` (S, S, 3) uint8 RGB, made of `aligned`, with the detail of real pictures."""
    side = drawer.exemplars.side
    larger = replace(aligned, image=cv2.resize(aligned.image, (side, side), interpolation=cv2.INTER_CUBIC),
                     matrix=upsampled(aligned.matrix, side / len(aligned.image)))
    face = SwappedFace(larger, drawn.astype(np.float32) / 255, np.ones((*drawn.shape[:2], 1), np.float32))
    image = np.clip(Separate(drawer)(0, face).image, 0, 1)
    return cv2.convertScaleAbs(cv2.resize(image, drawn.shape[1::-1], interpolation=cv2.INTER_AREA), alpha=255)


def _scaled(image: np.ndarray, side: int) -> np.ndarray:
    """With its shorter side `side` pixels long; 0: as it is."""
    factor = side / min(image.shape[:2])
    if side == 0 or factor == 1:
        return image
    size = tuple(round(length * factor) for length in image.shape[1::-1])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)


def _check_size(image: np.ndarray, translator: Translator) -> None:
    """Raises FaceswapError where a picture is of a size that cannot be translated."""
    height, width = image.shape[:2]
    if min(height, width) < LEAST:
        raise FaceswapError(f"{width} x {height} pixels are too few: a side needs {LEAST}. Give a larger --size.")
    if height * width > translator.most:
        raise FaceswapError(f"there is not enough memory for {width} x {height} pixels. Give a smaller --size.")


@dataclass(kw_only=True)
class Translate(Settings):
    """Translate whole pictures with a model that was trained without pairs, such as cyclegan.

    translate -i photos -o paintings -m model            every picture, in the size that the model was taught with
    translate -i photos -o paintings -m model --size 0   in its own size
    translate -i faces_a -o faces_ab -m model            a set of faces, which stays one: evaluate and train take it

    What a run that was stopped had finished is used when the same command is run again. OUTPUT.run.json tells how the output came about.
    """

    input: Path = option(help="A folder of pictures, a picture, or faces that extract wrote, packed or not.", short="-i")
    output: Path = option(help="A folder, or a picture for a picture.", short="-o")
    model_dir: Path = option(help="The folder of a trained model that translates.", short="-m")
    swap_model: bool = option(False, "The other way round: B becomes A.", short="-s")
    save: str | None = option(None, "Not the newest save of the model but this one: the iteration of a save or snapshot, previous or best.")
    exemplars: bool = option(True, "Give translated faces of a set the fine detail of real pictures, which the model's folder holds.")
    size: int | None = option(None, "Shorter side of what is drawn, pixels; by default that of the pictures that the model was taught "
                                    "with; 0: each picture's own.", low=0, high=16384)
    label: str | None = option(None, "Write these words into a corner of each picture: AI-generated, for instance.")
    provenance: bool = option(True, "Mark what is made as synthetic: signed Content Credentials (C2PA), and a plain statement that any "
                                    "reader shows. See faceswap.py provenance.")
    consent: list[Path] = option([], "Records of consent, text or PDF: what is made names them by their hash.")
    certificate: Path | None = option(None, "Sign with your own certificates instead of those made on first use: a PEM file.")
    signing_key: Path | None = option(None, "The private key of the first of them, PEM; its password, if it has one, is taken from "
                                            "FACESWAP_KEY_PASSWORD.")
    timestamp: str | None = option(None, "The address of a time stamping authority (RFC 3161) that confirms when it was signed.")
