"""Content Credentials (C2PA) in results: what was made from what, by which tool, signed.

"Content Credentials: C2PA Technical Specification", version 2.1, Coalition for Content Provenance
and Authenticity, 2024.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import mimetypes
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import c2pa

from lib.errors import FaceswapError
from lib.files.names import VIDEO_ENDINGS, printable
from lib.files.writing import create, disk_errors, part_beside, publish
from lib.provenance.keys import Identity
from lib.provenance.xmp import SWAPPED, WHOLE, Done, packet, statement
from lib.version import VERSION

logger = logging.getLogger(__name__)

FORMATS = {  # ending -> media type, of formats that carry Content Credentials
    ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".avi": "video/avi",
    ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
    ".jpe": "image/jpeg", ".jfif": "image/jpeg", ".png": "image/png", ".webp": "image/webp",
    ".tif": "image/tiff", ".tiff": "image/tiff",
    ".gif": "image/gif", ".apng": "image/png", ".avif": "image/avif"}
ORIGINAL = "original"  # label of that ingredient
ASSERTION = "org.faceswap.swap"  # for facts that C2PA has no term for
# Bytes; larger videos are hashed in pieces of PIECE, since the library would read 256 MB at a time
LARGE = 1 << 26
PIECE = 4096  # kB
KEPT = 16  # MB of a file that the library may keep in memory
OFFLINE = {"remote_manifest_fetch": False, "ocsp_fetch": False}


@dataclass(frozen=True)
class Consent:
    """A record of consent. The result holds its hash alone."""

    path: Path
    sha256: str
    bytes: int


class _ThreadSigner(threading.local):
    """The signer of a thread, and what it was made for."""

    key: tuple[Identity, str | None] | None = None
    signer: c2pa.Signer | None = None


@dataclass
class Mark:
    """How the results of one run are marked. Thread-safe."""

    identity: Identity
    models: dict[str, str]  # names of the models that drew faces, by their SHA-256
    original: Path | None  # video, picture or folder of pictures that was changed; None: nothing
    hash_of: Callable[[], str | None]  # waits for the SHA-256 of a single original
    consent: Sequence[Consent] = ()
    details: dict[str, Any] = field(default_factory=dict)  # how it was made, as JSON values
    timestamp: str | None = None  # address of a time stamping authority (RFC 3161)
    done: Done = SWAPPED
    problems: list[str] = field(default_factory=list)  # what could not be marked, in sentences
    unmarked_endings: set[str] = field(default_factory=set)  # of formats that carry no credentials

    def __post_init__(self):
        self.xmp = packet(self.done)
        self._context = _context()
        self._in_pieces = _context({"merkle_tree_chunk_size_in_kb": PIECE})
        self._lock, self._thread = threading.Lock(), _ThreadSigner()

    def comment(self) -> str:
        """The plain statement for a video's metadata."""
        return statement("video", self.done)

    def check(self) -> None:
        """Signs a picture of one pixel. Raises FaceswapError where that fails."""
        from PIL import Image

        pixel = io.BytesIO()
        Image.new("RGB", (1, 1)).save(pixel, "PNG")
        try:
            self._sign(pixel, io.BytesIO(), Path("pixel.png"), None, None)
        except c2pa.C2paError as error:
            if self.timestamp:
                raise FaceswapError(f"The time stamping authority {self.timestamp} gives no time "
                                    "stamp: it cannot be reached, or is none. Check the address "
                                    "and the network, or leave --timestamp out.") from error
            raise FaceswapError(f"Nothing can be signed with this certificate: {_words(error)}. "
                                "C2PA needs one for signing documents or e-mail.") from error

    def signed(self, data: bytes, path: Path, original: Path | None) -> bytes:
        """`data`, the future file `path`, with Content Credentials where its format carries
        them.
        """
        if path.suffix.lower() not in FORMATS:
            self.unmarked_endings.add(path.suffix.lower())
            return data
        result = io.BytesIO()
        done = self._try(io.BytesIO(data), result, path, original)
        return result.getvalue() if done else data

    def sign(self, part: Path, path: Path) -> None:
        """Signs the finished file `part`, which will be renamed to `path`: a signed copy replaces
        it."""
        if path.suffix.lower() not in FORMATS:
            self.unmarked_endings.add(path.suffix.lower())
            return
        result = part_beside(part)
        try:
            with disk_errors(path), open(part, "rb") as source, create(result) as target:
                source, target = _Watched(source), _Watched(target)
                # on a thread: Ctrl-C in a call from the library's own code would be lost
                with ThreadPoolExecutor(1) as pool:
                    try:
                        done = pool.submit(self._try, source, target, path, self.original).result()
                    except BaseException:
                        source.stop()
                        raise
                if target.error:
                    raise target.error
            if done:
                publish(result, part, durable=False)
        finally:
            result.unlink(missing_ok=True)

    def _try(self, source: BinaryIO, target: BinaryIO, path: Path, original: Path | None) -> bool:
        """Whether it was signed; if not, `problems` says why."""
        sha256 = None
        if original is not None:
            sha256 = self.hash_of() if original == self.original else file_hash(original)
        try:
            self._sign(source, target, path, original, sha256)
            return True
        except c2pa.C2paError as error:
            problem = error
        if self.timestamp:
            with self._lock:
                self.timestamp = None  # each attempt would take half a minute
            self._add_problem("The time stamping authority stopped giving time stamps: "
                              f"{_words(problem)}. {path.name} and later files are signed without.")
            for file in (source, target):
                file.seek(0)
            target.truncate()
            return self._try(source, target, path, original)
        self._add_problem(f"{path.name} could not be given Content Credentials: {_words(problem)}.")
        return False

    def _add_problem(self, sentence: str) -> None:
        with self._lock:
            self.problems.append(sentence)

    def _sign(self, source: BinaryIO, target: BinaryIO, path: Path, original: Path | None,
              sha256: str | None) -> None:
        kind = FORMATS[path.suffix.lower()]
        context = self._in_pieces if source.seek(0, io.SEEK_END) > LARGE else self._context
        source.seek(0)
        manifest, ingredient = self._manifest(path, original), None
        if original is not None:
            ingredient = {"title": printable(original.name), "relationship": "parentOf",
                          "label": ORIGINAL,
                          "format": mimetypes.guess_type(original.name)[0]
                          or "application/octet-stream"}
            if sha256:
                ingredient["instance_id"] = f"urn:sha256:{sha256}"
                manifest["assertions"][-1]["data"]["original_sha256"] = sha256
        history = (original is not None and original.is_file()
                   and _is_video(original) == _is_video(path) and carries_mark(original))
        if ingredient and not history:
            manifest["ingredients"].append(ingredient)
        with c2pa.Builder(manifest, context=context) as builder:
            if history:  # the original's own credentials are kept where one file becomes one file
                with open(original, "rb") as file:
                    builder.add_ingredient(ingredient, FORMATS[original.suffix.lower()], file)
            builder.sign(self._signer(), kind, source, target)

    def _signer(self) -> c2pa.Signer:
        """One for each thread, since reading the certificates takes a tenth of signing a
        picture.
        """
        key = (self.identity, self.timestamp)
        if self._thread.key != key:
            self._thread.key = key
            self._thread.signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(
                self.identity.algorithm, self.identity.chain.encode(), self.identity.key.encode(),
                self.timestamp))
        return self._thread.signer

    def _manifest(self, path: Path, original: Path | None) -> dict[str, Any]:
        agent = {"name": "faceswap", "version": VERSION}
        models = [{"title": f"face model {name}", "format": "application/octet-stream",
                   "relationship": "inputTo",
                   "instance_id": f"urn:sha256:{digest}", "label": f"model{number}"}
                  for number, (digest, name) in enumerate(self.models.items())]
        actions: list[dict[str, Any]] = []
        kind = self.done.source_type
        details = {"softwareAgent": agent, "digitalSourceType": kind,
                   "description": self.done.action,
               "parameters": {"ingredientIds": [model["label"] for model in models]}}
        if kind == WHOLE:
            actions.append({"action": "c2pa.created", **details})
        elif original is None:
            actions += [{"action": "c2pa.created", "digitalSourceType": kind},
                        {"action": "c2pa.edited", **details}]
        else:
            actions += [{"action": "c2pa.opened", "parameters": {"ingredientIds": [ORIGINAL]}},
                        {"action": "c2pa.edited", **details}]
        facts = self.details | {"models_sha256": list(self.models),
                                "consent": [{"sha256": record.sha256, "bytes": record.bytes}
                                            for record in self.consent]}
        iptc = {"@context": {"Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"},
                "Iptc4xmpExt:DigitalSourceType": kind}
        return {"claim_generator_info": [agent], "title": printable(path.name),
                "format": FORMATS[path.suffix.lower()],
                "ingredients": models,
                "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}},
                               {"label": "c2pa.metadata", "data": iptc},
                               {"label": ASSERTION, "data": facts}]}


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_ENDINGS


