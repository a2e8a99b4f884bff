"""Teaches a model two people's faces."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from lib import device
from lib.cli import Command
from lib.errors import DONE, INTERRUPTED, FaceswapError, UsageError
from lib.evaluation import heldout
from lib.evaluation.frames import Kit
from lib.evaluation.measures import BY_KEY
from lib.evaluation.page import number
from lib.faces.extraction import extract
from lib.faces.faceset import FaceFile, FaceFolder, is_face_folder, list_faces, read_face
from lib.faces.geometry import COVERAGES
from lib.faces.masking import masks_of_files
from lib.faces.store import AlignmentStore, default_store
from lib.logs import counted
from lib.media.files import same_path
from lib.media.source import open_source
from lib.options import nearest, option
from lib.parallel import ordered_map
from lib.plugin import ALIGNERS, MASKERS, MODELS, RECOGNIZERS
from lib.progress import progress
from lib.training import checkpoint
from lib.training.data import Faces
from lib.training.model import FaceModel
from lib.types import AlignedFace
from scripts import convert

if TYPE_CHECKING:
    from lib.training.swapper import Swapper

logger = logging.getLogger(__name__)

FEWEST_FACES = 10  # below this nothing can be learnt
FEW_FACES = 100  # below this the swap will look alike whatever A does
EMBEDDED_FACES = 16  # enough for a steady mean


def run(options: Train) -> int:
    for path in options.input_a, options.input_b:
        if not path.exists():
            raise FaceswapError(f"{path} does not exist. Name a folder of faces made by extract, a video, or a folder of pictures.")
    if same_path(options.input_a, options.input_b):
        raise FaceswapError(f"-A and -B are both {options.input_a}. Name two people's faces.")
    if options.mask and options.mask not in MASKERS.names():
        raise UsageError(f"-M/--mask: there is no mask {options.mask!r}." + nearest(options.mask, MASKERS.names())
                         + f" There are: {', '.join(MASKERS.names())}.")
    if options.until and not options.progress_minutes:
        raise UsageError("--until plateau goes by the measurements that --progress-minutes 0 turns off: leave one of them out.")
    with checkpoint.alone(options.model_dir):
        return _train(options)


def _train(options: Train) -> int:
    from lib.training import backend, loop  # these import Keras, which takes seconds: mistakes are answered before

    folder = options.model_dir
    settings = _settings(options)
    model = MODELS.create(options.model, **settings["options"])
    faces_folders = {identity: _face_folder(path, folder / f"faces_{identity}", options)
                     for identity, path in (("a", options.input_a), ("b", options.input_b))}
    files = {identity: _read(path, model.coverage) for identity, path in faces_folders.items()}
    held_out = _held_out(settings, faces_folders["a"]) if options.progress_minutes else []
    plan = _plan(options, model, settings["seed"])
    trained_on = files | {"a": [file for index, file in enumerate(files["a"]) if index not in held_out]}
    alignments = {"a": options.alignments_a, "b": options.alignments_b}
    faces = {identity: Faces([file.image for file in these], [file.landmarks for file in these], these[0].coverage,
                             model.size, model.coverage, paint_hair=identity == "b" and plan.augmentation.paint_hair,
                             face_masks=masks_of_files(these, options.mask, alignments[identity]) if options.mask else None)
             for identity, these in trained_on.items()}
    _write_description(folder, settings, faces_folders, files)
    measure = _measure([files["a"][index].aligned for index in held_out], folder, model.coverage) if held_out else None

    backend.set_up(settings["precision"], settings["seed"] if options.seed is not None else None)
    logger.info("Training %s (%d pixels) on %d faces of A%s and %d of B in %s; Ctrl-C saves and ends.", options.model, model.size,
                len(faces["a"]), f" ({len(held_out)} held out to measure on)" if held_out else "", len(faces["b"]),
                settings["precision"])
    outcome = loop.train(model, faces, folder, plan, measure)
    logger.info("%s at iteration %d after %.1f minutes of training%s: %s. Look at %s.", "Stopped" if outcome.interrupted else "Done",
                outcome.iteration, outcome.seconds / 60, ", since it no longer gets better" if outcome.plateau else "", folder,
                folder / "preview.png")
    if outcome.progress:
        logger.info("Of %s of A held out from training, swapped: %s.", counted(len(held_out), "face"), _words(outcome.progress))
    return INTERRUPTED if outcome.interrupted else DONE


def _settings(options: Train) -> dict[str, Any]:
    """What the model is made with: as the folder says, where it holds one already, else as asked for."""
    folder, given = options.model_dir, options.settings.get("model", {})
    model = MODELS.create(options.model, **given)
    precision = device.default_precision() if options.precision == "auto" else options.precision
    seed = secrets.randbits(31) if options.seed is None else options.seed
    if not checkpoint.saves(folder):
        return {"format": checkpoint.FORMAT, "model": options.model, "options": asdict(model), "size": model.size,
                "coverage": model.coverage, "precision": precision, "seed": seed}
    stored = checkpoint.read_options(folder)
    if stored["model"] != options.model:
        raise FaceswapError(f"{folder} holds a model of the kind {stored['model']!r}, not {options.model!r}. "
                            f"Add -t {stored['model']} to go on with it, or name another folder with -m.")
    for name, value in given.items():
        if stored["options"].get(name, value) != value:
            raise FaceswapError(f"{folder} holds a model with --model.{name.replace('_', '-')} {stored['options'][name]}, not {value}. "
                                "Leave the option out to go on with it, or name another folder with -m.")
    return stored | {"precision": precision if options.precision != "auto" else stored.get("precision", precision),
                     "seed": stored.get("seed", seed) if options.seed is None else options.seed}


def _plan(options: Train, model: FaceModel, seed: int):
    from lib.training.loop import Plan

    given = {name: getattr(options, name) for name in asdict(model.augmentation) if getattr(options, name) is not None}
    augmentation = replace(model.augmentation, **given)
    return Plan(batch=options.batch_size or model.batch, learning_rate=options.learning_rate or model.learning_rate,
                augmentation=augmentation, seed=seed, iterations=options.iterations, minutes=options.minutes,
                save_minutes=options.save_minutes, preview_seconds=20.0 if options.preview else None,
                progress_minutes=options.progress_minutes or None, until_plateau=options.until == "plateau")


def _held_out(settings: dict[str, Any], folder: Path) -> list[int]:
    """Which of A's faces are not trained on but swapped and measured: as in earlier runs, as far as they are still there."""
    names = [path.name for path in list_faces(folder)]
    chosen = [names.index(name) for name in settings.get("held_out", []) if name in names] or heldout.held_out(len(names))
    settings["held_out"] = [names[index] for index in chosen]
    return chosen


