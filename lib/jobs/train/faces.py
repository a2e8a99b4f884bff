"""Faces to train on: read from folders, packed sets, videos or pictures, and held in memory."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib.alignments.extraction.extract import extract_faces
from lib.alignments.extraction.setup import ExtractionSetup
from lib.alignments.masking import masks_of_files
from lib.alignments.store import AlignmentStore, default_store
from lib.errors import FaceswapError
from lib.evaluation import held_out
from lib.faces.geometry import COVERAGES
from lib.facesets import folder as face_folders
from lib.facesets.face_file import FaceFile, crop_landmarks
from lib.facesets.face_set import is_face_set, read_faces
from lib.facesets.folder import stem_of
from lib.jobs.train.labels import read_labels
from lib.jobs.train.settings import TrainSettings
from lib.media.endpoints.source import open_source
from lib.system import device
from lib.system.logs import counted
from lib.training.batches import balance
from lib.training.batches.checks import complaints
from lib.training.batches.faces import Faces
from lib.training.batches.whole_pictures import Pictures, read_squares
from lib.training.covers.covered_faces import CoveredFaces
from lib.training.covers.cutouts import read_cutouts
from lib.training.model.contract import FaceModel

logger = logging.getLogger(__name__)

FEWEST_FACES = 10  # below this nothing can be learnt
FEW_FACES = 100  # below this the swap will look alike whatever A does
FEW_PICTURES = 1000  # below this an adversarial model learns its pictures by heart


@dataclass(frozen=True)
class InputSet:
    """What one folder, packed set, video or folder of pictures gives."""

    folder: Path  # that holds it now
    files: Sequence[Any]  # `FaceFile`s; of whole pictures what `Pictures` takes


InputSets = dict[str, list[InputSet]]  # by identity


def files_of(sets: Sequence[InputSet]) -> list[Any]:
    """All files of `sets`, in order."""
    return list(itertools.chain.from_iterable(part.files for part in sets))


def read_inputs(settings: TrainSettings, model: FaceModel, whole_pictures: bool) -> InputSets:
    """What -A and -B name, by identity.

    Raises FaceswapError where there are too few faces, or a model sees more than they show.
    """
    inputs: InputSets = {}
    for identity in model.identities:
        inputs[identity] = []
        for number, path in enumerate(settings.input_a if identity == "a" else settings.input_b):
            if whole_pictures:
                inputs[identity].append(InputSet(path, read_squares(path, model.size)))
                continue
            extracted = settings.model_dir / f"faces_{identity}{number or ''}"
            folder = _face_folder(path, extracted, settings)
            inputs[identity].append(InputSet(folder, _read_faces(folder, model.coverage)))
    for identity, sets in inputs.items():
        if whole_pictures or not model.swaps:
            _check_variety(sets, "picture" if whole_pictures else "face",
                           FEW_FACES if model.finds_covers else FEW_PICTURES)
        else:
            _check_person(identity, sets)
    return inputs


def _face_folder(path: Path, extracted: Path, settings: TrainSettings) -> Path:
    """`path` if it holds aligned faces; else `extracted`, with those of the video or pictures."""
    if is_face_set(path):
        return path
    if program := face_folders.foreign_faces(path):
        raise FaceswapError(f"{path} holds face pictures of {program}, whose metadata is not read. "
                            "Name the video or the pictures they were made of; or find the faces "
                            f"again: faceswap.py extract -i {path} -o FACES, and train on FACES.")
    source = open_source(path, exact=False)
    logger.info("Extracting the faces of %s into %s.", path, extracted)
    with AlignmentStore.open(default_store(path)) as store:
        sink = face_folders.FaceFolder(extracted)
        result = extract_faces(source, store, ExtractionSetup(
            lambda: settings.create("detector"), lambda: settings.create("aligner"), sink=sink))
    for loss in result.losses:
        logger.warning("Incomplete input: %s", loss)
    if not face_folders.list_faces(extracted):
        raise FaceswapError(f"No faces found in {path}. Try another -D/--detector, or check what "
                            "it shows.")
    return extracted


def _read_faces(folder: Path, coverage: str) -> list[FaceFile]:
    """The faces of `folder`. Raises FaceswapError where they show less than `coverage`."""
    files = read_faces(folder, device.cores())
    kinds = {file.coverage for file in files}
    if len(kinds) > 1:
        raise FaceswapError(f"{folder} mixes faces of different coverage "
                            f"({', '.join(sorted(kinds))}). Extract them alike.")
    if kinds and COVERAGES[files[0].coverage][0] < COVERAGES[coverage][0]:
        raise FaceswapError(f"{folder} shows {files[0].coverage} faces, but this model sees "
                            f"{coverage} ones. Extract them with --coverage whole, which suits "
                            "every model but those of head.")
    return files


def _check_person(identity: str, sets: Sequence[InputSet]) -> None:
    """Raises FaceswapError where one person has too few faces, or of several coverages."""
    files, folders = files_of(sets), _names(sets)
    if len(files) < FEWEST_FACES:
        raise FaceswapError(f"{folders} {'holds' if len(sets) == 1 else 'hold'} "
                            f"{counted(len(files), 'face')}, too few to learn from: at least "
                            f"{FEWEST_FACES} are needed, and some hundreds make a good swap. "
                            "Extract more footage of this person.")
    if len(files) < FEW_FACES:
        logger.warning("%s holds only %d faces: expect a stiff swap. Some hundreds, of many poses "
                       "and expressions, make a good one.", folders, len(files))
    if len({part.files[0].coverage for part in sets if part.files}) > 1:
        raise FaceswapError(f"{folders} show faces of different coverage. Extract them alike.")
    for complaint in complaints(identity.upper(), files):
        logger.warning("%s", complaint)


def _check_variety(sets: Sequence[InputSet], unit: str, few: int) -> None:
    """Raises FaceswapError where there are too few pictures of many people or things; below `few`
    there is a warning.
    """
    count, folders = len(files_of(sets)), _names(sets)
    if count < FEWEST_FACES:
        raise FaceswapError(f"{folders}: {counted(count, unit)}, too few to learn from. At least "
                            f"{FEWEST_FACES} are needed, and some thousands make good ones.")
    if count < few:
        logger.warning("%s: only %d %ss. A model of so few learns them by heart; some %s make a "
                       "good one.", folders, count, unit,
                       "hundreds" if few < FEW_PICTURES else "thousands")


def _names(sets: Sequence[InputSet]) -> str:
    return ", ".join(str(part.folder) for part in sets)


def hold_out(description: dict[str, Any], files: Sequence[FaceFile]) -> list[FaceFile]:
    """Which of A's faces are measured instead of trained on: those of earlier runs, if still there.

    Their names are kept in `description`.
    """
    names = [f"{stem_of(file.origin)}.png" for file in files]
    chosen = [names.index(name) for name in description.get("held_out", []) if name in names]
    chosen = chosen or held_out.held_out(len(names))
    description["held_out"] = [names[index] for index in chosen]
    return [files[index] for index in chosen]


def without(inputs: InputSets, held: Sequence[FaceFile]) -> InputSets:
    """`inputs`, A's without the faces that are held out."""
    left_out = {id(file) for file in held}
    sets = [InputSet(part.folder, [file for file in part.files if id(file) not in left_out])
            for part in inputs["a"]]
    return inputs | {"a": sets}


