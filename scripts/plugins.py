from __future__ import annotations

import textwrap
from dataclasses import dataclass

from lib.errors import DONE, UsageError
from lib.options import REQUIRED, Option, nearest, option
from lib.plugin import REGISTRIES
from lib.registry import Registry
from lib.settings import Settings


@dataclass(kw_only=True)
class PluginsSettings(Settings):
    """List every plugin, or show the options of one.

    plugins                  all plugins of all kinds, a line each
    plugins detectors        those of one kind
    plugins detectors hog    what it is and its options
    """

    kind: str | None = option(None, "Kind of plugin: detectors, aligners, models ...",
                              positional=True)
    name: str | None = option(None, "Name of the plugin.", positional=True)


def run(settings: PluginsSettings) -> int:
    registries = [_registry(settings.kind)] if settings.kind else REGISTRIES.values()
    if settings.name:
        _show(registries[0], settings.name)
    else:
        print("\n\n".join(_listing(registry) for registry in registries))
    return DONE


def _registry(kind: str) -> Registry:
    for registry in REGISTRIES.values():
        if kind in (registry.kind, registry.singular):
            return registry
    raise UsageError(f"There is no kind of plugin {kind!r}.{nearest(kind, REGISTRIES)} There are: "
                     f"{', '.join(REGISTRIES)}.")


def _listing(registry: Registry) -> str:
    names = registry.names()
    width = max(map(len, names), default=0)
    lines = [f"  {name:{width}}  {registry.declaration(name).summary}" for name in names]
    return "\n".join([registry.kind, *(lines or ["  none"])])


def _show(registry: Registry, name: str) -> None:
    declared = registry.declaration(name)
    print(f"{registry.singular} {name}: {declared.doc}\n")
    for item in declared.options:
        print(f"--{registry.singular}.{item.flag}  {_facts(item)}")
        print(textwrap.indent(textwrap.fill(item.help, 100), "    "))
    if not declared.options:
        print("It has no options.")


def _facts(item: Option) -> str:
    facts = [item.kind, "required" if item.default is REQUIRED else f"default {item.default}"]
    if item.bounds:
        facts.append(item.bounds)
    if item.choices:
        facts.append(f"one of {', '.join(map(str, item.choices))}")
    return ", ".join(facts)