def _measure(faces: list[AlignedFace], folder: Path, coverage: str) -> Callable[[Swapper], dict[str, float]]:
    """What says how good the swap of the held-out `faces` is; its networks are loaded when it is first asked."""

    @cache
    def made() -> heldout.HeldOut:
        compositor, follow = convert.compositing(convert.Convert(input=folder, output=folder, model_dir=folder))
        b = np.array(checkpoint.read_json(folder / "identities.json")["b"], np.float32)
        kit = Kit(None, ALIGNERS.create("dlib68"), RECOGNIZERS.create("dlib_resnet"))
        return heldout.HeldOut(faces, b, replace(compositor, coverage=coverage), follow, kit)

    return lambda swapper: made().measured(swapper)


def _words(progress: dict[str, float]) -> str:
    return "; ".join(f"{BY_KEY[key].title} {number(value)} {BY_KEY[key].unit}".rstrip() for key, value in progress.items())


def _face_folder(path: Path, extracted: Path, options: Train) -> Path:
    """`path` if it holds aligned faces; else the faces extracted from the video or pictures there."""
    if path.is_dir() and is_face_folder(path):
        return path
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
    """The faces of `folder`. Raises FaceswapError where they are too few, or show less than a model sees."""
    paths = list_faces(folder)
    if len(paths) < FEWEST_FACES:
        raise FaceswapError(f"{folder} holds {len(paths)} faces, too few to learn from: at least {FEWEST_FACES} are needed, and "
                            "some hundreds make a good swap. Extract more footage of this person.")
    if len(paths) < FEW_FACES:
        logger.warning("%s holds only %d faces: expect a stiff swap. Some hundreds, of many poses and expressions, make a good one.",
                       folder, len(paths))
    cv2.setNumThreads(1)  # the threads are here
    files = list(progress(ordered_map(read_face, paths, device.cores()), f"read {folder.name}", len(paths), unit="face"))
    kinds = {(file.coverage, file.size) for file in files}
    if len({coverage for coverage, _ in kinds}) > 1:
        raise FaceswapError(f"{folder} mixes faces of different coverage ({', '.join(sorted({c for c, _ in kinds}))}). Extract them alike.")
    if COVERAGES[files[0].coverage][0] < COVERAGES[coverage][0]:
        raise FaceswapError(f"{folder} shows {files[0].coverage} faces, but this model sees {coverage} ones. Extract them with "
                            "--coverage whole, which suits every model but those of head.")
    return files


