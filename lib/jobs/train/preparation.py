"""What comes before the first iteration: the model, faces to train on, the plan."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.errors import FaceswapError
from lib.facesets.face_file import FaceFile
from lib.jobs.train import checks, faces
from lib.jobs.train.description import Description, choose_losses, describe
from lib.jobs.train.faces import InputSets
from lib.jobs.train.masks import check_mask
from lib.jobs.train.plan import plan_run
from lib.jobs.train.settings import TrainSettings
from lib.plugin import MODELS, Recognizer
from lib.system import device
from lib.system.logs import counted
from lib.training.model.contract import FaceModel
from lib.training.plan import Plan
from lib.training.saved import checkpoint, model_folder

if TYPE_CHECKING:
    from lib.nn.backend import Devices
    from lib.training.run.assembly import Begin

logger = logging.getLogger(__name__)

GPU_SHARE = 0.4  # of a GPU's memory that faces may take


@dataclass(frozen=True)
class Preparation:
    """All that a run needs but the faces in memory."""

    settings: TrainSettings
    model: FaceModel
    description: Description
    inputs: InputSets  # all that -A and -B name
    held_out: list[FaceFile]  # A's faces that are measured instead of trained on
    recognizer: Callable[[], Recognizer]
    devices: Devices
    plan: Plan

    @property
    def folder(self) -> Path:
        return self.settings.model_dir

    @property
    def whole_pictures(self) -> bool:
        return self.description["whole_pictures"]

    @property
    def swaps_faces(self) -> bool:
        return self.model.swaps and not self.whole_pictures

    @property
    def trained_on(self) -> InputSets:
        return faces.without(self.inputs, self.held_out)


@contextmanager
def checked_folder(settings: TrainSettings) -> Iterator[None]:
    """Checks the settings, and keeps other trainings out of the model folder meanwhile."""
    checks.check_options(settings)
    checks.check_paths(settings)
    check_mask(settings)
    if device.worker()[0]:  # of several machines, the first writes and keeps others out
        yield
        return
    with model_folder.alone(settings.model_dir):
        if settings.restore:
            state = checkpoint.restore(settings.model_dir, settings.restore)
            logger.info("Back at the checkpoint of iteration %d; later ones are set aside in %s.",
                        state.iteration, settings.model_dir / "saves")
        yield


def prepare(settings: TrainSettings) -> Preparation:
    """Makes the model, reads faces, plans the run. Raises FaceswapError for what does not fit."""
    from lib.nn import backend
    from lib.training.saved import budget  # Keras takes seconds to import: mistakes come before

    checks.check_kind(settings)
    description = describe(settings)
    model = MODELS.create(settings.model, **description["options"])
    choose_losses(settings, model, description)

    # Faces
    whole_pictures = description["whole_pictures"]
    inputs = faces.read_inputs(settings, model, whole_pictures)
    measured = settings.progress_minutes and model.swaps and not whole_pictures
    files_a = faces.files_of(inputs["a"])
    held_out = faces.hold_out(description, files_a) if measured else []

    # Networks and devices
    if description["gan"]:
        from lib.training.model.finishing import Finishing

        model = Finishing(model, description["gan"])
    seeded = settings.seed is not None
    devices = backend.set_up(description["precision"], description["seed"] if seeded else None,
                             settings.devices)
    seed = 0 if devices.worker else description["seed"]
    description["seed"] = round(float(devices.agreed([seed])[0]))

    plan = plan_run(settings, model, description)
    if plan.batch % devices.count:
        raise FaceswapError(f"A batch of {plan.batch} faces cannot be divided evenly among "
                            f"{devices.count} devices. Choose another -b/--batch.")
    budget.check_networks(settings.model_dir, model)
    recognizer = cache(lambda: replace(settings, recognizer=description["recognizer"])
                       .create("recognizer"))
    return Preparation(settings, model, description, inputs, held_out, recognizer, devices, plan)


def load_faces(prepared: Preparation) -> tuple[dict[str, Any], Plan]:
    """The faces in memory by identity, and the plan with what depends on them."""
    settings, model, plan = prepared.settings, prepared.model, prepared.plan
    inputs = prepared.trained_on
    weights = faces.draw_weights(settings, inputs)
    in_memory = faces.in_memory(settings, model, inputs, prepared.whole_pictures,
                                plan.augmentation.paint_hair)
    on_device = faces.fits_device(settings.augment, in_memory, GPU_SHARE)
    plan = replace(plan, weights=weights, on_device=on_device)
    if settings.batch == "auto":
        plan = replace(plan, batch=_largest_batch(prepared, plan, in_memory))
    return in_memory, plan


def _largest_batch(prepared: Preparation, plan: Plan, in_memory: dict[str, Any]) -> int:
    from lib.training.batches import on_device
    from lib.training.run import estimate

    logger.info("Looking for the largest batch that fits.")
    batch, speed, reason = estimate.largest_batch(
        prepared.settings.model, prepared.model.options(), prepared.description["precision"], plan,
        on_device.bytes_of(in_memory) if plan.on_device else 0)
    logger.info("Batch: %s of each person, %.0f images/s; %s.", counted(batch, "face"), speed,
                reason)
    return batch


def beginning(prepared: Preparation) -> Begin | None:
    """What changes new networks first: --load-weights, unless the folder holds a model."""
    from lib.training.saved import transfer

    settings = prepared.settings
    if not settings.load_weights or checkpoint.saves(settings.model_dir):
        return None
    return partial(transfer.load_weights, settings.load_weights, parts=settings.parts)
