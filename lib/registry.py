"""Plugins by name: a plugin's file name is its name on the command line. Listing them imports
nothing.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
import os
import shlex
import stat
import sys
import traceback
from functools import cached_property
from pathlib import Path
from typing import Any

from lib.errors import FaceswapError, UsageError
from lib.options import Declaration, declarations, expanded, nearest
from lib.silence import silent_start
from lib.version import ROOT

USER_FOLDER = "FACESWAP_PLUGINS"
logger = logging.getLogger(__name__)


class Registry:
    """The plugins of one kind, from three places, later ones winning over earlier ones:

    `plugins/KIND/` beside this package; entry points in the group `faceswap.KIND` of installed
    packages; `$FACESWAP_PLUGINS/KIND/*.py`, the user's own folder.
    """

    def __init__(self, kind: str, package: str):
        self.kind = kind  # "detectors"
        # "plugins.detectors", kept as text so that lib never imports a plugin
        self.package = package
        self._classes: dict[str, type] = {}

    @property
    def singular(self) -> str:
        return self.kind.removesuffix("es" if self.kind.endswith("sses") else "s")

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
                raise UsageError(f"{USER_FOLDER} names {own}, which is not a folder. Correct it or "
                                 "unset it.")
            for path in _modules(expanded(Path(own)) / self.kind):
                sources[path.stem] = (f"faceswap_user_{self.kind}_{path.stem}", path)
        return sources

    def names(self) -> list[str]:
        return sorted(self._sources)

    def name_of(self, plugin: Any) -> str:
        """The name under which `plugin` was made; that of its class if it is not registered."""
        names = {module: name for name, (module, _) in self._sources.items()}
        return names.get(type(plugin).__module__, type(plugin).__name__)

    def check_name(self, name: str) -> None:
        """Raises UsageError, with the nearest name, where no plugin is called `name`."""
        if name not in self._sources:
            names = self.names()
            raise UsageError(f"There is no {self.singular} {name[:60]!r}.{nearest(name, names)} "
                             f"There are: {', '.join(names) or 'none'}.")

    def declaration(self, name: str) -> Declaration:
        """Summary and options of plugin `name`, read from its file without importing it."""
        self.check_name(name)
        path = self._sources[name][1]
        registered = [item for item in declarations(path) if item.registered]
        if not registered:
            raise self._registers_none(path)
        return registered[-1]

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
        """Plugin `name` with option `values`, converted and checked against their bounds."""
        return self.load(name)(**self.declaration(name).check(values, self.singular))

    def _import(self, name: str, module: str, path: Path) -> None:
        ours = ROOT / "plugins" in path.parents
        try:
            with silent_start():  # many bring TensorFlow along
                if module.startswith("faceswap_user_"):
                    self._warn_if_open_to_all(name, path)
                    _import_file(module, path)
                else:
                    importlib.import_module(module)
        except Exception as error:
            if ours and not isinstance(error, ImportError):
                raise
            lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
                     if frame.filename == str(path)]
            raise FaceswapError(f"The {self.singular} {name!r} "
                                f"({path}{f', line {lines[-1]}' if lines else ''}) cannot be "
                                f"loaded: {type(error).__name__}: {error}. Install what it needs, "
                                "mend it, or choose another.") from error

    def _warn_if_open_to_all(self, name: str, path: Path) -> None:
        if place := open_to_all(path):
            logger.warning("Anybody who uses this machine may write to %s, and so put code into "
                           "the %s %r, which runs now. Forbid it: chmod o-w %s", place,
                           self.singular, name, shlex.quote(str(place)))

    def _registers_none(self, path: Path) -> FaceswapError:
        return FaceswapError(f"{path} registers no {self.singular}: decorate its class with "
                             f"@{self.kind.upper()}.register.")


def open_to_all(path: Path) -> Path | None:
    """The first of `path`, a file, and the folders around it that everybody may write to.

    Everybody could put another file in its place. None where there is none, and on Windows, whose
    modes say nothing of others.
    """
    if os.name != "posix":
        return None
    path = path.resolve()
    for place in (path, *path.parents):
        mode = place.stat().st_mode
        # in a sticky folder, as /tmp is, nobody replaces what is another's; but in the
        # plugin's own folder a new file is enough
        if mode & stat.S_IWOTH and not (mode & stat.S_ISVTX and place not in (path, path.parent)):
            return place
    return None


def _modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.py") if not path.stem.startswith("_"))


def _file_of(point: importlib.metadata.EntryPoint) -> Path | None:
    try:
        spec = importlib.util.find_spec(point.module)  # imports the packages around the module
        return Path(spec.origin)
    except Exception as error:  # one broken package must not take all commands with it
        logger.warning("The installed plugin %s (%s) is left out: %s: %s", point.name, point.value,
                       type(error).__name__, error)
        return None


def _import_file(module: str, path: Path) -> None:
    spec = importlib.util.spec_from_file_location(module, path)
    # Dataclasses look their module up
    sys.modules[module] = loaded = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(loaded)
    except BaseException:
        del sys.modules[module]
        raise