def _write_description(folder: Path, settings: dict[str, Any], faces_folders: dict[str, Path], files: dict[str, list[FaceFile]]) -> None:
    """options.json and identities.json, written before the first iteration."""
    try:
        checkpoint.write_json(folder / "options.json", settings | {
            "faces": {identity: {"folder": str(path.resolve()), "count": len(files[identity])}
                      for identity, path in faces_folders.items()}})
    except OSError as error:
        raise FaceswapError(f"Cannot write into {folder}: {error.strerror}. Choose a folder of your own with -m.") from error
    if not (folder / "identities.json").exists():
        recognizer = RECOGNIZERS.create("dlib_resnet")
        means = {}
        for identity, these in files.items():
            chosen = [these[index] for index in np.linspace(0, len(these) - 1, min(EMBEDDED_FACES, len(these))).astype(int)]
            means[identity] = recognizer.embed([file.aligned for file in chosen]).mean(0).astype(float).round(6).tolist()
        checkpoint.write_json(folder / "identities.json", means)


@dataclass(kw_only=True)
class Train(Command):
    """Teaches a model two people's faces: one encoder for both, a decoder for each.

    -A is the person filmed, -B the person to be put there. Each is a folder of faces made by extract, a video, or a
    folder of pictures. Run the same command again to go on. Ctrl-C saves and ends.
    """

    input_a: Path = option(help="Faces, video or pictures of person A, the one filmed.", short="-A")
    input_b: Path = option(help="Faces, video or pictures of person B, the one put there.", short="-B")
    model_dir: Path = option(help="Folder of the model: made if new, gone on with if not.", short="-m")
    model: str = option("compact", "Kind of model.", short="-t", plugin="models")
    batch_size: int | None = option(None, "Faces of each person in a batch; by default what suits the model.", short="-b", low=1, high=4096)
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
    preview: bool = option(False, "Make preview.png every 20 seconds, not only at each save.", short="-p")
    learning_rate: float | None = option(None, "Learning rate; by default the model's own.", low=1e-8, high=1.0)
    precision: str = option("auto", "Arithmetic of the networks; auto: bfloat16 where the machine has it.",
                            choices=("auto", "float32", "bfloat16"))
    seed: int | None = option(None, "Makes a run on a CPU repeatable: weights, order of faces and augmentation follow from it.", low=0)
    warp: float | None = option(None, "Strength of the random warp of the input, 1 = classic; by default, as below, what suits the model.",
                                low=0.0, high=3.0)
    rotation: float | None = option(None, "Largest random rotation, degrees.", low=0.0, high=180.0)
    scale: float | None = option(None, "Largest random change of scale, as a share.", low=0.0, high=0.5)
    shift: float | None = option(None, "Largest random shift, as a share of the crop.", low=0.0, high=0.5)
    flip: bool | None = option(None, "Mirror half of the faces.")
    color: float | None = option(None, "Strength of random brightness, contrast and tint.", low=0.0, high=0.5)
    light: float | None = option(None, "Strength of a random light from one side.", low=0.0, high=1.0)
    blur: float | None = option(None, "Largest random blur of the input, sigma as a share of the crop.", low=0.0, high=0.1)
    paint_hair: bool | None = option(None, "Paint skin and brow over hair that hangs over B's forehead: it would be a dark patch on A.")
    retarget: float | None = option(None, "Share of the faces that are bent to pose and expression of the other person.", low=0.0, high=1.0)
    crossed: float | None = option(None, "Share of these whose input is the other person's picture itself, as in the swap.",
                                   low=0.0, high=1.0)
    detector: str = option("auto", "Detector, where a video or pictures are given.", short="-D", plugin="detectors")
    aligner: str = option("dlib68", "Aligner, likewise.", plugin="aligners")
