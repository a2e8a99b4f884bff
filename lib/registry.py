"""Plugins by name: a plugin's file name is its name on the command line. Listing them imports nothing."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

from lib.errors import FaceswapError, UsageError
from lib.options import Declaration, declarations, nearest

ROOT = Path(__file__).resolve().parent.parent
USER_FOLDER = "FACESWAP_PLUGINS"


class Registry:
    """The plugins of one kind, from three places, later ones winning over earlier ones:

    `plugins/KIND/` beside this package; entry points in the group `faceswap.KIND` of installed packages;
    `$FACESWAP_PLUGINS/KIND/*.py`, the user's own folder.
    """

    def __init__(self, kind: str, package: str):
        self.kind = kind  # "detectors"
        self.package = package  # "plugins.detectors", kept as text so that lib never imports a plugin
        self._classes: dict[str, type] = {}

    @property
    def singular(self) -> str:
        return self.kind.removesuffix("s")

    @cached_property
    def _sources(self) -> dict[str, tuple[str, Path]]:
        """Plugin name -> (module name, file)."""
        folder = ROOT.joinpath(*self.package.split("."))
        sources = {path.stem: (f"{self.package}.{path.stem}", path) for path in _modules(folder)}
        for point in importlib.metadata.entry_points(group=f"faceswap.{self.kind}"):
            spec = importlib.util.find_spec(point.module)
            if spec and spec.origin:
                sources[point.name] = (point.module, Path(spec.origin))
        if own := os.environ.get(USER_FOLDER):
            for path in _modules(Path(own).expanduser() / self.kind):
                sources[path.stem] = (f"faceswap_user_{self.kind}_{path.stem}", path)
        return sources

    def names(self) -> list[str]:
        return sorted(self._sources)

    def check_name(self, name: str) -> None:
        """Raises UsageError, with the list and the nearest name, where no plugin is called `name`."""
        if name not in self._sources:
            raise UsageError(f"There is no {self.singular} {name!r}." + nearest(name, self.names())
                             + f" There are: {', '.join(self.names()) or 'none'}.")

    def declaration(self, name: str) -> Declaration:
        """Summary and options of plugin `name`, read from its file without importing it."""
        self.check_name(name)
        path = self._sources[name][1]
        found = declarations(path)
        if not found:
            raise FaceswapError(f"{path} registers no {self.singular}: decorate its class with @{self.kind.upper()}.register.")
        return found[-1]

    def register(self, cls: type) -> type:
        """Class decorator of a plugin; the module's file name is the plugin's name."""
        self._classes[cls.__module__] = cls
        return cls

    def load(self, name: str) -> type:
        """The class of plugin `name`, imported now."""
        self.check_name(name)
        module, path = self._sources[name]
        if module not in self._classes:
            try:
                _import(module, path)
            except ImportError as error:
                raise FaceswapError(f"The {self.singular} {name!r} ({path}) cannot be loaded: {error}. "
                                    "Install what it needs or choose another.") from error
        if module not in self._classes:
            raise FaceswapError(f"{path} registers no {self.singular}: decorate its class with @{self.kind.upper()}.register.")
        return self._classes[module]

    def create(self, name: str, **values: Any) -> Any:
        """Plugin `name` made with the given option values, converted and checked against their bounds."""
        return self.load(name)(**self.declaration(name).check(values, self.singular))


def _modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.py") if not path.stem.startswith("_"))


def _import(module: str, path: Path) -> None:
    if module.startswith("faceswap_user_"):
        spec = importlib.util.spec_from_file_location(module, path)
        sys.modules[module] = loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
    else:
        importlib.import_module(module)
