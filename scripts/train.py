"""Teaches a model two people's faces."""

from __future__ import annotations

import contextlib
import itertools
import logging
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.alignments.extraction import extract
from lib.alignments.identity import likeness
from lib.alignments.masking import masks_of_files
from lib.alignments.store import AlignmentStore, default_store
from lib.errors import DONE, INTERRUPTED, FaceswapError, UsageError
from lib.evaluation import held_out
from lib.evaluation.detail import PICTURES, PartsOfB
from lib.evaluation.frames import Kit
from lib.evaluation.generator_progress import DrawnFaces
from lib.evaluation.html_page import number
from lib.evaluation.measures import BY_KEY
from lib.evaluation.verdict import verdict
from lib.faces.geometry import COVERAGES
from lib.facesets import packed
from lib.facesets.folder import FaceFile, FaceFolder, crop_landmarks, foreign_faces, list_faces, stem_of
from lib.files.names import same_path
from lib.files.writing import write_json
from lib.media.endpoints.source import open_source
from lib.options import nearest, option
from lib.plugin import ALIGNERS, DEFAULT_RECOGNIZER, MASKERS, MODELS, SCHEDULES, Recognizer
from lib.sampling import evenly
from lib.settings import Settings
from lib.swapping.exemplars import bank as banks
from lib.swapping.exemplars import loading
from lib.swapping.exemplars.bank import Exemplars
from lib.swapping.exemplars.stage import Separate
from lib.system import device
from lib.system.logs import counted
from lib.training.batches import balance
from lib.training.batches.checks import complaints
from lib.training.batches.data import Faces
from lib.training.batches.whole_pictures import Pictures, read_squares
from lib.training.model.contract import FaceModel
from lib.training.plan import Plan, Updates
from lib.training.saved import checkpoint
from lib.training.saved.description import check_identities
from lib.types import AlignedFace
from lib.words import escaped
from scripts import convert

if TYPE_CHECKING:
    from lib.training.saved.swapper import Swapper

logger = logging.getLogger(__name__)

OWN_FILES = {"events", "exemplars_a.h5", "exemplars_b.h5", "identities.json", "log.jsonl", "loss.png", checkpoint.COPY, "preview.png",
             "rate.png", "report.html", "saves", "snapshots", "timelapse"}  # of a model's folder
FEWEST_FACES = 10  # below this nothing can be learnt
FEW_FACES = 100  # below this the swap will look alike whatever A does
FEW_PICTURES = 1000  # below this an adversarial model of all kinds of people or pictures learns them by heart
EMBEDDED_FACES = 16  # enough for a steady mean
COMPARED, MIXED_UP, CLEARLY = 40, 0.08, 0.1  # faces of each person; the share that is told; by how much they are more like the other
MOST_FACES = 4096  # of each person in a batch
WARM_UP = 100  # iterations, for models whose learning rate changes
CLIP_AT = {"value": 1.0, "norm": 1.0, "global": 1.0, "adaptive": 10.0}
GPU_SHARE = 0.4  # of a GPU's memory that faces may take


def run(options: Train) -> int:
    _check_usage(options)
    for path in (*options.input_a, *options.input_b):
        if not path.exists():
            raise FaceswapError(f"{path} does not exist. Name a folder of faces made by extract, a packed face set, a video, or a folder "
                                "of pictures.")
    for a, b in itertools.product(options.input_a, options.input_b):
        if same_path(a, b):
            raise FaceswapError(f"-A and -B are both {a}. Name two people's faces.")
    _check_folder(options)
    worker, _ = device.worker()
    if worker:  # the first writes, and keeps others out
        return _train(options)
    with checkpoint.alone(options.model_dir):
        if options.restore:
            state = checkpoint.restore(options.model_dir, options.restore)
            logger.info("Back at the save of iteration %d; what came after it is set aside in %s.", state.iteration,
                        options.model_dir / "saves")
        return _train(options)


def _check_identities(options: Train) -> None:
    """Raises UsageError where the model learns from other people than are given."""
    kind = MODELS.load(options.model)
    if "b" in kind.identities and not options.input_b:
        raise UsageError(f"{options.model} learns from two people: give -B/--input-b, too.")
    if "b" not in kind.identities and options.input_b:
        raise UsageError(f"{options.model} learns from -A alone, which takes several folders: leave -B out.")
    if options.whole_pictures and not kind.translates:
        raise UsageError(f"--whole-pictures is for models that translate without landmarks, as cyclegan; {options.model} learns from "
                         "faces.")
    if options.whole_pictures and (options.balance or options.mask):
        raise UsageError(f"--{'balance' if options.balance else 'mask'} is for faces: leave it or --whole-pictures out.")
    if kind.adversarial and options.gan:
        raise UsageError(f"--gan is a finishing stage of autoencoders; {options.model} has discriminators of its own. Leave it out.")
    if options.gan and options.batch == "auto":
        raise UsageError("--batch auto does not count in what --gan takes: give a number.")
    if options.gan and (options.devices != 1 or device.worker()[1] > 1):
        raise UsageError("--gan is for one device: leave it out, or --devices and TF_CONFIG.")
    if kind.adversarial and options.find_rate:
        raise UsageError(f"--find-rate goes by a loss that falls, which {options.model} has not: leave it out.")


