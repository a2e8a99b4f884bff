"""What a command is told: the options of the command line, of a TOML file, or of a call from Python."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from lib.options import REQUIRED, Option
from lib.plugin import REGISTRIES


@dataclass(kw_only=True)
class Settings:
    """Base of the settings of a command. `plugin_options` holds the options of each chosen plugin: {"detector": {"min_score": 0.8}}.

    Where several plugins can be chosen, it holds those of each: {"masker.hull": {"feather": 0.1}}. Where a plugin is left to be
    chosen when the command runs, it holds those of each that the configuration file has a table of: {"writer.video": {"crf": 18}}.

    Raises UsageError for values of another type or out of bounds.
    """

    plugin_options: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            if "help" not in item.metadata:  # no option
                continue
            kind, optional = item.type.removesuffix(" | None"), item.type.endswith(" | None")
            limits = {name: item.metadata[name] for name in ("low", "high", "step", "choices")}
            checked = Option(item.name, kind, optional, REQUIRED, item.metadata["help"], **limits)
            setattr(self, item.name, checked.value(getattr(self, item.name), item.name))

    def create(self, name: str) -> Any:
        """The plugin that the option `name` ("detector") chooses, made with its options; a list where it chooses several."""
        registry = REGISTRIES[next(item.metadata["plugin"] for item in dataclasses.fields(self) if item.name == name)]
        chosen = getattr(self, name)
        if isinstance(chosen, list):
            return [registry.create(plugin, **self.plugin_options.get(f"{name}.{plugin}", {})) for plugin in chosen]
        return registry.create(chosen, **self.plugin_options.get(name, self.plugin_options.get(f"{name}.{chosen}", {})))
