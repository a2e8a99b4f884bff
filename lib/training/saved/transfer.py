"""A model that starts from the weights of another."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path

from lib.errors import FaceswapError
from lib.plugin import MODELS
from lib.training.saved import checkpoint, model_folder
from lib.training.saved.budget import build_networks

import keras  # isort: skip

logger = logging.getLogger(__name__)


def load_weights(source: Path, networks: dict[str, keras.Model], parts: Sequence[str] = ()) -> None:
    """Copies the weights of the newest checkpoint in the model folder `source` into `networks`
    that it has too, as far as they fit.

    Averaged weights if there are any. `parts` names the networks to take; none: all. The model may
    have other options, and be of another kind with networks of the same names: layers of other
    shapes keep their weights, which is logged. Raises FaceswapError where `source` holds no model,
    a damaged one, none of the parts, or nothing fits.
    """
    options = model_folder.read_options(source)
    others = build_networks(source, MODELS.create(options["model"], **options["options"]))
    if unknown := set(parts) - (set(others) & set(networks)):
        common = ", ".join(name for name in networks if name in others) or "none"
        raise FaceswapError(f"--parts: not both models have a network {sorted(unknown)[0]!r}. "
                            f"Both have: {common}.")
    newest = checkpoint.load_newest(source, others)
    taken = {name: _copied(others[name], network)
             for name, network in networks.items() if name in others
             and name in (parts or networks)}
    if not any(count for count, _ in taken.values()):
        raise FaceswapError(f"Nothing of the model in {source} fits this one. Train a model of the "
                            "same kind and options, or leave --load-weights out.")
    logger.info("From %s, iteration %d: %s.", source, newest[1].iteration,
                ", ".join(name if count == total else f"{name} ({count} of {total} arrays; the "
                          "others are of other shapes)" for name, (count, total) in taken.items()))


def _copied(source: keras.Model, target: keras.Model) -> tuple[int, int]:
    """How many variables of `target` took the values of those of `source` in the same place and of
    the same shape, and of how many.

    Of a network with more or fewer layers, runs of variables of the same names and shapes are in
    the same place.
    """
    theirs, own = source.weights, target.weights
    if len(theirs) == len(own):
        pairs = list(zip(theirs, own))
    else:
        keys = ([(variable.name, tuple(variable.shape)) for variable in variables]
                for variables in (theirs, own))
        blocks = SequenceMatcher(None, *keys, autojunk=False).get_matching_blocks()
        pairs = [(theirs[block.a + number], own[block.b + number]) for block in blocks
                 for number in range(block.size)]
    fitting = [(variable, target) for variable, target in pairs
               if tuple(variable.shape) == tuple(target.shape)]
    for variable, target in fitting:
        target.assign(variable)
    return len(fitting), len(own)
