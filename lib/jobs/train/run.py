"""`train`: one call that trains a model until its plan ends, Ctrl-C, or its caller stops it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.errors import FaceswapError
from lib.evaluation.verdict import verdict
from lib.jobs.train import description, identities
from lib.jobs.train.faces import files_of
from lib.jobs.train.preparation import Preparation, beginning, checked_folder, load_faces, prepare
from lib.jobs.train.settings import TrainSettings
from lib.swapping.exemplars import bank
from lib.system import device
from lib.system.logs import counted
from lib.system.progress import job
from lib.training.plan import Plan

if TYPE_CHECKING:
    from lib.training.run.loop import Measure, Show

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainResult:
    """What `train` did."""

    folder: Path
    iteration: int  # in total, with those of earlier runs
    seconds: float  # of training in total
    interrupted: bool  # by Ctrl-C or SIGTERM, after saving
    plateau: bool  # ended since it no longer got better
    measures: Mapping[str, float] | None  # by key of `lib.evaluation.measures`; None: not measured
    measured_at: int  # iteration
    held_out: int  # faces of A that were measured
    verdict: str | None  # what the measures mean for the swap, in words


@job
def train(settings: TrainSettings) -> TrainResult:
    """Trains a model and saves it in `settings.model_dir`; resumes from its newest checkpoint.

    Tells its progress at each report; asked to stop, it saves and raises Stopped. Raises UsageError
    for options that do not go together, FaceswapError for unsuitable faces, folders and disks.
    """
    with checked_folder(settings):
        prepared = prepare(settings)
        faces, plan = load_faces(prepared)
        from lib.training.run import loop

        begin = beginning(prepared)  # before anything is written
        measure = show = None
        if not prepared.devices.worker:
            _write_folder(prepared)
            measure, show = _measures(prepared)
        _tell_start(prepared, plan, faces)
        outcome = loop.train(prepared.model, faces, prepared.folder, plan, measure, begin,
                             prepared.devices, show)
    measures = outcome.progress if measure else None
    words = verdict(measures,
                    prepared.recognizer().same_distance) if measures and prepared.held_out else None
    return TrainResult(prepared.folder, outcome.iteration, outcome.seconds, outcome.interrupted,
                       outcome.plateau, measures, outcome.measured, len(prepared.held_out), words)


def _write_folder(prepared: Preparation) -> None:
    """options.json, identities.json and the pictures for convert, before the first iteration."""
    folder, inputs = prepared.folder, prepared.inputs
    write_means = None
    if prepared.swaps_faces:
        write_means = identities.update_means(folder, prepared.description, inputs,
                                              prepared.recognizer)
    sources = {identity: [part.folder for part in sets] for identity, sets in inputs.items()}
    counts = {identity: len(files_of(sets)) for identity, sets in inputs.items()}
    try:
        description.write(folder, prepared.description, sources, counts)
        if write_means:
            write_means()
    except OSError as error:
        raise FaceswapError(f"Cannot write into {folder}: {error.strerror}. Choose another folder "
                            "with -m.") from error
    if prepared.swaps_faces:
        _write_banks(prepared)


def _write_banks(prepared: Preparation) -> None:
    """Real pictures of both people from which convert takes fine detail; removes unwanted ones."""
    for identity, sets in prepared.trained_on.items():
        path, files = bank.path_of(prepared.folder, identity), files_of(sets)
        if not prepared.description["exemplars"] or len(files) < bank.FEWEST:
            path.unlink(missing_ok=True)
            continue
        bare = prepared.plan.augmentation.paint_hair and identity == "b"
        sources = bank.sources_of(files, bare)
        if bank.sources_in(path) != sources:
            bank.write(path, bank.make(files, bare), sources)


def _measures(prepared: Preparation) -> tuple[Measure | None, Show | None]:
    """What measures and what shows the model as it trains; None for either if there is none."""
    from lib.jobs.train import measures

    model, inputs, recognizer = prepared.model, prepared.inputs, prepared.recognizer
    if prepared.held_out:
        return measures.of_held_out(prepared.held_out, files_of(inputs["b"]), prepared.folder,
                                    model, recognizer)
    if prepared.settings.progress_minutes and not (model.swaps or model.finds_covers):
        return measures.of_drawn(files_of(inputs["a"]), model, recognizer), None
    return None, None


def _tell_start(prepared: Preparation, plan: Plan, faces: Mapping[str, Any]) -> None:
    needed, (free, _) = sum(held.nbytes for held in faces.values()), device.memory()
    if needed > free:
        logger.warning("All faces together take %.1f GiB of memory, and %.1f are free: use fewer, "
                       "or a model of fewer pixels.", needed / 2**30, free / 2**30)
    counts = [f"{len(held)} of {identity.upper()}" for identity, held in faces.items()]
    unit = "picture" if prepared.whole_pictures else "face"
    counts[0] = f"{counted(len(faces['a']), unit)} of A"
    if prepared.held_out:
        counts[0] += f" ({len(prepared.held_out)} held out to measure on)"
    logger.info("Training %s (%d pixels) on %s in %s; they take up to %.2f GiB of memory%s. Ctrl-C "
                "saves and ends.", prepared.settings.model, prepared.model.size,
                " and ".join(counts), prepared.description["precision"], needed / 2**30,
                " of the device, which augments them" if plan.on_device else "")