def _check_folder(options: Train) -> None:
    """Raises FaceswapError where -m is no place for a model: among other files it would overwrite some."""
    folder = options.model_dir
    if any(same_path(path, folder) for path in (*options.input_a, *options.input_b)):
        raise FaceswapError(f"-m is {folder}, which holds the faces. Name a folder of its own for the model.")
    if not folder.is_dir():
        return
    names = sorted(path.name for path in folder.iterdir())
    if "options.json" in names or checkpoint.saves(folder):
        checkpoint.read_options(folder)  # raises where it is another program's
    elif strange := [name for name in names if not name.startswith((".", "faces_")) and name not in OWN_FILES]:
        raise FaceswapError(f"{folder} holds {strange[0]!r} and is no model's folder. Name a new one with -m.")


def _check_usage(options: Train) -> None:
    if options.mask and options.mask not in MASKERS.names():
        raise UsageError(f"-M/--mask: there is no mask {options.mask!r}." + nearest(options.mask, MASKERS.names())
                         + f" There are: {', '.join(MASKERS.names())}.")
    if options.until and not options.progress_minutes:
        raise UsageError("--until plateau goes by the measurements that --progress-minutes 0 turns off: leave one of them out.")
    check_batch(options.batch)
    if options.clip_at is not None and options.clip in (None, "none"):
        raise UsageError("--clip-at is the limit of --clip value, norm, global or adaptive: name one of them, or leave it out.")
    if options.clip_at == 0 or (options.clip == "adaptive" and (options.clip_at or 0) > 100):
        raise UsageError("--clip-at must be more than 0, and for adaptive, a percentile, at most 100.")
    together = options.devices != 1 or device.worker()[1] > 1
    for given, name in ((options.accumulate > 1, "--accumulate"), (options.rate_dropout, "--rate-dropout"),
                        (options.clip == "adaptive", "--clip adaptive"), (options.batch == "auto", "--batch auto"),
                        (options.find_rate, "--find-rate")):
        if given and together:
            raise UsageError(f"{name} is for one device: leave it out, or --devices and TF_CONFIG.")
    if options.parts and not options.load_weights:
        raise UsageError("--parts says what is taken of --load-weights MODEL: name that too.")
    for identity in "ab":
        weights, sets = getattr(options, f"weights_{identity}"), getattr(options, f"input_{identity}")
        if weights and (len(weights) != len(sets) or min(weights) < 0 or not 0 < sum(weights) < float("inf")):
            raise UsageError(f"--weights-{identity} needs one number for each of the {len(sets)} given with -{identity.upper()}, and "
                             "one of them has to be more than 0.")


def check_batch(given: str | None) -> None:
    """Raises UsageError where `given` is no number of faces, and not "auto"."""
    if given not in (None, "auto") and not (given.isdecimal() and len(given) < 20 and 1 <= int(given) <= MOST_FACES):
        raise UsageError(f"--batch must be at least 1 and at most {MOST_FACES}, or auto, not {given}.")


def _train(options: Train) -> int:
    from lib.nn import backend
    from lib.training.run import loop
    from lib.training.saved import budget, transfer  # these import Keras, which takes seconds: mistakes are answered before

    _check_identities(options)
    folder = options.model_dir
    settings = _settings(options)
    model = MODELS.create(options.model, **settings["options"])
    _choose_losses(options, model, settings)
    folders, files = _read_all(options, model, settings["whole_pictures"])
    swaps_faces = model.swaps and not settings["whole_pictures"]
    recognizer = cache(lambda: replace(options, recognizer=settings["recognizer"]).create("recognizer"))
    held_out = _held_out(settings, [file for these in files["a"] for file in these]) if options.progress_minutes and swaps_faces else []
    if settings["gan"]:
        from lib.training.model.finishing import Finishing

        model = Finishing(model, settings["gan"])
    devices = backend.set_up(settings["precision"], settings["seed"] if options.seed is not None else None, options.devices)
    seed = 0 if devices.worker else settings["seed"]
    settings["seed"] = round(float(devices.agreed([seed])[0]))
    plan = _plan(options, model, settings)
    if plan.batch % devices.count:
        raise FaceswapError(f"A batch of {plan.batch} faces cannot be shared out evenly by {devices.count} devices. Choose another "
                            "-b/--batch.")
    budget.check_networks(folder, model)
    if options.summary:
        return _summarise(options.model, model, settings["precision"], plan)
    kept = {id(file) for file in held_out}
    trained_on = files | {"a": [[file for file in these if id(file) not in kept] for these in files["a"]]}
    weights = {identity: _weights(these, getattr(options, f"weights_{identity}"), options.balance)
               for identity, these in trained_on.items()}
    alignments = {"a": options.alignments_a, "b": options.alignments_b}
    faces = {identity: Pictures(list(itertools.chain(*these)), model.size) if settings["whole_pictures"] else
             _faces(list(itertools.chain(*these)), model, identity == "b" and plan.augmentation.paint_hair, options.mask,
                    alignments[identity]) for identity, these in trained_on.items()}
    plan = replace(plan, weights={identity: weighed for identity, weighed in weights.items() if weighed is not None},
                   on_device=_on_device(options.augment, faces))
    if options.batch == "auto":
        plan = replace(plan, batch=_largest_batch(options, model, settings["precision"], plan, faces))
    begin = partial(transfer.load_weights, options.load_weights, parts=options.parts) \
        if options.load_weights and not checkpoint.saves(folder) else None
    if options.find_rate:
        return _find_rate(model, faces, plan, begin, folder)
    measure = show = None
    if not devices.worker:
        _write_description(folder, settings, folders, files, swaps_faces, recognizer)
        if swaps_faces:
            _write_exemplars(folder, settings["exemplars"], trained_on, plan.augmentation.paint_hair)
        if held_out:
            made = _held_out_faces([file.aligned for file in held_out], folder, model, files["b"], recognizer)
            measure, show = lambda swapper: made().measured(swapper), lambda swapper: made().sheet(swapper)
        elif options.progress_minutes and not model.swaps:
            measure = _measure_drawn([file.aligned for these in files["a"] for file in these], model.size, model.coverage,
                                     recognizer)

    needed, (free, _) = sum(these.nbytes for these in faces.values()), device.memory()
    if needed > free:
        logger.warning("All faces together take %.1f GiB of memory, and %.1f are free: take fewer, or a model of fewer pixels.",
                       needed / 2**30, free / 2**30)
    counts = {identity: f"{len(these)} of {identity.upper()}" for identity, these in faces.items()}
    counts["a"] = f"{counted(len(faces['a']), 'picture' if settings['whole_pictures'] else 'face')} of A"
    counts["a"] += f" ({len(held_out)} held out to measure on)" if held_out else ""
    logger.info("Training %s (%d pixels) on %s in %s; they take up to %.2f GiB of memory%s. Ctrl-C saves and ends.", options.model,
                model.size, " and ".join(counts.values()), settings["precision"], needed / 2**30,
                " of the device, which augments them" if plan.on_device else "")
    outcome = loop.train(model, faces, folder, plan, measure, begin, devices, show)
    logger.info("%s at iteration %d after %.1f minutes of training%s: %s. Look at %s.", "Stopped" if outcome.interrupted else "Done",
                outcome.iteration, outcome.seconds / 60, ", since it no longer gets better" if outcome.plateau else "", folder,
                folder / "preview.png")
    if outcome.progress and measure:
        logger.info("%s%s: %s.", f"Of {counted(len(held_out), 'face')} of A held out from training, swapped" if held_out else
                    "Of faces that it draws", "" if outcome.measured == outcome.iteration else f" (at iteration {outcome.measured})",
                    _words(outcome.progress))
        if held_out:
            logger.info("%s", verdict(outcome.progress, recognizer().apart))
    return INTERRUPTED if outcome.interrupted else DONE


