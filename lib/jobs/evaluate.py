"""How good a swap is, or a set of faces."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.alignments.store import AlignmentStore
from lib.errors import FaceswapError, UsageError
from lib.evaluation import lineup, sets
from lib.evaluation.clip import ClipScores, evaluate_clip
from lib.evaluation.compare import Compared, differences
from lib.evaluation.detail import PICTURES, PartsOfB
from lib.evaluation.distance import FEWEST, distribution
from lib.evaluation.frames import Kit
from lib.evaluation.lineup import LineUp
from lib.evaluation.reports import html_page, set_report, swap_report
from lib.evaluation.reports.set_report import SetScores
from lib.faces.geometry import transform_points
from lib.facesets.references import gallery_embeddings, mean_embedding, reference_faces
from lib.jobs.shared.finding import open_alignments
from lib.jobs.shared.options import AlignmentsOptions, FindingOptions
from lib.media.endpoints.source import open_source
from lib.options import option
from lib.plugin import ALIGNERS, DETECTORS, RECOGNIZERS
from lib.system.logs import counted
from lib.system.progress import job, progress

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class EvaluateSettings(AlignmentsOptions, FindingOptions):
    """Measure how good a swap is, or how good a set of faces is for training.

    evaluate a.mp4 out.mp4 --reference b.mp4      compare ORIGINAL with SWAPPED, frame by frame
    evaluate a.mp4 out.mp4 -o report              and write a page with plots, a CSV and JSON
    evaluate a.mp4 out.mp4 --line-up test         20 pictures, half of them swapped: can you tell?
    evaluate --faces faces_b --source faces_a     blur, size, duplicates; what A needs
    evaluate --faces generated --reference real   distance between generated and real faces

    Faces of ORIGINAL that are not known yet are found first and stored, as convert does.
    """

    original: Path | None = option(
        None, "Video, picture or folder of pictures before the swap.", positional=True)
    swapped: Path | None = option(None, "The same after the swap.", positional=True)
    faces: Path | None = option(None, "Measure this set of faces instead of a swap: a folder made "
                                      "by extract, a video, or pictures.", group="What to measure")
    compare: Path | None = option(None, "Another swap of the same original, to compare frame by "
                                        "frame.", group="What to measure")
    line_up: Path | None = option(
        None, "Measure nothing, but write 20 pictures of faces into this new folder, half of them "
              "swapped, for people to judge; FOLDER.key.json has the answers.",
        group="What to measure")
    seed: int | None = option(None, "Seed of the random choices of --line-up.", low=0,
                              high=4294967295, group="What to measure", rare=True)
    output: Path | None = option(
        None, "Folder for the report: a page, a CSV and JSON.", short="-o", group="What to measure")
    reference: Path | None = option(None,
                                    "Faces, video or pictures of B, whose face is put in; with "
                                    "--faces the set to compare with.", group="People")
    source: Path | None = option(
        None, "Faces, video or pictures of A. Default: ORIGINAL. With --faces the set whose poses, "
              "light and expressions are needed.", group="People")
    gallery: Path | None = option(
        None, "Folder with a picture, video or folder of each of several other people, whom the "
              "swapped face should not resemble.", group="People")
    recognizer: str = option("dlib_resnet", "Face recognizer that measures identity.",
                             plugin="recognizers", group="Finding faces")


@dataclass(frozen=True)
class SwapEvaluation:
    """What `evaluate` measured."""

    clip: ClipScores
    compared: Compared | None  # --compare
    report: Path | None  # the page
    losses: tuple[str, ...]  # parts of the inputs that could not be read


@dataclass(frozen=True)
class SetEvaluation:
    """What `evaluate_faces` measured."""

    scores: SetScores
    report: Path | None  # the page


@job
def evaluate(settings: EvaluateSettings) -> SwapEvaluation:
    """Measures a swap against its original. Raises FaceswapError for inputs that do not fit."""
    _check(settings)
    original, swapped = open_source(settings.original), open_source(settings.swapped)
    sources = [swapped, *([open_source(settings.compare)] if settings.compare else [])]
    with open_alignments(original, settings.alignments, settings) as store:
        known, parts = _known_people(settings, _kit(settings, store, None))
        clips = [evaluate_clip(original, source,
                               lambda index: [stored.fitted for stored in store.faces(index)],
                               lambda: _kit(settings, store, parts), known) for source in sources]
    compared = Compared(clips[1], differences(*clips)) if settings.compare else None
    page = None
    if settings.output:
        paths = settings.original, settings.swapped, settings.compare
        names = [path.name for path in paths if path]
        page = swap_report.write(settings.output, names, clips[0], compared)[-1]
    losses = [loss for source in (original, *sources) for loss in source.losses]
    return SwapEvaluation(clips[0], compared, page, tuple(losses))


@job
def write_line_up(settings: EvaluateSettings) -> LineUp:
    """Writes the pictures of --line-up. Raises FaceswapError where the folder is there already, or
    too few frames show a face."""
    _check(settings)
    original, swapped = open_source(settings.original), open_source(settings.swapped)
    with open_alignments(original, settings.alignments, settings) as store:
        with_face = [index for index, _, _, faces in store.frame_counts() if faces]
        return lineup.write(settings.line_up, original, swapped,
                            lambda index: [stored.face for stored in store.faces(index)],
                            with_face, settings.seed)


@job
def evaluate_faces(settings: EvaluateSettings) -> SetEvaluation:
    """Measures a set of faces by itself, against the set that it is to serve, and against one that
    it should resemble. Raises FaceswapError where a set shows no face, or too few to compare."""
    _check(settings)
    faces = _measure_set(settings, settings.faces)
    needed = _measure_set(settings, settings.source) if settings.source else None
    reference = _measure_set(settings, settings.reference) if settings.reference else None
    if reference and min(len(faces), len(reference)) < FEWEST:
        smaller = min((faces, reference), key=len)
        raise FaceswapError(f"{smaller.name} has {len(smaller)} faces: to compare two sets, each "
                            f"needs at least {FEWEST} faces; some hundreds give a steady result.")
    distances = distribution(faces.embeddings, reference.embeddings) if reference else None
    scores = SetScores(faces, needed, distances)
    page = set_report.write(settings.output, scores)[-1] if settings.output else None
    return SetEvaluation(scores, page)


def _check(settings: EvaluateSettings) -> None:
    """Raises UsageError or FaceswapError before any work."""
    inputs = {"ORIGINAL": settings.original, "SWAPPED": settings.swapped}
    of_swaps = inputs | {
        "--compare": settings.compare, "--gallery": settings.gallery,
        "--line-up": settings.line_up, "-p/--alignments": settings.alignments}
    unusable = [name for name, value in of_swaps.items() if value is not None]
    if settings.faces and unusable:
        raise UsageError("--faces measures a set of faces, not a swap: leave "
                         f"{' and '.join(unusable)} out. With it go --source, --reference and -o.")
    missing = [name for name, value in inputs.items() if value is None]
    if missing and not settings.faces:
        raise UsageError(f"evaluate needs {' and '.join(missing)}, or --faces FOLDER. See: "
                         "faceswap.py evaluate --help")
    if settings.gallery and not settings.reference:
        raise UsageError("--gallery compares the swapped face with B and with other people: say "
                         "with --reference who B is.")
    for path in settings.source, settings.reference, settings.gallery:
        if path and not path.exists():
            raise FaceswapError(f"{path} does not exist. Name footage, pictures or extracted "
                                "faces.")
    if settings.output:
        html_page.check_folder(settings.output)


def _kit(settings: EvaluateSettings, store: AlignmentStore, parts: PartsOfB | None) -> Kit:
    """The detector and aligner with which the faces of the store were found, and the recognizer."""
    detector, aligner = store.state.detector, store.state.aligner
    return Kit(DETECTORS.create(detector.name, **detector.options) if detector
               else settings.create("detector"),
               ALIGNERS.create(aligner.name, **aligner.options) if aligner
               else settings.create("aligner"), RECOGNIZERS.create(settings.recognizer), parts)


def _known_people(settings: EvaluateSettings, kit: Kit
                  ) -> tuple[Mapping[str, np.ndarray], PartsOfB | None]:
    """Mean embeddings (D,) of A, B and the gallery by name; and B's eyes and mouths in real
    pictures, None where there are too few."""
    tools = kit.detector, kit.aligner, kit.recognizer
    known = {"a": mean_embedding(settings.source or settings.original, *tools)}
    if not settings.reference:
        return known, None
    known["b"] = mean_embedding(settings.reference, *tools)
    if settings.gallery:
        gallery = gallery_embeddings(settings.gallery, *tools)
        logger.info("The gallery shows %s.", counted(len(gallery), "other person"))
        known |= gallery
    faces = (face.aligned for face in
             reference_faces(settings.reference, kit.detector, kit.aligner, PICTURES))
    return known, PartsOfB.of(
        (aligned.image, transform_points(aligned.face.landmarks, aligned.matrix))
        for aligned in faces)


def _measure_set(settings: EvaluateSettings, path: Path) -> sets.FaceSet:
    faces = reference_faces(path, settings.create("detector"), settings.create("aligner"))
    measured = sets.measure(str(path), progress(faces, f"measure {path.name}", unit="face"),
                            settings.create("recognizer"))
    if not len(measured):
        raise FaceswapError(f"No faces found in {path}. Name a folder of faces made by extract, a "
                            "video, or pictures of faces.")
    return measured
