"""The optimizers of a run."""

from __future__ import annotations

import dataclasses
import json

from lib.training.model.contract import FaceModel
from lib.training.plan import Updates

import keras  # isort: skip

from lib.nn.optimizers import extended  # isort: skip


def make_optimizers(model: FaceModel, learning_rate: float, updates: Updates, float16: bool,
                    seed: int) -> dict[str, keras.optimizers.Optimizer]:
    """New optimizers by group, not built yet; `float16` lets them scale losses so that small
    gradients do not vanish.
    """
    optimizers = {}
    for number, group in enumerate(model.groups()):
        if updates.optimizer:
            optimizer = updates.optimizer.make(learning_rate)
        else:
            optimizer = model.optimizer(group, learning_rate)
        if updates.clip is not None:
            optimizer.clipvalue = updates.clip_at if updates.clip == "value" else None
            optimizer.clipnorm = updates.clip_at if updates.clip == "norm" else None
            optimizer.global_clipnorm = updates.clip_at if updates.clip == "global" else None
        if updates.accumulate > 1:
            optimizer.gradient_accumulation_steps = updates.accumulate
        optimizer = extended(optimizer, updates.clip_at if updates.clip == "adaptive" else None,
                             updates.kept, seed + number)
        optimizers[group] = keras.optimizers.LossScaleOptimizer(optimizer) if float16 else optimizer
    return optimizers


def described(updates: Updates, float16: bool, frozen: frozenset[str]) -> str:
    """What the optimizers' variables depend on: if it differs, those of a checkpoint do not fit."""
    chosen = updates.optimizer
    of = {"optimizer": chosen and [type(chosen).__name__, dataclasses.asdict(chosen)],
          "accumulate": updates.accumulate > 1, "adaptive": updates.clip == "adaptive",
          "kept": updates.kept < 1, "float16": float16, "frozen": sorted(frozen)}
    return json.dumps(of, sort_keys=True)