def _settings(options: Train) -> dict[str, Any]:
    """What the model is made with: as the folder says, where it holds one already, else as asked for."""
    folder, given = options.model_dir, options.plugin_options.get("model", {})
    model = MODELS.create(options.model, **given)
    precision = device.default_precision() if options.precision == "auto" else options.precision
    seed = secrets.randbits(31) if options.seed is None else options.seed
    averaged = model.averaged if options.averaged is None else options.averaged
    if not checkpoint.saves(folder):
        return {"format": checkpoint.FORMAT, "model": options.model, "options": asdict(model), "size": model.size,
                "coverage": model.coverage, "precision": precision, "seed": seed, "averaged": averaged,
                "whole_pictures": options.whole_pictures, "gan": options.gan or 0.0, "exemplars": options.exemplars is not False,
                "recognizer": options.recognizer or DEFAULT_RECOGNIZER}
    stored = {"whole_pictures": False, "gan": 0.0} | checkpoint.read_options(folder)
    if stored["model"] != options.model:
        raise FaceswapError(f"{folder} holds a model of the kind {stored['model']!r}, not {options.model!r}. "
                            f"Add -t {stored['model']} to go on with it, or name another folder with -m.")
    if options.whole_pictures and not stored["whole_pictures"]:
        raise FaceswapError(f"{folder} holds a model of faces, not of whole pictures. Leave --whole-pictures out to go on with it, or name "
                            "another folder with -m.")
    for name, value in given.items():
        if stored["options"].get(name, value) != value:
            raise FaceswapError(f"{folder} holds a model with --model.{name.replace('_', '-')} {stored['options'][name]}, not {value}. "
                                "Leave the option out to go on with it, or name another folder with -m.")
    if options.load_weights:
        logger.warning("%s is trained already: its own weights are gone on with, not those of %s.", folder, options.load_weights)
    return stored | {"recognizer": options.recognizer or stored.get("recognizer", DEFAULT_RECOGNIZER),
                     "exemplars": stored.get("exemplars", True) if options.exemplars is None else options.exemplars,
                     "gan": stored["gan"] if options.gan is None else options.gan,
                     "precision": precision if options.precision != "auto" else stored.get("precision", precision),
                     "averaged": stored.get("averaged", averaged) if options.averaged is None else averaged,
                     "seed": stored.get("seed", seed) if options.seed is None else options.seed}


