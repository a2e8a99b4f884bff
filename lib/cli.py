"""The command line and the TOML file of a subcommand, from the declaration in its script."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib.errors import UsageError
from lib.options import REQUIRED, Declaration, Option, nearest


@dataclass(kw_only=True)
class Command:
    """Base of a subcommand's options. `settings` holds the options of each chosen plugin: {"detector": {"min_score": 0.8}}."""

    settings: dict[str, dict[str, Any]] = field(default_factory=dict)

    def create(self, kind: str) -> Any:
        """The plugin that the option `kind` ("detector") names, made with its settings."""
        return registry_of(kind).create(getattr(self, kind), **self.settings.get(kind, {}))


def parse(name: str, declaration: Declaration, argv: Sequence[str]) -> dict[str, Any]:
    """Keyword arguments for the command's dataclass: command line over `--config` file over defaults.

    Raises UsageError for what does not exist or is out of bounds; prints help and exits on `--help`.
    """
    options = declaration.options
    selectors = [item for item in options if item.plugin]
    first = _parser(name, declaration, options, formatter=False)
    given, _ = first.parse_known_args(_without_help(argv))
    table = _read_config(given.config) if given.config else {}
    chosen = {item.name: _chosen(item, given, table.get(name, {})) for item in selectors}

    parser = _parser(name, declaration, options)
    for item in selectors:
        if chosen[item.name]:
            _add_plugin_options(parser, item, chosen[item.name])
    given = vars(parser.parse_args(argv))

    own = _from_config(name, options, table.get(name, {}))
    own |= {item.name: item.value(given[item.name], _label(item)) for item in options if item.name in given}
    missing = [_label(item) for item in options if item.default is REQUIRED and item.name not in own]
    if missing:
        raise UsageError(f"{name} needs {' and '.join(missing)}. See: faceswap.py {name} --help")
    settings = {}
    for item in selectors:
        if chosen[item.name]:
            prefix = f"{item.name}."
            values = dict(table.get(item.name, {}).get(chosen[item.name], {}))
            values |= {key.removeprefix(prefix): value for key, value in given.items() if key.startswith(prefix)}
            settings[item.name] = registry_of(item.name).declaration(chosen[item.name]).check(values, item.name)
    return own | ({"settings": settings} if selectors else {})


def registry_of(kind: str):
    from lib.plugin import REGISTRIES

    return REGISTRIES[kind if kind in REGISTRIES else f"{kind}s"]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise UsageError(f"{message[0].upper()}{message[1:]}. See: {self.prog} --help")


def _parser(name: str, declaration: Declaration, options: Sequence[Option], formatter: bool = True) -> _Parser:
    parser = _Parser(prog=f"faceswap.py {name}", description=declaration.doc, add_help=formatter, allow_abbrev=False,
                     formatter_class=argparse.RawDescriptionHelpFormatter, argument_default=argparse.SUPPRESS)
    for item in options:
        _add(parser, item, [item.short] * bool(item.short) + [f"--{item.flag}"], item.name)
    parser.add_argument("--config", type=Path, default=None, metavar="FILE", help="TOML file with options; the command line wins over it")
    parser.add_argument("--log", choices=("text", "json"), help="how to report: text, or one JSON object a line")
    return parser


def _add(parser, item: Option, flags: list[str], dest: str) -> None:
    text = item.help
    if item.plugin:
        text += f" One of: {', '.join(registry_of(item.plugin).names())}."
    if item.choices:
        text += f" One of: {', '.join(map(str, item.choices))}."
    if item.default is not REQUIRED and item.default not in (None, "", [], False):
        text += f" Default: {item.default}."
    text = text.replace("%", "%%")
    if item.positional:
        parser.add_argument(dest, metavar=item.name.upper(), help=text, nargs="?" if item.kind in ("str", "Path") else "*")
    elif item.kind == "bool":
        parser.add_argument(*flags, dest=dest, action=argparse.BooleanOptionalAction, help=text)
    else:
        many = {"nargs": "+"} if item.kind.startswith("list[") else {}
        metavar = {"int": "N", "float": "X", "Path": "PATH", "list[Path]": "PATH"}.get(item.kind, "NAME")
        parser.add_argument(*flags, dest=dest, metavar=metavar, help=text, **many)


def _add_plugin_options(parser, selector: Option, name: str) -> None:
    declaration = registry_of(selector.name).declaration(name)
    group = parser.add_argument_group(f"{selector.name} {name}", declaration.summary)
    for item in declaration.options:
        _add(group, item, [f"--{selector.name}.{item.flag}"], f"{selector.name}.{item.name}")


def _chosen(item: Option, given: argparse.Namespace, table: dict) -> str | None:
    name = getattr(given, item.name, table.get(item.name, item.default))
    if name in (None, ""):
        return None
    try:
        registry_of(item.name).check_name(name)
    except UsageError as error:
        raise UsageError(f"{_label(item)}: {error}") from None
    return name


def _from_config(name: str, options: Sequence[Option], table: dict[str, Any]) -> dict[str, Any]:
    known = {item.name: item for item in options}
    for key in table:
        if key not in known:
            raise UsageError(f"The configuration file sets {key!r} under [{name}], which does not exist." + nearest(key, known))
    return {key: known[key].value(value, f"{key} under [{name}]") for key, value in table.items()}


def _read_config(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"Cannot read the configuration file {path}: {error.strerror}.") from None
    except ValueError as error:
        raise UsageError(f"The configuration file {path} is not valid TOML: {error}.") from None


def _without_help(argv: Sequence[str]) -> list[str]:
    return [item for item in argv if item not in ("-h", "--help")]


def _label(item: Option) -> str:
    if item.positional:
        return item.name.upper()
    return f"{item.short}/--{item.flag}" if item.short else f"--{item.flag}"
