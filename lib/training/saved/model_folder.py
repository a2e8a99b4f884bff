"""A model's folder: what it is, what it has learnt, what it looked like on the way.

    options.json              model, its options, what it is trained on
    saves/00012000/           a checkpoint: NETWORK.weights.h5, NETWORK.averaged.weights.h5,
                              GROUP.optimizer.h5, state.json
    snapshots/00025000/       checkpoints that are kept for good, the same files
    log.jsonl                 a line per report
    preview.png, loss.png     made anew at each checkpoint; report.html shows them all
    timelapse/00012000.jpg    earlier previews
    events/                   the log as TensorBoard reads it
    identities.json           mean identity embeddings of the training faces
    .lock, .beat              held while a training is at work; the second tells machines that
                              share the folder
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lib.errors import FaceswapError
from lib.files import reading
from lib.files.writing import write_json
from lib.plugin import DEFAULT_RECOGNIZER, MODELS
from lib.system.lock import SILENT, Beat, Elsewhere, Lock, Locked
from lib.training.saved.description import check_options

logger = logging.getLogger(__name__)

COPY = "options.copy.json"  # of options.json
FORMAT = 1


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Makes a model folder and keeps other trainings out of it, on other machines too. Raises
    FaceswapError where one is at work, or nothing can be written.
    """
    new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = Lock(folder / ".lock")
    except Locked:
        raise FaceswapError(f"Another training is at work in {folder}. Wait for it to end, or name "
                            "another folder with -m.") from None
    except OSError as error:
        raise FaceswapError(f"Cannot write into {folder}: {error.strerror}. Choose another folder "
                            "with -m.") from error
    try:
        with Beat(folder / ".beat"):
            yield
    except Elsewhere as error:
        raise FaceswapError(f"Another training is at work in {folder}, on the machine {error}. "
                            "Wait for it to end, or name another folder with -m. If it is gone, "
                            f"the folder is free {SILENT:.0f} seconds after its end.") from None
    finally:
        lock.release()
        if new:
            with contextlib.suppress(OSError):
                folder.rmdir()  # where a mistake ended it before anything was written


def read_json(path: Path, check: Callable[[Any], None]) -> Any:
    """The values in a file of a model folder. Raises FaceswapError where it cannot be read, or
    `check` raises ValueError.
    """
    try:
        values = reading.read_json(path, named=False, finite=False)
        check(values)
        return values
    except (OSError, ValueError) as error:
        raise FaceswapError(f"Cannot read {path}: {error}. The model folder is damaged or is none; "
                            "restore it from a copy.") from error


def write_options(folder: Path, options: dict[str, Any]) -> None:
    """Writes `options.json` of a model folder, and a copy: without it the checkpoints are nothing.
    Raises OSError.
    """
    write_json(folder / "options.json", options)
    write_json(folder / COPY, options)


def recognizer_of(folder: Path) -> str:
    """The name of the recognizer that made the embeddings in `identities.json`."""
    try:
        return read_options(folder).get("recognizer", DEFAULT_RECOGNIZER)
    except FaceswapError:  # a new folder
        return DEFAULT_RECOGNIZER


def read_options(folder: Path) -> dict[str, Any]:
    """`options.json` of a model folder, or its copy. Raises FaceswapError where `folder` is none.
    """
    if not folder.is_dir():
        raise FaceswapError(f"There is no model folder {folder}. Train one first: faceswap.py "
                            f"train -A FACES_A -B FACES_B -m {folder}")
    copy = folder / COPY
    if not (folder / "options.json").exists() and not copy.exists():
        raise FaceswapError(f"{folder} holds no model (no options.json). Name the folder that "
                            "`train -m` wrote.")
    try:
        options = read_json(folder / "options.json", check_options)
    except FaceswapError:
        if not copy.exists():
            raise
        logger.warning("%s cannot be read; %s, its copy, stands in for it.",
                       folder / "options.json", copy)
        options = read_json(copy, check_options)
    if options.get("format", 0) > FORMAT:
        raise FaceswapError(f"{folder} was written by a newer version of faceswap. Update, then "
                            "try again.")
    if options["model"] in MODELS.names():
        options["options"] = {**MODELS.load(options["model"]).earlier, **options["options"]}
    return options
