"""Options: a dataclass field made with `option()` is its flag, its TOML key, its help and its
bounds check.

Declarations are read from the source text, not by importing it, so `--help` and a mistake on the
command line are answered without loading NumPy, OpenCV or TensorFlow. That is why every argument of
`option()` must be a literal.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard

from lib.errors import FaceswapError, UsageError
from lib.version import ROOT

REQUIRED = dataclasses.MISSING
LONGEST = 4096  # characters of a value: of a path, no system takes more
SHOWN = 60  # characters of a wrong value that a message shows
MOST = 10 ** 9  # what no number goes beyond, in either direction, unless its option says so


def option(default: Any = REQUIRED, help: str = "", *, low: float | None = None,
           high: float | None = None, step: int | None = None,
           choices: tuple | None = None, short: str | None = None, plugin: str | None = None,
           positional: bool = False, more_names: bool = False,
           group: str = "", rare: bool = False, aliases: tuple[str, ...] = ()) -> Any:
    """A dataclass field that users set.

    `default` may be left out: then the option is required. `low` and `high` are inclusive bounds of
    a number, which is a multiple of `step`, `choices` the values allowed, `short` the one-letter
    flag ("-i"), and `plugin` the kind of plugin that is chosen by name ("detectors"), or several
    where the field is a list[str]; with `more_names` also by names that the command knows and
    checks itself. A `positional` option has no flag. Help lists it under the
    heading `group`, and a `rare` one only in `--help all`. `aliases` are earlier names ("save"),
    which the command line and TOML files still take. All arguments must be literals: declarations
    are read without importing.
    """
    metadata = {"help": help, "low": low, "high": high, "step": step, "choices": choices,
                "plugin": plugin}
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Option:
    """One declared option: what `option()` was given, plus its field's name and annotation."""

    name: str
    kind: str  # the annotation: "int", "list[Path]" ...
    optional: bool  # None is allowed
    default: Any  # REQUIRED, or a literal
    help: str
    low: float | None = None
    high: float | None = None
    step: int | None = None
    choices: tuple | None = None
    short: str | None = None
    plugin: str | None = None
    positional: bool = False
    more_names: bool = False
    group: str = ""
    rare: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def several(self) -> bool:
        """Whether it takes more than one value."""
        return self.kind.startswith("list[")

    @property
    def flag(self) -> str:
        """Without dashes before it; "from_", since Python keeps "from" for itself, is "from"."""
        return self.name.rstrip("_").replace("_", "-")

    def value(self, raw: Any, label: str) -> Any:
        """`raw` (text, or a TOML value) as this option's type, within its bounds.

        `label` names the option in the UsageError raised when it does not fit:
        "--detector.min-score".
        """
        if raw is None and self.optional:
            return None
        if isinstance(raw, str) and len(raw) > LONGEST:
            raise UsageError(f"{label} has {len(raw)} characters, more than {LONGEST}.")
        try:
            value = _CONVERTERS[self.kind](raw)
        except (TypeError, ValueError, OverflowError):
            shown = cut(repr(raw))
            if isinstance(raw, list) and all(isinstance(item, str) for item in raw):
                shown = f"{cut(repr(' '.join(raw)))}; separate them by blanks"
            raise UsageError(f"{label} needs {_NAMES[self.kind]}, not {shown}.") from None
        if self.choices is not None and value not in self.choices:
            choices = list(map(str, self.choices))
            raise UsageError(f"{label} must be one of {', '.join(choices)}, not {value!r}."
                             f"{nearest(str(value), choices)}")
        for item in value if isinstance(value, list) else [value]:
            self._check_bounds(item, label)
        return value

    def _check_bounds(self, item: Any, label: str) -> None:
        """Raises UsageError where a value lies beyond its bounds, or those of any number."""
        if isinstance(item, (int, float)):
            if not self._farthest(False) <= item <= self._farthest(True):
                side = "most" if item > 0 else "least"
                raise UsageError(f"{label} must be at {side} {self._farthest(item > 0)}, not "
                                 f"{cut(str(item))}.")
        is_low = self.low is not None and not item >= self.low
        is_high = self.high is not None and not item <= self.high
        if is_low or is_high or self.step and item % self.step:
            raise UsageError(f"{label} must be {self.bounds}, not {item}.")

    def _farthest(self, upwards: bool) -> float:
        """How far a number may go: never beyond MOST, unless a bound of its own lies there."""
        return max(MOST, self.high or 0) if upwards else min(-MOST, self.low or 0)

    @property
    def bounds(self) -> str:
        """"at least 0 and at most 1", or nothing."""
        ends = [f"at {side} {bound}" for side, bound in (("least", self.low), ("most", self.high))
                if bound is not None]
        return " and ".join(ends + [f"a multiple of {self.step}"] * (self.step is not None))


