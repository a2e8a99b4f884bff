"""The plan of a run: what the settings say, and for the rest what suits the model."""

from __future__ import annotations

from dataclasses import replace

from lib.errors import UsageError
from lib.jobs.train.description import Description
from lib.jobs.train.settings import TrainSettings
from lib.plugin import SCHEDULES
from lib.training.batches.augmentation import Augmentation
from lib.training.model.contract import FaceModel
from lib.training.plan import Plan, Updates

WARM_UP = 100  # iterations, for models whose learning rate changes
CLIP_AT = {"value": 1.0, "norm": 1.0, "global": 1.0, "adaptive": 10.0}
PREVIEW_SECONDS = 20.0


def plan_run(settings: TrainSettings, model: FaceModel, description: Description) -> Plan:
    """Raises UsageError where --freeze names networks that are not there, or all of them."""
    _check_frozen(settings, model)
    if settings.schedule:
        schedule = settings.create("schedule")
    else:
        schedule = SCHEDULES.create(model.schedule or ("cosine" if model.decays else "level"))
    warm_up = WARM_UP if model.decays else 0
    counted = settings.batch not in (None, "auto")
    return Plan(
        batch=int(settings.batch) if counted else model.batch,
        learning_rate=settings.learning_rate or model.learning_rate,
        augmentation=_augmentation(settings, model.augmentation), seed=description["seed"],
        schedule=schedule, warm_up=warm_up if settings.warm_up is None else settings.warm_up,
        updates=_updates(settings), averaged=description["averaged"],
        float16=description["precision"] == "float16", frozen=frozenset(settings.freeze),
        iterations=settings.iterations, minutes=settings.minutes,
        save_minutes=settings.save_minutes, keep=settings.keep, snapshots=settings.snapshots,
        preview_seconds=PREVIEW_SECONDS if settings.preview else None, page=settings.preview,
        time_lapse=settings.time_lapse, histograms=settings.histograms,
        progress_minutes=settings.progress_minutes or None,
        until_plateau=settings.until == "plateau")


def _augmentation(settings: TrainSettings, usual: Augmentation) -> Augmentation:
    """The model's `usual` one, with what the settings say instead."""
    chosen = {name: value for name, value in vars(settings).items()
              if name in vars(usual) and value is not None}
    return replace(usual, **chosen, extra=usual.extra + tuple(settings.create("augmentation")))


def _updates(settings: TrainSettings) -> Updates:
    clip_at = CLIP_AT.get(settings.clip, 0.0) if settings.clip_at is None else settings.clip_at
    optimizer = settings.create("optimizer") if settings.optimizer else None
    return Updates(optimizer, settings.clip, clip_at, settings.accumulate,
                   1 - settings.rate_dropout)


def _check_frozen(settings: TrainSettings, model: FaceModel) -> None:
    if not settings.freeze:
        return
    names = set(model.networks())
    if unknown := sorted(set(settings.freeze) - names):
        raise UsageError(f"--freeze: {settings.model} has no network {unknown[0]!r}. It has: "
                         f"{', '.join(model.networks())}.")
    if not names - set(settings.freeze):
        raise UsageError("--freeze names every network: nothing would learn. Leave one out.")
