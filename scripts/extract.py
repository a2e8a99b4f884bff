from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from lib.cli import Command
from lib.errors import DONE, SOME_FAILED, FaceswapError
from lib.faces.extraction import Summary
from lib.faces.extraction import extract as find_faces
from lib.faces.faceset import FaceFolder
from lib.faces.store import AlignmentStore, default_store
from lib.logs import counted
from lib.media.base import FrameSource
from lib.media.files import same_path
from lib.media.source import open_source
from lib.options import option

logger = logging.getLogger(__name__)


def run(options: Extract) -> int:
    source = open_source(Path(os.path.abspath(options.input)))  # "." has no name to speak of
    if options.output and same_path(options.input, options.output):
        raise FaceswapError(f"Input and output are the same, {options.input}. Name another folder with -o.")
    sink = FaceFolder(options.output) if options.output else None
    with AlignmentStore.open(options.alignments or default_store(options.input)) as store:
        summary = find_faces(source, store, lambda: options.create("detector"), lambda: options.create("aligner"), sink=sink,
                             maskers=[options.create("masker")] if options.masker else [], size=options.size,
                             coverage=options.coverage, every=options.extract_every_n, min_size=options.min_size)
        for loss in summary.losses:
            logger.warning("Incomplete input: %s", loss)
        if not summary.faces:
            raise FaceswapError(_nothing_found(source, summary, options))
        _tell(source, summary, store.path, options)
    return SOME_FAILED if summary.losses else DONE


def _nothing_found(source: FrameSource, summary: Summary, options: Extract) -> str:
    if not summary.frames:
        return f"Not one frame of {source.path} could be read. Play it to see whether it is whole."
    others = "--detector yunet, which also finds turned and covered faces" if summary.detector == "hog" else "another --detector"
    return (f"No faces found in {source.path} ({summary.frames} frames). Look whether it shows faces; then try {others}, "
            "a lower --detector.min-score or a larger --detector.search.")


def _tell(source: FrameSource, summary: Summary, store: Path, options: Extract) -> None:
    logger.info("Found %s in %d of %s of %s.", counted(summary.faces, "face"), summary.frames_with_face,
                counted(summary.frames, "frame"), source.path.name)
    if summary.searched:
        rate = summary.searched / max(summary.seconds, 1e-9)
        before = f" ({summary.frames - summary.searched} had been searched before)" if summary.searched < summary.frames else ""
        logger.info("Searched %s in %.1f s, %.0f a second%s.", counted(summary.searched, "frame"), summary.seconds, rate, before)
    else:
        logger.info("All frames had been searched before.")
    logger.info("Alignments: %s", store)
    if options.output:
        logger.info("Faces: %d new in %s", summary.written, options.output)


@dataclass(kw_only=True)
class Extract(Command):
    """Find the faces in a video, a picture or a folder of pictures, and cut them out aligned.

    What was found is kept in an alignments file as the work goes on; run the same command again after an
    interruption and it goes on where it stopped. Faces that you delete from the output folder stay deleted.
    """

    input: Path = option(help="Video, picture or folder of pictures.", short="-i")
    output: Path | None = option(None, "Folder for the aligned faces (PNG); without it only the alignments are kept.", short="-o")
    alignments: Path | None = option(None, "Alignments file; INPUT.alignments.db beside the input if not given.", short="-p")
    detector: str = option("auto", "Finds the faces.", short="-D", plugin="detectors")
    aligner: str = option("dlib68", "Fits the landmarks.", short="-A", plugin="aligners")
    masker: str | None = option("hull", "Says which pixels are face.", short="-M", plugin="maskers")
    extract_every_n: int = option(1, "Take every N-th frame only.", short="-N", low=1)
    size: int = option(256, "Side of the aligned faces, pixels.", short="-z", low=32, high=2048)
    coverage: str = option("whole", "How much of the head a face picture shows; training takes whole or head.",
                           choices=("half", "full", "whole", "head"))
    min_size: int | None = option(None, "Leave out faces with a side under N pixels of the frame.", low=0)
