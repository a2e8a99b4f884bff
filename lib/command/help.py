"""The parser of a command and its help: usual options in groups, rare ones on demand."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lib.errors import UsageError
from lib.options import REQUIRED, Declaration, Option, expanded
from lib.plugin import REGISTRIES

LOGS = ("text", "json")
MOST_LISTED = 6  # choices that stand in place of a value, as {a,b,c}
METAVARS = {"int": "N", "float": "X", "Path": "PATH", "list[Path]": "PATH", "list[int]": "N",
            "list[float]": "X"}
WIDTH = 100  # columns of help at most
INDENT = 26  # columns before the help of an option


class Parser(argparse.ArgumentParser):
    """Reports mistakes as UsageError."""

    def error(self, message: str):
        raise UsageError(f"{message[0].upper()}{message[1:]}. See: {self.prog} --help")


class _Switch(argparse.BooleanOptionalAction):
    """--OPTION and --no-OPTION; help leaves out the latter where it `is_off` anyway."""

    def __init__(self, *arguments, is_off: bool, **keywords):
        super().__init__(*arguments, **keywords)
        self.is_off = is_off


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Shows an option's value once: "-i, --input PATH ..."."""

    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=INDENT)
        self._width = min(self._width, WIDTH)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings:
            return str(action.metavar)
        if isinstance(action, _Switch):
            return ", ".join(flag for flag in action.option_strings
                             if not (action.is_off and flag.startswith("--no-")))
        value = action.metavar or ("{" + ",".join(action.choices) + "}" if action.choices else "")
        dots = " ..." if action.nargs == "+" else ""
        return f"{', '.join(action.option_strings)} {value}{dots}".rstrip()


class _Help(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        parser.print_help()
        parser.exit()


def make_parser(command: str, declared: Declaration, with_help: bool = True,
                all_options: bool = False) -> Parser:
    """The parser of a command; its help shows rare options if `all_options`."""
    rare = sum(item.rare for item in declared.options)
    options = "option" if rare == 1 else "options"
    epilog = f"faceswap.py {command} --help all lists {rare} more {options}." if rare else None
    parser = Parser(prog=f"faceswap.py {command}", description=declared.doc, add_help=False,
                    allow_abbrev=False, usage=_usage(command, declared), formatter_class=_Formatter,
                    argument_default=argparse.SUPPRESS, epilog=None if all_options else epilog)
    groups = {"": parser.add_argument_group("options")}
    for item in declared.options:
        if item.group not in groups:
            groups[item.group] = parser.add_argument_group(item.group)
        flags = [item.short] * bool(item.short) + [f"--{item.flag}"]
        _add(groups[item.group], item, flags, item.name, hidden=item.rare and not all_options)
    common = parser.add_argument_group("Every command")
    common.add_argument("--config", type=lambda text: expanded(Path(text)), default=None,
                        metavar="FILE",
                        help="TOML file with options; the command line takes precedence.")
    common.add_argument("--log", choices=LOGS,
                        help="Log as text, or as one JSON object a line. Default: text.")
    if with_help:
        common.add_argument("-h", "--help", action=_Help, nargs="?", choices=("all",),
                            metavar="[all]",
                            help="Show this help, or every option.")
    return parser


def add_plugin_options(parser: Parser, selector: Option, name: str, alone: bool) -> None:
    """Adds the options of the plugin `name`: --detector.OPTION, or, where several plugins can be
    chosen, --masker.NAME.OPTION, and --masker.OPTION too for one that is `alone`."""
    declared = REGISTRIES[selector.plugin].declaration(name)
    if declared.options:
        group = parser.add_argument_group(f"{selector.name} {name}", declared.summary)
        prefixes = [f"--{selector.flag}."] * alone
        prefixes += [f"--{selector.flag}.{name}."] * selector.several
        for item in declared.options:
            _add(group, item, [prefix + item.flag for prefix in prefixes],
                 f"{selector.name}.{name}.{item.name}")


def asks_for_all(argv: Sequence[str]) -> bool:
    """Whether `--help all` asks for the rare options, too."""
    pairs = zip(argv, argv[1:], strict=False)
    return any(flag in ("-h", "--help") and value == "all" for flag, value in pairs)


def label_of(item: Option) -> str:
    """How messages call an option: "-i/--input"."""
    if item.positional:
        return item.name.upper()
    return f"{item.short}/--{item.flag}" if item.short else f"--{item.flag}"


def _usage(command: str, declared: Declaration) -> str:
    """The line that shows which options are needed."""
    parts = [f"faceswap.py {command}"]
    parts += [f"{item.short or '--' + item.flag} {_metavar(item)}{' ...' * item.several}"
              for item in declared.options if item.default is REQUIRED and not item.positional]
    for item in declared.options:
        if item.positional:
            name = item.name.upper()
            parts.append(name if item.default is REQUIRED else f"[{name}{' ...' * item.several}]")
    return " ".join([*parts, "[options]"])


def _add(group, item: Option, flags: list[str], dest: str, hidden: bool = False) -> None:
    text = argparse.SUPPRESS if hidden else _help(item).replace("%", "%%")
    if item.positional:
        group.add_argument(dest, metavar=item.name.upper(), help=text,
                           nargs="*" if item.several else "?")
        return
    if item.kind == "bool":
        kind = {"action": _Switch, "is_off": item.default is False}
    else:
        kind = {"metavar": _metavar(item)} | ({"nargs": "+"} if item.several else {})
    group.add_argument(*flags, dest=dest, help=text, **kind)
    for alias in item.aliases:
        group.add_argument(f"--{alias}", dest=dest, help=argparse.SUPPRESS, **kind)


def _metavar(item: Option) -> str:
    if item.choices and len(item.choices) <= MOST_LISTED:
        return f"{{{','.join(map(str, item.choices))}}}"
    return METAVARS.get(item.kind, "NAME" if item.plugin or item.choices else "TEXT")


def _help(item: Option) -> str:
    """What an option does, its choices, bounds and default."""
    parts = [item.help]
    if item.plugin:
        parts.append(f"One of: {', '.join(REGISTRIES[item.plugin].names())}.")
    if item.choices and len(item.choices) > MOST_LISTED:
        parts.append(f"One of: {', '.join(map(str, item.choices))}.")
    if item.low is not None and item.high is not None:
        multiple = f", a multiple of {item.step}" if item.step else ""
        parts.append(f"{_shown(item.low)} to {_shown(item.high)}{multiple}.")
    elif item.bounds and (item.low not in (0, 1) or item.step):  # those of any count go unsaid
        parts.append(f"{item.bounds.capitalize()}.")
    if item.default is REQUIRED:
        parts.append("Required.")
    elif item.default is not False and item.default not in (None, "", []):
        parts.append(f"Default: {_shown(item.default)}.")
    return " ".join(parts)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_shown, value))
    return "yes" if value is True else f"{value:g}" if isinstance(value, float) else str(value)
