"""Plugins by name: a plugin's file name is its name on the command line. Listing them imports nothing."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
import os
import sys
import traceback
from functools import cached_property
from pathlib import Path
from typing import Any

from lib.errors import FaceswapError, UsageError
from lib.logs import silent_start
from lib.options import Declaration, declarations, expanded, nearest

ROOT = Path(__file__).resolve().parent.parent
USER_FOLDER = "FACESWAP_PLUGINS"
logger = logging.getLogger(__name__)


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
            if path := _file_of(point):
                sources[point.name] = (point.module, path)
        if own := os.environ.get(USER_FOLDER):
            if not expanded(Path(own)).is_dir():
                raise UsageError(f"{USER_FOLDER} names {own}, which is not a folder. Correct it or unset it.")
            for path in _modules(expanded(Path(own)) / self.kind):
                sources[path.stem] = (f"faceswap_user_{self.kind}_{path.stem}", path)
        return sources

    def names(self) -> list[str]:
        return sorted(self._sources)

    def name_of(self, plugin: Any) -> str:
        """The name under which a plugin's instance was made; that of its class if it is none of the registry's."""
        module = type(plugin).__module__
        return next((name for name, (its_module, _) in self._sources.items() if its_module == module), type(plugin).__name__)

    def check_name(self, name: str) -> None:
        """Raises UsageError, with the list and the nearest name, where no plugin is called `name`."""
        if name not in self._sources:
            raise UsageError(f"There is no {self.singular} {name[:60]!r}." + nearest(name, self.names())
                             + f" There are: {', '.join(self.names()) or 'none'}.")

    def declaration(self, name: str) -> Declaration:
        """Summary and options of plugin `name`, read from its file without importing it."""
        self.check_name(name)
        path = self._sources[name][1]
        found = [item for item in declarations(path) if item.registered]
        if not found:
            raise self._registers_none(path)
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
            self._import(name, module, path)
        if module not in self._classes:
            raise self._registers_none(path)
        return self._classes[module]

    def create(self, name: str, /, **values: Any) -> Any:
        """Plugin `name` made with the given option values, converted and checked against their bounds."""
        return self.load(name)(**self.declaration(name).check(values, self.singular))

    def _import(self, name: str, module: str, path: Path) -> None:
        ours = ROOT / "plugins" in path.parents
        try:
            with silent_start():  # many bring TensorFlow along
                if module.startswith("faceswap_user_"):
                    _import_file(module, path)
                else:
                    importlib.import_module(module)
        except Exception as error:
            if ours and not isinstance(error, ImportError):
                raise
            lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
            raise FaceswapError(f"The {self.singular} {name!r} ({path}{f', line {lines[-1]}' if lines else ''}) cannot be loaded: "
                                f"{type(error).__name__}: {error}. Install what it needs, mend it, or choose another.") from error

    def _registers_none(self, path: Path) -> FaceswapError:
        return FaceswapError(f"{path} registers no {self.singular}: decorate its class with @{self.kind.upper()}.register.")


def _modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.py") if not path.stem.startswith("_"))


def _file_of(point: importlib.metadata.EntryPoint) -> Path | None:
    try:
        spec = importlib.util.find_spec(point.module)  # imports the packages around the module
        return Path(spec.origin)
    except Exception as error:  # one broken package must not take all commands with it
        logger.warning("The installed plugin %s (%s) is left out: %s: %s", point.name, point.value, type(error).__name__, error)
        return None


def _import_file(module: str, path: Path) -> None:
    spec = importlib.util.spec_from_file_location(module, path)
    sys.modules[module] = loaded = importlib.util.module_from_spec(spec)  # dataclasses look their module up
    try:
        spec.loader.exec_module(loaded)
    except BaseException:
        del sys.modules[module]
        raise
