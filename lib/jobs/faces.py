"""Face folders packed into one file, unpacked, and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lib.errors import FaceswapError, UsageError
from lib.facesets.face_set import is_face_set, read_faces
from lib.facesets.packing import Packing, pack, unpack
from lib.files.names import same_path
from lib.options import option
from lib.settings import Settings
from lib.system import device
from lib.system.progress import job
from lib.training.batches import checks


@dataclass(kw_only=True)
class FacesSettings(Settings):
    """Pack face folders into one file, which train loads many times faster, and unpack it again.

    faces pack -i faces -o faces.h5     pack one folder or several; train -A faces.h5 takes the file
    faces unpack -i faces.h5 -o faces   the same PNG files again, to look through, sort and delete
    faces report -i faces.h5            how many, from where, and problems that training would have

    A packed set takes about 1.6 times the disk space of its PNG files. With --compress it takes
    1.3 times, but loads at a tenth of the speed. Packing does not change the folder. It refuses a
    folder with damaged files or other PNG files, unless --skip-damaged leaves these out.
    """

    action: str = option(help="What to do.", positional=True, choices=("pack", "unpack", "report"))
    input: list[Path] = option(help="pack: folders of faces made by extract. unpack: a packed face "
                                    "set. report: either.", short="-i")
    output: Path | None = option(
        None, "pack: the file, which ends in .h5. unpack: the folder.", short="-o")
    compress: bool | None = option(None, "pack: make a smaller file that loads more slowly.")
    skip_damaged: bool | None = option(
        None, "pack: leave out damaged files and PNG files without a face, and list them.")


@dataclass(frozen=True)
class FaceSetReport:
    """What one face set holds."""

    path: Path
    count: int  # faces
    kinds: tuple[str, ...]  # "whole, 256 pixels"
    sources: int  # videos and folders of pictures
    problems: tuple[str, ...]  # why training on it will not go well


@dataclass(frozen=True)
class FacesResult:
    """What `faces` did."""

    packing: Packing | None = None
    not_faces: tuple[str, ...] = ()  # names of files that were not packed, other than PNG
    unpacked: int | None = None  # faces
    reports: tuple[FaceSetReport, ...] = ()


@job
def faces(settings: FacesSettings) -> FacesResult:
    """Packs, unpacks or checks face sets. Raises FaceswapError where an input holds no faces."""
    _check_usage(settings)
    threads = device.cores()
    if settings.action == "pack":
        packing = pack(settings.input, settings.output, bool(settings.compress),
                              bool(settings.skip_damaged), threads)
        return FacesResult(packing, tuple(
            path.name for folder in settings.input for path in sorted(folder.iterdir())
            if path.is_file() and path.suffix.lower() != ".png" and not path.name.startswith(".")))
    if settings.action == "unpack":
        return FacesResult(unpacked=unpack(settings.input[0], settings.output, threads))
    return FacesResult(reports=tuple(_report(path, threads) for path in settings.input))


def _check_usage(settings: FacesSettings) -> None:
    action = settings.action
    for flag, value in ("compress", settings.compress), ("skip-damaged", settings.skip_damaged):
        if value is not None and action != "pack":
            raise UsageError(f"--{flag} belongs to faces pack, not to {action}.")
    if settings.output and action == "report":
        raise UsageError("faces report writes nothing: leave -o out.")
    if not settings.output and action != "report":
        raise UsageError(f"faces {action} needs -o/--output. See: faceswap.py faces --help")
    if action == "unpack" and len(settings.input) > 1:
        raise UsageError("faces unpack takes one packed face set with -i.")
    for number, path in enumerate(settings.input):
        if any(same_path(path, earlier) for earlier in settings.input[:number]):
            raise UsageError(f"-i names {path} twice. Name each once.")


def _report(path: Path, threads: int) -> FaceSetReport:
    if not is_face_set(path):
        raise FaceswapError(f"{path} holds no faces from extract. Name a face folder or a packed "
                            "face set.")
    files = read_faces(path, threads)
    kinds = sorted({f"{file.coverage}, {file.size} pixels" for file in files})
    sources = {file.origin.source for file in files}
    return FaceSetReport(path, len(files), tuple(kinds), len(sources),
                         tuple(checks.complaints(str(path), files)))
