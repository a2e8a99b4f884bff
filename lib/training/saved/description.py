"""What the JSON files of a model folder may say: folders are exchanged, so each value is checked
before anything is made of it.
"""

from __future__ import annotations

import math
from typing import Any

from lib.faces.geometry import COVERAGES

PRECISIONS = ("float32", "bfloat16", "float16")
# numbers; "criteria" holds the weight of each loss by its name
LOSS_SETTINGS = ("outside", "eyes", "mouth")
LARGEST_SIZE = 4096
LARGEST_SEED = (1 << 32) - 1
LONGEST = 4096  # letters of a name, numbers of an embedding
FARTHEST = 10 ** 12  # iterations, seconds


def check_options(options: Any) -> None:
    """Raises ValueError where `options.json` does not describe a model; options of the model itself
    are checked where it is made.
    """
    if not (isinstance(options, dict) and isinstance(options.get("model"), str)
            and isinstance(options.get("options"), dict)):
        raise ValueError("it is not the description of a model")
    for key, check in _OPTIONS.items():
        if key in options:
            _require(check(options[key]), key, options[key])


def check_state(state: Any) -> None:
    """Raises ValueError where `state.json` of a checkpoint does not say how far training had come.
    """
    if not isinstance(state, dict):
        raise ValueError("it does not say how far training had come")
    for key, check in _STATE.items():
        if key in state:
            _require(check(state[key]), key, state[key])


def check_identities(means: Any) -> None:
    """Raises ValueError where `identities.json` holds anything but lists of numbers by identity."""
    if not isinstance(means, dict):
        raise ValueError("it holds no embeddings")
    for identity, mean in means.items():
        if not (isinstance(mean, list) and 0 < len(mean) <= LONGEST
                and all(_number(item, -1e6, 1e6) for item in mean) and identity in ("a", "b")):
            raise ValueError(f"the embedding of {identity[:20]!r} is no list of numbers")


def good_row(row: Any) -> dict[str, Any] | None:
    """The numbers and tables of numbers in a row of `log.jsonl`; None where it names no iteration.
    """
    if not isinstance(row, dict) or not _whole(row.get("iteration"), 0, FARTHEST):
        return None
    kept = {name: value for name, value in row.items() if type(value) in (int, float)}
    if isinstance(row.get("progress"), dict):
        kept["progress"] = {name: value for name, value in row["progress"].items()
                            if type(value) in (int, float)}
    return kept


def _require(good: bool, key: str, value: Any) -> None:
    if not good:
        shown = repr(value)
        raise ValueError(f"{key} cannot be {shown if len(shown) <= 60 else shown[:60] + '...'}")


def _whole(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _number(value: Any, low: float, high: float) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and low <= value <= high


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST and "\0" not in value


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _losses(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    criteria = value.get("criteria", {})
    return (value.keys() <= {*LOSS_SETTINGS, "criteria"} and isinstance(criteria, dict)
            and all(_number(value[name], 0, 1000) for name in value if name != "criteria")
            and all(_number(weight, 0, 1e9) and weight > 0 for weight in criteria.values()))


def _faces(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(entry, dict)
                                           and _text(entry.get("folder", ""))
                                           and _texts(entry.get("folders", []))
                                           and _whole(entry.get("count", 0), 0, FARTHEST)
                                           for entry in value.values())


_OPTIONS = {"format": lambda value: _whole(value, 1, FARTHEST),
            "size": lambda value: _whole(value, 1, LARGEST_SIZE),
            "coverage": lambda value: isinstance(value, str) and value in COVERAGES,
            "precision": lambda value: isinstance(value, str) and value in PRECISIONS,
            "seed": lambda value: _whole(value, 0, LARGEST_SEED),
            "averaged": lambda value: _number(value, 0, 0.99999),
            "whole_pictures": lambda value: isinstance(value, bool),
            "gan": lambda value: _number(value, 0, 10),
            "exemplars": lambda value: isinstance(value, bool), "losses": _losses,
            "held_out": _texts, "recognizer": _text, "faces": _faces}
_STATE = {"iteration": lambda value: _whole(value, 0, FARTHEST),
          "seconds": lambda value: _number(value, 0, FARTHEST),
          "files": lambda value: isinstance(value, dict) and all(map(_text, value.values())),
          "scores": lambda value: isinstance(value, dict)
          and all(type(score) in (int, float) for score in value.values()),
          "cut": lambda value: _number(value, 0, 1),
          "optimizer": lambda value: value is None or _text(value)}
