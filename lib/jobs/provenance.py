"""Where pictures and videos say they come from, and whether they were changed since."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lib.errors import FaceswapError, UsageError
from lib.files.names import PICTURE_ENDINGS, VIDEO_ENDINGS, natural_key
from lib.files.reading import NotRegular, read_json
from lib.options import option
from lib.provenance.marking import file_hash
from lib.provenance.reading import CHANGED, Provenance, provenance_of
from lib.provenance.run_record import record_of
from lib.settings import Settings
from lib.system.parallel import ordered_map
from lib.system.progress import job, progress

READERS = 2  # threads


@dataclass(kw_only=True)
class ProvenanceSettings(Settings):
    """Show what a picture or video says about its origin, and whether it was changed.

    Reads and verifies Content Credentials (C2PA) of any tool, offline. Exit code: 0 if the file
    is unchanged since it was signed, 1 if it was changed or carries none. With --inspect: 0, or 3
    if a file was changed.
    """

    file: Path | None = option(None, "The picture or video to check.", positional=True)
    inspect: Path | None = option(
        None, "Check every picture and video in this folder and its subfolders instead.")
    original: Path | None = option(
        None, "Also check that FILE names this file as its original.")
    consent: list[Path] = option(
        [], "Also check that FILE names these files as records of consent.")
    json: bool = option(False, "Print JSON.")


@dataclass(frozen=True)
class Check:
    """A fact about a file that was compared with another file."""

    name: str  # "original", "consent" or "record"
    passed: bool
    sentence: str


@dataclass(frozen=True)
class ProvenanceResult:
    """What `provenance` read."""

    files: tuple[Provenance, ...]  # FILE, or all files of the folder, in natural order
    checks: tuple[Check, ...] = ()  # of FILE


@job
def provenance(settings: ProvenanceSettings) -> ProvenanceResult:
    """Reads and verifies the marks of a file or of a folder's files.

    Raises FaceswapError where there is nothing to read.
    """
    if (settings.file is None) == (settings.inspect is None):
        raise UsageError("provenance needs one of FILE, a picture or video, and --inspect FOLDER.")
    if settings.inspect:
        if settings.consent or settings.original:
            raise UsageError("--consent and --original belong to one FILE, not to --inspect.")
        return ProvenanceResult(tuple(_inspect(settings.inspect)))
    file = provenance_of(settings.file)
    return ProvenanceResult((file,), tuple(_checks(file, settings.original, settings.consent)))


def _inspect(folder: Path) -> list[Provenance]:
    if not folder.is_dir():
        raise FaceswapError(f"{folder} is no folder. Name a folder, or the file without --inspect.")
    endings = PICTURE_ENDINGS | VIDEO_ENDINGS
    paths = [path for path in folder.rglob("*") if path.suffix.lower() in endings
             and path.is_file() and not path.name.startswith(".")]
    if not paths:
        raise FaceswapError(f"There is no picture and no video in {folder}. Name another folder.")
    paths.sort(key=lambda path: natural_key(str(path)))
    files = ordered_map(_read, paths, READERS)
    return list(progress(files, "provenance", len(paths), unit="file"))


def _read(path: Path) -> Provenance:
    try:
        return provenance_of(path)
    except FaceswapError as error:
        return Provenance(path, CHANGED, problems=(str(error),))


def _checks(file: Provenance, original: Path | None, consents: list[Path]) -> list[Check]:
    checks = []
    if original:
        passed = file.swap.get("original_sha256") == _hash(original, "--original")
        checks.append(_check("original", passed, original, "the original that it names"))
    named = [record["sha256"] for record in file.swap.get("consent", ())]
    for consent in consents:
        passed = _hash(consent, "--consent") in named
        checks.append(_check("consent", passed, consent, "a record of consent that it names"))
    if recorded := recorded_hash(file.path):
        record = f"{record_of(file.path).name}: byte for byte it"
        checks.append(_check("record", recorded == file_hash(file.path), record,
                             "what that run wrote"))
    return checks


def _check(name: str, passed: bool, subject: object, fact: str) -> Check:
    return Check(name, passed, f"{subject} is {'' if passed else 'NOT '}{fact}.")


def _hash(path: Path, flag: str) -> str:
    if not path.is_file():
        raise FaceswapError(f"{flag} {path}: there is no such file. Check the name.")
    return file_hash(path)


def recorded_hash(path: Path) -> str | None:
    """SHA-256 of the file when its run ended, where the record of that run lies beside it."""
    try:
        return read_json(record_of(path), named=False, finite=False).get("output_sha256")
    except (OSError, ValueError, AttributeError, NotRegular):
        return None