def carries_mark(path: Path) -> bool:
    """Whether the file has Content Credentials of any tool."""
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        return False
    try:
        with open(path, "rb") as file, c2pa.Reader(kind, file, context=_context()):
            return True
    except (c2pa.C2paError, OSError):
        return False


def file_hash(path: Path) -> str:
    """SHA-256, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def consent_of(paths: Sequence[Path]) -> list[Consent]:
    """The records of consent at `paths`. Raises FaceswapError where one is no file, or empty."""
    records = []
    for path in paths:
        if not path.is_file():
            problem = "this is a folder" if path.is_dir() else "there is no such file"
            raise FaceswapError(f"--consent {path}: {problem}. Name a text or PDF that says who "
                                "agreed to what.")
        if not (size := path.stat().st_size):
            raise FaceswapError(f"--consent {path} is empty. Name a text or PDF that says who "
                                "agreed to what.")
        with disk_errors(path):
            records.append(Consent(path, file_hash(path), size))
    return records


def _context(core: dict[str, Any] | None = None) -> c2pa.Context:
    return c2pa.Context(c2pa.Settings.from_json(json.dumps({
        "version": 1, "core": {"backing_store_memory_threshold_in_mb": KEPT} | (core or {}),
        "builder": {"thumbnail": {"enabled": False}},
        "verify": OFFLINE | {"verify_after_sign": False}})))


def _words(error: Exception) -> str:
    return str(error).splitlines()[0].strip().rstrip(".")


class _Watched:
    """A file that the library reads or writes. It keeps the first error, which the library hides,
    and can be stopped."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._stopped = False
        self.error: OSError | None = None
        self.seek, self.tell = file.seek, file.tell
        self.flush, self.truncate = file.flush, file.truncate

    def stop(self) -> None:
        self._stopped = True

    def read(self, size: int = -1) -> bytes:
        if self._stopped:
            raise InterruptedError
        return self._file.read(size)

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = self.error or error
            raise
