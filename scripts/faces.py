"""`faceswap.py faces`: a face folder as one file, and back."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from lib.errors import DONE, SOME_FAILED, FaceswapError, UsageError
from lib.facesets import packed
from lib.files.names import same_path
from lib.options import option
from lib.settings import Settings
from lib.system import device
from lib.system.logs import counted
from lib.training.batches import checks
from lib.words import escaped

logger = logging.getLogger(__name__)
NAMED = 10  # files named in a warning


def run(options: Faces) -> int:
    _check_usage(options)
    return {"pack": _pack, "unpack": _unpack, "report": _report}[options.action](options)


def _check_usage(options: Faces) -> None:
    action = options.action
    for name in "compress", "skip_damaged":
        if getattr(options, name) is not None and action != "pack":
            raise UsageError(f"--{name.replace('_', '-')} belongs to faces pack, not to {action}.")
    if (options.output is None) != (action == "report"):
        raise UsageError("faces report writes nothing: leave -o out." if options.output else f"faces {action} needs -o/--output. "
                         "See: faceswap.py faces --help")
    if action == "unpack" and len(options.input) > 1:
        raise UsageError("faces unpack takes one packed face set with -i.")
    for number, path in enumerate(options.input):
        if any(same_path(path, other) for other in options.input[:number]):
            raise UsageError(f"-i names {path} twice. Name each once.")


def _pack(options: Faces) -> int:
    done = packed.pack(options.input, options.output, bool(options.compress), bool(options.skip_damaged), device.cores())
    strangers = [path for folder in options.input for path in sorted(folder.iterdir())
                 if path.is_file() and path.suffix.lower() != ".png" and not path.name.startswith(".")]
    if strangers:
        logger.warning("Not packed, since they are no faces: %s.", _listed([path.name for path in strangers]))
    for error in done.left_out:
        logger.warning("Left out: %s", error)
    logger.info("Packed %s into %s, %s.", counted(done.count, "face"), options.output, packed.in_words(done.size))
    return SOME_FAILED if done.left_out else DONE


def _unpack(options: Faces) -> int:
    written = packed.unpack(options.input[0], options.output, device.cores())
    logger.info("Unpacked %s into %s.", counted(written, "face"), options.output)
    return DONE


def _report(options: Faces) -> int:
    for path in options.input:
        if not packed.is_face_set(path):
            raise FaceswapError(f"{path} holds no faces from extract. Name a face folder or a packed face set.")
        files = packed.read_faces(path, device.cores())
        kinds = sorted({f"{file.coverage}, {file.size} pixels" for file in files})
        sources = {file.origin.source for file in files}
        print(escaped(f"{path}: {counted(len(files), 'face')} ({'; '.join(kinds)}) from {counted(len(sources), 'source')}"))
        for complaint in checks.complaints(str(path), files) or ["Nothing to complain of."]:
            print(escaped(f"  {complaint}"))
    return DONE


def _listed(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


@dataclass(kw_only=True)
class Faces(Settings):
    """Pack a folder of faces into one file, which train loads many times faster, and unpack it again.

    faces pack -i faces -o faces.h5           one file of a folder, or of several; train -A faces.h5 takes it as it takes the folder
    faces unpack -i faces.h5 -o faces         the same PNG files again: look through them, sort them, delete some, and pack them again
    faces report -i faces.h5                  how many, from where, and whether training on them will have trouble

    A packed set takes some 1.6 times the disk of its PNG files; with --compress 1.3 times, but it loads at a tenth of the speed then.
    Packing leaves the folder as it is, and refuses one in which a PNG file is damaged or no face, unless --skip-damaged leaves it out.
    """

    action: str = option(help="What to do.", positional=True, choices=("pack", "unpack", "report"))
    input: list[Path] = option(help="For pack: folders of faces made by extract. For unpack: a packed face set. For report: either.",
                               short="-i")
    output: Path | None = option(None, "For pack: the file, which ends in .h5. For unpack: the folder.", short="-o")
    compress: bool | None = option(None, "For pack: a smaller file that loads more slowly.")
    skip_damaged: bool | None = option(None, "For pack: leave out what is damaged or no face, and name it.")
