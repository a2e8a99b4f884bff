"""The command line and the TOML file of a command, from the declaration of its settings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from lib.command.configuration import read_configuration
from lib.command.help import Parser, add_plugin_options, asks_for_all, label_of, make_parser
from lib.errors import UsageError
from lib.options import REQUIRED, Declaration, Option, cut, nearest, settings_of
from lib.plugin import REGISTRIES
from lib.version import ROOT

SCRIPTS = ROOT / "scripts"


@cache
def commands() -> tuple[str, ...]:
    """The names of all commands: those of the files in scripts/."""
    names = (path.stem for path in SCRIPTS.glob("*.py"))
    return tuple(sorted(name for name in names if not name.startswith("_")))


@cache
def declaration(command: str) -> Declaration:
    """The options of a command."""
    return settings_of(SCRIPTS / f"{command}.py")


def parse(command: str, declared: Declaration, argv: Sequence[str]) -> dict[str, Any]:
    """Keyword arguments for the command's settings: command line over `--config` file over
    defaults.

    Raises UsageError for what does not exist or is out of bounds; prints help and exits on
    `--help`.
    """
    selectors = [item for item in declared.options if item.plugin]

    # The chosen plugins, which add options of their own, by the line and the file
    without_help = [word for word in argv if word not in ("-h", "--help")]
    chosen_by_line, _ = make_parser(command, declared,
                                    with_help=False).parse_known_args(without_help)
    tables = {}
    if chosen_by_line.config:
        tables = read_configuration(chosen_by_line.config, {name: declaration(name)
                                                            for name in commands()})
    values = dict(tables.get(command, {}))
    names = {item.name: item.default for item in selectors} | values | vars(chosen_by_line)
    named = {item.name: _names(names[item.name]) for item in selectors}
    chosen = {item.name: _check_names(item, named[item.name]) for item in selectors}
    implied = {item.name: _implied(item, argv) for item in selectors
               if not chosen[item.name] and not item.several}
    chosen |= implied

    # The line as a whole
    parser = make_parser(command, declared, all_options=asks_for_all(argv))
    for item in selectors:
        for name in chosen[item.name]:
            add_plugin_options(parser, item, name, alone=len(chosen[item.name]) == 1)
    namespace, unknown = parser.parse_known_args(argv)
    if unknown:
        raise UsageError(_unknown(unknown, parser, chosen, selectors))
    line = vars(namespace)
    values |= {item.name: item.value(line[item.name], label_of(item))
               for item in declared.options if item.name in line}
    values |= {name: plugins[0] for name, plugins in implied.items() if plugins}
    missing = [label_of(item) for item in declared.options
               if item.default is REQUIRED and item.name not in values]
    if missing:
        raise UsageError(f"{command} needs {' and '.join(missing)}. See: faceswap.py {command} "
                         "--help")

    # Options of the plugins
    if selectors:
        values["plugin_options"] = {}
    for item in selectors:
        values["plugin_options"] |= _plugin_options(item, chosen[item.name],
                                                    tables.get(item.name, {}), line)
        if item.several:
            values[item.name] = named[item.name]
    return values


def _plugin_options(item: Option, chosen: Sequence[str], from_file: dict[str, dict[str, Any]],
                    line: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Options of the `chosen` plugins of a selector; where none is chosen, all of the file."""
    if not chosen and not item.several:
        return {f"{item.name}.{name}": options for name, options in from_file.items()}
    result = {}
    for name in chosen:
        prefix = f"{item.name}.{name}."
        from_line = {key.removeprefix(prefix): value for key, value in line.items()
                     if key.startswith(prefix)}
        label = f"{item.name}.{name}" if len(chosen) > 1 else item.name
        options = from_file.get(name, {}) | from_line
        key = f"{item.name}.{name}" if item.several else item.name
        # a command that knows more names may not need the plugin, only what it made
        plugin = REGISTRIES[item.plugin].declaration(name)
        result[key] = plugin.check(options, label, whole=not item.more_names)
    return result


def _names(names: Any) -> list[str]:
    """What a selector names, each once."""
    names = names if isinstance(names, list) else [names]
    return list(dict.fromkeys(name for name in names if name not in (None, "", REQUIRED)))


def _check_names(item: Option, names: list[str]) -> list[str]:
    """The plugins among `names`. Raises UsageError for unknown ones, unless the selector takes more
    names than theirs."""
    if item.more_names:
        known = REGISTRIES[item.plugin].names()
        return [name for name in names if name in known]
    for name in names:
        try:
            REGISTRIES[item.plugin].check_name(name)
        except UsageError as error:
            raise UsageError(f"{label_of(item)}: {error}") from None
    return names


def _implied(item: Option, argv: Sequence[str]) -> list[str]:
    """The plugin that alone has the options of `item` on the line: --writer.codec means video."""
    pattern = re.compile(rf"--(?:no-)?{item.flag}\.([^=]+)")
    flags = {match[1] for match in map(pattern.match, argv) if match}
    owners = [name for name in REGISTRIES[item.plugin].names() if flags <= _flags_of(item, name)]
    return owners if flags and len(owners) == 1 else []


def _flags_of(item: Option, plugin: str) -> set[str]:
    return {option.flag for option in REGISTRIES[item.plugin].declaration(plugin).options}


def _unknown(unknown: Sequence[str], parser: Parser, chosen: Mapping[str, list[str]],
             selectors: Sequence[Option]) -> str:
    """What to say about arguments that no option took."""
    flag = next((word for word in unknown if word.startswith("-")), None)
    if flag is None:
        return f"{cut(repr(unknown[0]))} belongs to no option. See: {parser.prog} --help"
    flag = cut(flag.partition("=")[0])
    flags = [name for action in parser._actions for name in action.option_strings]
    name, dot, _ = flag.removeprefix("--").partition(".")
    selector = next((item for item in selectors if item.name == name), None) if dot else None
    if selector:
        return _unknown_of_plugin(flag, selector, chosen[name], flags)
    return f"There is no option {flag}.{nearest(flag, flags)} See: {parser.prog} --help"


def _unknown_of_plugin(flag: str, selector: Option, chosen: Sequence[str], flags: list[str]) -> str:
    """What to say about "--selector.option", which no chosen plugin has."""
    name, own = selector.name, flag.rpartition(".")[2]
    options = {plugin: _flags_of(selector, plugin) for plugin in REGISTRIES[selector.plugin].names()}
    if not chosen:
        possible = [f"--{name}.{option}" for option in sorted(set().union(*options.values()))]
        advice = "" if flag in possible else nearest(flag, possible)
        return f"{flag} belongs to a plugin: say which with --{name} NAME.{advice}"
    of_chosen = [option for option in flags if option.startswith(f"--{name}.")]
    kind, verb = (name, "has") if len(chosen) == 1 else (f"{name}s", "have")
    problem = f"The {kind} {', '.join(map(repr, chosen))} {verb} no option {flag}."
    if close := nearest(flag, of_chosen):
        return f"{problem}{close} There are: {', '.join(of_chosen)}."
    owners = [plugin for plugin, plugin_flags in options.items() if own in plugin_flags]
    if owners:
        return (f"{problem} {' and '.join(owners)} {'has' if len(owners) == 1 else 'have'} it: "
                f"choose with --{name}.")
    return f"{problem} There are: {', '.join(of_chosen) or 'none'}."