def _choose_losses(options: Train, model: FaceModel, settings: dict[str, Any]) -> None:
    """What the model minimises: as asked for, else as the folder says, else its own way."""
    from lib.training.model.losses import LOSSES

    given = {name: value for name in ("outside", "eyes", "mouth") if (value := getattr(options, name)) is not None}
    if options.loss:
        given["criteria"] = {}
        for text in options.loss:
            name, _, share = text.partition("=")
            if name not in LOSSES:
                raise UsageError(f"--loss: there is no loss {name!r}.{nearest(name, LOSSES)} There are: {', '.join(LOSSES)}.")
            try:
                given["criteria"][name] = float(share or 1)
            except ValueError:
                raise UsageError(f"--loss {text}: {share!r} is no number. Write it as {name}=0.5.") from None
            if not 0 < given["criteria"][name] < float("inf"):
                raise UsageError(f"--loss {text}: the weight must be more than 0.")
    for name in given:
        if getattr(model, name, None) is None:
            raise UsageError(f"--{'loss' if name == 'criteria' else name} is not for {options.model}, which knows what it minimises. Leave "
                             "it out, or choose another model with -t.")
    settings["losses"] = settings.get("losses", {}) | given
    for name in (*settings["losses"], *settings["losses"].get("criteria", {})):
        if name not in LOSSES and (name in settings["losses"].get("criteria", {}) or getattr(model, name, None) is None):
            raise FaceswapError(f"{options.model_dir / 'options.json'} names the loss {name!r}, which {options.model} does not have. Restore "
                                "the model folder from a copy.")
    for name, value in settings["losses"].items():
        setattr(model, name, value)


def _plan(options: Train, model: FaceModel, settings: dict[str, Any]) -> Plan:
    given = {name: getattr(options, name) for name in asdict(model.augmentation) if getattr(options, name) is not None}
    if options.unwarped == 1:
        raise UsageError("--unwarped must be 0, for none, or at least 2: every batch cannot be the one before it once more.")
    schedule = options.create("schedule") if options.schedule else SCHEDULES.create(
        model.schedule or ("cosine" if model.decays else "level"))
    if options.freeze and (unknown := set(options.freeze) - set(model.networks())):
        raise UsageError(f"--freeze: {options.model} has no network {sorted(unknown)[0]!r}. It has: {', '.join(model.networks())}.")
    if options.freeze and not set(model.networks()) - set(options.freeze):
        raise UsageError("--freeze names every network: nothing would learn. Leave one out.")
    clip_at = options.clip_at if options.clip_at is not None else CLIP_AT.get(options.clip, 0.0)
    updates = Updates(options.create("optimizer") if options.optimizer else None, options.clip, clip_at, options.accumulate,
                      1 - options.rate_dropout)
    return Plan(batch=int(options.batch) if options.batch not in (None, "auto") else model.batch,
                learning_rate=options.learning_rate or model.learning_rate,
                augmentation=replace(model.augmentation, **given), seed=settings["seed"], schedule=schedule,
                warm_up=(WARM_UP if model.decays else 0) if options.warm_up is None else options.warm_up, updates=updates,
                averaged=settings["averaged"], float16=settings["precision"] == "float16", frozen=frozenset(options.freeze),
                iterations=options.iterations, minutes=options.minutes, save_minutes=options.save_minutes, keep=options.keep,
                snapshots=options.snapshots, preview_seconds=20.0 if options.preview else None, page=options.preview,
                time_lapse=options.time_lapse,
                histograms=options.histograms, progress_minutes=options.progress_minutes or None,
                until_plateau=options.until == "plateau")


def _summarise(name: str, model: FaceModel, precision: str, plan: Plan) -> int:
    """Prints what the model is made of and what it costs here."""
    from lib.training.run import estimate, loop

    parts = loop.make_parts(model, {}, replace(plan, on_device=False))
    costs = {network: estimate.cost(made, model.size) for network, made in parts.networks.items()}
    speed = estimate.images_per_second(model, parts, plan.batch)
    rows = [("network", "parameters", "GFLOP a face, forwards"), *((network, f"{one.parameters:,}", f"{one.operations / 1e9:.3f}")
                                                                   for network, one in costs.items())]
    rows.append(("all", f"{sum(one.parameters for one in costs.values()):,}", f"{sum(one.operations for one in costs.values()) / 1e9:.3f}"))
    widths = [max(map(len, column)) for column in zip(*rows)]
    print(f"{escaped(name)}, {model.size} pixels, coverage {model.coverage}, {precision}")
    for first, *rest in rows:
        print("  ".join([first.ljust(widths[0]), *(text.rjust(width) for text, width in zip(rest, widths[1:]))]))
    taken = estimate.memory(costs, len(model.identities) * plan.batch, bool(plan.averaged), precision)
    print(f"Memory for {' + '.join([str(plan.batch)] * len(model.identities))} faces: about {taken / 2**30:.2f} GiB")
    print(f"Speed here: about {speed:.0f} images/s; a million faces take {1e6 / speed / 3600:.1f} hours")
    return DONE


def _largest_batch(options: Train, model: FaceModel, precision: str, plan: Plan, faces: dict[str, Faces]) -> int:
    from lib.training.batches import augment
    from lib.training.run import estimate

    logger.info("Looking for the largest batch that fits.")
    held = augment.bytes_of(faces) if plan.on_device else 0
    batch, speed, why = estimate.largest_batch(options.model, asdict(model), precision, plan, held)
    logger.info("Batch: %s of each person, %.0f images/s; %s.", counted(batch, "face"), speed, why)
    return batch


def _find_rate(model: FaceModel, faces: dict[str, Faces], plan: Plan, begin, folder: Path) -> int:
    """Tries learning rates on networks that are thrown away afterwards, and says which one suits."""
    from lib.training.run import estimate, loop
    from lib.training.step.choice import make_step
    from lib.training.watch import preview

    parts = loop.make_parts(model, faces, plan, begin)
    found = checkpoint.newest(folder)
    if found is not None:
        checkpoint.load_networks(found[0], parts.networks, averaged=False)
    with contextlib.closing(loop.make_feed(model, faces, plan)) as feed:
        points = estimate.find_rate(make_step(parts), feed)
    rate = estimate.good_rate(points)
    preview.plot_rates(points, folder / "rate.png")
    logger.info("Learning rates from %.0e to %.0e: %s. Nothing was saved.", points[0][0], points[-1][0], folder / "rate.png")
    logger.info("Try --learning-rate %s.", rate)
    return DONE