def in_memory(settings: TrainSettings, model: FaceModel, inputs: InputSets, whole_pictures: bool,
              paint_hair: bool) -> dict[str, Faces | Pictures]:
    """By identity, what batches are made of; `paint_hair` retouches hair over B's forehead."""
    faces: dict[str, Faces | Pictures] = {}
    for identity, sets in inputs.items():
        files = files_of(sets)
        if whole_pictures:
            faces[identity] = Pictures(files, model.size)
            continue
        if model.finds_covers:
            faces[identity] = _covered(settings, model, files)
            continue
        store = settings.alignments_a if identity == "a" else settings.alignments_b
        faces[identity] = Faces(
            [file.image for file in files], crop_landmarks(files), files[0].coverage, model.size,
            model.coverage, model.taught, paint_hair=paint_hair and identity == "b",
            face_masks=masks_of_files(files, settings.mask, store) if settings.mask else None)
    return faces


def _covered(settings: TrainSettings, model: FaceModel, files: Sequence[FaceFile]) -> CoveredFaces:
    """Faces that get covers as they are drawn."""
    labels = read_labels(settings.labels, files, settings.alignments_a)
    cutouts = read_cutouts(settings.covers) if settings.covers else None
    return CoveredFaces([file.image for file in files], list(crop_landmarks(files)), files[0].coverage,
                        model.size, model.coverage, labels, cutouts)


def draw_weights(settings: TrainSettings, inputs: InputSets) -> dict[str, np.ndarray]:
    """By identity, how often each face is drawn, (N,) that sum to 1; missing: all alike."""
    shares = {"a": settings.weights_a, "b": settings.weights_b}
    weights = {}
    for identity, sets in inputs.items():
        if shares[identity] or settings.balance:
            parts = list(_set_weights(sets, shares[identity], settings.balance))
            together = np.concatenate(parts)
            weights[identity] = together / together.sum()
    return weights


def _set_weights(sets: Sequence[InputSet], shares: Sequence[float],
                 balanced: str | None) -> Iterator[np.ndarray]:
    """(N,) for each set that has files: its share, by default their number, divided among them."""
    for part, share in zip(sets, shares or [len(part.files) for part in sets], strict=True):
        if part.files:
            poses = balanced == "pose"
            within = balance.weights(crop_landmarks(part.files)) if poses \
                else np.ones(len(part.files))
            yield share * within / within.sum()


def fits_device(choice: str, faces: Mapping[str, Any], most: float) -> bool:
    """Whether the device augments the faces: as `--augment` says; with auto where it is a GPU of
    whose memory they take less than the share `most`.
    """
    from lib.nn import backend
    from lib.training.batches import on_device

    if any(isinstance(held, CoveredFaces) for held in faces.values()):
        return False  # covers are made with OpenCV
    if choice != "auto":
        return choice == "device"
    memory = backend.gpu_memory()
    countable = all(held.nbytes // 3 < on_device.MOST_PIXELS for held in faces.values())
    return memory is not None and countable and on_device.bytes_of(faces) < most * memory