@dataclass(frozen=True)
class Declaration:
    """What a source file declares: the class that carries the options, its summary and the options
    in order."""

    name: str  # of the class
    summary: str  # first line of the class docstring
    doc: str
    options: tuple[Option, ...]
    registered: bool  # decorated with a registry's `register`: a plugin

    def check(self, values: dict[str, Any], prefix: str, whole: bool = True) -> dict[str, Any]:
        """`values` by option name, converted and within bounds; if `whole`, none missing that is
        required. UsageError names "--PREFIX.option"."""
        known = {item.name: item for item in self.options}
        checked = {}
        for name, value in values.items():
            label = f"--{prefix}.{name.replace('_', '-')}"
            if name not in known:
                raise UsageError(f"{label} does not exist." + nearest(name, known)
                                 + (f" Options: {', '.join(sorted(known))}."
                                    if known else " There are no options."))
            checked[name] = known[name].value(value, label)
        if whole and (missing := [item for item in self.options if item.default is REQUIRED
                                  and item.name not in checked]):
            raise UsageError(" ".join(f"--{prefix}.{item.flag} must be given: {item.help}"
                                      for item in missing))
        return checked


def declarations(path: Path) -> list[Declaration]:
    """The classes in the file at `path` that have options, or are decorated with a registry's
    `register`."""
    classes = [node for node in _parsed(path).body if isinstance(node, ast.ClassDef)]
    declared = [_declaration(node, path) for node in classes]
    return [item for item in declared if item.options or item.registered]


def settings_of(script: Path) -> Declaration:
    """The options of a subcommand: those of the settings that the function `run(settings)` of its
    script takes."""
    tree = _parsed(script)
    run = next(node for node in tree.body if isinstance(node, ast.FunctionDef)
               and node.name == "run")
    annotation = run.args.args[0].annotation
    place = annotation and _class(ast.unparse(annotation), tree, script)
    assert place, f"{script}: run(settings) must name a settings class of the toolkit"
    return _declaration(*place)


def _parsed(path: Path) -> ast.Module:
    try:
        return _syntax(path.read_text(encoding="utf-8"), str(path))
    except (OSError, SyntaxError, ValueError) as error:
        raise FaceswapError(f"Cannot read {path}: {error}. Repair the file or take it "
                            "away.") from error


_syntax = cache(ast.parse)  # commands share the files that declare their options


def _declaration(node: ast.ClassDef, path: Path) -> Declaration:
    """What a class declares: its own options, then those of its bases that lie in files of the
    toolkit, without the short flags that are taken already."""
    options = [_field(item, path) for item in node.body if _is_option(item)]
    for base in node.bases:
        if isinstance(base, ast.Name) and (place := _class(base.id, None, path)):
            names, shorts = {item.name for item in options}, {item.short for item in options}
            options += [dataclasses.replace(item,
                                            short=None if item.short in shorts else item.short)
                        for item in _declaration(*place).options if item.name not in names]
    registered = any(isinstance(item, ast.Attribute) and item.attr == "register"
                     for item in node.decorator_list)
    doc = ast.get_docstring(node) or ""
    return Declaration(node.name, doc.split("\n")[0], doc, tuple(options), registered)