def _on_device(choice: str, faces: dict[str, Faces]) -> bool:
    """Whether the device augments the faces: where it is a GPU and they fit, unless the choice is made."""
    from lib.nn import backend
    from lib.training.batches import augment

    if choice != "auto":
        return choice == "device"
    memory = backend.gpu_memory()
    countable = all(these.nbytes // 3 < augment.MOST_PIXELS for these in faces.values())
    return memory is not None and countable and augment.bytes_of(faces) < GPU_SHARE * memory


def _faces(files: list[FaceFile], model: FaceModel, paint_hair: bool, mask: str | None, alignments: Path | None) -> Faces:
    return Faces([file.image for file in files], crop_landmarks(files), files[0].coverage, model.size, model.coverage, model.taught,
                 paint_hair=paint_hair, face_masks=masks_of_files(files, mask, alignments) if mask else None)


def _weights(sets: list[list[FaceFile]], shares: list[float], evened: str | None) -> np.ndarray | None:
    """How often each face of the `sets`, one after another, is drawn: numbers that sum to 1; None for all alike."""
    if not shares and not evened:
        return None
    parts = []
    for these, share in itertools.zip_longest(sets, shares or [len(these) for these in sets]):
        if not these:
            continue
        within = balance.weights(crop_landmarks(these)) if evened == "pose" else np.ones(len(these))
        parts.append(share * within / within.sum())
    weights = np.concatenate(parts)
    return weights / weights.sum()


def _held_out(settings: dict[str, Any], files: list[FaceFile]) -> list[FaceFile]:
    """Those of A's faces that are not trained on but swapped and measured: as in earlier runs, as far as they are still there."""
    names = [f"{stem_of(file.origin)}.png" for file in files]
    chosen = [names.index(name) for name in settings.get("held_out", []) if name in names] or held_out.held_out(len(names))
    settings["held_out"] = [names[index] for index in chosen]
    return [files[index] for index in chosen]


def _held_out_faces(faces: list[AlignedFace], folder: Path, model: FaceModel,
                    files_b: list[list[FaceFile]], recognizer: Callable[[], Recognizer]) -> Callable[[], held_out.HeldOut]:
    """What says and shows how good the swap of the held-out `faces` is; its networks are loaded when it is first asked."""

    @cache
    def made() -> held_out.HeldOut:
        compositor, follow = convert.compositing(convert.Convert(input=folder, output=folder, model_dir=folder))
        b = np.array(checkpoint.read_json(folder / "identities.json", check_identities)["b"], np.float32)
        all_b = list(itertools.chain(*files_b))
        kit = Kit(None, ALIGNERS.create("dlib68"), recognizer(),
                  PartsOfB.of((file.image, file.landmarks) for file in evenly(all_b, PICTURES)))
        return held_out.HeldOut(faces, b, replace(compositor, coverage=model.coverage), follow, kit, exemplars)

    @cache
    def prepared() -> dict[str, Exemplars]:
        return loading.prepared(loading.read_banks(folder), model)

    def exemplars(network: Swapper) -> Separate | None:
        ready = prepared()
        return Separate(loading.drawer(network, ready["b"], ready["a"])) if ready.keys() == {"a", "b"} else None

    return made


def _measure_drawn(faces: list[AlignedFace], size: int, coverage: str,
                   recognizer: Callable[[], Recognizer]) -> Callable[[Callable], dict[str, float]]:
    """What says how like the training faces those are that a model draws."""

    @cache
    def made() -> DrawnFaces:
        return DrawnFaces(faces, size, coverage, recognizer())

    return lambda draw: made().measured(draw)


def _words(progress: dict[str, float]) -> str:
    return "; ".join(f"{BY_KEY[key].title} {number(value)} {BY_KEY[key].unit}".rstrip() for key, value in progress.items())


def _face_folder(path: Path, extracted: Path, options: Train) -> Path:
    """`path` if it holds aligned faces; else the faces extracted from the video or pictures there."""
    if packed.is_face_set(path):
        return path
    if tool := foreign_faces(path):
        raise FaceswapError(f"{path} holds face pictures of {tool}, and what their metadata says of the faces is not read. Name the video "
                            f"or the pictures that they were made of; or find the faces in them anew: faceswap.py extract -i {path} "
                            "-o FACES, and train on FACES.")
    source = open_source(path, exact=False)
    logger.info("Extracting the faces of %s into %s.", path, extracted)
    with AlignmentStore.open(default_store(path)) as store:
        found = extract(source, store, lambda: options.create("detector"), lambda: options.create("aligner"), sink=FaceFolder(extracted))
    for loss in found.losses:
        logger.warning("Incomplete input: %s", loss)
    if not list_faces(extracted):
        raise FaceswapError(f"No faces found in {path}. Try another -D/--detector, or look at what it shows.")
    return extracted


def _read(folder: Path, coverage: str) -> list[FaceFile]:
    """The faces of `folder`. Raises FaceswapError where they show less than a model sees."""
    files = packed.read_faces(folder, device.cores())
    kinds = {file.coverage for file in files}
    if len(kinds) > 1:
        raise FaceswapError(f"{folder} mixes faces of different coverage ({', '.join(sorted(kinds))}). Extract them alike.")
    if kinds and COVERAGES[files[0].coverage][0] < COVERAGES[coverage][0]:
        raise FaceswapError(f"{folder} shows {files[0].coverage} faces, but this model sees {coverage} ones. Extract them with "
                            "--coverage whole, which suits every model but those of head.")
    return files


def _read_all(options: Train, model: FaceModel, whole: bool) -> tuple[dict[str, list[Path]], dict[str, list[list]]]:
    """By identity, folders and what each holds: faces, or `whole` pictures as `Pictures` takes them."""
    given = {"a": options.input_a, "b": options.input_b}
    folders, files = {}, {}
    for identity in model.identities:
        paths = given[identity]
        if whole:
            folders[identity], files[identity] = paths, [read_squares(path, model.size) for path in paths]
        else:
            folders[identity] = [_face_folder(path, options.model_dir / f"faces_{identity}{number or ''}", options)
                                 for number, path in enumerate(paths)]
            files[identity] = [_read(path, model.coverage) for path in folders[identity]]
    _check_count(files, folders, "picture" if whole else "face", model.swaps)
    return folders, files


def _check_count(files: dict[str, list[list]], folders: dict[str, list[Path]], what: str, swaps: bool) -> None:
    """Raises FaceswapError where a person has too few faces, or folders of several coverages."""
    for identity, sets in files.items():
        if what == "picture" or not swaps:
            _check_enough(sum(map(len, sets)), ", ".join(map(str, folders[identity])), what)
            continue
        count, where = sum(map(len, sets)), ", ".join(map(str, folders[identity]))
        if count < FEWEST_FACES:
            raise FaceswapError(f"{where} {'holds' if len(sets) == 1 else 'hold'} {counted(count, 'face')}, too few to learn from: at "
                                f"least {FEWEST_FACES} are needed, and some hundreds make a good swap. Extract more footage of this "
                                "person.")
        if count < FEW_FACES:
            logger.warning("%s holds only %d faces: expect a stiff swap. Some hundreds, of many poses and expressions, make a good one.",
                           where, count)
        if len({these[0].coverage for these in sets if these}) > 1:
            raise FaceswapError(f"{where} show faces of different coverage. Extract them alike.")
        for complaint in complaints(identity.upper(), list(itertools.chain(*sets))):
            logger.warning("%s", complaint)


def _check_enough(count: int, where: str, what: str) -> None:
    """For what is of no one person."""
    if count < FEWEST_FACES:
        raise FaceswapError(f"{where}: {counted(count, what)}, too few to learn from. At least {FEWEST_FACES} are needed, and some "
                            "thousands make good ones.")
    if count < FEW_PICTURES:
        logger.warning("%s: only %d %ss. A model of so few learns them by heart; some thousands make a good one.", where, count, what)


def _write_description(folder: Path, settings: dict[str, Any], folders: dict[str, list[Path]], files: dict[str, list[list]],
                       of_people: bool, recognizer: Callable[[], Recognizer]) -> None:
    """options.json, and of two people's faces identities.json, written before the first iteration."""
    before = settings.get("faces", {})
    now = {identity: {"folder": str(paths[0].resolve()), "folders": [str(path.resolve()) for path in paths],
                      "count": sum(map(len, files[identity]))} for identity, paths in folders.items()}
    path = folder / "identities.json"
    known = _known(path) if checkpoint.recognizer_of(folder) == settings["recognizer"] else {}
    changed = [identity for identity in now if of_people and (identity not in known or (
        identity in before and before[identity].get("folders", [before[identity]["folder"]]) != now[identity]["folders"]))]
    means = {identity: _embedding(list(itertools.chain(*files[identity])), recognizer()) for identity in changed}
    if means and known.keys() == means.keys() and _are_crossed(known, means, recognizer()):
        raise FaceswapError(f"-A and -B are the wrong way round: in {folder} the person of -A is B, and that of -B is A. Change them over. "
                            "To put A's face on B, train as before and convert with -s.")
    for identity, mean in means.items():
        if identity in known:
            _tell_other_person(identity, np.array(known[identity], np.float32), mean, folder, recognizer())
        known[identity] = mean.astype(float).round(6).tolist()
    if changed and known.keys() == {"a", "b"}:
        _tell_mixed_up(files, {identity: np.array(mean, np.float32) for identity, mean in known.items()}, folders, recognizer())
    try:
        checkpoint.write_options(folder, settings | {"faces": now})
        if changed:
            write_json(path, known)
    except OSError as error:
        raise FaceswapError(f"Cannot write into {folder}: {error.strerror}. Choose a folder of your own with -m.") from error


def _write_exemplars(folder: Path, wanted: bool, files: dict[str, list[list[FaceFile]]], bare: bool) -> None:
    """Real pictures of both people, out of their training faces, from which convert takes fine detail; none where none are wanted."""
    for identity, sets in files.items():
        path = banks.path_of(folder, identity)
        faces = list(itertools.chain(*sets))
        if not wanted or len(faces) < banks.FEWEST:
            path.unlink(missing_ok=True)
            continue
        sources = banks.sources_of(faces, bare and identity == "b")
        if banks.sources_in(path) != sources:
            banks.write(path, banks.make(faces, bare and identity == "b"), sources)


def _known(path: Path) -> dict[str, list[float]]:
    """The mean embeddings in identities.json; none where it is damaged, since they can be measured again."""
    try:
        known = checkpoint.read_json(path, check_identities) if path.exists() else {}
        return {identity: np.array(known[identity], np.float32).tolist() for identity in known}
    except FaceswapError:
        logger.warning("%s is damaged: whom the model knows is taken from the faces given now.", path)
        return {}


def _are_crossed(known: dict[str, list[float]], now: dict[str, np.ndarray], recognizer: Recognizer) -> bool:
    """Whether each of the two people now is the other of before."""
    before, after = (np.stack([np.array(means[identity], np.float32) for identity in "ab"]) for means in (known, now))
    alike = likeness(before, after, recognizer) >= recognizer.same
    return bool(alike[0, 1] and alike[1, 0] and not alike[0, 0] and not alike[1, 1])


def _tell_other_person(identity: str, before: np.ndarray, now: np.ndarray, folder: Path, recognizer: Recognizer) -> None:
    """A warning where a model that is gone on with is given another person's faces."""
    alike = float(likeness(before[None], now[None], recognizer)[0, 0])
    if alike < recognizer.same:
        kept = "b" if identity == "a" else "a"
        logger.warning("%s's faces are of another person than those that %s was trained on (likeness %.2f; of one person from %.2f). To "
                       "leave that model as it is: train -m NEW --load-weights %s --parts encoder decoder_%s.", identity.upper(), folder,
                       alike, recognizer.same, folder, kept)


def _tell_mixed_up(files: dict[str, list[list]], means: dict[str, np.ndarray], folders: dict[str, list[Path]],
                   recognizer: Recognizer) -> None:
    """A warning where some of the faces of one person are rather the other's."""
    for own, other in ("a", "b"), ("b", "a"):
        faces = evenly(list(itertools.chain(*files[own])), COMPARED)
        embeddings = recognizer.embed([file.aligned for file in faces])
        to_own, to_other = (likeness(embeddings, means[identity][None], recognizer)[:, 0] for identity in (own, other))
        count = int(((to_other >= recognizer.same) & (to_other > to_own + CLEARLY)).sum())
        if count >= max(2, MIXED_UP * len(faces)):
            logger.warning("About %.0f %% of %s's faces are %s's (%d of %d that were compared): the model would learn to draw them, too. "
                           "Take them out: faceswap.py sort -i %s --by identity --group 2.", 100 * count / len(faces), own.upper(),
                           other.upper(), count, len(faces), folders[own][0])


def _embedding(files: list[FaceFile], recognizer: Recognizer) -> np.ndarray:
    """The mean of some faces' embeddings."""
    return recognizer.embed([file.aligned for file in evenly(files, EMBEDDED_FACES)]).mean(0)


@dataclass(kw_only=True)
class Train(Settings):
    """Teaches a model two people's faces: one encoder for both, a decoder for each.

    -A is the person filmed, -B the person to be put there. Each is a folder of faces made by extract, a video, or a
    folder of pictures. Run the same command again to go on. Ctrl-C saves and ends.
    """

    input_a: list[Path] = option(help="Faces, video or pictures of person A, the one filmed; several are mixed.", short="-A")
    input_b: list[Path] = option([], "Faces, video or pictures of person B, the one put there; several are mixed. Needed by all models but "
                                     "stylegan.", short="-B")
    model_dir: Path = option(help="Folder of the model: made if new, gone on with if not.", short="-m")
    model: str = option("compact", "Kind of model.", short="-t", plugin="models")
    whole_pictures: bool = option(False, "-A and -B are folders of any two kinds of pictures, not of faces; for cyclegan, whose model the "
                                         "command translate then uses.")
    batch: str | None = option(None, "Faces of each person in a batch, or auto, the largest that fits; by default what suits the model.",
                               short="-b")
    mask: str | None = option(None, "What of the pictures is face, by this name in the alignments of their sources (extract -M, mask): "
                                    "learnt more closely, and what the model's own mask learns; by default the hull of the landmarks.",
                              short="-M")
    alignments_a: Path | None = option(None, "Alignments file with the masks of A's faces, if it is not in its usual place.")
    alignments_b: Path | None = option(None, "The same of B's.")
    iterations: int | None = option(None, "Stop at this many iterations in all; by default train until stopped.", short="-i", low=1)
    minutes: float | None = option(None, "Stop after this many minutes of training in all.", low=0.01)
    save_minutes: float = option(5.0, "Minutes of training between saves.", low=0.01)
    progress_minutes: float = option(1.0, "Minutes of training between measurements of the swap, on a few faces of A held out from "
                                          "training; 0 measures nothing and trains on all.", low=0.0)
    until: str | None = option(None, "plateau: stop when these measurements have got no better for a third of the training; "
                                     "--minutes and -i still end it sooner.", choices=("plateau",))
    keep: int = option(3, "Saves to keep, besides the best one.", low=1)
    snapshots: int | None = option(None, "Keep a save for good every so many iterations.", low=1)
    restore: str | None = option(None, "Go back to an earlier save first: previous, best, or the iteration of a save or a snapshot.")
    preview: bool = option(False, "Show it on a page for a browser on this machine, and make preview.png every 20 seconds, not only at "
                                "each save.", short="-p")
    time_lapse: bool = option(False, "Keep the preview of every save, in timelapse/.")
    histograms: bool = option(False, "Log histograms of the weights for TensorBoard, in events/.")
    summary: bool = option(False, "Tell the networks, their size, and how fast they train here; train nothing.")
    learning_rate: float | None = option(None, "Learning rate; by default the model's own.", low=1e-8, high=1.0)
    find_rate: bool = option(False, "Try learning rates and say which suits; nothing is saved.")
    schedule: str | None = option(None, "How the learning rate changes; by default what suits the model.", plugin="schedules")
    warm_up: int | None = option(None, "Iterations in which the learning rate grows from nothing; by default what suits the model.", low=0)
    optimizer: str | None = option(None, "How weights follow their gradients; by default the model's own way.", plugin="optimizers")
    clip: str | None = option(None, "What of the gradients is limited: value (each number), norm (each variable's), global (the norm of "
                                    "all), adaptive (that, by those of the last thousand iterations); by default what suits the model.",
                              choices=("none", "value", "norm", "global", "adaptive"))
    clip_at: float | None = option(None, "The limit; for adaptive the percentile of the norms. Default: 1, and 10 for adaptive.", low=0.0)
    accumulate: int = option(1, "Iterations whose gradients make one update: a larger batch than fits.", low=1, high=1024)
    rate_dropout: float = option(0.0, "Share of the weights, drawn anew each iteration, that are not updated.", low=0.0, high=0.99)
    averaged: float | None = option(None, "How slowly averaged weights, which previews and convert use, follow; 0: none are kept; by "
                                          "default what suits the model.", low=0.0, high=0.99999)
    loss: list[str] = option([], "What the model minimises, in place of its own way: any of mae, mse, logcosh, linf, ssim, ms_ssim, dssim, "
                                 "dssim2, gradient, laplacian, frequency, gmsd and perceptual, each with its weight, as in ssim=1 mse=0.5.")
    outside: float | None = option(None, "How much pixels outside the face count in it, where those of the face count 1; by default what "
                                         "suits the model.", low=0.0, high=10.0)
    eyes: float | None = option(None, "How much pixels of the eyes count besides.", low=0.0, high=1000.0)
    mouth: float | None = option(None, "Likewise of the mouth.", low=0.0, high=1000.0)
    gan: float | None = option(None, "A finishing stage of autoencoders, once they draw well: how much it weighs that discriminators, "
                                     "which are trained besides, take for real what is drawn, 0.01 to 0.1; kept when gone on with, 0 ends it.",
                               low=0.0, high=10.0)
    load_weights: Path | None = option(None, "Begin a new model with the weights of this one, as far as they fit.")
    parts: list[str] = option([], "Networks to take from --load-weights; by default all.")
    freeze: list[str] = option([], "Networks that stay as they are, as encoder.")
    augment: str = option("auto", "Where faces are moved about: by the host's processor or on the device; auto: on a GPU that they fit "
                                  "into.",
                          choices=("auto", "host", "device"))
    balance: str | None = option(None, "pose: draw faces so that all poses are seen alike often.", choices=("pose",))
    weights_a: list[float] = option([], "Of several -A, how often each is drawn from; by default as often as it has faces.")
    weights_b: list[float] = option([], "Likewise for -B.")
    devices: int = option(1, "GPUs that share each batch; 0: all there are.", low=0)
    precision: str = option("auto", "Arithmetic of the networks; auto: bfloat16 where the machine has it.",
                            choices=("auto", "float32", "bfloat16", "float16"))
    seed: int | None = option(None, "Makes a run on a CPU repeatable: weights, order of faces and augmentation follow from it.", low=0, high=4294967295)
    warp: float | None = option(None, "Strength of the random warp of the input, 1 = classic; by default, as below, what suits the model.",
                                low=0.0, high=3.0)
    unwarped: int | None = option(None, "Of so many batches, the last is the one before it once more, unwarped; at least 2, or 0 for none.",
                                  low=0)
    rotation: float | None = option(None, "Largest random rotation, degrees.", low=0.0, high=180.0)
    scale: float | None = option(None, "Largest random change of scale, as a share.", low=0.0, high=0.5)
    shift: float | None = option(None, "Largest random shift, as a share of the crop.", low=0.0, high=0.5)
    flip: bool | None = option(None, "Mirror half of the faces.")
    color: float | None = option(None, "Strength of random brightness, contrast and tint.", low=0.0, high=0.5)
    light: float | None = option(None, "Strength of a random light from one side.", low=0.0, high=1.0)
    blur: float | None = option(None, "Largest random blur of the input, sigma as a share of the crop.", low=0.0, high=0.1)
    paint_hair: bool | None = option(None, "Paint skin and brow over hair that hangs over B's forehead: it would be a dark patch on A.")
    exemplars: bool | None = option(None, "Keep some hundred pictures of both people in the model's folder, from which convert takes fine "
                                          "detail. Default: yes. Remembered on resume.")
    retarget: float | None = option(None, "Share of the faces that are bent to pose and expression of the other person.", low=0.0, high=1.0)
    crossed: float | None = option(None, "Share of these whose input is the other person's picture itself, as in the swap.",
                                   low=0.0, high=1.0)
    detector: str = option("auto", "Detector, where a video or pictures are given.", short="-D", plugin="detectors")
    aligner: str = option("dlib68", "Aligner, likewise.", plugin="aligners")
    recognizer: str | None = option(None, "Tells whether a face is A's or B's; by default that which the model was begun with, else "
                                          "dlib_resnet.", plugin="recognizers")
