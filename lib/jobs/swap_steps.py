"""The steps of swap, and the record of those that are done: `swap.json` in the work folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from lib.errors import DONE, SOME_FAILED, FaceswapError
from lib.files.reading import NotRegular, as_json, read_json
from lib.files.writing import disk_errors, write_json
from lib.provenance.run_record import content_id
from lib.settings import Settings
from lib.system.logs import duration

logger = logging.getLogger(__name__)
FORMAT = 1
STEPS = ("extract A", "extract B", "train", "convert")
# What older records name otherwise
RENAMED = {"save": "checkpoint", "settings": "plugin_options"}

StepSettings = TypeVar("StepSettings", bound=Settings)


class Steps:
    """Runs the steps that are not done yet.

    Raises FaceswapError if the work folder was begun with other footage or cannot be written.
    """

    def __init__(self, work: Path, footage: dict[str, Path]):
        self.seconds: dict[str, float] = {}  # that each step of this run took
        self._path = work / "swap.json"
        self._inputs = {name: _identity(path) for name, path in footage.items()}
        self._done = read_steps(self._path, self._inputs) if self._path.exists() else {}
        with disk_errors(self._path):
            work.mkdir(parents=True, exist_ok=True)
            self._save()

    def run(self, name: str, work: Callable[[StepSettings], bool], settings: StepSettings,
            results: Sequence[Path]) -> bool:
        """Calls `work` and returns its answer: whether all went well.

        A step that was finished with the same settings, and whose `results` are there, is not done
        again.
        """
        options = as_json(asdict(settings), self._place)
        before = self._done.get(name)
        recorded = _defaults(settings) | before["options"] if before else {}
        changes = [f"{key} was {recorded.get(key)}, is {value}"
                   for key, value in options.items() if recorded.get(key) != value]
        if before and not changes and all(path.exists() for path in results):
            logger.info("%s: already done; it took %s.", name, duration(before["seconds"]))
            return before["code"] == DONE
        if before:
            logger.info("%s: again, because %s.", name, "; ".join(changes)
                        or "its results are gone")
        else:
            logger.info("%s ...", name)
        for stale in STEPS[STEPS.index(name):]:  # later steps depend on this one
            self._done.pop(stale, None)
        self._save()
        began = time.monotonic()
        good = work(settings)
        self.seconds[name] = time.monotonic() - began
        self._done[name] = {"options": options, "code": DONE if good else SOME_FAILED,
                            "seconds": round(self.seconds[name], 1)}
        self._save()
        logger.info("%s: %s.", name, duration(self.seconds[name]))
        return good

    def _place(self, path: Path) -> str:
        """A path as it is recorded: relative to the folder around the work folder, so that all may
        be moved together."""
        around = self._path.parent.parent.resolve()
        path = path.resolve()
        return str(path.relative_to(around)) if around in path.parents else path.name

    def _save(self) -> None:
        write_json(self._path, {"format": FORMAT, "inputs": self._inputs, "steps": self._done})


def _defaults(settings: Settings) -> dict[str, Any]:
    """Values of options that a record lacks, since they are newer than it."""
    return {item.name: item.default if item.default_factory is MISSING else item.default_factory()
            for item in fields(settings)
            if (item.default, item.default_factory) != (MISSING, MISSING)}


def read_steps(path: Path, inputs: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The steps that are done; none where the record cannot be read.

    Raises FaceswapError where it was begun with other footage than `inputs` tell.
    """
    try:
        record = read_json(path, named=False)
        footage = dict(record["inputs"])
        steps = {name: _checked(step) for name, step in dict(record["steps"]).items()}
    except (OSError, ValueError, KeyError, TypeError, NotRegular):
        logger.warning("%s cannot be read; every step is looked at again.", path)
        return {}
    for name, now in inputs.items():
        before = footage[name] if isinstance(footage.get(name), dict) else {}
        # Old records lack it
        if any(before.get(key) != now[key] for key in now if key in before or key != "content"):
            content = " with other content" if _words(before) == _words(now) else ""
            raise FaceswapError(
                f"{path.parent} was begun with other footage for -{name}: {_words(before)}, now "
                f"{_words(now)}{content}. Name another folder with --work, or delete that one to "
                "start anew.")
    return steps


def _checked(step: Any) -> dict[str, Any]:
    """A step of the record. Raises ValueError, KeyError or TypeError where it is not one."""
    if not isinstance(step["options"], dict) or type(step["code"]) is not int \
            or type(step["seconds"]) not in (int, float):
        raise ValueError("not a step")
    options = {RENAMED.get(name, name): value for name, value in step["options"].items()}
    return {"options": options, "code": step["code"], "seconds": step["seconds"]}


def _identity(path: Path) -> dict[str, Any]:
    """What tells footage from other footage, wherever it is moved."""
    return {"name": path.resolve().name} | content_id(path)


def _words(footage: dict[str, Any]) -> str:
    if not footage:
        return "nothing"
    return "{} ({} files, {} bytes)".format(
        *(footage.get(key, "?") for key in ("name", "files", "bytes")))
