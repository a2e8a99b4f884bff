"""TOML files that describe networks: their tables, read key by key. docs/onnx.md tells what may
stand in them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lib.errors import FaceswapError
from lib.files.reading import read_toml
from lib.options import REQUIRED, cut, nearest

LONGEST_REASON = 400  # letters of what an error says of a value
MOST_OUTPUTS = 1000


class Table:
    """A table of a TOML file. Its keys are taken one by one; `finish` refuses what was not
    taken."""

    def __init__(self, path: Path, name: str, values: dict[str, Any]):
        self.path = path
        self.name = name
        self._values = values
        self._taken: list[str] = []

    def take(self, key: str, convert: Callable[[Any], Any], needs: str,
             default: Any = REQUIRED) -> Any:
        """`convert` of the value of `key`. Raises FaceswapError, which says what it `needs`, where
        that raises TypeError or ValueError."""
        self._taken.append(key)
        if key not in self._values:
            if default is REQUIRED:
                raise FaceswapError(f"{self.path}: [{self.name}] lacks {key}, {needs}. See "
                                    "docs/onnx.md.")
            return default
        try:
            return convert(self._values[key])
        except (TypeError, ValueError):
            value = cut(repr(self._values[key]))
            raise self.wrong(key, f"must be {needs}, not {value}") from None

    def choice(self, key: str, choices: Sequence[str], default: Any = REQUIRED) -> str:
        """The value of `key`, one of `choices`."""
        return self.take(key, lambda value: choices[choices.index(value)],
                         f"one of {', '.join(choices)}", default)

    def wrong(self, key: str, reason: str) -> FaceswapError:
        """The error of a key whose value does not fit."""
        shown = reason if len(reason) <= LONGEST_REASON else reason[:LONGEST_REASON] + "..."
        return FaceswapError(f"{self.path}: {key} in [{self.name}] {shown}. See docs/onnx.md.")

    def finish(self) -> None:
        """Raises FaceswapError where the table has a key that nobody asked for."""
        for key in self._values:
            if key not in self._taken:
                raise FaceswapError(f"{self.path}: there is no {cut(repr(key))} in [{self.name}]."
                                    f"{nearest(key, self._taken)} There are: "
                                    f"{', '.join(self._taken)}.")


def read_description(path: Path) -> dict[str, Any]:
    """The tables of the TOML file. Raises FaceswapError."""
    try:
        return read_toml(path)
    except FileNotFoundError:
        raise FaceswapError(f"There is no file {path}, which should describe the network. See "
                            "docs/onnx.md.") from None
    except OSError as error:
        raise FaceswapError(f"Cannot read {path}: {error.strerror}.") from error
    except ValueError as error:
        advice = (". It is a network itself? Name the TOML file that describes it"
                  if path.suffix == ".onnx" else "")
        raise FaceswapError(f"{path} is not valid TOML: {error}{advice}. See "
                            "docs/onnx.md.") from error


def choose_output(table: Table, key: str, output: str | int, names: Sequence[str]) -> str:
    """The one of `names` that `output` means, by name or number. Raises FaceswapError."""
    if isinstance(output, int) and output < len(names):
        return names[output]
    if output not in names:
        offered = ", ".join(f"{place} ({name})" for place, name in enumerate(names))
        raise table.wrong(key, f"is {output!r}, but the network has: {offered}")
    return output


def whole_number(value: Any, low: int, high: int) -> int:
    """An int of these bounds. Raises ValueError."""
    if type(value) is not int or not low <= value <= high:
        raise ValueError
    return value


def number(value: Any) -> float:
    """A finite number. Raises TypeError."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise TypeError
    return float(value)


def positive(value: Any) -> float:
    """A number over 0. Raises ValueError, TypeError."""
    if number(value) <= 0:
        raise ValueError
    return float(value)


def numbers(value: Any, count: int, check: Callable[[Any], float] = number) -> np.ndarray:
    """(count,) float64, each checked by `check`. Raises TypeError, and what `check` raises."""
    if not isinstance(value, list) or len(value) != count:
        raise TypeError
    return np.array([check(item) for item in value])


def text(value: Any) -> str:
    """A text that is not empty. Raises TypeError."""
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def name_or_number(value: Any) -> str | int:
    """Of an output. Raises TypeError, ValueError."""
    return whole_number(value, 0, MOST_OUTPUTS) if isinstance(value, int) else text(value)
