"""Masks of faces that were found, made and looked at."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.alignments.drawing import masks_side_by_side
from lib.alignments.extraction.extract import search_changed
from lib.alignments.left_out import all_left_out
from lib.alignments.masking import add_masks
from lib.alignments.store import AlignmentStore, default_store
from lib.errors import FaceswapError, UsageError
from lib.faces.geometry import crop
from lib.files.names import same_path
from lib.files.writing import disk_errors, make_folder
from lib.media.base import FrameSource
from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file
from lib.options import option
from lib.sampling import evenly
from lib.settings import Settings
from lib.system.progress import job

SHOWN = 12  # faces, where --overlay does not say


@dataclass(kw_only=True)
class MaskSettings(Settings):
    """Add masks to the faces that extract found, and look at them.

    Only missing masks are made, and stored as the work goes on: after an interruption, run the same
    command again. A masker with other options than before makes all its masks again. With -o,
    pictures of some faces show the masks side by side.
    """

    input: Path = option(help="Video, picture or folder of pictures that extract was run on.",
                         short="-i")
    alignments: Path | None = option(None, "Alignments file. Default: INPUT.alignments.db, beside "
                                     "the input.", short="-p")
    masker: list[str] = option(help="Masks to make; any number.", short="-M",
                               plugin="maskers")
    output: Path | None = option(None, "Folder for pictures of masked faces, to look at.",
                                 short="-o")
    overlay: int | None = option(None, "Number of faces shown in the folder -o, evenly chosen. "
                                 "Default: 12.", low=1)


@dataclass(frozen=True)
class MaskResult:
    """What `mask` did."""

    faces: int  # that got masks
    frames: int  # that show these faces
    unread: tuple[str, ...]  # frames that could not be read, by name, or by number, counted from 1


@job
def mask(settings: MaskSettings) -> MaskResult:
    """Adds the masks that are missing to the faces of a source.

    Raises FaceswapError where it has no faces, or was never extracted.
    """
    if not settings.masker:
        raise UsageError("-M/--masker needs the name of a masker. `faceswap.py plugins maskers` "
                         "lists them.")
    if settings.overlay is not None and settings.output is None:
        raise UsageError("--overlay needs a folder for the pictures: name it with -o.")
    if settings.output and same_path(settings.input, settings.output):
        raise FaceswapError(f"Input and output are the same, {settings.input}. Name another folder "
                            "with -o.")
    source = open_source(Path(os.path.abspath(settings.input)), exact=False)
    path = settings.alignments or default_store(settings.input)
    # raises FaceswapError where there is none, instead of making one
    AlignmentStore.open(path, read_only=True).close()
    maskers = settings.create("masker")
    with AlignmentStore.open(path) as store:
        search_changed(source, store)
        if not store.counts()[0]:
            if left_out := store.dropped_counts():
                raise FaceswapError(all_left_out(source.path, left_out))
            raise FaceswapError(f"{store.path} has no faces. Run extract on {source.path} first.")
        added = add_masks(source, store, maskers)
        if settings.output:
            _draw(source, store, settings.masker, settings.overlay or SHOWN, settings.output)
        names = store.names()
    return MaskResult(added.faces, added.frames,
                      tuple(names.get(index) or f"frame {index + 1}" for index in added.unread))


def _draw(source: FrameSource, store: AlignmentStore, maskers: Sequence[str], count: int,
          folder: Path) -> None:
    """Writes pictures of `count` faces, evenly chosen, with their masks by `maskers`."""
    faces = [(index, stored.number) for index, stored in store.all_faces()]
    chosen: dict[int, list[int]] = {}
    for index, number in evenly(faces, count):
        chosen.setdefault(index, []).append(number)
    if folder.exists() and not folder.is_dir():
        raise FaceswapError(f"{folder} is a file. Name a folder for the pictures with -o.")
    with disk_errors(folder / "x"):
        make_folder(folder)
    for frame in source.at(list(chosen)):
        for stored in store.faces(frame.index):
            if stored.number in chosen[frame.index]:
                masks = {name: stored.masks[name] for name in maskers if name in stored.masks}
                shown = masks_side_by_side(crop(frame.image, stored.fitted).image, masks)
                picture_file.write(
                    folder / f"{frame.name or f'{frame.index + 1:06d}'}_{stored.number}.png", shown)
