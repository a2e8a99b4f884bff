"""What a model is made with: as its folder says if it holds one already, else as the settings."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lib.errors import FaceswapError, UsageError
from lib.jobs.train.settings import TrainSettings
from lib.options import nearest
from lib.plugin import DEFAULT_RECOGNIZER, LOSSES, MODELS
from lib.system import device
from lib.training.model.contract import FaceModel
from lib.training.saved import checkpoint, model_folder

logger = logging.getLogger(__name__)

Description = dict[str, Any]  # the content of options.json


def describe(settings: TrainSettings) -> Description:
    """What options.json is to say. Raises FaceswapError where the folder holds another model."""
    folder, options = settings.model_dir, settings.plugin_options.get("model", {})
    model = MODELS.create(settings.model, **options)
    auto = settings.precision == "auto"
    defaults = {"precision": device.default_precision() if auto else settings.precision,
                "seed": secrets.randbits(31) if settings.seed is None else settings.seed,
                "averaged": model.averaged, "gan": 0.0, "exemplars": True,
                "recognizer": DEFAULT_RECOGNIZER}
    chosen = {"precision": None if auto else settings.precision, "seed": settings.seed,
              "averaged": settings.averaged, "gan": settings.gan, "exemplars": settings.exemplars,
              "recognizer": settings.recognizer or None}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    if not checkpoint.saves(folder):
        return {"format": model_folder.FORMAT, "model": settings.model, "options": model.options(),
                "size": model.size, "coverage": model.coverage,
                "whole_pictures": settings.whole_pictures} | defaults | chosen
    stored = {"whole_pictures": False} | defaults | model_folder.read_options(folder)
    _check_same(settings, stored, options)
    return stored | chosen


def _check_same(settings: TrainSettings, stored: Description, options: Mapping[str, Any]) -> None:
    """Raises FaceswapError where the folder holds another model than the settings want."""
    folder = settings.model_dir
    if stored["model"] != settings.model:
        raise FaceswapError(f"{folder} holds a model of the kind {stored['model']!r}, not "
                            f"{settings.model!r}. Add -t {stored['model']} to resume it, or name "
                            "another folder with -m.")
    if settings.whole_pictures and not stored["whole_pictures"]:
        raise FaceswapError(f"{folder} holds a model of faces, not of whole pictures. Leave "
                            "--whole-pictures out to resume it, or name another folder with -m.")
    for name, value in options.items():
        if stored["options"].get(name, value) != value:
            raise FaceswapError(f"{folder} holds a model with --model.{name.replace('_', '-')} "
                                f"{stored['options'][name]}, not {value}. Leave the option out to "
                                "resume it, or name another folder with -m.")
    if settings.load_weights:
        logger.warning("%s is trained already: it resumes from its own weights, not from those of "
                       "%s.", folder, settings.load_weights)


def choose_losses(settings: TrainSettings, model: FaceModel, description: Description) -> None:
    """What the model minimises: as the settings say, else as the folder says, else its own way."""
    chosen: dict[str, Any] = {"criteria": _parsed_losses(settings.loss) or None,
                              "outside": settings.outside, "eyes": settings.eyes,
                              "mouth": settings.mouth}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    own = vars(model.loss_weights) if model.loss_weights else {}
    for name in chosen:
        if own.get(name) is None:
            raise UsageError(f"--{'loss' if name == 'criteria' else name} is not for "
                             f"{settings.model}, whose loss is fixed. Leave it out, or choose "
                             "another model with -t.")
    losses = description["losses"] = description.get("losses", {}) | chosen
    strange = [name for name in losses if own.get(name) is None]
    strange += [name for name in losses.get("criteria", {}) if name not in LOSSES.names()]
    if strange:
        raise FaceswapError(f"{settings.model_dir / 'options.json'} names the loss {strange[0]!r}, "
                            f"which {settings.model} does not have. Restore the model folder "
                            "from a copy.")
    if losses:
        model.loss_weights = replace(model.loss_weights, **losses)


def _parsed_losses(texts: Sequence[str]) -> dict[str, float]:
    """["ssim=1", "mse"] -> weights by name. Raises UsageError for losses that do not exist."""
    weights, names = {}, LOSSES.names()
    for text in texts:
        name, _, weight = text.partition("=")
        if name not in names:
            raise UsageError(f"--loss: there is no loss {name!r}.{nearest(name, names)} There are: "
                             f"{', '.join(names)}.")
        try:
            weights[name] = float(weight or 1)
        except ValueError:
            raise UsageError(f"--loss {text}: {weight!r} is no number. Write it as {name}=0.5."
                             ) from None
        if not 0 < weights[name] < float("inf"):
            raise UsageError(f"--loss {text}: the weight must be more than 0.")
    return weights


def write(folder: Path, description: Description, sources: Mapping[str, Sequence[Path]],
          counts: Mapping[str, int]) -> None:
    """Writes options.json, with the face folders (`sources`) and numbers of faces by identity."""
    faces = {identity: {"folder": str(paths[0].resolve()),
                        "folders": [str(path.resolve()) for path in paths],
                        "count": counts[identity]} for identity, paths in sources.items()}
    model_folder.write_options(folder, description | {"faces": faces})