def _class(name: str, tree: ast.Module | None, path: Path) -> tuple[ast.ClassDef, Path] | None:
    """The class called `name` as the file at `path` knows it, and the file that defines it; None
    where none of the toolkit's does."""
    tree = tree or _parsed(path)
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node, path
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        if any(alias.name == name for alias in node.names):
            file = ROOT / Path(*node.module.split(".")).with_suffix(".py")
            return _class(name, None, file) if file.is_file() else None
    return None


def expanded(path: Path) -> Path:
    """`path` with the home folder in place of ~. Raises UsageError where that of a user is meant
    whom there is not."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise UsageError(f"{path}: there is no user {path.parts[0][1:]!r}. Name the whole path, "
                         "from / on, of a file of that name.") from None


def nearest(name: str, names: Iterable[str]) -> str:
    """" Did you mean X?" for the closest of `names`, or nothing."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def _is_option(node: ast.stmt) -> TypeGuard[ast.AnnAssign]:
    return (isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Call)
            and isinstance(node.value.func, ast.Name) and node.value.func.id == "option")


def _field(node: ast.AnnAssign, path: Path) -> Option:
    kind = ast.unparse(node.annotation).strip("'\"")
    optional = kind.endswith(" | None")
    kind = kind.removesuffix(" | None")
    # as `_is_option` says
    assert isinstance(node.target, ast.Name) and isinstance(node.value, ast.Call)
    name = node.target.id
    if kind not in _CONVERTERS:
        raise FaceswapError(f"{path}:{node.lineno}: option {name} is of type {kind}; use one of "
                            f"{', '.join(_CONVERTERS)}.")
    try:
        given = [ast.literal_eval(item) for item in node.value.args]
        named: dict[str, Any] = {str(item.arg): ast.literal_eval(item.value)
                                 for item in node.value.keywords}
    except ValueError:
        raise FaceswapError(f"{path}:{node.lineno}: option {name} must be declared with literals "
                            "alone.") from None
    named = dict(zip(("default", "help"), given)) | named
    if "choices" in named:
        named["choices"] = tuple(named["choices"])
    fields: dict[str, Any] = {"name": name, "kind": kind, "optional": optional, "default": REQUIRED,
                              "help": ""}
    return Option(**(fields | named))


def _bool(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if str(raw).lower() not in words:
        raise ValueError
    return words[str(raw).lower()]


def _number(raw: Any, kind: type) -> int | float:
    if isinstance(raw, bool) or (kind is int and isinstance(raw, float) and not raw.is_integer()):
        raise TypeError
    number = kind(raw)
    if not math.isfinite(number):
        raise ValueError
    return number


def _text(raw: Any) -> str:
    if not isinstance(raw, (str, int, float)) or isinstance(raw, bool):
        raise TypeError
    return str(raw)


def _path(raw: Any) -> Path:
    if raw == "":  # an unset variable in a script would mean the current folder
        raise ValueError
    if "\0" in os.fspath(raw):
        raise ValueError
    return expanded(Path(raw))


def cut(text: str) -> str:
    """`text` as far as a message shows it."""
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def _list(raw: Any, convert: Callable[[Any], Any]) -> list:
    return [convert(item) for item in (raw if isinstance(raw, (list, tuple)) else [raw])]


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "bool": _bool,
    "int": lambda raw: _number(raw, int),
    "float": lambda raw: _number(raw, float),
    "str": _text,
    "Path": _path,
    "list[Path]": lambda raw: _list(raw, _path),
    "list[str]": lambda raw: _list(raw, _text),
    "list[int]": lambda raw: _list(raw, lambda item: _number(item, int)),
    "list[float]": lambda raw: _list(raw, lambda item: _number(item, float)),
}
_NAMES = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "a text",
          "Path": "a path",
          "list[Path]": "paths", "list[str]": "texts", "list[int]": "whole numbers",
          "list[float]": "numbers"}
