"""Masks of faces that were found: made and looked at, written as files, and read back from them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.alignments.drawing import masks_side_by_side
from lib.alignments.extraction.extract import search_changed
from lib.alignments.left_out import all_left_out
from lib.alignments.mask_files.exporting import (
    Selection,
    export_beside,
    export_pictures,
    export_polygons,
)
from lib.alignments.mask_files.importing import import_folder, import_polygons
from lib.alignments.masking import add_masks
from lib.alignments.store import AlignmentStore, default_store
from lib.errors import FaceswapError, UsageError
from lib.faces.geometry import DEFAULT_SIZE, crop
from lib.facesets.folder import list_faces
from lib.files.names import same_path
from lib.files.writing import disk_errors, make_folder
from lib.jobs.shared.compositing import AUTO, PREDICTED
from lib.media.base import FrameSource
from lib.media.endpoints.source import open_source
from lib.media.frame_range import parse_frame_range
from lib.media.pictures import picture_file
from lib.options import nearest, option
from lib.plugin import MASKERS, Masker
from lib.sampling import evenly
from lib.settings import Settings
from lib.system.progress import job

SHOWN = 12  # faces, where --overlay does not say
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
POLYGONS = ".json"  # ending of files with polygons
# The options that each action takes beside -i and -p
TAKES: dict[str | None, tuple[str, ...]] = {
    None: ("masker", "output", "overlay"),
    "export": ("masker", "output", "faces", "size", "frames", "count"),
    "import": ("output", "name")}
FLAGS = {"masker": "-M/--masker", "output": "-o/--output", "faces": "-f/--faces"}


@dataclass(kw_only=True)
class MaskSettings(Settings):
    """Add masks to the faces that extract found, look at them, and paint them elsewhere.

    mask -i clip.mp4 -M hull extended -o look             make masks; pictures to look at them
    mask export -i clip.mp4 -M hull -o paint --count 20   write pictures of faces, and their masks
    mask import -i clip.mp4 -o paint --name hand          store the painted masks as hand
    mask export -i clip.mp4 -M hand -o hand.json          write the outlines of masks as polygons
    mask import -i clip.mp4 -o hand.json --name hand      store masks from such polygons

    Only missing masks are made, and stored as the work goes on: after an interruption, run the same
    command again. A masker with other options than before makes all its masks again, but leaves
    imported ones alone. convert -M hull*hand uses a mask of any name.
    """

    action: str | None = option(None, "export or import masks as files. Without it, masks are made.",
                                positional=True, choices=("export", "import"))
    input: Path = option(help="Video, picture or folder of pictures that extract was run on.",
                         short="-i")
    alignments: Path | None = option(None, "Alignments file. Default: INPUT.alignments.db, beside "
                                     "the input.", short="-p")
    masker: list[str] = option([], "Masks to make; any number. With -o and in export also the "
                               "names of imported ones. export: the first that a face has is "
                               "written, or made; without -M it is white, all face.", short="-M",
                               plugin="maskers", more_names=True)
    output: Path | None = option(None, "Folder for pictures of masked faces, to look at. export: "
                                 "folder for pictures of faces and masks, or a .json file for "
                                 "polygons. import: the folder or .json file that is read.",
                                 short="-o")
    overlay: int | None = option(None, "Number of faces shown in the folder -o, evenly chosen. "
                                 "Default: 12.", low=1)
    faces: Path | None = option(None, "Write the masks beside the faces in this folder, which "
                                "extract wrote, instead of -o.", short="-f", group="export")
    size: int | None = option(None, "Side of the pictures, in pixels. Multiples of 128 lose "
                              "nothing. Default: 256.", low=64, high=1024, group="export")
    frames: str | None = option(None, "Only the faces of these frames, counted from 1, such as "
                                "10-50,90-100.", group="export")
    count: int | None = option(None, "Only so many faces, evenly chosen.", low=1, group="export")
    name: str | None = option(None, "What the masks are called from now on, as in convert -M "
                              "hull*NAME. convert looks at masks called occlusion of itself.",
                              group="import")


@dataclass(frozen=True)
class MaskResult:
    """What `mask` did."""

    faces: int  # that got masks
    frames: int  # that show these faces
    unread: tuple[str, ...]  # frames that could not be read, by name, or by number, counted from 1


@dataclass(frozen=True)
class MaskExport:
    """What `mask` exported."""

    faces: int
    kept: int  # masks that were there before, and were left as they are
    unread: tuple[str, ...]  # as in `MaskResult`


@dataclass(frozen=True)
class MaskImport:
    """What `mask` imported."""

    faces: int  # that got masks
    left_out: tuple[str, ...]  # what could not be imported, a sentence each


@job
def mask(settings: MaskSettings) -> MaskResult | MaskExport | MaskImport:
    """Adds the masks that are missing to the faces of a source, or, with `settings.action`, exports
    or imports masks.

    Raises FaceswapError where it has no faces, or was never extracted; UsageError where options do
    not go together.
    """
    _check_usage(settings)
    if settings.action == "export":
        return export(settings)
    return import_(settings) if settings.action == "import" else make(settings)


def make(settings: MaskSettings) -> MaskResult:
    """Makes the masks that are missing, and draws some."""
    with _opened(settings) as (source, store):
        maskers = _maskers(settings, store)
        imported = [name for name in settings.masker if name not in MASKERS.names()]
        if imported and not settings.output:
            raise UsageError(f"The masks {imported[0]} were imported: there is nothing to make. "
                             "Name a folder with -o to look at them.")
        added = add_masks(source, store, maskers)
        if settings.output:
            _draw(source, store, settings.masker, settings.overlay or SHOWN, settings.output)
        return MaskResult(added.faces, added.frames, _named(store, added.unread))


def export(settings: MaskSettings) -> MaskExport:
    """Writes masks as pictures or polygons."""
    with _opened(settings) as (source, store):
        maskers = _maskers(settings, store)
        included = parse_frame_range(source, None, None, settings.frames)
        names = settings.masker
        selection = Selection(names, maskers[0] if maskers else None, included.includes,
                              settings.count)
        if not selection.faces(store):
            raise FaceswapError(f"{store.path} has no face to export: none in these frames, or "
                                f"none with a mask {' or '.join(names) or 'at all'}.")
        if settings.faces:
            done = export_beside(source, store, selection, _faces_in(settings.faces))
        elif settings.output.suffix.lower() == POLYGONS:
            done = export_polygons(source, store, selection, settings.output)
        else:
            done = export_pictures(source, store, selection, settings.output,
                                   settings.size or DEFAULT_SIZE)
        return MaskExport(done.faces, done.kept, _named(store, done.unread))


def import_(settings: MaskSettings) -> MaskImport:
    """Stores masks from pictures or polygons."""
    with _opened(settings) as (source, store):
        reads = import_folder if settings.output.is_dir() else import_polygons
        done = reads(source, store, settings.name, settings.output)
        return MaskImport(done.faces, tuple(done.left_out))


def _check_usage(settings: MaskSettings) -> None:
    action, values = settings.action, vars(settings)
    called = f"mask {action}" if action else "mask"
    for name in dict.fromkeys(name for names in TAKES.values() for name in names):
        if values[name] not in (None, []) and name not in TAKES[action]:
            takers = " or ".join(f"mask {taker}".removesuffix(" None")
                                 for taker, names in TAKES.items() if name in names)
            raise UsageError(f"{FLAGS.get(name, f'--{name}')} belongs to {takers}, not to "
                             f"{called}.")
    if settings.output and same_path(settings.input, settings.output):
        raise FaceswapError(f"Input and output are the same, {settings.input}. Name another folder "
                            "with -o.")
    {None: _check_make, "export": _check_export, "import": _check_import}[action](settings)


def _check_make(settings: MaskSettings) -> None:
    if not settings.masker:
        raise UsageError("mask needs -M/--masker, the name of a masker. `faceswap.py plugins "
                         "maskers` lists them.")
    if settings.overlay is not None and settings.output is None:
        raise UsageError("--overlay needs a folder for the pictures: name it with -o.")


def _check_export(settings: MaskSettings) -> None:
    output, faces = settings.output, settings.faces
    if (output is None) == (faces is None):
        raise UsageError("mask export needs one of -o/--output, a new folder or a .json file, and "
                         "-f/--faces, a folder of faces from extract.")
    is_json = output is not None and output.suffix.lower() == POLYGONS
    if settings.size and (faces or is_json):
        raise UsageError("--size is for new pictures: leave it out.")
    if is_json and output.exists():
        raise FaceswapError(f"{output} exists already, and is not overwritten. Name another file.")


def _check_import(settings: MaskSettings) -> None:
    output, name = settings.output, settings.name
    if output is None or name is None:
        raise UsageError("mask import needs -o/--output, the folder or .json file with the masks, "
                         "and --name, what they are to be called.")
    if not output.exists():
        raise FaceswapError(f"{output} does not exist. Name the folder or .json file with the "
                            "masks.")
    if not output.is_dir() and output.suffix.lower() != POLYGONS:
        raise FaceswapError(f"{output} is neither a folder nor a .json file. Name one of them.")
    if not NAME.fullmatch(name) or name in (AUTO, PREDICTED):
        raise UsageError(f"--name must be a word of letters, digits, _, - and ., other than {AUTO} "
                         f"and {PREDICTED}, not {name[:60]!r}.")
    masker: Any = MASKERS.load(name) if name in MASKERS.names() else None
    if masker and masker.from_landmarks:
        raise UsageError(f"--name {name}: masks of the masker {name} follow from the landmarks and "
                         "are made again as they are needed. Choose another name.")


def _faces_in(folder: Path) -> list[Path]:
    """The face pictures in `folder` and the folders in it. Raises FaceswapError where it has
    none."""
    faces = [path for place, *_ in os.walk(folder) for path in list_faces(Path(place))]
    if not faces:
        raise FaceswapError(f"{folder} holds no faces from extract. Name a folder that extract "
                            "wrote, or a new one with -o.")
    return faces


@contextmanager
def _opened(settings: MaskSettings) -> Iterator[tuple[FrameSource, AlignmentStore]]:
    """The source and its store, which has faces."""
    source = open_source(Path(os.path.abspath(settings.input)), exact=False)
    path = settings.alignments or default_store(settings.input)
    # raises FaceswapError where there is none, instead of making one
    AlignmentStore.open(path, read_only=True).close()
    with AlignmentStore.open(path) as store:
        search_changed(source, store)
        if not store.counts()[0]:
            if left_out := store.dropped_counts():
                raise FaceswapError(all_left_out(source.path, left_out))
            raise FaceswapError(f"{store.path} has no faces. Run extract on {source.path} first.")
        yield source, store


def _maskers(settings: MaskSettings, store: AlignmentStore) -> list[Masker]:
    """The maskers among the names of -M. Raises UsageError for names of nothing."""
    stored = store.mask_counts()
    known = list(dict.fromkeys([*MASKERS.names(), *stored]))
    label = "masker.{}" if len(settings.masker) > 1 else "masker"
    maskers = []
    for name in settings.masker:
        if name not in known:
            raise UsageError(f"-M/--masker: There is no masker {name[:60]!r}.{nearest(name, known)} "
                             f"There are: {', '.join(known)}.")
        # to write masks that are there, a masker with options of its own is not needed
        if name in MASKERS.names() and not (settings.action and name in stored):
            options = settings.plugin_options.get(f"masker.{name}", {})
            maskers.append(MASKERS.load(name)(
                **MASKERS.declaration(name).check(options, label.format(name))))
    return maskers


def _named(store: AlignmentStore, frames: Sequence[int]) -> tuple[str, ...]:
    names = store.names()
    return tuple(names.get(index) or f"frame {index + 1}" for index in frames)


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
