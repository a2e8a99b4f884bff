"""`faceswap.py evaluate`: how good a swap is."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.cli import Command
from lib.errors import DONE, SOME_FAILED
from lib.evaluation import people, report
from lib.evaluation.clip import ClipScores, evaluate
from lib.evaluation.frames import Kit
from lib.media.files import same_path
from lib.media.source import open_source
from lib.options import option
from lib.plugin import ALIGNERS, DETECTORS, RECOGNIZERS
from scripts.convert import alignments

logger = logging.getLogger(__name__)


def run(options: Evaluate) -> int:
    began = time.monotonic()
    original, swapped = open_source(options.original), open_source(options.swapped)
    others = [open_source(options.compare)] if options.compare else []
    if same_path(options.original, options.swapped):
        logger.warning("Both are %s: everything but the share of swapped frames will be perfect.", options.original)
    with alignments(options, original) as store:
        settings = store.settings

        def make_kit() -> Kit:
            return Kit(*(registry.create(settings[kind]["name"], **settings[kind]["options"])
                         for kind, registry in (("detector", DETECTORS), ("aligner", ALIGNERS))), RECOGNIZERS.create(options.recognizer))

        known = _people(options, make_kit())
        clips = [evaluate(original, source, lambda index: [stored.face for stored in store.faces(index)], make_kit, known)
                 for source in (swapped, *others)]
    print(report.table(clips[0]))
    if others:
        print(f"\n{options.swapped} against {options.compare}\n{report.comparison(*clips)}")
    _tell(clips[0], options, time.monotonic() - began)
    losses = [loss for source in (original, swapped, *others) for loss in source.losses]
    for loss in losses:
        logger.warning("Incomplete input: %s", loss)
    return SOME_FAILED if losses else DONE


def _people(options: Evaluate, kit: Kit) -> dict[str, np.ndarray]:
    """Mean embeddings of A (the original itself where no --source is given), of B and of the gallery."""
    tools = kit.detector, kit.aligner, kit.recognizer
    known = {"a": people.mean_embedding(options.source or options.original, *tools)}
    if options.reference:
        known["b"] = people.mean_embedding(options.reference, *tools)
    if options.gallery:
        known |= people.gallery(options.gallery, *tools)
    return known


def _tell(clip: ClipScores, options: Evaluate, seconds: float) -> None:
    logger.info("Measured %d frames, %d with a face, in %.0f s.", clip.frame_count, len(clip.frames), seconds)
    if options.output:
        files = report.write(options.output, clip, f"{options.swapped.name} against {options.original.name}")
        logger.info("Report: %s", files[-1])


@dataclass(kw_only=True)
class Evaluate(Command):
    """Measure how good a swap is: ORIGINAL against SWAPPED, frame by frame.

    evaluate a.mp4 out.mp4 --reference b.mp4            a table
    evaluate a.mp4 out.mp4 --reference b.mp4 -o report  and a page with plots, a CSV and JSON in the folder report
    """

    original: Path = option(help="The video, picture or folder of pictures before the swap.", positional=True)
    swapped: Path = option(help="The same after it.", positional=True)
    reference: Path | None = option(None, "Faces, video or pictures of B, whose face it shall be.")
    source: Path | None = option(None, "Faces, video or pictures of A; the original itself if not given.")
    gallery: Path | None = option(None, "Folder of other people, a picture, video or folder each: the face shall not be taken for theirs.")
    compare: Path | None = option(None, "Another swap of the same original: both are measured and their frames compared.")
    output: Path | None = option(None, "Folder for report.html, frames.csv and report.json.", short="-o")
    alignments: Path | None = option(None, "The alignments file of the original, if it is not in its usual place.", short="-p")
    detector: str = option("auto", "Finds faces in the original where that was not done before.", short="-D", plugin="detectors")
    aligner: str = option("dlib68", "Fits landmarks, likewise.", short="-A", plugin="aligners")
    recognizer: str = option("dlib_resnet", "Says whose face it is.", plugin="recognizers")
