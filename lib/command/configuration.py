"""The configuration file: a TOML table for each command, and one for each plugin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lib.errors import UsageError
from lib.files.reading import NotRegular, read_toml
from lib.options import Declaration, Option, nearest
from lib.plugin import REGISTRIES


def read_configuration(path: Path,
                       declarations: Mapping[str, Declaration]) -> dict[str, dict[str, Any]]:
    """The tables of the file, every key and value checked: {"extract": {"size": 256}, "detector":
    {"hog": {...}}}. `declarations`: those of all commands. Raises UsageError."""
    try:
        tables = read_toml(path)
    except OSError as error:
        raise UsageError(f"Cannot read the configuration file {path}: {error.strerror}.") from None
    except NotRegular as error:
        raise UsageError(str(error)) from None
    except ValueError as error:
        raise UsageError(f"The configuration file {path} is not valid TOML: {error}.") from None
    selectors = {item.name: item.plugin for declared in declarations.values()
                 for item in declared.options if item.plugin}
    known = [*declarations, *selectors]
    checked = {}
    for name, table in tables.items():
        if name not in known:
            raise UsageError(f"{path}: there is no table [{name}].{nearest(name, known)} There "
                             f"are: {', '.join(sorted(known))}.")
        if name in declarations:
            checked[name] = _check_table(path, name, declarations[name].options, table)
        else:
            checked[name] = {plugin: _check_plugin(path, name, selectors[name], plugin, options)
                             for plugin, options in _as_table(path, name, table).items()}
    return checked


def _check_plugin(path: Path, selector: str, kind: str, plugin: str, table: Any) -> dict[str, Any]:
    _as_table(path, plugin, table)
    name = f"{selector}.{plugin}"
    try:
        options = REGISTRIES[kind].declaration(plugin).options
    except UsageError as error:
        raise UsageError(f"{path}: [{name}]: {error}") from None
    return _check_table(path, name, options, table)


def _check_table(path: Path, name: str, options: Sequence[Option], table: Any) -> dict[str, Any]:
    known = {item.flag.replace("-", "_"): item for item in options}
    aliases = {alias: item for item in options for alias in item.aliases}
    checked = {}
    for key, value in _as_table(path, name, table).items():
        key = key.replace("-", "_")
        item = known.get(key) or aliases.get(key)
        if item is None:
            raise UsageError(f"{path}: there is no {key!r} in [{name}].{nearest(key, known)} "
                             f"There are: {', '.join(sorted(known)) or 'none'}.")
        checked[item.name] = item.value(value, f"{path}: {key} in [{name}]")
    return checked


def _as_table(path: Path, name: str, table: Any) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise UsageError(f"{path}: {name} = {table!r} stands outside a table. Put it under "
                         "[COMMAND] or [KIND.PLUGIN].")
    return table
