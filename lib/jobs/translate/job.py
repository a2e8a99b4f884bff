"""translate: pictures or faces, drawn anew by a model."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from lib.errors import FaceswapError, UsageError
from lib.facesets.face_set import is_face_set
from lib.facesets.png import is_face
from lib.jobs.shared.marking import marked, marking_of, note_hash, option_values
from lib.jobs.translate.faces import FaceWork
from lib.jobs.translate.pictures import PictureWork
from lib.jobs.translate.settings import TranslateSettings
from lib.jobs.translate.work import Piece, Work
from lib.media.pictures.content import identify
from lib.provenance.run_record import Record, locked_output
from lib.provenance.xmp import TRANSLATED
from lib.swapping.label import Label
from lib.system.parallel import ordered_map, prefetch
from lib.system.progress import job, progress
from lib.training.saved.swapper import LEAST, Translator, load_translator

logger = logging.getLogger(__name__)
BATCH, PIXELS = 16, 1 << 20  # most pictures of one size in a batch, and most pixels of all of them


@dataclass(frozen=True)
class TranslateResult:
    """What `translate` did."""

    output: Path
    count: int  # translated by this run
    unit: str  # "picture" or "face"
    complete_before: bool  # an earlier run had translated all of them
    unmarked: tuple[str, ...]  # endings of written files that hold no Content Credentials
    failures: tuple[str, ...]  # a sentence each


@job
def translate(settings: TranslateSettings) -> TranslateResult:
    """Translates pictures or faces; those that fail are left out and named in the result. Raises
    UsageError, FaceswapError."""
    # what is translated by what
    has_faces = _has_faces(settings.input)
    if settings.size is not None and 0 < settings.size < LEAST:
        raise UsageError(
            f"--size must be 0, for each picture's own, or at least {LEAST}, not {settings.size}.")
    label = Label(settings.label) if settings.label else None
    marking = marking_of(settings, settings.input, {"label": settings.label}, TRANSLATED)
    translator = load_translator(settings.model_dir, "a" if settings.swap_model else "b",
                                 settings.checkpoint)
    failures: dict[str, None] = {}
    work = _work(settings, has_faces, translator, label, failures)

    # each piece of it
    with locked_output(settings.output), \
            Record(settings.output, "translate", option_values(settings),
                   {"input": settings.input}) as record:
        models = {translator.digest: settings.model_dir.resolve().name}
        mark = marking.mark(settings.input, models, partial(record.sha256, "input")) \
            if marking else None
        with marked(work.sink, record, mark, settings.label, failures), work.opened:
            record.note(models={str(settings.model_dir): translator.digest})
            total = work.begin()
            written = ordered_map(_write, _translated(translator, prefetch(work.pieces())),
                                  work.writers)
            count = sum(1 for _ in progress(written, "translate", total, unit=work.unit))
            record.note(pictures=count, failures=list(failures))
        note_hash(record, settings.output)
    return TranslateResult(settings.output, count, work.unit, not total,
                           tuple(sorted(mark.unmarked_endings)) if mark else (), tuple(failures))


def _work(settings: TranslateSettings, has_faces: bool, translator: Translator, label: Label | None,
          failures: dict[str, None]) -> Work:
    """What reads and writes."""
    if has_faces and not translator.whole:
        if label:
            raise UsageError(
                "--label is written into whole pictures, and hides what faces of a set are for. "
                "Leave it out.")
        return FaceWork(settings, translator, failures)
    if not translator.whole:
        logger.warning(
            "This model was trained on aligned faces (%s coverage): whole pictures will look "
            "bad. convert puts its faces into pictures.", translator.coverage)
    return PictureWork(settings, translator, label, failures)


def _has_faces(path: Path) -> bool:
    """Whether the input holds aligned faces. Raises FaceswapError where it cannot be translated."""
    if not path.exists():
        raise FaceswapError(
            f"{path} does not exist. Name a folder of pictures, a picture, or a set of faces.")
    if path.is_file() and identify(path) == "video":
        raise FaceswapError(
            f"{path} is a video, and translate takes pictures: faceswap.py ffmpeg extract takes "
            "it apart, and ffmpeg assemble puts the pictures together again. convert puts "
            "translated faces into videos.")
    return is_face_set(path) or path.is_file() and is_face(path)


def _write(translated: tuple[Piece, np.ndarray]) -> None:
    piece, image = translated
    piece.write(image)


def _translated(translator: Translator,
                pieces: Iterator[Piece]) -> Iterator[tuple[Piece, np.ndarray]]:
    """`pieces` and what becomes of each, (H, W, 3) uint8 RGB, in order."""
    for batch in _batches(pieces):
        yield from zip(batch, translator(np.stack([piece.image for piece in batch])))


def _batches(pieces: Iterator[Piece]) -> Iterator[list[Piece]]:
    """Pieces that follow each other, of one size in each batch."""
    batch: list[Piece] = []
    for piece in pieces:
        height, width = piece.image.shape[:2]
        most = min(BATCH, max(1, PIXELS // (height * width)))
        if batch and (piece.image.shape != batch[0].image.shape or len(batch) == most):
            yield batch
            batch = []
        batch.append(piece)
    if batch:
        yield batch
