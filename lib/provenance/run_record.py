"""What a run did: a JSON file beside its result, for whoever wants to know months later how a picture came about, or to make it again."""

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
PACKAGES = ("numpy", "opencv-python-headless", "av", "dlib-bin", "keras", "tensorflow", "jax", "torch", "onnxruntime", "pillow")
KEPT = 1.0
BLOCK = 1 << 22  # bytes read at a time


def record_of(output: Path) -> Path:
    """Where the record of what was written to `output` lies: beside it."""
    path = Path(os.path.abspath(output))
    return path.with_name(path.name + ".run.json")


def identity(path: Path, files: Sequence[Path] | None = None, known: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What tells the content of a file, or of a folder's `files` under their names, from other content; JSON values, alike on all machines.

    None for `files`: all in the folder but hidden ones. `known` are fingerprints by the name of the file, of those that are not read.
    Raises OSError.
    """
    if files is None:
        files = [file for file in path.iterdir() if file.is_file() and not file.name.startswith(".")] if path.is_dir() else [path]
    named = [(file.name if path.is_dir() else "", (known or {}).get(printable(file.name)) or fingerprint(file)) for file in files]
    return {"files": len(files), "bytes": sum(file.stat().st_size for file in files), "content": of_files(named)}


def named_files(options: Any, but: Collection[str]) -> dict[str, Any]:
    """The identity of each file or folder that is there and named by an option of the dataclass `options`, `but` some, by its path."""
    paths = [path for item in fields(options) if item.name not in but for path in _paths(getattr(options, item.name))]
    return {str(path): identity(path) for path in paths if path.exists()}


def _paths(value: Any) -> list[Path]:
    if isinstance(value, Path):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [path for one in value for path in _paths(one)] if isinstance(value, list) else []


@contextmanager
def alone(output: Path, shard: Shard | None = None) -> Iterator[None]:
    """Within it no other run writes to `output`, or to the same `shard` of it. Raises FaceswapError where one does already."""
    own = _lock_of(output, shard)
    with ExitStack() as locks:
        try:
            with disk_errors(output):
                own.parent.mkdir(parents=True, exist_ok=True)
                locks.callback(Lock(own).release)
                others = [_lock_of(output)] if shard else own.parent.glob(f"{glob.escape(own.name.removesuffix('.lock'))}.*of*.lock")
                if any(map(held, others)):  # the whole is not written while shards are, nor the other way round
                    raise Locked
        except Locked:
            raise FaceswapError(f"Another run writes {output}. Wait until it has ended, or name another output with -o.") from None
        yield


def _lock_of(output: Path, shard: Shard | None = None) -> Path:
    path = Path(os.path.abspath(output))
    return path.with_name(f".{path.name}{f'.{shard.number}of{shard.count}' if shard else ''}.lock")


class Record:
    """A context manager, begun with a run: when it is left, however that is, the record is written, if anything was noted.

    Inputs are hashed meanwhile, on a thread; what is not read to its end when a run is broken off has no hash.
    """

    def __init__(self, output: Path, command: str, options: dict[str, Any], inputs: dict[str, Path], shard: Shard | None = None):
        path = record_of(output)
        self._path = path.with_name(f"{path.name.removesuffix('.run.json')}.{shard.number}of{shard.count}.run.json") if shard else path
        self._clock = time.monotonic()
        self._said = {"format": FORMAT, "command": command, "arguments": sys.argv[1:], "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
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

    def note(self, **said: Any) -> None:
        """Adds JSON values to the record, or changes them."""
        self._noted |= said
        self._unwritten = True

    def before(self) -> dict[str, Any]:
        """What the record of an earlier run says; {} where there is none that can be read."""
        return _read(self._path)

    def failed_before(self, key: str) -> list[int]:
        """The frames that an earlier run with the same `key`, or else its shards, could not do."""
        paths = [self._path] if self.before().get("key") == key else self._path.parent.glob(
            f"{glob.escape(self._path.name.removesuffix('.run.json'))}.*of*.run.json")
        said = [one for one in map(_read, paths) if one.get("key") == key]
        return sorted({index for one in said for index in one.get("failed", ())})

    def keep(self) -> None:
        """Writes what was noted since it was last written, in case that the run is killed; once in KEPT seconds at most."""
        if self._unwritten and time.monotonic() >= self._due:
            self._write(finished=False)
            self._due = time.monotonic() + KEPT

    def __enter__(self) -> Record:
        self._thread.start()
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if kind is not None:
            self._ended.set()
        self._thread.join()
        if self._noted:
            self._write(kind is None, **({} if kind is None else {"error": str(error) or kind.__name__}))

    def _write(self, finished: bool, **more: Any) -> None:
        inputs = {name: {"path": os.path.abspath(path), "sha256": self._hashes.get(name)} for name, path in self._inputs.items()}
        whole = self._said | {"inputs": inputs} | self._noted
        self._unwritten = False
        whole |= {"seconds": round(time.monotonic() - self._clock, 2), "finished": finished} | more
        with disk_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._path, whole)

    def _hash(self) -> None:
        for name, path in self._inputs.items():
            found = self._hash_of(path)
            if found is None:
                return
            self._hashes[name] = found

    def _hash_of(self, path: Path) -> str | None:
        """SHA-256 of a file, or of the names and contents of a folder's files; None where the run ends before it is known."""
        digest = hashlib.sha256()
        for file in sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]:
            if path.is_dir():
                digest.update(os.fsencode(file.name) + b"\0")
            try:
                with opened(file) as content:
                    while block := content.read(BLOCK):
                        if self._ended.is_set():
                            return None
                        digest.update(block)
            except (OSError, NotRegular):
                continue  # the run itself says what cannot be read
        return digest.hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        said = read_json(path, named=False, finite=False)
    except (OSError, ValueError, NotRegular):
        return {}
    if not isinstance(said, dict):
        return {}
    for name, kind in ("failures", str), ("files", str), ("failed", int):
        if not isinstance(said.get(name, []), list) or not all(type(value) is kind for value in said.get(name, [])):
            del said[name]
    return said


def _versions() -> dict[str, str]:
    """Of Python, the system and the packages that pictures come from, as far as they are installed."""
    found = {"python": platform.python_version(), "system": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
