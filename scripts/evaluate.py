"""`faceswap.py evaluate`: how good a swap is."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.alignments.store import AlignmentStore
from lib.errors import DONE, SOME_FAILED, FaceswapError, UsageError
from lib.evaluation import html_page, lineup, report, set_report, sets
from lib.evaluation.clip import evaluate
from lib.evaluation.compare import Compared, differences
from lib.evaluation.detail import PICTURES, PartsOfB
from lib.evaluation.distance import FEWEST, distribution
from lib.evaluation.frames import Kit
from lib.evaluation.set_report import SetScores
from lib.faces.geometry import transform_points
from lib.facesets import references
from lib.files.names import same_path
from lib.media.base import FrameSource
from lib.media.endpoints.source import open_source
from lib.options import option
from lib.plugin import ALIGNERS, DETECTORS, RECOGNIZERS
from lib.settings import Settings
from lib.system.logs import counted
from lib.system.progress import progress
from lib.words import escaped
from scripts.convert import alignments

logger = logging.getLogger(__name__)

NOT_WITH_FACES = {"original": "ORIGINAL", "swapped": "SWAPPED", "compare": "--compare", "gallery": "--gallery", "line_up": "--line-up",
                  "alignments": "-p/--alignments"}


def run(options: Evaluate) -> int:
    _check_usage(options)
    for path in options.source, options.reference, options.gallery:  # mistakes are told before the work begins
        if path and not path.exists():
            raise FaceswapError(f"{path} does not exist. Name footage, pictures or extracted faces.")
    if options.output:
        html_page.check_folder(options.output)
    return _faces(options) if options.faces else _swap(options)


def _check_usage(options: Evaluate) -> None:
    given = [said for name, said in NOT_WITH_FACES.items() if getattr(options, name) is not None]
    if options.faces and given:
        raise UsageError(f"--faces measures a set of faces, not a swap: leave {' and '.join(given)} out. "
                         "With it go --source, --reference and -o.")
    missing = [name.upper() for name in ("original", "swapped") if getattr(options, name) is None]
    if missing and not options.faces:
        raise UsageError(f"evaluate needs {' and '.join(missing)}, or --faces FOLDER. See: faceswap.py evaluate --help")
    if options.gallery and not options.reference:
        raise UsageError("--gallery asks whether the face is taken for B's or for one of the others: say with --reference who B is.")


def _swap(options: Evaluate) -> int:
    began = time.monotonic()
    original, swapped = open_source(options.original), open_source(options.swapped)
    others = [open_source(options.compare)] if options.compare else []
    if same_path(options.original, options.swapped):
        logger.warning("Both are %s: everything but the share of swapped frames will be perfect.", options.original)
    if others and same_path(options.swapped, options.compare):
        logger.warning("%s is compared with itself.", options.compare)
    with alignments(options, original) as store:
        settings = store.settings

        def make_kit() -> Kit:
            tools = (registry.create(settings[kind]["name"], **settings[kind]["options"]) if kind in settings else options.create(kind)
                     for kind, registry in (("detector", DETECTORS), ("aligner", ALIGNERS)))
            return Kit(*tools, RECOGNIZERS.create(options.recognizer), parts)

        parts = None
        if options.line_up:
            return _line_up(options, original, swapped, store)
        known = _people(options, make_kit())
        parts = _parts_of_b(options.reference, make_kit()) if options.reference else None
        clips = [evaluate(original, source, lambda index: [stored.fitted for stored in store.faces(index)], make_kit, known)
                 for source in (swapped, *others)]
    print(report.table(clips[0]))
    compared = Compared(clips[1], differences(*clips)) if others else None
    if compared:
        print(f"\n{escaped(options.swapped)} against {escaped(options.compare)}\n{report.comparison(compared.differences)}")
    if clips[0].frames and len(clips[0].unswapped) == len(clips[0].frames):
        logger.warning("Not one face was changed: the numbers are of the original itself.")
    if len(clips[0].lost) > len(clips[0].frames) / 2:
        logger.warning("In %d of %s no face is found where the original's was.", len(clips[0].lost), counted(len(clips[0].frames), "frame"))
    logger.info("Measured %s, %d with a face, in %.0f s.", counted(clips[0].frame_count, "frame"), len(clips[0].frames),
                time.monotonic() - began)
    if options.output:
        names = [path.name for path in (options.original, options.swapped, options.compare) if path]
        logger.info("Report: %s", report.write(options.output, names, clips[0], compared)[-1])
    losses = [loss for source in (original, swapped, *others) for loss in source.losses]
    for loss in losses:
        logger.warning("Incomplete input: %s", loss)
    return SOME_FAILED if losses else DONE


def _line_up(options: Evaluate, original: FrameSource, swapped: FrameSource, store: AlignmentStore) -> int:
    """--line-up: pictures to be judged by eye."""
    with_face = [index for index, _, _, faces in store.frame_counts() if faces]
    made = lineup.write(options.line_up, original, swapped, lambda index: [stored.face for stored in store.faces(index)], with_face,
                        options.seed)
    logger.info("%s in %s, half of them swapped. Let somebody say of each whether it is real, then look into %s: who tells no more than "
                "half of them could as well toss a coin.", counted(len(made.pictures), "picture"), options.line_up, made.key)
    return DONE


def _parts_of_b(reference: Path, kit: Kit) -> PartsOfB | None:
    """Eyes and mouths in real pictures of B; None of too few."""
    faces = references.read_faces(reference, kit.detector, kit.aligner, PICTURES)
    return PartsOfB.of((one.aligned.image, transform_points(one.aligned.face.landmarks, one.aligned.matrix)) for one in faces)


def _people(options: Evaluate, kit: Kit) -> dict[str, np.ndarray]:
    """Mean embeddings of A (the original itself where no --source is given), of B and of the gallery."""
    tools = kit.detector, kit.aligner, kit.recognizer
    known = {"a": references.mean_embedding(options.source or options.original, *tools)}
    if options.reference:
        known["b"] = references.mean_embedding(options.reference, *tools)
    if options.gallery:
        known |= (others := references.gallery(options.gallery, *tools))
        logger.info("The gallery shows %s.", counted(len(others), "other person"))
    return known


def _faces(options: Evaluate) -> int:
    """--faces: a set of faces by itself, against the set that it must serve, and against one that it should be like."""
    tools = options.create("detector"), options.create("aligner")
    recognizer = options.create("recognizer")

    def measured(path: Path) -> sets.FaceSet:
        found = progress(references.read_faces(path, *tools), f"measure {path.name}", unit="face")
        faces = sets.measure(str(path), found, recognizer)
        if not len(faces):
            raise FaceswapError(f"No faces found in {path}. Name a folder of faces made by extract, a video, or pictures of faces.")
        return faces

    faces = measured(options.faces)
    needed = measured(options.source) if options.source else None
    reference = measured(options.reference) if options.reference else None
    if reference and min(len(faces), len(reference)) < FEWEST:
        raise FaceswapError(f"{min((faces, reference), key=len).name} has {min(len(faces), len(reference))} faces: for a distance between "
                            f"two sets at least {FEWEST} of each are needed, and some hundreds make it steady.")
    scores = SetScores(faces, needed, distribution(faces.embeddings, reference.embeddings) if reference else None)
    print(set_report.table(scores))
    if options.output:
        logger.info("Report: %s", set_report.write(options.output, scores)[-1])
    return DONE


@dataclass(kw_only=True)
class Evaluate(Settings):
    """Measure how good a swap is, or how good the faces are that it is to be learnt from.

    evaluate a.mp4 out.mp4 --reference b.mp4            a table: ORIGINAL against SWAPPED, frame by frame
    evaluate a.mp4 out.mp4 --reference b.mp4 -o report  and a page with plots, a CSV and JSON in the folder report
    evaluate a.mp4 out.mp4 --line-up test               20 pictures, half of them swapped: can you tell?
    evaluate --faces faces_b --source faces_a           B's faces: blur, size, duplicates, and what they lack that A needs
    evaluate --faces made --reference real              how far generated faces are from real ones, as distributions

    Faces of ORIGINAL that were not found before are found first, and kept in its alignments file as convert does.
    """

    original: Path | None = option(None, "The video, picture or folder of pictures before the swap.", positional=True)
    swapped: Path | None = option(None, "The same after it.", positional=True)
    faces: Path | None = option(None, "Measure this set of faces instead of a swap: a folder made by extract, a video, or pictures.")
    reference: Path | None = option(None, "Faces, video or pictures of B, whose face it shall be; "
                                           "with --faces the set that it should be like.")
    source: Path | None = option(None, "Faces, video or pictures of A, the original itself if not given; "
                                        "with --faces the set that it must serve.")
    gallery: Path | None = option(None, "Folder of other people, a picture, video or folder each: the face shall not be taken for theirs.")
    compare: Path | None = option(None, "Another swap of the same original: both are measured and their frames compared.")
    line_up: Path | None = option(None, "Measure nothing, but write 20 pictures of faces into this new folder, half of them swapped, for "
                                        "somebody who says which are real; FOLDER.key.json tells.")
    seed: int | None = option(None, "Makes the lots of --line-up repeatable.", low=0, high=4294967295)
    output: Path | None = option(None, "Folder for the report: a page, a CSV and JSON.", short="-o")
    alignments: Path | None = option(None, "The alignments file of the original, if it is not in its usual place.", short="-p")
    detector: str = option("auto", "Finds faces where that was not done before.", short="-D", plugin="detectors")
    aligner: str = option("dlib68", "Fits landmarks, likewise.", short="-A", plugin="aligners")
    recognizer: str = option("dlib_resnet", "Says whose face it is.", plugin="recognizers")
