"""What `train` refuses before heavy imports: options that do not go together, unsuitable paths."""

from __future__ import annotations

import itertools
from pathlib import Path

from lib.errors import FaceswapError, UsageError
from lib.files.names import same_path
from lib.jobs.train.settings import TrainSettings
from lib.plugin import MODELS
from lib.system import device
from lib.training.model.contract import FaceModel
from lib.training.saved import checkpoint, model_folder

OWN_FILES = {"events", "exemplars_a.h5", "exemplars_b.h5", "identities.json", "log.jsonl",
             "loss.png", model_folder.COPY, "occlusion.onnx", "occlusion.toml", "preview.png", "rate.png", "report.html", "saves",
             "snapshots", "timelapse"}  # of a model folder
MOST_FACES = 4096  # of each person in a batch
LONGEST_NUMBER = 19  # digits of --batch


def check_batch(text: str | None) -> None:
    """Raises UsageError where `text` is neither a number of faces nor "auto"."""
    if text in (None, "auto"):
        return
    if not (text.isdecimal() and len(text) <= LONGEST_NUMBER and 1 <= int(text) <= MOST_FACES):
        raise UsageError(f"--batch must be at least 1 and at most {MOST_FACES}, or auto, not "
                         f"{text}.")


def check_options(settings: TrainSettings) -> None:
    """Raises UsageError where options do not go together."""
    if settings.until and not settings.progress_minutes:
        raise UsageError("--until plateau needs the measurements that --progress-minutes 0 turns "
                         "off. Leave one of them out.")
    check_batch(settings.batch)
    if settings.unwarped == 1:
        raise UsageError("--unwarped must be 0 (never) or at least 2: a batch is repeated, so not "
                         "every one can be a repetition.")
    if settings.parts and not settings.load_weights:
        raise UsageError("--parts chooses networks of --load-weights MODEL. Give that too.")
    _check_clipping(settings)
    _check_one_device(settings)
    for identity, weights, paths in (("a", settings.weights_a, settings.input_a),
                                     ("b", settings.weights_b, settings.input_b)):
        good = len(weights) == len(paths) and min(weights, default=-1) >= 0
        if weights and not (good and 0 < sum(weights) < float("inf")):
            raise UsageError(f"--weights-{identity} needs one number for each of the {len(paths)} "
                             f"inputs of -{identity.upper()}; one of them must be more than 0.")


def _check_clipping(settings: TrainSettings) -> None:
    if settings.clip_at is None:
        return
    if settings.clip in (None, "none"):
        raise UsageError("--clip-at is the limit of --clip value, norm, global or adaptive. Choose "
                         "one of them, or leave it out.")
    if settings.clip_at == 0 or (settings.clip == "adaptive" and settings.clip_at > 100):
        raise UsageError("--clip-at must be more than 0, and for adaptive, a percentile, at most "
                         "100.")


def _check_one_device(settings: TrainSettings) -> None:
    """Raises UsageError for what works on one device only, where there are several."""
    if settings.devices == 1 and device.worker()[1] <= 1:
        return
    for used, flag in ((settings.accumulate > 1, "--accumulate"),
                       (settings.rate_dropout, "--rate-dropout"),
                       (settings.clip == "adaptive", "--clip adaptive"),
                       (settings.batch == "auto", "--batch auto"),
                       (settings.find_rate, "--find-rate"), (settings.gan, "--gan")):
        if used:
            raise UsageError(f"{flag} is for one device: leave it out, or --devices and TF_CONFIG.")


def check_paths(settings: TrainSettings) -> None:
    """Raises FaceswapError where faces are missing, A and B are the same, or -m is no place."""
    for path in (*settings.input_a, *settings.input_b):
        if not path.exists():
            raise FaceswapError(f"{path} does not exist. Name a folder of faces made by extract, a "
                                "packed face set, a video, or a folder of pictures.")
    for a, b in itertools.product(settings.input_a, settings.input_b):
        if same_path(a, b):
            raise FaceswapError(f"-A and -B are both {a}. Name the faces of two people.")
    _check_folder(settings.model_dir, (*settings.input_a, *settings.input_b))


def _check_folder(folder: Path, inputs: tuple[Path, ...]) -> None:
    """Raises FaceswapError where training would overwrite other files in `folder`."""
    if any(same_path(path, folder) for path in inputs):
        raise FaceswapError(f"-m is {folder}, which holds the faces. Name another folder for the "
                            "model.")
    if not folder.is_dir():
        return
    names = sorted(path.name for path in folder.iterdir())
    if "options.json" in names or checkpoint.saves(folder):
        model_folder.read_options(folder)  # raises where another program wrote it
        return
    strange = [name for name in names
               if not name.startswith((".", "faces_")) and name not in OWN_FILES]
    if strange:
        raise FaceswapError(f"{folder} holds {strange[0]!r} and is no model folder. Name a new one "
                            "with -m.")


def check_kind(settings: TrainSettings) -> None:
    """Raises UsageError where options do not suit the kind of model. Imports the model."""
    kind: type[FaceModel] = MODELS.load(settings.model)
    name = settings.model
    if "b" in kind.identities and not settings.input_b:
        raise UsageError(f"{name} learns from two people: give -B/--input-b, too.")
    if "b" not in kind.identities and settings.input_b:
        raise UsageError(f"{name} learns from -A alone, which takes several folders: leave -B out.")
    if settings.whole_pictures and not kind.translates:
        raise UsageError("--whole-pictures is for models that translate without landmarks, such as "
                         f"cyclegan; {name} learns from faces.")
    if settings.whole_pictures and (settings.balance or settings.mask):
        raise UsageError(f"--{'balance' if settings.balance else 'mask'} is for faces: leave it or "
                         "--whole-pictures out.")
    if not kind.finds_covers and (settings.labels or settings.covers):
        raise UsageError(f"--{'labels' if settings.labels else 'covers'} is for the model "
                         f"occlusion, which learns what covers a face; {name} draws faces. Leave "
                         "it out.")
    if kind.finds_covers:
        _check_finder(settings)
    if kind.adversarial and settings.gan:
        raise UsageError(f"--gan is a finishing stage of autoencoders; {name} has discriminators "
                         "of its own. Leave it out.")
    if settings.gan and settings.batch == "auto":
        raise UsageError("--batch auto does not count in what --gan takes. Give a number.")
    if kind.adversarial and settings.find_rate:
        raise UsageError(f"--find-rate needs a loss that falls, which {name} does not have. Leave "
                         "it out.")


def _check_finder(settings: TrainSettings) -> None:
    """Raises UsageError for what a model that draws no faces cannot do."""
    for used, flag in ((settings.gan, "--gan"), (settings.find_rate, "--find-rate"),
                       (settings.mask, "-M/--mask"), (settings.until, "--until"),
                       (settings.augment == "device", "--augment device"),
                       (settings.batch == "auto", "--batch auto"),
                       *((getattr(settings, name) is not None, f"--{name.replace('_', '-')}")
                         for name in ("warp", "blur", "retarget", "crossed", "paint_hair"))):
        if used:
            raise UsageError(f"{flag} is for models that draw faces, and {settings.model} finds "
                             "what covers them. Leave it out.")
