"""What a command is told: options from the command line, a TOML file, or a call from Python."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from lib.options import REQUIRED, Option
from lib.plugin import REGISTRIES


@dataclass(kw_only=True)
class Settings:
    """Base of the settings of a command. `plugin_options` holds the options of chosen plugins.

    Of one: {"detector": {"min_score": 0.8}}. Where several can be chosen, of each:
    {"masker.hull": {"feather": 0.1}}. Where the plugin is chosen only when the command runs, of each
    that the configuration file has a table of: {"writer.video": {"crf": 18}}.

    Raises UsageError for values of another type or out of bounds.
    """

    plugin_options: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            if "help" in item.metadata:  # an option
                setattr(self, item.name, self.option(item.name).value(getattr(self, item.name), item.name))

    @classmethod
    def option(cls, name: str) -> Option:
        """The option called `name`, which checks values."""
        item = cls.__dataclass_fields__[name]
        kind, optional = item.type.removesuffix(" | None"), item.type.endswith(" | None")
        metadata = {key: item.metadata[key] for key in ("help", "low", "high", "step", "choices", "plugin")}
        return Option(name, kind, optional, REQUIRED, **metadata)

    def shared(self, *mixins: type[Settings]) -> dict[str, Any]:
        """The values of the options that `mixins` declare, for the settings of another command."""
        names = {item.name for mixin in mixins for item in dataclasses.fields(mixin)} - {"plugin_options"}
        plugin_options = {key: value for key, value in self.plugin_options.items() if key.partition(".")[0] in names}
        return {name: getattr(self, name) for name in names} | {"plugin_options": plugin_options}

    def create(self, name: str) -> Any:
        """The plugin that the option `name` ("detector") chooses, made with its options; a list where
        it chooses several."""
        kind = self.option(name).plugin
        assert kind, f"{name} chooses no plugin"
        registry = REGISTRIES[kind]
        chosen = getattr(self, name)
        if isinstance(chosen, list):
            return [registry.create(plugin, **self.plugin_options.get(f"{name}.{plugin}", {})) for plugin in chosen]
        return registry.create(chosen, **self.plugin_options.get(name, self.plugin_options.get(f"{name}.{chosen}", {})))
