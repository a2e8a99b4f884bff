"""swap: both people's faces extracted, a model trained, the film converted; resumed at the step
that is not done."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lib.errors import FaceswapError, UsageError
from lib.evaluation.quick_look import look_ahead
from lib.facesets.face_set import read_faces
from lib.files.names import PICTURE_ENDINGS, VIDEO_FORMATS, same_path
from lib.files.writing import disk_errors
from lib.jobs.convert.job import convert, marking_for, open_sink
from lib.jobs.convert.report import report
from lib.jobs.convert.settings import ConvertSettings
from lib.jobs.extract import ExtractSettings, extract
from lib.jobs.shared.compositing import compositor_of, maskers_of
from lib.jobs.shared.options import (
    CompositingOptions,
    ExemplarsOptions,
    FaceSizeOptions,
    FacesOptions,
    FindingOptions,
    LabelOptions,
    ProvenanceOptions,
    WriterOptions,
)
from lib.jobs.swap_steps import Steps
from lib.jobs.train.checks import check_batch
from lib.jobs.train.run import train
from lib.jobs.train.settings import (
    LengthOptions,
    ModelOptions,
    PrecisionOptions,
    PreviewOptions,
    TrainSettings,
)
from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file
from lib.options import option
from lib.swapping.label import Label
from lib.system import device
from lib.system.logs import counted
from lib.system.progress import job

logger = logging.getLogger(__name__)
DEFAULT_MINUTES = 10.0
# The options of each step that swap has, too
EXTRACTING = FindingOptions, FaceSizeOptions
TRAINING = ModelOptions, LengthOptions, PreviewOptions, PrecisionOptions, ExemplarsOptions
CONVERTING = (FindingOptions, FacesOptions, CompositingOptions, ExemplarsOptions, WriterOptions,
              LabelOptions, ProvenanceOptions)


@dataclass(kw_only=True)
class SwapSettings(ModelOptions, LengthOptions, PreviewOptions, PrecisionOptions, FacesOptions,
                   CompositingOptions, ExemplarsOptions, FindingOptions, FaceSizeOptions,
                   WriterOptions, LabelOptions, ProvenanceOptions):
    """Put the face of B on A: extract both, train, convert.

    Training takes 10 minutes unless --minutes, -i or --until says otherwise. Everything but the
    result is kept in a work folder beside it. After an interruption, run the same command again: it
    resumes at the unfinished step. With more --minutes or -i it trains on.
    """

    input_a: Path = option(
        help="Video or pictures of A, whose face is replaced (target, dst).", short="-A")
    input_b: Path = option(
        help="Video or pictures of B, whose face is put there (source, src).", short="-B")
    output: Path = option(help="The result: a video, or a folder of pictures.", short="-o")
    model_dir: Path | None = option(
        None, "Folder of the model. Default: model, in the work folder.", short="-m")
    work: Path | None = option(None, "Work folder. Default: out.faceswap beside out.mp4.")
    quick_look: Path | None = option(
        None, "Train and convert nothing: write a picture that shows what to expect, made of B's "
        "pictures alone, and list what speaks against the footage (light, poses, hair).")


@dataclass(frozen=True)
class SwapResult:
    """What `swap` did."""

    output: Path
    preview: Path  # of the training
    seconds: Mapping[str, float]  # that each step of this run took; none where all was done before
    good: bool  # no frame and no part of the input failed


@dataclass(frozen=True)
class QuickLook:
    """What to expect of a swap, without any training."""

    picture: Path
    verdict: str
    faults: tuple[str, ...]  # what speaks against the footage, a sentence each


@dataclass(frozen=True)
class _Plan:
    """The settings of each step, and where its results lie."""

    work: Path
    extract_a: ExtractSettings
    extract_b: ExtractSettings
    train: TrainSettings
    convert: ConvertSettings


@job
def swap(settings: SwapSettings) -> SwapResult:
    """Extracts, trains and converts what is not done yet. Raises UsageError, FaceswapError."""
    plan = _prepare(settings)
    steps = _begin(settings, plan)
    good = _extract_both(steps, plan)
    good &= steps.run("train", _train, plan.train, [plan.train.model_dir])
    good &= steps.run("convert", _convert, plan.convert, [settings.output])
    return SwapResult(settings.output, plan.train.model_dir / "preview.png", steps.seconds, good)


@job
def quick_look(settings: SwapSettings) -> QuickLook:
    """Extracts both people, and writes the picture `settings.quick_look` of what to expect. Raises
    UsageError, FaceswapError."""
    plan = _prepare(settings)
    _extract_both(_begin(settings, plan), plan)
    files_a, files_b = (read_faces(step.output, device.cores())
                        for step in (plan.extract_a, plan.extract_b))
    for files, name in ((files_a, "A"), (files_b, "B")):
        if not files:
            raise FaceswapError(
                f"No faces of {name} were found. Look at the footage, or try another "
                "-D/--detector.")
    outlook = look_ahead(files_a, files_b, compositor_of(plan.convert, plan.convert.alignments))
    path = settings.quick_look
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    picture_file.write(path, outlook.sheet)
    return QuickLook(path, outlook.verdict, tuple(outlook.faults))


def _prepare(settings: SwapSettings) -> _Plan:
    """What each step is to do. Raises UsageError and FaceswapError for mistakes, before anything is
    written."""
    check_batch(settings.batch)
    for name, path in {"A": settings.input_a, "B": settings.input_b}.items():
        if same_path(path, settings.output):
            raise UsageError(
                f"-{name} and -o are both {path}. Choose another output: the original is never "
                "overwritten.")
    if same_path(settings.input_a, settings.input_b):
        raise UsageError(f"-A and -B are both {settings.input_a}. Name two people's footage.")
    source_a, _ = open_source(settings.input_a), open_source(settings.input_b)
    plan = _plan(settings)
    maskers_of(settings.mask, plan.convert.alignments)
    marking_for(plan.convert)
    if settings.label is not None:
        Label(settings.label)
    open_sink(plan.convert, source_a)
    return plan


def _plan(settings: SwapSettings) -> _Plan:
    if settings.minutes is None and settings.iterations is None and settings.until is None:
        settings = replace(settings, minutes=DEFAULT_MINUTES)
    work = settings.work or _work_folder(settings.output)
    faces_a, faces_b, alignments = work / "faces_a", work / "faces_b", work / "a.alignments.db"
    model_dir = settings.model_dir or work / "model"
    extracting = settings.shared(*EXTRACTING)
    training, converting = settings.shared(*TRAINING), settings.shared(*CONVERTING)
    return _Plan(
        work,
        ExtractSettings(**extracting, input=settings.input_a, output=faces_a, alignments=alignments,
                        people=False),
        ExtractSettings(**extracting, input=settings.input_b, output=faces_b,
                        alignments=work / "b.alignments.db", people=False),
        TrainSettings(**training, input_a=[faces_a], input_b=[faces_b], model_dir=model_dir),
        ConvertSettings(**converting, input=settings.input_a, output=settings.output,
                        model_dir=model_dir, alignments=alignments))


def _begin(settings: SwapSettings, plan: _Plan) -> Steps:
    steps = Steps(plan.work, {"A": open_source(settings.input_a).path,
                              "B": open_source(settings.input_b).path})
    logger.info(
        "Swapping the face of %s onto the person in %s. Everything but the result is kept in %s.",
        settings.input_b, settings.input_a, plan.work)
    return steps


def _extract_both(steps: Steps, plan: _Plan) -> bool:
    good = steps.run("extract A", _extract, plan.extract_a,
                     [plan.extract_a.output, plan.extract_a.alignments])
    return steps.run("extract B", _extract, plan.extract_b, [plan.extract_b.output]) and good


def _extract(settings: ExtractSettings) -> bool:
    summary = extract(settings).summary
    logger.info("Found %s in %d of %s of %s.", counted(summary.faces, "face"),
                summary.frames_with_face, counted(summary.frames, "frame"), settings.input.name)
    return not summary.losses


def _train(settings: TrainSettings) -> bool:
    result = train(settings)
    if result.interrupted:
        raise KeyboardInterrupt
    logger.info("Trained to iteration %d.%s", result.iteration, f" {result.verdict}"
                if result.verdict else "")
    return True


def _convert(settings: ConvertSettings) -> bool:
    result = convert(settings)
    report(result, settings)
    return not result.failures


def _work_folder(output: Path) -> Path:
    """Beside the output: out.mp4 -> out.faceswap."""
    name = output.stem if output.suffix.lower() in {*VIDEO_FORMATS,
                                                    *PICTURE_ENDINGS} else output.name
    return output.with_name(f"{name}.faceswap")
