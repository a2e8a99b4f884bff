"""The options of translate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lib.jobs.shared.options import (
    CheckpointOptions,
    ExemplarsOptions,
    LabelOptions,
    ProvenanceOptions,
)
from lib.options import option

# Options that finished pictures do not depend on
ELSEWHERE = ("input", "output", "model_dir", "checkpoint")


@dataclass(kw_only=True)
class TranslateSettings(CheckpointOptions, ExemplarsOptions, LabelOptions, ProvenanceOptions):
    """Translate whole pictures with a model that was trained without pairs, such as cyclegan.

    translate -i photos -o paintings -m model            each picture, at the size of the training
    translate -i photos -o paintings -m model --size 0   each picture at its own size
    translate -i faces_a -o faces_ab -m model            a face set, for evaluate and train

    After an interruption, run the same command again: finished pictures are used. OUTPUT.run.json
    tells how the output was made.
    """

    input: Path = option(
        help="Folder of pictures, picture, or faces from extract (a folder or packed).", short="-i")
    output: Path = option(
        help="Folder to write; for a single picture also the name of a picture.", short="-o")
    model_dir: Path = option(help="Folder of the trained model.", short="-m")
    swap_model: bool = option(False, "Translate the other way round: B becomes A.", short="-s")
    size: int | None = option(
        None, "Shorter side of the result, pixels; 0: each picture's own. Default: that of the "
        "training pictures.", low=0, high=16384)
