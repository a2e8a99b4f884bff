"""What a run did: a JSON file beside its result, that says months later how it was made."""

from __future__ import annotations

import glob
import hashlib
import os
import platform
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from importlib import metadata
from pathlib import Path
from typing import Any

from lib.errors import FaceswapError
from lib.files.fingerprint import fingerprint, of_files
from lib.files.names import printable
from lib.files.reading import NotRegular, opened, read_json
from lib.files.writing import disk_errors, write_json
from lib.system.lock import Lock, Locked, held
from lib.types import Shard

FORMAT = 1
PACKAGES = ("numpy", "opencv-python-headless", "av", "dlib-bin", "keras", "tensorflow", "jax",
            "torch", "onnxruntime", "pillow")
SECONDS_BETWEEN_SAVES = 1.0
BLOCK = 1 << 22  # bytes read at a time


def record_of(output: Path) -> Path:
    """Path of the record of what was written to `output`: beside it."""
    path = Path(os.path.abspath(output))
    return path.with_name(path.name + ".run.json")


def content_id(path: Path, files: Sequence[Path] | None = None,
               known: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Identifies the content of a file, or of a folder's `files` under their names; JSON values,
    the same on all machines.

    `files` None: all in the folder but hidden ones. `known` are fingerprints by file name, of files
    that are not read. Raises OSError.
    """
    if files is None:
        files = [path]
        if path.is_dir():
            files = [file for file in path.iterdir() if file.is_file()
                     and not file.name.startswith(".")]
    known = known or {}
    named = [(file.name if path.is_dir() else "", known.get(printable(file.name))
              or fingerprint(file)) for file in files]
    return {"files": len(files), "bytes": sum(file.stat().st_size for file in files),
            "content": of_files(named)}


def named_files(options: Any, except_for: Collection[str]) -> dict[str, Any]:
    """By path, the content of each existing file or folder that an option of the dataclass
    `options` names."""
    paths = [path for item in fields(options) if item.name not in except_for
             for path in _paths(getattr(options, item.name))]
    return {str(path): content_id(path) for path in paths if path.exists()}


def _paths(value: Any) -> list[Path]:
    if isinstance(value, Path):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [path for item in value for path in _paths(item)] if isinstance(value, list) else []


@contextmanager
def locked_output(output: Path, shard: Shard | None = None) -> Iterator[None]:
    """Within it no other run writes to `output`, or to the same `shard` of it. Raises FaceswapError
    where one does."""
    own = _lock_of(output, shard)
    with ExitStack() as locks:
        try:
            with disk_errors(output):
                own.parent.mkdir(parents=True, exist_ok=True)
                locks.callback(Lock(own).release)
                # the whole is not written while shards are, nor the other way round
                shards = f"{glob.escape(own.name.removesuffix('.lock'))}.*of*.lock"
                if any(map(held, [_lock_of(output)] if shard else own.parent.glob(shards))):
                    raise Locked
        except Locked:
            raise FaceswapError(f"Another run writes {output}. Wait until it has ended, or name "
                                "another output with -o.") from None
        yield


def _lock_of(output: Path, shard: Shard | None = None) -> Path:
    path = Path(os.path.abspath(output))
    return path.with_name(f".{path.name}{f'.{shard.number}of{shard.count}' if shard else ''}.lock")


class Record:
    """A context manager around a run: at its end, also by an error, the record is written, if
    anything was noted.

    Inputs are hashed meanwhile, on a thread; those that an interrupted run did not finish have no
    hash.
    """

    def __init__(self, output: Path, command: str, options: dict[str, Any],
                 inputs: dict[str, Path], shard: Shard | None = None):
        path = record_of(output)
        if shard:
            stem = path.name.removesuffix(".run.json")
            path = path.with_name(f"{stem}.{shard.number}of{shard.count}.run.json")
        self._path = path
        self._clock = time.monotonic()
        self._head = {"format": FORMAT, "command": command, "arguments": sys.argv[1:],
                      "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                      "options": options, "versions": _versions()}
        self._noted: dict[str, Any] = {}
        self._inputs = inputs
        self._hashes: dict[str, str] = {}
        self._due, self._unwritten = 0.0, False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._hash, name="hashes", daemon=True)

    def sha256(self, name: str) -> str | None:
        """The hash of the input called `name`, once it is known; None where it cannot be read."""
        self._thread.join()
        return self._hashes.get(name)

    def note(self, **values: Any) -> None:
        """Adds JSON values to the record, or changes them."""
        self._noted |= values
        self._unwritten = True

    def earlier(self) -> dict[str, Any]:
        """The record of an earlier run; {} where there is none that can be read."""
        return _read(self._path)

    def failed_before(self, key: str) -> list[int]:
        """The frames that failed in an earlier run with the same `key`, or in its shards."""
        paths = [self._path]
        if self.earlier().get("key") != key:
            stem = glob.escape(self._path.name.removesuffix(".run.json"))
            paths = self._path.parent.glob(f"{stem}.*of*.run.json")
        records = [record for record in map(_read, paths) if record.get("key") == key]
        return sorted({index for record in records for index in record.get("failed", ())})

    def save(self) -> None:
        """Writes what was noted, in case the run is killed; once in SECONDS_BETWEEN_SAVES at
        most.
        """
        if self._unwritten and time.monotonic() >= self._due:
            self._write(finished=False)
            self._due = time.monotonic() + SECONDS_BETWEEN_SAVES

    def __enter__(self) -> Record:
        self._thread.start()
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if kind is not None:
            self._ended.set()
        self._thread.join()
        if self._noted:
            self._write(kind is None,
                        **({} if kind is None else {"error": str(error) or kind.__name__}))

    def _write(self, finished: bool, **more: Any) -> None:
        inputs = {name: {"path": os.path.abspath(path), "sha256": self._hashes.get(name)}
                  for name, path in self._inputs.items()}
        values = self._head | {"inputs": inputs} | self._noted
        self._unwritten = False
        values |= {"seconds": round(time.monotonic() - self._clock, 2), "finished": finished} | more
        with disk_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._path, values)

    def _hash(self) -> None:
        for name, path in self._inputs.items():
            digest = self._hash_of(path)
            if digest is None:
                return
            self._hashes[name] = digest

    def _hash_of(self, path: Path) -> str | None:
        """SHA-256 of a file, or of the names and contents of a folder's files; None where the run
        ends first."""
        digest = hashlib.sha256()
        for file in sorted(file for file in path.iterdir()
                           if file.is_file()) if path.is_dir() else [path]:
            if path.is_dir():
                digest.update(os.fsencode(file.name) + b"\0")
            try:
                with opened(file) as content:
                    while block := content.read(BLOCK):
                        if self._ended.is_set():
                            return None
                        digest.update(block)
            except (OSError, NotRegular):
                continue  # the run itself reports unreadable files
        return digest.hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        values = read_json(path, named=False, finite=False)
    except (OSError, ValueError, NotRegular):
        return {}
    if not isinstance(values, dict):
        return {}
    for name, kind in ("failures", str), ("files", str), ("failed", int):
        items = values.get(name, [])
        if not isinstance(items, list) or not all(type(item) is kind for item in items):
            del values[name]
    return values


def _versions() -> dict[str, str]:
    """Versions of Python, the system and the installed packages that results depend on."""
    versions = {"python": platform.python_version(), "system": platform.platform()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
