"""How good a model is while it trains: the swap of held-out faces, or the faces that it draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from lib.evaluation import held_out
from lib.evaluation.detail import PICTURES, PartsOfB
from lib.evaluation.frames import Kit
from lib.evaluation.generator_progress import GeneratedFaces
from lib.facesets.face_file import FaceFile
from lib.jobs.shared.compositing import compositor_of, eyes_of
from lib.jobs.shared.options import CompositingOptions
from lib.jobs.train.identities import read_means
from lib.plugin import ALIGNERS, DEFAULT_ALIGNER, Recognizer
from lib.sampling import evenly
from lib.swapping.exemplars import loading
from lib.swapping.exemplars.bank import Exemplars
from lib.swapping.exemplars.stage import Separate
from lib.swapping.pipeline import Network
from lib.training.model.contract import FaceModel
from lib.training.run.loop import MeasureDrawn, MeasureSwap, Show


def of_held_out(faces: Sequence[FaceFile], faces_b: Sequence[FaceFile], folder: Path,
                model: FaceModel, recognizer: Callable[[], Recognizer]) -> tuple[MeasureSwap, Show]:
    """What measures and what shows the swap of A's held-out `faces`, as convert would make it.

    `faces_b` are compared with what is drawn. Networks are loaded when they are first needed.
    """

    @cache
    def opened() -> held_out.HeldOut:
        parts = PartsOfB.of((file.image, file.landmarks) for file in evenly(faces_b, PICTURES))
        kit = Kit(None, ALIGNERS.create(DEFAULT_ALIGNER), recognizer(), parts)
        mean = np.array(read_means(folder)["b"], np.float32)
        options = CompositingOptions()  # of convert, its defaults
        compositor = replace(compositor_of(options), coverage=model.coverage)
        return held_out.HeldOut([file.aligned for file in faces], mean, compositor,
                                eyes_of(options), kit, exemplars)

    @cache
    def banks() -> dict[str, Exemplars]:
        return loading.prepare(loading.read_banks(folder), model)

    def exemplars(network: Network) -> Separate | None:
        if banks().keys() != {"a", "b"}:
            return None
        return Separate(loading.make_drawer(network, banks()["b"], banks()["a"]))

    return lambda swapper: opened().measure(swapper), lambda swapper: opened().sheet(swapper)


def of_drawn(faces: Sequence[FaceFile], model: FaceModel,
             recognizer: Callable[[], Recognizer]) -> MeasureDrawn:
    """What measures how like the training `faces` those are that a model draws."""

    @cache
    def opened() -> GeneratedFaces:
        return GeneratedFaces([file.aligned for file in faces], model.size, model.coverage,
                          recognizer())

    return lambda draw: opened().measure(draw)
