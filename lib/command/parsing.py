"""The command line and the TOML file of a subcommand, from the declaration in its script."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from lib.errors import UsageError
from lib.files.reading import NotRegular, read_toml
from lib.options import REQUIRED, Declaration, Option, cut, expanded, nearest, settings_of
from lib.plugin import REGISTRIES
from lib.registry import Registry
from lib.version import ROOT

SCRIPTS = ROOT / "scripts"
LOGS = ("text", "json")
MOST_LISTED = 6  # choices that stand in place of a value, as {a,b,c}


@cache
def commands() -> tuple[str, ...]:
    """The names of all subcommands: those of the files in scripts/."""
    return tuple(sorted(path.stem for path in SCRIPTS.glob("*.py")
                        if not path.stem.startswith("_")))


@cache
def declaration(command: str) -> Declaration:
    """The options of a subcommand."""
    return settings_of(SCRIPTS / f"{command}.py")


def parse(command: str, declared: Declaration, argv: Sequence[str]) -> dict[str, Any]:
    """Keyword arguments for the command's dataclass: command line over `--config` file over
    defaults.

    Raises UsageError for what does not exist or is out of bounds; prints help and exits on
    `--help`.
    """
    options = declared.options
    selectors = [item for item in options if item.plugin]

    # The chosen plugins add options of their own, so they must be known before the line as a whole
    # can be read.
    wanted, _ = _parser(command, declared, with_help=False).parse_known_args([item for item in argv if item not in ("-h", "--help")])
    tables = _read_config(wanted.config) if wanted.config else {}
    own_table = tables.get(command, {})
    chosen = {item.name: _chosen(item, getattr(wanted, item.name,
                                               own_table.get(item.name, item.default)))
              for item in selectors}
    implied = {item.name: _implied(item, argv) for item in selectors
               if not (chosen[item.name] or item.several)}
    chosen |= implied

    parser = _parser(command, declared, all_options=_asks_for_all(argv))
    for item in selectors:
        for name in chosen[item.name]:
            _add_plugin_options(parser, item, name, alone=len(chosen[item.name]) == 1)
    given, unknown = parser.parse_known_args(argv)
    if unknown:
        raise UsageError(_unknown(unknown, parser, chosen,
                                  {item.name: REGISTRIES[item.plugin] for item in selectors}))
    given = vars(given)

    values = own_table | {item.name: item.value(given[item.name], _label(item)) for item in options
                          if item.name in given}
    values |= {name: plugins[0] for name, plugins in implied.items() if plugins}
    missing = [_label(item) for item in options if item.default is REQUIRED
               and item.name not in values]
    if missing:
        raise UsageError(f"{command} needs {' and '.join(missing)}. See: faceswap.py {command} "
                         "--help")
    if selectors:
        values["plugin_options"] = {}
    for item in selectors:
        from_file = tables.get(item.name, {})
        for name in chosen[item.name]:
            prefix = f"{item.name}.{name}."
            from_line = {key.removeprefix(prefix): value for key, value in given.items()
                         if key.startswith(prefix)}
            label = f"{item.name}.{name}" if len(chosen[item.name]) > 1 else item.name
            settings = REGISTRIES[item.plugin].declaration(name).check(from_file.get(name, {}) | from_line, label)
            values["plugin_options"][f"{item.name}.{name}"
                                     if item.several else item.name] = settings
        if item.several:
            values[item.name] = chosen[item.name]
        elif not chosen[item.name]:
            values["plugin_options"] |= {f"{item.name}.{name}": settings
                                         for name, settings in from_file.items()}
    return values


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise UsageError(f"{message[0].upper()}{message[1:]}. See: {self.prog} --help")


def _asks_for_all(argv: Sequence[str]) -> bool:
    """Whether `--help all` asks for the rare options, too."""
    return any(word in ("-h", "--help") and after == "all"
               for word, after in zip(argv, argv[1:], strict=False))


def _parser(command: str, declared: Declaration, with_help: bool = True,
            all_options: bool = False) -> _Parser:
    rare = sum(item.rare for item in declared.options)
    parser = _Parser(prog=f"faceswap.py {command}", description=declared.doc, add_help=False,
                     allow_abbrev=False, usage=_usage(command, declared),
                     formatter_class=argparse.RawDescriptionHelpFormatter,
                     argument_default=argparse.SUPPRESS,
                     epilog=f"faceswap.py {command} --help all lists {rare} more options." if rare
                     and not all_options else None)
    groups = {"": parser.add_argument_group("options")}
    for item in declared.options:
        if item.group not in groups:
            groups[item.group] = parser.add_argument_group(item.group)
        _add(groups[item.group], item, [item.short] * bool(item.short) + [f"--{item.flag}"],
             item.name, hidden=item.rare and not all_options)
    common = parser.add_argument_group("for every command")
    common.add_argument("--config", type=lambda given: expanded(Path(given)), default=None,
                        metavar="FILE",
                        help="TOML file with options; the command line wins over it")
    common.add_argument("--log", choices=LOGS, help="how to report: text, or one JSON object a "
                                                    "line")
    if with_help:
        common.add_argument("-h", "--help", action=_Help, nargs="?", choices=("all",),
                            help="show this help; all: every option")
    return parser


class _Help(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        parser.print_help()
        parser.exit()


def _usage(command: str, declared: Declaration) -> str:
    """The line that shows which options are needed."""
    needed = [item for item in declared.options if item.default is REQUIRED]
    words = [f"{item.short or '--' + item.flag} {_metavar(item)}{' ...' * item.several}"
             for item in needed if not item.positional]
    words += [item.name.upper() if item.default is REQUIRED
              else f"[{item.name.upper()}{' ...' * item.several}]"
              for item in declared.options if item.positional]
    return " ".join([f"faceswap.py {command}", *words, "[options]"])


def _add(parser, item: Option, flags: list[str], dest: str, hidden: bool = False) -> None:
    text = argparse.SUPPRESS if hidden else _help(item).replace("%", "%%")
    if item.positional:
        parser.add_argument(dest, metavar=item.name.upper(), help=text,
                            nargs="*" if item.several else "?")
        return
    kind = {"metavar": _metavar(item)} | ({"nargs": "+"} if item.several else {})
    if item.kind == "bool":
        kind = {"action": argparse.BooleanOptionalAction}
    parser.add_argument(*flags, dest=dest, help=text, **kind)
    for alias in item.aliases:
        parser.add_argument(f"--{alias}", dest=dest, help=argparse.SUPPRESS, **kind)


def _metavar(item: Option) -> str:
    if item.choices and len(item.choices) <= MOST_LISTED:
        return f"{{{','.join(map(str, item.choices))}}}"
    return {"int": "N", "float": "X", "Path": "PATH", "list[Path]": "PATH", "list[int]": "N",
            "list[float]": "X"}.get(item.kind, "NAME" if item.plugin else "TEXT")


def _help(item: Option) -> str:
    parts = [item.help]
    if item.plugin:
        parts.append(f"One of: {', '.join(REGISTRIES[item.plugin].names())}.")
    if item.choices and len(item.choices) > MOST_LISTED:
        parts.append(f"One of: {', '.join(map(str, item.choices))}.")
    if item.bounds:
        parts.append(f"{item.bounds.capitalize()}.")
    if item.default is REQUIRED:
        parts.append("Required.")
    elif item.default not in (None, "", [], False):
        shown = " ".join(map(str, item.default)) if isinstance(item.default, list) else "yes" if item.default is True else item.default
        parts.append(f"Default: {shown}.")
    return " ".join(parts)


def _add_plugin_options(parser: _Parser, selector: Option, name: str, alone: bool) -> None:
    """--detector.OPTION; where several can be chosen --masker.NAME.OPTION, and the short form too
    for one that is `alone`."""
    declared = REGISTRIES[selector.plugin].declaration(name)
    if declared.options:
        group = parser.add_argument_group(f"{selector.name} {name}", declared.summary)
        prefixes = [f"--{selector.flag}."] * alone + [f"--{selector.flag}.{name}."] * selector.several
        for item in declared.options:
            _add(group, item, [prefix + item.flag for prefix in prefixes],
                 f"{selector.name}.{name}.{item.name}")


def _chosen(item: Option, names: Any) -> list[str]:
    """The plugins that a selector chooses, each once."""
    names = names if isinstance(names, list) else [names]
    names = list(dict.fromkeys(name for name in names if name not in (None, "", REQUIRED)))
    for name in names:
        try:
            REGISTRIES[item.plugin].check_name(name)
        except UsageError as error:
            raise UsageError(f"{_label(item)}: {error}") from None
    return names


def _implied(item: Option, argv: Sequence[str]) -> list[str]:
    """The one plugin that has those options of `item` that stand on the line, if there is one:
    --writer.codec is for videos alone."""
    asked = {found[1] for word in argv if (found := re.match(rf"--(?:no-)?{item.flag}\.([^=]+)", word))}
    registry = REGISTRIES[item.plugin]
    having = [name for name in registry.names()
              if asked <= {own.flag for own in registry.declaration(name).options}] if asked else []
    return having if len(having) == 1 else []


def _unknown(unknown: Sequence[str], parser: _Parser, chosen: Mapping[str, list[str]],
             kinds: Mapping[str, Registry]) -> str:
    """What to say about arguments that no option took."""
    flag = next((item for item in unknown if item.startswith("-")), None)
    if flag is None:
        return f"{cut(repr(unknown[0]))} belongs to no option. See: {parser.prog} --help"
    flag = cut(flag.partition("=")[0])
    known = [name for action in parser._actions for name in action.option_strings]
    selector, dot, _ = flag.removeprefix("--").partition(".")
    if dot and selector in chosen and not chosen[selector]:
        flags = {f"--{selector}.{own.flag}" for plugin in kinds[selector].names()
                 for own in kinds[selector].declaration(plugin).options}
        return f"{flag} belongs to a plugin: say which with --{selector} NAME.{'' if flag in flags else nearest(flag, sorted(flags))}"
    if dot and selector in chosen:
        of_plugin = [name for name in known if name.startswith(f"--{selector}.")]
        names, one = ", ".join(map(repr, chosen[selector])), len(chosen[selector]) == 1
        said = f"The {selector}{'' if one else 's'} {names} {'has' if one else 'have'} no option {flag}."
        close, name = nearest(flag, of_plugin), flag.rpartition(".")[2].replace("-", "_")
        others = [] if close else [plugin for plugin in kinds[selector].names()
                                   if any(item.name == name
                                          for item in kinds[selector].declaration(plugin).options)]
        if others:
            return f"{said} {' and '.join(others)} {'has' if len(others) == 1 else 'have'} it: choose with --{selector}."
        return f"{said}{close} There are: {', '.join(of_plugin) or 'none'}."
    return f"There is no option {flag}.{nearest(flag, known)} See: {parser.prog} --help"


def _read_config(path: Path) -> dict[str, dict[str, Any]]:
    """The tables of a configuration file, every key and value of it checked: {"extract": {"size":
    256}, "detector": {"hog": {...}}}."""
    try:
        tables = read_toml(path)
    except OSError as error:
        raise UsageError(f"Cannot read the configuration file {path}: {error.strerror}.") from None
    except NotRegular as error:
        raise UsageError(str(error)) from None
    except ValueError as error:
        raise UsageError(f"The configuration file {path} is not valid TOML: {error}.") from None
    selectors = {item.name: item.plugin for command in commands()
                 for item in declaration(command).options if item.plugin}
    checked = {}
    for name, table in tables.items():
        if name not in (known := [*commands(), *selectors]):
            raise UsageError(f"{path}: there is no table [{name}].{nearest(name, known)} There "
                             f"are: {', '.join(sorted(known))}.")
        if name in commands():
            checked[name] = _check_table(path, name, declaration(name).options, table)
        else:
            checked[name] = {plugin: _check_plugin_table(path, f"{name}.{plugin}", selectors[name],
                                                         plugin, entries)
                             for plugin, entries in _as_table(path, name, table).items()}
    return checked


def _check_plugin_table(path: Path, name: str, kind: str, plugin: str, table: Any) -> dict[str, Any]:
    _as_table(path, plugin, table)
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


def _label(item: Option) -> str:
    if item.positional:
        return item.name.upper()
    return f"{item.short}/--{item.flag}" if item.short else f"--{item.flag}"
